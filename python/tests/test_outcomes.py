"""What people see of the cache: headers in debug, counters, signals, the log."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import pytest
from conftest import STORES, Calls, text_of
from flask import Flask, render_template_string, session

from flask_larder import (
    Cache,
    cache_memoize_hit,
    cache_memoize_miss,
    cache_view_hit,
    cache_view_miss,
)
from flask_larder.testing import HandClock


@pytest.fixture
def shop(app: Flask, stored: Cache) -> Any:
    """A client of pages with every outcome."""
    app.debug = True

    @app.get("/page")
    @stored.cached(60, stale=600)
    def page() -> str:
        return "page"

    @app.get("/forever")
    @stored.cached(0)
    def forever() -> str:
        return "forever"

    @app.route("/me", methods=["GET", "POST"])
    @stored.cached(60)
    def me() -> str:
        return str(session.get("user"))

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    return app.test_client()


def test_headers_say_hit_or_miss(shop: Any, stored: Cache, clock: HandClock) -> None:
    def status(path: str, **how: Any) -> list[str]:
        answer = shop.open(path, **how)
        found: list[str] = answer.headers.getlist("Cache-Status")
        timing: list[str] = answer.headers.getlist("Server-Timing")
        return [*found, *timing]

    assert status("/page") == ["Larder; fwd=miss; stored", 'larder-view;desc="miss"']
    assert status("/page") == ["Larder; hit; ttl=60", 'larder-view;desc="hit"']
    clock.advance(61)
    assert status("/page") == ["Larder; hit; ttl=-1; detail=stale", 'larder-view;desc="hit"']
    stored._background.join()
    assert status("/page")[0] == "Larder; hit; ttl=60"
    status("/forever")
    assert status("/forever")[0] == "Larder; hit"
    # In debug the detail says where the session was looked at.
    found, timing = status("/me")
    assert found.startswith('Larder; fwd=miss; detail="session (')
    assert timing == 'larder-view;desc="miss"'
    assert status("/me", method="POST")[0] == "Larder; fwd=method; detail=method"
    assert status("/me", auth=("anna", "x"))[0] == "Larder; fwd=bypass; detail=authorization"
    assert status("/plain") == []


def test_functions_and_fragments_have_a_timing_of_their_own(app: Flask, stored: Cache) -> None:
    app.debug = True
    price = stored.memoize(60)(lambda: 7)

    @app.get("/")
    def index() -> str:
        return f"{price()}" + render_template_string("{% cache 60, 'f' %}x{% endcache %}")

    client = app.test_client()
    for word in ("miss", "hit"):
        timings = client.get("/").headers.getlist("Server-Timing")
        assert timings == [f'larder-memoize;desc="{word}"', f'larder-fragment;desc="{word}"']


def test_without_debug_there_are_no_headers(app: Flask, stored: Cache) -> None:
    app.add_url_rule("/", "index", stored.cached(60)(lambda: "x"))
    client = app.test_client()
    for _ in range(2):
        answer = client.get("/")
        assert "Cache-Status" not in answer.headers
        assert "Server-Timing" not in answer.headers


@pytest.mark.parametrize(("debug", "wanted"), [(True, False), (False, True)])
def test_the_headers_can_be_asked_for(debug: bool, wanted: bool) -> None:
    app = Flask("shop")
    app.debug = debug
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_STATUS_HEADERS": wanted})
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "x"))
    client = app.test_client()
    for _ in range(3):
        assert ("Cache-Status" in client.get("/").headers) is wanted


def counters_of(cache: Cache, app: Flask) -> dict[str, Any]:
    with app.app_context():
        (counters,) = cache.stats()["functions"].values()
    found: dict[str, Any] = counters
    return found


def test_counters(app: Flask, stored: Cache) -> None:
    price = stored.memoize(60)(lambda product: product * 100)
    assert counters_of(stored, app)["verdict"] == "never called"
    with app.app_context():
        price("a")
        assert counters_of(stored, app)["verdict"] == "no hits yet"
        for _ in range(9):
            price("a")
        price("b")
    counters = counters_of(stored, app)
    assert {name: counters[name] for name in ("hits", "misses", "errors", "stale_hits")} == {
        "hits": 9,
        "misses": 2,
        "errors": 0,
        "stale_hits": 0,
    }
    assert counters["bytes"] >= 200
    assert counters["load_seconds"] > 0
    assert counters["passes"] == {}


def test_what_costs_more_than_it_saves_is_marked(app: Flask, cache: Cache) -> None:
    never_again = cache.memoize(60)(lambda number: number)
    with app.app_context():
        for number in range(200):
            never_again(number)
    assert counters_of(cache, app)["verdict"].startswith("costs more than it saves")


def test_what_saves_time_is_marked(app: Flask, cache: Cache) -> None:
    @cache.memoize(60)
    def slow() -> int:
        # So long that a hit in whose middle the machine does something else is quick beside it.
        time.sleep(0.5)
        return 1

    with app.app_context():
        for _ in range(10):
            slow()
    counters = counters_of(cache, app)
    assert counters["verdict"] == "saves time"
    assert 0 < counters["seconds_saved"] <= 9 * counters["load_seconds"]


def test_the_store_as_a_whole(app: Flask, stored: Cache) -> None:
    with app.app_context():
        stored.set("k", "v" * 1000)
        stats = stored.stats()
    assert stats["process"] == os.getpid()
    assert stats["store"] in STORES
    if stats["store"] not in ("redis", "memcached"):
        assert stats["entries"] == 1
        assert stats["bytes"] >= 1000


def test_errors_are_counted(app: Flask, stored: Cache) -> None:
    @stored.memoize(60)
    def broken() -> int:
        raise LookupError

    with app.app_context():
        for _ in range(3):
            with pytest.raises(LookupError):
                broken()
    counters = counters_of(stored, app)
    assert (counters["errors"], counters["hits"]) == (3, 0)


def test_signals(store: dict[str, Any], calls: Calls) -> None:
    app = Flask("shop")
    cache = Cache(app, config={**store, "CACHE_ENABLE_SIGNALS": True})
    seen: list[tuple[str, Any]] = []

    def listen(name: str) -> Any:
        def note(sender: Any, **names: Any) -> None:
            assert names["cache"] is cache
            seen.append((name, names.get("args")))

        return note

    price = cache.memoize(60)(lambda product: calls())
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "x"))
    signals = {
        "view hit": cache_view_hit,
        "view miss": cache_view_miss,
        "memoize hit": cache_memoize_hit,
        "memoize miss": cache_memoize_miss,
    }
    listeners = {name: listen(name) for name in signals}
    for name, signal in signals.items():
        signal.connect(listeners[name])
    with app.app_context():
        for _ in range(3):
            price("a")
    client = app.test_client()
    for _ in range(3):
        client.get("/")
    assert seen == [
        ("memoize miss", ("a",)),
        ("memoize hit", ("a",)),
        ("memoize hit", ("a",)),
        ("view miss", ()),
        ("view hit", ()),
        ("view hit", ()),
    ]


def test_without_asking_there_are_no_signals(app: Flask, cache: Cache) -> None:
    seen: list[Any] = []

    def note(sender: Any, **names: Any) -> None:
        seen.append(names)

    with cache_memoize_miss.connected_to(note):
        price = cache.memoize(60)(lambda: 7)
        with app.app_context():
            price()
    assert seen == []


def test_hits_are_indicated_where_it_is_asked_for(app: Flask, stored: Cache) -> None:
    app.add_url_rule("/", "i", stored.cached(60, response_hit_indication=True)(lambda: "x"))
    client = app.test_client()
    found = [client.get("/").headers.get("hit_cache") for _ in range(3)]
    assert found == [None, "True", "True"]


@pytest.mark.parametrize("kind", ["SimpleCache", "RedisCache"])
def test_memory_in_several_processes_warns_once(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    from conftest import redis_config

    config: dict[str, Any] = {"CACHE_TYPE": kind}
    if kind == "RedisCache":
        config = redis_config(request.getfixturevalue("redis_url"))
    app = Flask("shop")
    cache = Cache(app, config=config)
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "x"))
    client = app.test_client()
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        assert text_of(client, environ_overrides={"wsgi.multiprocess": True}) == "x"
    warnings = [record.getMessage() for record in caplog.records if "worker" in record.getMessage()]
    assert len(warnings) == (1 if kind == "SimpleCache" else 0)
    assert all("RedisCache" in warning for warning in warnings)


def test_one_process_is_not_warned(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "x"))
    text_of(app.test_client())
    assert caplog.records == []
