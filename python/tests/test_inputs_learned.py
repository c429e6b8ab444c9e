"""`vary="auto"`: a view's key holds what the view was seen to read."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
from conftest import Calls, passes, text_of
from flask import Flask, g, request, session

from flask_larder import Cache
from flask_larder.testing import HandClock


def shown(app: Flask) -> Any:
    """A client without cookies of its own."""
    return app.test_client(use_cookies=False)


def test_t4_3_what_a_view_reads_is_learned(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        tongue = request.accept_languages.best_match(["en", "de"])
        theme = request.cookies.get("theme") if tongue == "de" else None
        return f"{tongue} {theme} {calls()}"

    client = shown(app)

    def ask(tongue: str, line: str = "") -> str:
        headers = {"Accept-Language": tongue} | ({"Cookie": line} if line else {})
        answer = client.get("/", headers=headers)
        assert "Accept-Language" in answer.headers["Vary"]
        return str(answer.text)

    # The first answer is stored already, under the key that holds what it has read.
    assert [ask("en"), ask("en")] == ["en None 1", "en None 1"]
    # Another branch of the view reads more: its answer is stored under a key that holds that as well.
    assert [ask("de", "theme=dark"), ask("de", "theme=dark")] == ["de dark 2"] * 2
    assert [ask("de", "theme=light"), ask("de", "theme=dark; sid=1")] == ["de light 3", "de dark 2"]
    # What was stored under the key that holds less is no longer asked for.
    assert [ask("en"), ask("en")] == ["en None 4", "en None 4"]
    assert passes(stored, app) == {}


def test_t4_3_coroutine_views_learn_too(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{request.headers.get('X-Tongue')} {calls()}"

    client = shown(app)
    for _ in range(2):
        got = [text_of(client, headers={"X-Tongue": tongue}) for tongue in ("en", "de")]
        assert got == ["en 1", "de 2"]


def test_a_view_that_reads_nothing_has_nothing_to_learn(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return str(calls())

    client = shown(app)
    first, second = client.get("/"), client.get("/", headers={"X-Any": "x"})
    assert [first.text, second.text] == ["1", "1"]
    assert "Vary" not in second.headers


def test_sessions_are_told_apart_by_what_is_in_them(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return f"{session.get('user')} {calls()}"

    def client_of(name: str) -> Any:
        client = app.test_client()
        with client.session_transaction() as data:
            data["user"] = name
        return client

    anna, bert, nobody = client_of("anna"), client_of("bert"), app.test_client()
    for _ in range(2):
        assert [text_of(client) for client in (anna, bert, nobody)] == [
            "anna 1",
            "bert 2",
            "None 3",
        ]
    assert anna.get("/").headers["Vary"] == "Cookie"


def test_a_view_that_changes_the_session_is_not_stored(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return f"{session['seen']} {calls()}"

    client = app.test_client()
    assert [text_of(client) for _ in range(3)] == ["1 1", "2 2", "3 3"]
    assert [text_of(app.test_client()) for _ in range(2)] == ["1 4", "1 5"]


def test_a_view_that_changes_the_session_now_and_then(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    """That the session is in the key does not give the change to whoever finds the answer stored."""

    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        user = session.get("user")
        if "login" in request.args:
            session["user"] = "anna"
        return f"{user} {calls()}"

    assert [text_of(app.test_client()) for _ in range(2)] == ["None 1", "None 1"]
    for number in (2, 4):
        client = app.test_client()
        assert text_of(client, "/?login") == f"None {number}"
        assert text_of(client) == "anna 3"


def test_users_of_hooks_are_told_apart(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return f"{g.user} {calls()}"

    client = shown(app)
    for _ in range(2):
        got = [text_of(client, headers={"X-User": name}) for name in ("anna", "bert")]
        assert got == ["anna 1", "bert 2"]
    assert text_of(client) == "None 3"


def test_a_user_that_makes_no_key_is_not_stored(app: Flask, stored: Cache, calls: Calls) -> None:
    class User:
        def __init__(self, name: str | None) -> None:
            self.name = name

    @app.before_request
    def load_user() -> None:
        g.user = User(request.headers.get("X-User"))

    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return f"{g.user.name} {calls()}"

    client = shown(app)
    got = [text_of(client, headers={"X-User": name}) for name in ("anna", "bert", "anna")]
    assert got == ["anna 1", "bert 2", "anna 3"]
    assert passes(stored, app) == {"unkeyed-input: g:user": 3}


def test_what_a_view_changes_itself_is_no_key(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        was = g.user
        g.user = "everybody"
        return f"{was} {calls()}"

    client = shown(app)
    names = ("anna", "bert", "anna", "everybody")
    got = [text_of(client, headers={"X-User": name}) for name in names]
    assert got == ["anna 1", "bert 2", "anna 3", "everybody 4"]


@pytest.mark.parametrize(
    "look", ["list(request.headers)", "request.get_data()", "dict(request.environ)"]
)
def test_what_cannot_be_learned_is_not_stored(
    app: Flask, stored: Cache, calls: Calls, look: str
) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        eval(look)
        return str(calls())

    assert [text_of(shown(app)) for _ in range(2)] == ["1", "2"]


def test_the_clients_address_is_learned(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return f"{request.remote_addr} {calls()}"

    client = shown(app)

    def ask(address: str) -> str:
        answer = client.get("/", environ_base={"REMOTE_ADDR": address})
        assert answer.headers["Vary"] == "*"
        return str(answer.text)

    assert [ask("10.0.0.1"), ask("10.0.0.2"), ask("10.0.0.1")] == [
        "10.0.0.1 1",
        "10.0.0.2 2",
        "10.0.0.1 1",
    ]


def test_requests_with_credentials_are_left_alone_until_they_are_read(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        return f"{request.headers.get('X-Any')} {calls()}"

    client = shown(app)
    assert [text_of(client, auth=("anna", "x")), text_of(client, auth=("anna", "x"))] == [
        "None 1",
        "None 2",
    ]
    assert passes(stored, app) == {"authorization": 2}


def test_there_is_an_end_to_learning(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/<int:number>")
    @stored.cached(60, vary="auto")
    def index(number: int) -> str:
        for each in range(number):
            request.headers.get(f"X-{each}")
        return str(calls())

    client = shown(app)
    for number, stays in ((16, True), (17, False), (1, True)):
        first = text_of(client, f"/{number}")
        assert (text_of(client, f"/{number}") == first) == stays
    assert passes(stored, app) == {"unkeyed-input: header:x-16": 2}


def test_workers_learn_by_themselves(app: Flask, common: dict[str, Any], calls: Calls) -> None:
    """What one worker has stored is found by another once that has learned the same, and is never given
    to a request that differs in it."""
    workers = []
    for name in ("one", "two"):
        worker = Flask("shop")
        worker.secret_key = "a key for tests"
        cache = Cache(worker, config=common)

        def index() -> str:
            return f"{request.headers.get('X-Tongue')} {calls()}"

        index.__qualname__ = "index"
        worker.add_url_rule("/", "index", cache.cached(60, vary="auto")(index))
        workers.append(shown(worker))
        del name

    def ask(worker: int, tongue: str) -> str:
        return text_of(workers[worker], headers={"X-Tongue": tongue})

    assert ask(0, "en") == "en 1"
    assert ask(1, "de") == "de 2"
    assert [ask(1, "en"), ask(0, "de"), ask(0, "en")] == ["en 1", "de 2", "en 1"]


def test_a_crowd_at_a_cold_page_gets_its_own_answers(app: Flask, stored: Cache) -> None:
    """Those who wait for the first load look again, under the key that it has found."""
    inside, go = threading.Event(), threading.Event()

    @app.get("/")
    @stored.cached(60, vary="auto")
    def index() -> str:
        inside.set()
        assert go.wait(30)
        return str(request.headers.get("X-Tongue"))

    got: list[tuple[str, str]] = []

    def ask(tongue: str) -> None:
        got.append((tongue, text_of(shown(app), headers={"X-Tongue": tongue})))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("en", "de") * 4]
    threads[0].start()
    assert inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert all(tongue == text for tongue, text in got)


def test_a_refresh_behind_the_answer_has_what_was_learned(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @stored.cached(60, stale=600, vary="auto")
    def index() -> str:
        return f"{request.headers.get('X-Tongue')} {calls()}"

    client = shown(app)
    headers = {"X-Tongue": "de"}
    assert text_of(client, headers=headers) == "de 1"
    clock.advance(61)
    assert text_of(client, headers=headers) == "de 1"
    stored._background.join()
    answer = client.get("/", headers=headers)
    assert (answer.text, answer.headers["Vary"]) == ("de 2", "X-Tongue")


def test_a_refresh_that_reads_more_is_not_stored(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @stored.cached(60, stale=600, vary="auto")
    def index() -> str:
        if calls() > 1:
            with contextlib.suppress(RuntimeError):
                request.headers.get("X-More")
        return f"{request.headers.get('X-Tongue')} {calls.count}"

    client = shown(app)
    headers = {"X-Tongue": "de", "X-More": "evil"}
    assert text_of(client, headers=headers) == "de 1"
    clock.advance(61)
    assert text_of(client, headers=headers) == "de 1"
    stored._background.join()
    assert calls.count == 2
    # What is stored still, or an answer of its own.
    assert text_of(client, headers=headers) in ("de 1", "de 3")


@pytest.mark.parametrize("when", ["before the view runs", "while it runs"])
def test_what_others_learn_meanwhile_makes_no_key_too_narrow(
    app: Flask, stored: Cache, calls: Calls, when: str
) -> None:
    """A load is judged by what its own key held, whatever the view is known to read by now."""
    taught = [False]

    def teach() -> bool:
        if not taught[0]:
            taught[0] = True
            text_of(shown(app), "/lesson")
        return False

    asks = teach if when == "before the view runs" else None

    @app.get("/<name>")
    @stored.cached(60, vary="auto", forced_update=asks)
    def index(name: str) -> str:
        if when == "while it runs":
            teach()
        return f"{name} {request.headers.get('X-Tongue')} {calls()}"

    client = shown(app)
    first = text_of(client, "/page", headers={"X-Tongue": "en"})
    assert first.startswith("page en")
    assert text_of(client, "/page", headers={"X-Tongue": "de"}).startswith("page de")
    assert text_of(client, "/page").startswith("page None")
    assert text_of(client, "/page", headers={"X-Tongue": "en"}) == first


@pytest.mark.parametrize("other", ["make_cache_key", "key_prefix", "as_page", "narrow"])
def test_what_does_not_go_with_it(cache: Cache, other: str) -> None:
    wrong: Any = {"as_page": True, "narrow": True}.get(other, lambda: "mine")
    with pytest.raises(TypeError, match=r"vary=.auto"):
        cache.cached(60, vary="auto", **{other: wrong})


def test_it_is_for_views_of_this_dialect(app: Flask, cache: Cache) -> None:
    from flask_larder import compat

    with pytest.raises(TypeError, match="callables only"):
        cache.memoize(60, vary="auto")  # type: ignore[arg-type]
    other = compat.Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with pytest.raises(TypeError, match="use flask_larder"):
        other.cached(60, vary="auto")
