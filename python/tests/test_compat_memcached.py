"""The stores for memcached under the compat dialect: Flask-Caching's answers, Larder's entries."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from cachelib.memcached import MemcachedCache as CachelibMemcachedCache
from conftest import Calls, free_port, text_of
from flask import Flask

from flask_larder.compat import BaseCache, Cache
from flask_larder.compat.backends import (
    MemcachedCache,
    SASLMemcachedCache,
    SpreadSASLMemcachedCache,
    memcachelink,
    twofold,
)

pytest_plugins = ["compat_fixtures"]


@pytest.fixture(autouse=True)
def everything_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twofold, "_said", set())


@pytest.fixture
def make(app: Flask, memcached_server: str) -> Callable[..., Cache]:
    """Makes caches on one server, with a prefix of the test's own."""
    prefix = f"test-{uuid.uuid4().hex}-"

    def made(**more: Any) -> Cache:
        config = {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [memcached_server],
            "CACHE_KEY_PREFIX": prefix,
            # A frozen machine must not fail a test that is not about time.
            "CACHE_OPTIONS": {"deadline": 30},
        }
        return Cache(app, config={**config, **more})

    return made


@pytest.fixture
def cache(make: Callable[..., Cache]) -> Cache:
    """A cache with a prefix of its own."""
    return make()


class Client:
    """A client as people hand it in; notes its calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.made = (args, kwargs)
        self.entries: dict[str, Any] = {}
        self.calls: list[str] = []

    def get(self, key: str) -> Any:
        self.calls.append(f"get {key}")
        return self.entries.get(key)

    def set(self, key: str, value: Any, time: int) -> bool:
        self.calls.append(f"set {key}")
        self.entries[key] = value
        return True

    def get_multi(self, keys: list[str]) -> dict[str, Any]:
        self.calls.append(f"get_multi {len(keys)}")
        return {key: self.entries[key] for key in keys if key in self.entries}

    def set_multi(self, mapping: dict[str, Any], time: int) -> list[str]:
        self.entries.update(mapping)
        return []

    def append(self, key: str, value: str) -> bool:
        return key in self.entries


def test_kind(cache: Cache) -> None:
    backend = cache.cache
    assert isinstance(backend, MemcachedCache | BaseCache)
    assert isinstance(backend, CachelibMemcachedCache)
    assert not backend.coded
    assert not hasattr(backend, "serializer")
    assert (backend.default_timeout, backend.ignore_delete_many_errors) == (300, False)


def test_values(cache: Cache) -> None:
    values = {"a": 1, "b": "é", "c": [1, {"x": None}], "d": b"\xff", "e": True, "f": -5}
    assert cache.set_many(values, timeout=60) == list(values)
    assert cache.get_dict(*values, "none") == {**values, "none": None}
    assert [cache.has(key) for key in ("a", "none")] == [True, False]
    assert (cache.add("a", 2), cache.add("g", 2), cache.get("a")) == (False, True, 1)
    assert (cache.delete("a"), cache.delete("a")) == (True, False)
    assert cache.delete_many("b", "none", "c*") == ["b", "none", "c*"]
    assert cache.get_many("b", "c") == [None, [1, {"x": None}]]


def test_any_text_is_a_key(cache: Cache) -> None:
    for key in ("", "a key", "\r\nflush_all\r\n", "é\0", "k" * 5000):
        assert cache.set(key, key)
        assert cache.get(key) == key
        assert cache.delete_many(key) == [key]
        assert cache.get(key) is None
    for key in (5, b"k", None):
        with pytest.raises(TypeError, match="use a text"):
            cache.set(key, 1)


def test_timeouts(cache: Cache) -> None:
    for name, timeout in (("none", None), ("zero", 0), ("delta", timedelta(days=40)), ("f", 0.5)):
        assert cache.set(name, name, timeout=timeout)
        assert cache.get(name) == name
    assert cache.set("zero", 1, timeout=-1)
    assert cache.get("zero") is None


def test_counters(cache: Cache) -> None:
    backend = cache.cache
    assert (backend.inc("n"), backend.inc("n", 4), backend.dec("n", 10)) == (1, 5, -5)
    cache.set("half", 0.5)
    assert (backend.inc("half"), backend.dec("half", 2)) == (1.5, -0.5)

    def count() -> None:
        for _ in range(25):
            backend.inc("n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("n") == 95


def test_clearing_leaves_other_prefixes_alone(make: Callable[..., Cache]) -> None:
    one, other = make(), make(CACHE_KEY_PREFIX=f"other-{uuid.uuid4().hex}")
    one.set("k", 1)
    other.set("k", 2)
    assert one.clear()
    assert (one.get("k"), other.get("k")) == (None, 2)
    one.cache.key_prefix = other.cache.key_prefix
    assert one.get("k") == 2


def test_no_prefix_is_a_place_of_its_own(memcached_server: str) -> None:
    bare = MemcachedCache([memcached_server], deadline=30)
    key = uuid.uuid4().hex
    assert bare.set(key, 1)
    assert MemcachedCache([memcached_server], 300, None, deadline=30).get(key) == 1
    assert MemcachedCache([memcached_server], 300, "flask_cache_", deadline=30).get(key) is None


def test_what_is_too_large_is_not_stored(cache: Cache, log: pytest.LogCaptureFixture) -> None:
    cache.set("k", "small")
    assert cache.set("k", b"x" * (2 << 20)) is False
    assert cache.get("k") is None
    assert [each for each in log.messages if "bytes is not stored in memcached" in each]


class Point:
    """Only a pickle can hold it."""

    def __init__(self, x: int) -> None:
        self.x = x


def test_objects_are_sealed_by_the_secret(make: Callable[..., Cache], app: Flask) -> None:
    one = make()
    one.set("k", Point(3))
    assert one.get("k").x == 3
    app.secret_key = "another"
    assert make().get("k") is None
    app.secret_key = None
    assert make().set("k", Point(3)) is False


# Functions and views.


def test_a_hit_of_a_memoized_function_is_one_trip(
    cache: Cache, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = cache.memoize()(lambda number: [number, calls()])
    assert [double(1), double(1)] == [[1, 1]] * 2
    trips: list[int] = []
    space = cache.cache.versions.space
    monkeypatch.setattr(
        type(space),
        "read",
        lambda self, keys, functions: trips.append(len(keys)) or self.engine.get_many(*keys),
    )
    assert double(1) == [1, 1]
    assert trips == [2]


def test_forgetting(make: Callable[..., Cache], calls: Calls) -> None:
    one, other = make(), make()
    made = [each.memoize()(lambda number: [number, calls()]) for each in (one, other)]
    assert [each(1) for each in made] == [[1, 1]] * 2
    one.delete_memoized(made[0])
    assert [each(1) for each in made] == [[1, 2]] * 2
    other.delete_memoized(made[1], 1)
    assert [each(1) for each in made] == [[1, 3]] * 2
    one.delete_memoized_verhash(made[0])
    assert [each(1) for each in made] == [[1, 4]] * 2


def test_views_by_query_are_deleted_together(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/", "index", cache.cached(query_string=True)(lambda: f"page {calls()}"))
    client = app.test_client()
    pages = [text_of(client, f"/?a={number}") for number in (1, 2, 1, 2)]
    assert pages == ["page 1", "page 2"] * 2
    assert cache.delete("view//")
    assert [text_of(client, f"/?a={number}") for number in (1, 2)] == ["page 3", "page 4"]


# A server that is away.


class Error(Exception):
    """pylibmc's, as far as anybody catches it."""


def test_a_server_that_is_away(
    app: Flask, make: Callable[..., Cache], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = make(CACHE_MEMCACHED_SERVERS=[f"127.0.0.1:{free_port()}"])
    with pytest.raises(OSError, match="no answer"):
        cache.get("k")
    pylibmc = ModuleType("pylibmc")
    pylibmc.Error = Error  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pylibmc", pylibmc)
    for use in (cache.get, cache.has, cache.delete, cache.delete_many, cache.cache.inc):
        with pytest.raises(Error) as caught:
            use("k")
        assert isinstance(caught.value, OSError)
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    double = cache.memoize()(lambda number: [number, calls()])
    assert [text_of(app.test_client()) for _ in range(2)] == ["page 1", "page 2"]
    assert [double(1), double(1)] == [[1, 3], [1, 4]]


# Clients and servers, as they are named.


def test_a_client_is_used_as_flask_caching_uses_it(
    app: Flask, calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    client = Client()
    config = {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": client}
    cache = Cache(app, config={**config, "CACHE_KEY_PREFIX": "p:"})
    cache.set("k", Point(1))
    assert cache.get("k") is client.entries["p:k"]
    double = cache.memoize()(lambda number: [number, calls()])
    assert [double(1), double(1)] == [[1, 1]] * 2
    assert client.calls[:2] == ["set p:k", "get p:k"]
    assert cache.cache._client is client
    assert not hasattr(cache.cache, "engine")
    assert len([message for message in log.messages if "given a Client" in message]) == 1


def test_a_client_that_comes_later(cache: Cache, calls: Calls) -> None:
    double = cache.memoize()(lambda number: [number, calls()])
    assert [double(1), double(1)] == [[1, 1]] * 2
    cache.cache._client = client = Client()
    assert [double(1), double(1)] == [[1, 2]] * 2
    assert client.entries


@pytest.mark.parametrize(
    ("given", "addresses", "weights"),
    [
        (None, ["127.0.0.1:11211"], [1]),
        ("a, b:7", ["a", "b:7"], [1, 1]),
        (["a:7:3", "[::1]:7:2", "[::1]", "::1"], ["a:7", "[::1]:7", "[::1]", "::1"], [3, 2, 1, 1]),
        (("/run/m.sock", ("c:1", 4)), ["/run/m.sock", "c:1"], [1, 4]),
    ],
)
def test_servers(given: Any, addresses: list[str], weights: list[int]) -> None:
    servers = memcachelink.servers_of(given)
    assert servers is not None
    assert (servers.addresses, servers.weights, servers.strange) == (addresses, weights, "")


@pytest.mark.parametrize("given", [["udp:a:7"], [(1, "a", 7)]])
def test_servers_that_only_a_client_reaches(
    given: Any, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    client = Client()
    monkeypatch.setattr(
        CachelibMemcachedCache,
        "import_preferred_memcache_lib",
        lambda self, servers, size, block: (client, lambda: memoryview(b"")),
    )
    store = MemcachedCache(given)
    assert store.coded
    assert store._client is client
    assert "does not know" in log.text


def test_a_wrong_server_is_an_error_at_the_start(app: Flask) -> None:
    config = {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": ["host:port"]}
    with pytest.raises(ValueError, match="port"):
        Cache(app, config=config)


SASL = {"CACHE_MEMCACHED_USERNAME": "me", "CACHE_MEMCACHED_PASSWORD": "mine"}


@pytest.mark.parametrize("kind", [SASLMemcachedCache, SpreadSASLMemcachedCache])
def test_sasl_is_pylibmcs(app: Flask, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pylibmc = ModuleType("pylibmc")
    pylibmc.Client = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pylibmc", pylibmc)
    config = {"CACHE_TYPE": kind.__name__, "CACHE_MEMCACHED_SERVERS": ["a:1"], **SASL}
    cache = Cache(app, config={**config, "CACHE_OPTIONS": {"behaviors": {"ketama": True}}})
    args, options = cache.cache._client.made
    assert args == (["a:1"],)
    assert (options["username"], options["password"], options["binary"]) == ("me", "mine", True)
    assert options["behaviors"] == {"ketama": True}
    assert cache.cache.coded


def test_a_login_in_the_text_protocol_needs_no_pylibmc(app: Flask) -> None:
    config = {"CACHE_TYPE": "SASLMemcachedCache", "CACHE_MEMCACHED_SERVERS": ["a:1"], **SASL}
    cache = Cache(app, config={**config, "CACHE_OPTIONS": {"binary": False}})
    assert not cache.cache.coded
    assert cache.cache._servers.login == ("me", "mine")
    with pytest.raises(KeyError, match="PASSWORD"):
        Cache(app, config={name: config[name] for name in list(config)[:3]})
    with pytest.raises(TypeError, match="behaviors"):
        SASLMemcachedCache(["a:1"], binary=False, behaviors={})
