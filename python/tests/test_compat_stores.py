"""Stores and direct use in the compat dialect: the classic calls, and the private names."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from compat_support import Listing, Recorded
from conftest import Calls, text_of
from flask import Flask, make_response

from flask_larder.compat import Cache, CachedResponse
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def test_direct_use(app: Flask, each: Cache) -> None:
    with app.app_context():
        assert each.get("k") is None
        assert each.set("k", "v", timeout=60)
        assert each.get("k") == "v"
        assert not each.add("k", "other")
        assert each.add("new", 1, timeout=timedelta(minutes=1))
        assert each.has("k")
        assert each.get_many("k", "none", "new") == ["v", None, 1]
        assert each.get_dict("k", "none") == {"k": "v", "none": None}
        assert sorted(each.set_many({"a": 1, "b": None}, timeout=9)) == ["a", "b"]
        assert each.delete("k")
        assert each.get("k") is None
        assert sorted(each.delete_many("a", "nothing")) == ["a", "nothing"]
        each.set("a", 1)
        each.unlink("a", "b")
        assert each.get_many("a", "b") == [None, None]
        assert [each.cache.inc("n"), each.cache.inc("n", 4), each.cache.dec("n")] == [1, 5, 4]
        assert each.clear()
        assert each.get("n") is None
        with pytest.raises(TypeError):
            each.get("k", "default")  # type: ignore[call-arg]


def test_values_come_back_equal_and_apart(each: Cache) -> None:
    value = {"list": [1, 2.5, None], "bytes": b"\x00", "set": {1}, "tuple": (True, "é")}
    each.set("v", value)
    found = each.get("v")
    assert found == value
    found["list"].append(3)
    assert each.get("v") == value


def test_what_cannot_be_kept_raises(each: Cache) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        each.set("v", lambda: 1)
    with pytest.raises(TypeError):
        each.set("v", (x for x in ()))
    with pytest.raises(TypeError):
        each.set("v", 1, timeout="60")


def test_timeouts_of_the_memory_store(compat: Cache, clock: HandClock) -> None:
    compat.set("short", 1, timeout=1)
    compat.set("rounded", 1, timeout=timedelta(seconds=1.2))
    compat.set("forever", 1, timeout=0)
    compat.set("default", 1)
    compat.set("dead", 1)
    assert compat.set("dead", 1, timeout=-1)
    assert compat.get("dead") is None
    clock.advance(1)
    assert compat.get_many("short", "rounded", "forever", "default") == [None, 1, 1, 1]
    clock.advance(299)
    assert compat.get_many("rounded", "forever", "default") == [None, 1, None]


def test_threshold_holds_one_more(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 2})
    for number in range(10):
        cache.set(str(number), number)
    assert len(cache.cache._cache) == 3


def test_private_dict_of_the_memory_store(compat: Cache) -> None:
    compat.set_many({"a": 1, "b": [2]}, timeout=0)
    entries = compat.cache._cache
    assert sorted(entries) == sorted(entries.keys()) == ["a", "b"]
    assert len(entries) == 2
    assert "a" in entries
    assert "c" not in entries
    assert entries["b"] == (0, pickle.dumps([2], pickle.HIGHEST_PROTOCOL))
    assert pickle.loads(entries.pop("a")[1]) == 1
    assert compat.get("a") is None
    with pytest.raises(KeyError):
        entries.pop("a")
    for key in list(entries):
        del entries[key]
    assert compat.get("b") is None


def test_patterns_and_prefixes(compat: Cache) -> None:
    compat.set_many({"product_1": 1, "product_2": 2, "producer": 3, "*": 4})
    assert sorted(compat.delete_many("product_*")) == ["product_1", "product_2"]
    assert compat.get("producer") == 3
    assert compat.delete_many("\\*") == ["*"]
    assert compat.delete_prefix("prod") == ["producer"]


# Calls as Flask-Caching makes them.


def recorded(app: Flask, path: str = "SimpleCache") -> Recorded:
    """A cache with overridden methods."""
    return Recorded(app, config={"CACHE_TYPE": path})


def test_calls_of_a_view(app: Flask) -> None:
    cache = recorded(app)
    app.add_url_rule("/", "index", cache.cached()(lambda: "page"))
    app.add_url_rule("/none", "none", cache.cached(cache_none=True)(lambda: "page"))
    client = app.test_client()
    for path, calls in [("/", ["get", "set"]), ("/", ["get"]), ("/none", ["get", "has", "set"])]:
        cache.calls.clear()
        client.get(path)
        assert cache.calls == calls


def test_calls_of_a_memoized_function(app: Flask) -> None:
    cache = recorded(app)
    double = cache.memoize()(lambda number: 2 * number)
    with app.app_context():
        double(1)
        first = ["get_many", "set_many", "get", "set", "get_many", "set_many"]
        assert cache.calls == first
        cache.calls.clear()
        double(1)
        assert cache.calls == ["get_many", "get"]


@pytest.mark.parametrize("path", ["compat_support.Listing", "compat_support.listing"])
def test_calls_that_a_third_party_store_sees(app: Flask, path: str) -> None:
    cache = Cache(app, config={"CACHE_TYPE": path})
    backend: Listing = cache.cache
    app.add_url_rule("/", "index", cache.cached(timedelta(seconds=8.5))(lambda: "page"))

    def own() -> Any:
        return CachedResponse(make_response("own"), 3)

    app.add_url_rule("/own", "own", cache.cached(9)(own))
    client = app.test_client()
    client.get("/")
    client.get("/")
    client.get("/own")
    assert text_of(client, "/own") == "own"
    assert backend.calls == [
        ("get", "view//"),
        ("set", "view//", "str", 9),
        ("get", "view//"),
        ("get", "view//own"),
        ("set", "view//own", "CachedResponse", 3),
        ("get", "view//own"),
    ]


def test_a_method_replaced_on_the_cache_itself_sees_the_calls(
    app: Flask, compat: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def get(key: str) -> Any:
        seen.append(key)
        return "replaced"

    app.add_url_rule("/", "index", compat.cached()(lambda: "page"))
    client = app.test_client()
    assert text_of(client) == "page"
    monkeypatch.setattr(compat, "get", get)
    assert text_of(client) == "replaced"
    assert seen == ["view//"]


def test_a_store_that_is_exchanged_is_asked_at_once(app: Flask, compat: Cache) -> None:
    app.add_url_rule("/", "index", compat.cached()(lambda: "page"))
    client = app.test_client()
    client.get("/")
    app.extensions["cache"][compat] = backend = Listing()
    client.get("/")
    assert [call[0] for call in backend.calls] == ["get", "set"]


def test_key_makers_of_older_subclasses(app: Flask, calls: Calls) -> None:
    class Older(Cache):
        def _memoize_make_cache_key(  # type: ignore[override]
            self, make_name: Any = None, timeout: Any = None, forced_update: Any = False
        ) -> Any:
            make = super()._memoize_make_cache_key(make_name=make_name, timeout=timeout)
            return lambda f, *args, **kwargs: "older:" + make(f, *args, **kwargs)

        def memoize(  # type: ignore[override]
            self, timeout: Any = None, make_name: Any = None, unless: Any = None
        ) -> Any:
            return super().memoize(timeout=timeout, make_name=make_name, unless=unless)

    cache = Older(app, config={"CACHE_TYPE": "SimpleCache"})
    double = cache.memoize(50)(lambda number: calls())
    with app.app_context():
        assert [double(1), double(1)] == [1, 1]
        assert double.make_cache_key(double.uncached, 1).startswith("older:")


# A store that fails.


def test_failures_are_logged_and_the_function_runs(
    app: Flask, calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "compat_support.Broken"})
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    double = cache.memoize()(lambda number: calls())
    assert text_of(app.test_client()) == "page 1"
    assert double(1) == 2
    assert log.messages == ["Exception possibly due to cache backend."] * 2
    assert all(record.exc_info for record in log.records)
    with pytest.raises(ConnectionError):
        cache.get("k")
    with pytest.raises(ConnectionError):
        cache.delete_memoized(double)


def test_failures_are_raised_in_debug(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "compat_support.Broken"})
    app.debug = True
    double = cache.memoize()(lambda number: number)
    with pytest.raises(ConnectionError):
        double(1)


def test_what_cannot_be_pickled_is_served(
    app: Flask, each: Cache, calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    @each.cached(key_prefix="k")
    def load() -> Any:
        number = calls()
        return lambda: number

    with app.test_request_context():
        assert [load()(), load()()] == [1, 2]
    assert log.messages


# Clients, and what is not built here.


def test_a_client_that_is_handed_in_is_used(app: Flask) -> None:
    class Client:
        def __init__(self) -> None:
            self.entries: dict[str, bytes] = {}

        def get(self, key: str) -> bytes | None:
            return self.entries.get(key)

        def set(self, name: str, value: bytes, ex: int | None = None) -> bool:
            self.entries[name] = value
            return True

    client = Client()
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client})
    app.add_url_rule("/", "index", cache.cached()(lambda: "page"))
    web = app.test_client()
    assert [text_of(web), text_of(web)] == ["page", "page"]
    assert list(client.entries) == ["flask_cache_view//"]
    assert cache.cache._read_client is client
