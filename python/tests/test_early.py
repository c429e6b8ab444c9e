"""Early hits: the same bytes as the level below, and gone with the entry."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import configuration
from early_support import ask, counted, early_app, warmed
from flask import Flask, Response, current_app, jsonify, redirect, url_for
from flask import request as asked_for

import flask_larder.compat
from flask_larder import Cache, Http, cookie, query
from flask_larder._native import Guard
from flask_larder.early import Judge, level
from flask_larder.testing import HandClock


def streamed() -> Response:
    return Response(iter(["a", "b"]))


def with_headers() -> Response:
    answer = Response("text", headers={"X-Odd-CASE": "1", "x-lower": "2"}, mimetype="text/plain")
    answer.headers.add("X-Odd-CASE", "3")
    return answer


VIEWS: dict[str, tuple[Callable[[], Any], bool]] = {
    "text": (lambda: "a text", True),
    "none": (lambda: "", True),
    "wide": (lambda: "\u20ac and \U0001f98a", True),
    "bytes": (lambda: b"\x00\xff", True),
    "json": (lambda: jsonify(one=[1, 2]), True),
    "headers": (with_headers, True),
    "stream": (streamed, True),
    "dict": (lambda: {"one": 1}, False),
    "pair": (lambda: ("text", 200), False),
    "moved": (lambda: redirect("/elsewhere", 301), False),
    "gone": (lambda: ("gone", 404), False),
    "surrogate": (lambda: Response("x", headers={"X-Latin": "\xe9"}), True),
}
"""Views by what they answer, and whether a hit is answered early."""

REQUESTS: dict[str, dict[str, str]] = {
    "get": {},
    "head": {"REQUEST_METHOD": "HEAD"},
    "date": {"HTTP_IF_MODIFIED_SINCE": "Fri, 01 Jan 2100 00:00:00 GMT"},
    "range": {"HTTP_RANGE": "bytes=1-2"},
    "beyond": {"HTTP_RANGE": "bytes=9999-"},
    "any": {"HTTP_IF_NONE_MATCH": "*"},
    "head any": {"HTTP_IF_NONE_MATCH": "*", "REQUEST_METHOD": "HEAD"},
    "gunicorn": {"SERVER_SOFTWARE": "gunicorn/23.0"},
    "post": {"REQUEST_METHOD": "POST"},
    "query": {"QUERY_STRING": "b=2&a=1"},
}


@pytest.mark.parametrize(
    "http", [False, True, Http(negative={404: 60})], ids=["plain", "http", "4"]
)
@pytest.mark.parametrize("name", VIEWS)
def test_an_early_hit_is_the_answer_of_the_level_below_byte_for_byte(
    name: str, http: Any, clock: HandClock
) -> None:
    function, is_early = VIEWS[name]
    told: dict[bool, list[Any]] = {}
    early: dict[bool, int] = {}
    for switched in (True, False):
        app, cache = early_app(early=switched)
        app.add_url_rule("/page", "page", cache.cached(60, http=http)(function))
        told[switched], early[switched] = [], 0
        for _ in range(4):
            for changes in REQUESTS.values():
                said = ask(app, "/page", **changes)
                told[switched].append(said.bytes)
                early[switched] += said.early
            clock.advance(1)
    clock.advance(-8)
    for one, other in zip(told[True], told[False], strict=True):
        dated = [[pair for pair in headers if pair[0] != "Date"] for _, headers, _ in (one, other)]
        assert (one[0], dated[0], one[2]) == (other[0], dated[1], other[2])
    assert early[False] == 0
    as_page = http is not False and name in ("dict", "pair", "gone")
    expected = is_early or (as_page and (name != "gone" or http is not True))
    assert (early[True] > 0) == expected


def test_a_hit_that_nothing_is_known_of_is_learned_from_the_next(app_and: Any) -> None:
    app, cache, calls = app_and
    assert [ask(app).early for _ in range(4)] == [False, False, True, True]
    assert calls == [1]
    (counters,) = cache.stats()["functions"].values()
    assert (counters["hits"], counters["misses"]) == (3, 1)


def test_a_judgement_that_comes_too_late_makes_nobody_forget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, cache = early_app()
    for path in ("/late", "/other", "/next"):
        counted(cache, app, path)
    judge = Judge.__call__

    def late(self: Judge, wrapper: Any, request: Any) -> Guard | None:
        guard = judge(self, wrapper, request)
        if request.path == "/late" and not hasattr(app, "changed"):
            # The application is another one now, and others have learned that already.
            app.changed = True  # type: ignore[attr-defined]
            thread = threading.Thread(target=warmed, args=(app, "/other"))
            thread.start()
            thread.join()
        return guard

    monkeypatch.setattr(Judge, "__call__", late)
    assert [ask(app, "/late").early for _ in range(2)] == [False, False]
    assert not ask(app, "/next").early
    assert ask(app, "/other").early
    assert warmed(app, "/late").early


@pytest.fixture
def app_and() -> tuple[Flask, Cache, list[int]]:
    """An application, its cache, and the calls of its view."""
    app, cache = early_app()
    return app, cache, counted(cache, app, tags=["all"])


PURGES: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete("view//"),
    "bump": lambda cache: cache.invalidate_tags("all"),
    "clear": lambda cache: cache.clear(),
    "prefix": lambda cache: cache.delete_prefix("view/"),
}


@pytest.mark.parametrize("purge", PURGES.values(), ids=PURGES)
@pytest.mark.parametrize("store", ["memory", "shared", "file", "redis"])
def test_what_another_thread_purges_is_gone_at_once(
    purge: Callable[[Cache], object], store: str, request: pytest.FixtureRequest
) -> None:
    app, cache = early_app(configuration(store, request))
    calls = counted(cache, app, tags=["all"])
    for expected in (1, 2, 3):
        assert warmed(app).early
        assert ask(app).body == f"call {expected}".encode()

        def work() -> None:
            with app.app_context():
                purge(cache)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        said = ask(app)
        assert (said.early, said.body) == (False, f"call {expected + 1}".encode())
    assert calls == [1, 2, 3, 4]


@pytest.mark.parametrize("store", ["shared", "file"])
def test_what_another_process_purges_is_gone_at_once(
    store: str, request: pytest.FixtureRequest
) -> None:
    app, cache = early_app(configuration(store, request))
    counted(cache, app)
    assert warmed(app).body == b"call 1"
    child = os.fork()
    if child == 0:
        # A child of a fork answers early as well, and its purge is seen by its parent.
        status = 1
        try:
            assert warmed(app).early
            with app.app_context():
                cache.delete("view//")
            assert ask(app).body == b"call 2"
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert ask(app).body == b"call 2"


def test_a_store_that_expects_nothing_is_asked_by_flask(request: pytest.FixtureRequest) -> None:
    config = configuration("memcached", request)
    app, cache = early_app(config)
    counted(cache, app)
    assert not warmed(app).early
    assert "memcached" in str(cache.explain("http://a.example/").level_why)
    app, cache = early_app({**config, "CACHE_NEAR": True})
    counted(cache, app)
    assert warmed(app).early
    assert cache.explain("http://a.example/").level == "early"


def test_an_entry_that_expires_is_gone_at_once(clock: HandClock) -> None:
    app, cache = early_app()
    counted(cache, app, timeout=10)
    assert warmed(app).early
    clock.advance(9)
    assert (ask(app).early, ask(app).body) == (True, b"call 1")
    clock.advance(1.5)
    said = ask(app)
    assert (said.early, said.body) == (False, b"call 2")


def test_a_hit_whose_refresh_is_due_goes_to_flask(clock: HandClock) -> None:
    app, cache = early_app()
    counted(cache, app, timeout=10, stale=60)
    assert warmed(app).early
    clock.advance(11)
    assert not ask(app).early
    (counters,) = cache.stats()["functions"].values()
    assert counters["stale_hits"] == 1
    cache._background.join()


def test_a_value_that_is_set_under_the_key_is_served_early() -> None:
    app, cache = early_app()
    counted(cache, app)
    assert warmed(app).body == b"call 1"
    with app.app_context():
        cache.set("view//", "by hand")
        cache.delete("view//")
    assert ask(app).body == b"call 2"


def test_each_variant_is_its_own() -> None:
    app, cache = early_app()

    @app.get("/")
    @cache.cached(60, vary=["Accept-Language", cookie("theme"), query("page")])
    def view() -> str:
        found = asked_for.headers.get("Accept-Language"), asked_for.cookies.get("theme")
        return f"{found} {asked_for.args.get('page')}"

    asked: list[dict[str, str]] = [
        {
            "HTTP_ACCEPT_LANGUAGE": language,
            "HTTP_COOKIE": f"theme={theme}",
            "QUERY_STRING": f"page={page}",
        }
        for language in ("de", "en")
        for theme in ("dark", "light")
        for page in ("1", "2")
    ]
    told = [warmed(app, **one).body for one in asked]
    assert len({*told}) == len(asked)
    again = [ask(app, **one) for one in asked]
    assert all(said.early for said in again)
    assert [said.body for said in again] == told


def test_another_host_mount_or_scheme_is_another_page() -> None:
    app, cache = early_app()

    @app.get("/page")
    @cache.cached(60)
    def page() -> str:
        return url_for("page", _external=True)

    asked: list[dict[str, Any]] = [
        {},
        {"HTTP_HOST": "b.example"},
        {"HTTP_HOST": None, "SERVER_NAME": "c.example"},
        {"SCRIPT_NAME": "/shop"},
        {"wsgi.url_scheme": "https"},
    ]
    told = [warmed(app, "/page", **one).body for one in asked]
    assert len({*told}) == len(asked)
    again = [ask(app, "/page", **one) for one in asked]
    assert [(said.early, said.body) for said in again] == [(True, text) for text in told]


def test_what_is_learned_is_bounded() -> None:
    app, cache = early_app({"CACHE_THRESHOLD": 100_000})
    counted(cache, app, "/<int:number>", timeout=3600)
    found = level(app)
    assert found is not None
    for number in range(8200):
        for _ in range(2):
            ask(app, f"/{number}")
    assert 4096 <= found.known <= 8192
    # What was forgotten is learned again, and what is known last is known.
    assert ask(app, "/8199").early
    assert not ask(app, "/0").early
    assert ask(app, "/0").early
    long = f"/{'0' * 5000}1"
    assert not warmed(app, long).early


def test_several_caches_and_applications_have_one_level_each() -> None:
    cache, other = Cache(), Cache()
    apps: list[Flask] = []
    for name in ("one", "two"):
        app = Flask(name)
        config = {"CACHE_TYPE": "SimpleCache", "CACHE_EARLY_HITS": True}
        cache.init_app(app, config)
        other.init_app(app, {**config, "CACHE_EARLY_HITS": False})
        cache.init_app(app, config)
        apps.append(app)

    def view() -> str:
        return f"of {current_app.name}"

    wrapped, quiet = cache.cached(60)(view), other.cached(60)(view)
    for app in apps:
        app.add_url_rule("/", "view", wrapped)
        app.add_url_rule("/quiet", "quiet", quiet)
    for app in apps:
        assert level(app) is app.wsgi_app
        found = level(app)
        assert found is not None
        assert getattr(found.inner, "__func__", None) is Flask.wsgi_app
    for app in (*apps, *apps):
        said = warmed(app)
        assert (said.early, said.body.decode()) == (True, f"of {app.name}")
        assert not warmed(app, "/quiet").early


def test_a_view_may_ask_for_it_alone_and_refuse_it() -> None:
    app, cache = early_app(early=False)
    counted(cache, app, "/", early=True)
    assert warmed(app).early
    app, cache = early_app()
    counted(cache, app, early=False)
    assert not warmed(app).early
    # Decorated before there is an application.
    cache = Cache()
    wrapped = cache.cached(60, early=True)(lambda: "text")
    app = Flask("late")
    cache.init_app(app, {"CACHE_TYPE": "SimpleCache"})
    app.add_url_rule("/", "view", wrapped)
    assert warmed(app).early


@pytest.mark.parametrize("value", ["on", 2, None, "hooks"])
def test_an_option_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"CACHE_EARLY_HITS=.*skip-hooks"):
        early_app(early=value)
    if value is not None:
        with pytest.raises(ValueError, match=r"early=.*skip-hooks"):
            Cache().cached(60, early=value)  # type: ignore[arg-type]


def test_the_compat_dialect_refuses_it() -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_EARLY_HITS": True}
    with pytest.raises(ValueError, match="CACHE_EARLY_HITS is set"):
        flask_larder.compat.Cache(Flask("compat"), config=config)
    with pytest.raises(TypeError, match="early="):
        flask_larder.compat.Cache().cached(60, early=True)
    flask_larder.compat.Cache().cached(60, early=False)


def test_an_application_is_collected_with_its_level() -> None:
    app, cache = early_app()
    counted(cache, app)
    assert warmed(app).early
    gone = weakref.ref(app)
    found = weakref.ref(level(app))  # type: ignore[arg-type]
    del app, cache
    gc.collect()
    assert gone() is None
    assert found() is None


def test_a_purge_is_seen_while_others_ask() -> None:
    app, cache = early_app()
    calls = counted(cache, app)
    assert warmed(app).early
    stop = threading.Event()
    wrong: list[bytes] = []

    def crowd() -> None:
        newest = 0
        while not stop.is_set():
            number = int(ask(app).body.split()[1])
            if number < newest:
                wrong.append(b"older than what was seen before")
            newest = number

    threads = [threading.Thread(target=crowd) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        with app.app_context():
            cache.clear()
        seen = len(calls)
        assert int(ask(app).body.split()[1]) >= seen
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
