"""Views that are coroutines are as careful with what they read as others, in both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Calls, for_dialect, text_of
from flask import Flask, Response, g, make_response, request, session

import flask_larder
import flask_larder.compat
from flask_larder import Cache, cookie, query


def shown(app: Flask) -> Any:
    """A client without cookies of its own."""
    return app.test_client(use_cookies=False)


def test_t4_2_a_declared_header_makes_entries_of_its_own(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/me")
    @stored.cached(60, vary=["Authorization"])
    async def me() -> str:
        await asyncio.sleep(0)
        return f"{request.headers.get('Authorization')} {calls()}"

    client = shown(app)
    for _ in range(2):
        got = [text_of(client, "/me", headers={"Authorization": name}) for name in ("a", "b")]
        assert got == ["a 1", "b 2"]
    assert text_of(client, "/me") == "None 3"


def test_t4_4_parameters_that_are_not_named_make_no_entry(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary=[query("page")])
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{request.args.get('page')} {calls()}"

    client = shown(app)
    assert text_of(client, "/?page=1&utm_source=x") == "1 1"
    assert text_of(client, "/?utm_source=y&page=1") == "1 1"
    assert text_of(client, "/?page=2") == "2 2"


def test_t4_5_one_cookie_of_several_counts(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=[cookie("theme")])
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{request.cookies.get('theme')} {calls()}"

    client = shown(app)
    lines = ["theme=dark; sid=1", "sid=2; theme=dark", "theme=light"]
    got = [text_of(client, headers={"Cookie": line}) for line in lines]
    assert got == ["dark 1", "dark 1", "light 2"]


def test_t4_6_an_answer_that_sets_a_cookie_is_one_clients(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60)
    async def index() -> Response:
        answer = make_response(str(calls()))
        answer.set_cookie("sid", f"secret-{calls.count}")
        return answer

    answers = [shown(app).get("/") for _ in range(2)]
    assert [answer.text for answer in answers] == ["1", "2"]
    assert [
        "secret-1" in answers[0].headers["Set-Cookie"],
        "secret-1" in str(answers[1].headers),
    ] == [
        True,
        False,
    ]


def test_t4_8_hosts_and_methods_share_no_body(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.route("/", methods=["GET", "POST"])
    @stored.cached(60)
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{request.method} {request.host} {calls()}"

    client = shown(app)
    assert client.head("/", base_url="http://a.example").text == ""
    got = [text_of(client, base_url=f"http://{name}.example") for name in ("a", "b", "a")]
    assert got == ["GET a.example 2", "GET b.example 3", "GET a.example 2"]
    assert client.post("/", base_url="http://a.example").text == "POST a.example 4"
    assert text_of(client, base_url="http://a.example") == "GET a.example 2"
    assert client.head("/", base_url="http://a.example").content_length == len("GET a.example 2")


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Whether the views of a test are coroutines."""
    return str(request.param)


def test_t4_11_the_other_dialect_stores_and_counts(
    app: Flask, store: dict[str, Any], calls: Calls, kind: str
) -> None:
    cache = flask_larder.compat.Cache(app, config=for_dialect(flask_larder.compat.Cache, store))

    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    def read() -> str:
        request.user_agent  # noqa: B018 (reading is what is tested)
        return f"{g.user} {session.get('user')} {request.cookies.get('theme')} {calls()}"

    def plain() -> str:
        return read()

    async def awaited() -> str:
        await asyncio.sleep(0)
        return read()

    app.add_url_rule("/", "index", cache.cached(60)(plain if kind == "sync" else awaited))
    client = shown(app)
    first = text_of(client, headers={"X-User": "anna", "Cookie": "theme=dark"})
    # The accident, as it happens there.
    assert text_of(client, headers={"X-User": "bert"}) == first == "anna None dark 1"
    with app.app_context():
        events = cache.stats()["events"]
    assert {name: count for name, count in events.items() if name.startswith("unsafe_store")} == {
        "unsafe_store: session": 1,
        "unsafe_store: unkeyed-input: header:user-agent": 1,
        "unsafe_store: unkeyed-input: g:user": 1,
        "unsafe_store: unkeyed-input: cookie:theme": 1,
    }


def test_t4_11_what_is_in_its_keys_is_not_counted(
    app: Flask, store: dict[str, Any], calls: Calls
) -> None:
    cache = flask_larder.compat.Cache(app, config=for_dialect(flask_larder.compat.Cache, store))

    @app.get("/query")
    @cache.cached(60, query_string=True)
    def by_query() -> str:
        return f"{request.path} {request.args.get('page')} {calls()}"

    @app.get("/key")
    @cache.cached(60, make_cache_key=lambda: request.headers["X-Any"])
    def by_key() -> str:
        return f"{request.headers['X-Any']} {calls()}"

    @app.get("/host")
    @cache.cached(60)
    def by_host() -> str:
        return f"{request.host} {calls()}"

    @app.get("/gone")
    @cache.cached(60)
    def gone() -> tuple[str, int]:
        return f"gone {calls()}", 404

    client = shown(app)
    for path in ("/query?page=1", "/key", "/host", "/gone"):
        assert (
            client.get(path, headers={"X-Any": "a"}).text
            == client.get(path, headers={"X-Any": "a"}).text
        )
    with app.app_context():
        events = cache.stats()["events"]
    assert {name: count for name, count in events.items() if name.startswith("unsafe_store")} == {
        "unsafe_store: unkeyed-input: host": 1,
        "unsafe_store: status: 404": 1,
    }


def test_t4_11_the_names_are_bounded(app: Flask, calls: Calls) -> None:
    cache = flask_larder.compat.Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/<name>")
    @cache.cached(60)
    def index(name: str) -> str:
        return f"{request.headers.get(name)} {calls()}"

    for number in range(300):
        text_of(shown(app), f"/x-{number}")
    with app.app_context():
        events = cache.stats()["events"]
    assert len(events) <= 201
    assert events["unsafe_store: other"] >= 99
