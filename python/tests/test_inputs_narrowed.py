"""`narrow=True`: a view sees of its request what its key holds, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, Response, g, request, session, url_for

from flask_larder import Cache, cookie, query
from flask_larder.testing import HandClock


def shown(app: Flask) -> Any:
    """A client without cookies of its own."""
    return app.test_client(use_cookies=False)


EVERYTHING = {
    "headers": {
        "Accept-Language": "de",
        "X-Any": "evil",
        "User-Agent": "x",
        "Cookie": "theme=dark; sid=1",
        "Referer": "http://evil.example",
        "X-Forwarded-For": "10.1.1.1",
    },
    "environ_base": {"REMOTE_ADDR": "10.0.0.1", "REMOTE_USER": "anna"},
}


def seen() -> str:
    """What there is to see of a request, besides what is in every key."""
    found = {
        "tongue": request.headers.get("Accept-Language"),
        "any": request.headers.get("X-Any"),
        "theme": request.cookies.get("theme"),
        "sid": request.cookies.get("sid"),
        "page": request.args.get("page"),
        "campaign": request.args.get("utm_source"),
        "query": "utm_source" in request.url or b"utm_source" in request.query_string,
        "referrer": request.referrer,
        "agent": request.user_agent.string or None,
        "address": request.remote_addr,
        "user": request.remote_user,
        "body": request.get_data() or None,
        "session": session.get("user"),
        "g": g.get("user"),
    }
    return " ".join(f"{name}={value}" for name, value in found.items() if value)


def test_t4_4_a_view_does_not_see_what_is_not_in_its_key(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    hooks: list[str | None] = []

    @app.before_request
    def before() -> None:
        g.user = "anna"

    @app.after_request
    def after(response: Response) -> Response:
        hooks.append(request.headers.get("X-Any"))
        hooks.append(g.user)
        return response

    @app.get("/")
    @stored.cached(60, vary=[query("page"), cookie("theme"), "Accept-Language"], narrow=True)
    def index() -> str:
        return f"{seen()} {calls()}"

    client = shown(app)
    first = text_of(client, "/?page=1&utm_source=x", **EVERYTHING)
    assert first == "tongue=de theme=dark page=1 1"
    assert text_of(client, "/?utm_source=y&page=1", **EVERYTHING) == first
    assert text_of(client, "/?page=2&utm_source=x", **EVERYTHING).endswith("page=2 2")
    assert hooks == ["evil", "anna"] * 3


def test_t4_4_coroutine_views_are_narrowed_too(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=[query("page")], narrow=True)
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{seen()} {calls()}"

    client = shown(app)
    for _ in range(2):
        assert text_of(client, "/?page=1&utm_source=x", **EVERYTHING) == "page=1 1"


def test_what_is_in_every_key_is_there(app: Flask, stored: Cache) -> None:
    @app.get("/<name>")
    @stored.cached(60, narrow=True)
    def index(name: str) -> str:
        assert request.view_args == {"name": name}
        assert request.endpoint == "index"
        assert request.args["a"] == "ä b"
        return f"{request.method} {request.url} {url_for('index', name='x', _external=True)}"

    expected = "GET https://shop.example/kuh?a=ä+b https://shop.example/x"
    for _ in range(2):
        got = text_of(shown(app), "/kuh?a=ä+b", base_url="https://shop.example")
        assert got == expected


def test_a_session_is_not_there_and_cannot_be_written(app: Flask, cache: Cache) -> None:
    @app.get("/read")
    @cache.cached(60, narrow=True)
    def read() -> str:
        return f"{'user' in session} {len(session)} {bool(session)}"

    @app.get("/write")
    @cache.cached(60, narrow=True)
    def write() -> str:
        session["user"] = "bert"
        return "written"

    app.testing = True
    client = app.test_client()
    with client.session_transaction() as data:
        data["user"] = "anna"
    assert text_of(client, "/read") == "False 0 False"
    with pytest.raises(RuntimeError, match="wrote to the session, which is not in its key"):
        client.get("/write")
    with client.session_transaction() as data:
        assert data["user"] == "anna"


def test_a_value_in_the_key_lets_the_user_be_seen(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.before_request
    def before() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/")
    @stored.cached(60, vary=[lambda: g.user], narrow=True)
    def index() -> str:
        return f"{g.user} {request.headers.get('X-User')} {calls()}"

    client = shown(app)
    got = [text_of(client, headers={"X-User": name}) for name in ("anna", "bert", "anna")]
    assert got == ["anna None 1", "bert None 2", "anna None 1"]


def test_what_is_cached_within_a_narrowed_view_sees_as_much(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.memoize(60)
    def inner() -> str:
        return str(request.headers.get("X-Any"))

    @app.get("/")
    @stored.cached(60, narrow=True)
    def index() -> str:
        return f"{inner()} {calls()}"

    client = shown(app)
    got = [text_of(client, headers={"X-Any": name}) for name in ("a", "b")]
    assert got == ["None 1", "None 1"]


def test_a_narrowed_view_is_refreshed_as_it_was_loaded(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @stored.cached(60, stale=600, vary=[query("page")], narrow=True)
    def index() -> str:
        return f"{seen()} {calls()}"

    client = shown(app)
    assert text_of(client, "/?page=1&utm_source=x", **EVERYTHING) == "page=1 1"
    clock.advance(61)
    assert text_of(client, "/?page=1&utm_source=x", **EVERYTHING) == "page=1 1"
    stored._background.join()
    assert text_of(client, "/?page=1&utm_source=x", **EVERYTHING) == "page=1 2"


def test_a_refresh_that_is_not_narrowed_reads_no_parameter_outside_the_key(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    @stored.cached(60, stale=600, vary=[query("page")])
    def index() -> str:
        number = calls()
        return f"{request.args.get('utm_source') if number > 1 else ''} {number}"

    client = shown(app)
    assert text_of(client, "/?page=1&utm_source=evil") == " 1"
    clock.advance(61)
    assert text_of(client, "/?page=1&utm_source=evil") == " 1"
    stored._background.join()
    assert text_of(client, "/?page=1") == " 1"
    assert "the query parameter utm_source" in caplog.text


@pytest.mark.parametrize("other", ["make_cache_key", "key_prefix"])
def test_a_key_of_ones_own_says_nothing_of_what_it_holds(cache: Cache, other: str) -> None:
    with pytest.raises(TypeError, match="narrow=True: the key is your own"):
        cache.cached(60, narrow=True, **{other: lambda: "mine"})  # type: ignore[arg-type]
