"""Early hits and what anybody may send: nothing of it makes another answer, and no user gets another's."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from early_support import ask, early_app, warmed
from flask import Flask, request, url_for
from test_bad_input import TEXTS

from flask_larder import Cache, cookie, query
from flask_larder.early import level

NAMES = [
    "HTTP_X_A",
    "HTTP_COOKIE",
    "QUERY_STRING",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SCRIPT_NAME",
    "HTTP_RANGE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_CACHE_CONTROL",
    "REQUEST_METHOD",
    "wsgi.url_scheme",
    "SERVER_SOFTWARE",
]
ODD: list[Any] = [b"bytes", 7, ["a"], type("Text", (str,), {})("a text of another class")]
"""What is no text, and what is more than one."""


def site(early: bool) -> tuple[Flask, Cache]:
    """Views that repeat what they were asked for."""
    app, cache = early_app({"CACHE_THRESHOLD": 10_000}, early=early)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def said() -> str:
        return f"{request.host} {request.path!r} {request.query_string!r} {url_for('page')}"

    @app.route("/page", methods=["GET", "POST"])
    @cache.cached(3600)
    def page() -> str:
        return f"{request.method == 'POST'} {said()}"

    @app.get("/dated")
    @cache.cached(3600, http=True)
    def dated() -> str:
        return said()

    @app.get("/varied")
    @cache.cached(3600, vary=["X-A", cookie("theme"), query("page")])
    def varied() -> str:
        args = request.args.getlist("page")
        return f"{request.headers.get('X-A')!r} {request.cookies.get('theme')!r} {args}"

    @app.get("/under/<path:rest>")
    @cache.cached(3600)
    def under(rest: str) -> str:
        return f"{said()} {rest!r}"

    return app, cache


def outcome(app: Flask, path: Any, changes: dict[str, Any]) -> Any:
    """What the client is told, or the sort of error that the server makes a 500 of."""
    try:
        said = ask(app, path, **changes)
    except Exception as error:
        return type(error)
    unlike = ("Date", "Age", "Cache-Status")
    headers = [pair for pair in said.headers if pair[0] not in unlike]
    return said.status, headers, said.body


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> tuple[Flask, Flask]:
    """The same application with early hits, and without a cache that answers early."""
    early, plain = site(True)[0], site(False)[0]
    # What the log of an error repeats of a request is no text that a worker of pytest could hand on.
    for app in (early, plain):
        monkeypatch.setattr(app.logger, "disabled", True)
    assert warmed(early, "/page").early
    return early, plain


def agree(twins: tuple[Flask, Flask], path: Any, changes: dict[str, Any]) -> None:
    """Says the same as often as it is asked, and leaves the page that is there."""
    early, plain = twins
    for _ in range(4):
        assert outcome(early, path, changes) == outcome(plain, path, changes), (path, changes)
    # The first error gives an application its log, which is looked at as if it mattered.
    page = warmed(early, "/page")
    assert (page.early, page.body) == (True, ask(plain, "/page").body)


@pytest.mark.parametrize("path", ["/page", "/dated", "/varied", "/under/x"])
@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_any_sort_changes_nothing(
    twins: tuple[Flask, Flask], path: str, name: str
) -> None:
    for value in (*TEXTS, *ODD, None):
        agree(twins, path, {name: value})


@pytest.mark.parametrize("value", [*TEXTS, *ODD], ids=range(len(TEXTS) + len(ODD)))
def test_a_path_of_any_sort_changes_nothing(twins: tuple[Flask, Flask], value: Any) -> None:
    agree(twins, value, {})
    if isinstance(value, str):
        for path in (f"/under/{value}", f"/page{value}", f"/page/{value}", f"//page{value}"):
            agree(twins, path, {})


def test_what_stands_in_the_place_of_a_dict_is_flasks(twins: tuple[Flask, Flask]) -> None:
    class Environ(dict[str, Any]):
        """Another class of dict."""

    started: list[Any] = []
    asked = Environ(PATH_INFO="/page")
    with pytest.raises(KeyError):
        twins[0].wsgi_app(asked, lambda *args: started.append(args))
    assert started == []


def test_two_users_at_once_get_their_own() -> None:
    app, cache = early_app({"CACHE_THRESHOLD": 10_000})
    ways: dict[str, tuple[list[Any], Any, Any]] = {
        "cookie": ([cookie("user")], lambda: request.cookies["user"], "HTTP_COOKIE"),
        "header": (["X-User"], lambda: request.headers["X-User"], "HTTP_X_USER"),
        "query": ([query("user")], lambda: request.args["user"], "QUERY_STRING"),
        "all": ([], lambda: request.args["user"], "QUERY_STRING"),
        "host": ([], lambda: request.host.partition(".")[0], "HTTP_HOST"),
    }
    for (name, (vary, read, _)), http in itertools.product(ways.items(), (False, True)):
        view = cache.cached(3600, vary=vary, http=http)(lambda read=read: f"the page of {read()}")
        app.add_url_rule(f"/{name}/{http}", f"{name} {http}", view)

    def asked(user: str, name: str) -> dict[str, str]:
        spelt = {"HTTP_COOKIE": f"a=b; user={user}", "QUERY_STRING": f"user={user}"}
        spelt |= {"HTTP_HOST": f"{user}.example", "HTTP_X_USER": user}
        # What tells nothing of this page is another's.
        other = {"anna": "bert", "bert": "anna"}[user]
        told = {"HTTP_COOKIE": f"user={other}", "HTTP_X_USER": other}
        return {**told, ways[name][2]: spelt[ways[name][2]]}

    wrong: list[Any] = []
    hits: list[bool] = []
    stop = threading.Event()

    def visitor(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(2500):
            user, name = chance.choice(["anna", "bert"]), chance.choice([*ways])
            said = ask(app, f"/{name}/{chance.random() < 0.5}", **asked(user, name))
            hits.append(said.early)
            if said.body != f"the page of {user}".encode():
                wrong.append((user, name, said))

    def purger() -> None:
        while not stop.wait(0.01):
            with app.app_context():
                cache.clear()

    thread = threading.Thread(target=purger)
    thread.start()
    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(visitor, range(4)))
    stop.set()
    thread.join()
    assert wrong == []
    assert sum(hits) > 1000
    found = level(app)
    assert found is not None
    assert found.known == 2 * len(ways) + 2
