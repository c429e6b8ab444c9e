"""Memoized functions of the compat dialect on Redis: versions, trips, and the room of what is forgotten."""

from __future__ import annotations

import pickle
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from conftest import Calls, RedisServer, free_port, text_of
from flask import Flask, g

from flask_larder import Cache as SafeCache
from flask_larder.compat import Cache, function_namespace
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def config_of(url: str, **more: Any) -> dict[str, Any]:
    """A configuration with keys that no other test has."""
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": url,
        "CACHE_KEY_PREFIX": f"compat-{uuid.uuid4().hex}-",
        "CACHE_OPTIONS": {"deadline": 30},
        **more,
    }


@pytest.fixture
def pair(app: Flask, redis_url: str) -> tuple[Cache, Cache]:
    """Two caches over the same entries, as two processes have them."""
    config = config_of(redis_url)
    return Cache(app, config=config), Cache(app, config=config)


def client_of(cache: Cache) -> Any:
    """redis-py, as people reach for it."""
    return cache.cache._write_client


def version_of(cache: Cache, f: Any) -> Any:
    """The version of a function, as people read it."""
    return cache.get(cache._memvname(function_namespace(f.uncached)[0]))


def left(cache: Cache, f: Any) -> int:
    """How many seconds its version lives."""
    name = cache._memvname(function_namespace(f.uncached)[0])
    return int(client_of(cache).ttl(cache.cache.key_prefix + name))


def trips(server: RedisServer, work: Callable[[], Any]) -> int:
    """How often somebody went to the server while `work` ran."""
    with redis_py.Redis(port=server.port) as client:
        before = client.info("stats")["total_reads_processed"]  # type: ignore[index]
        work()
        return client.info("stats")["total_reads_processed"] - before - 1  # type: ignore[index]


class Box:
    """Has methods, and a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Box({self.name})"


def test_trips(app: Flask, own_redis: RedisServer, calls: Calls) -> None:
    cache = Cache(app, config=config_of(own_redis.url))

    @cache.memoize(60)
    def plain(number: int) -> int:
        return calls()

    class Counter(Box):
        @cache.memoize(60)
        def method(self, number: int) -> int:
            return calls()

    counter = Counter("a")
    with app.app_context():
        for call in (lambda: plain(1), lambda: counter.method(1)):
            call()
            assert trips(own_redis, call) == 1
        # Versions and entry, the lookup that leads, the entry: the version lives long enough.
        assert trips(own_redis, lambda: plain(2)) == 3
    assert calls.count == 3


def test_what_another_process_forgets_is_gone_at_once(
    app: Flask, pair: tuple[Cache, Cache], calls: Calls
) -> None:
    one, other = pair
    first = one.memoize()(_named("shared", calls))
    second = other.memoize()(first.uncached)
    with app.app_context():
        assert [first(1), second(1), first(1)] == [1, 1, 1]
        other.delete_memoized(second)
        assert [first(1), second(1), first(1)] == [2, 2, 2]
        other.delete_memoized(second, 1)
        assert [first(1), second(1)] == [3, 3]
        other.delete_memoized_verhash(second)
        assert [first(1), second(1)] == [4, 4]
        second.delete_memoized()
        assert [second(1), first(1)] == [5, 5]
        other.clear()
        assert first(1) == 6


def _named(name: str, calls: Calls) -> Any:
    def function(number: int) -> int:
        return calls()

    function.__qualname__ = name
    return function


def test_keys_and_versions_are_where_people_look(
    app: Flask, pair: tuple[Cache, Cache], calls: Calls
) -> None:
    cache, _ = pair
    f = cache.memoize(60)(_named("looked_at", calls))
    with app.app_context():
        assert version_of(cache, f) is None
        assert f(1) == 1
        version = version_of(cache, f)
        assert isinstance(version, str)
        assert len(version) == 6
        key = f.make_cache_key(f.uncached, 1)
        assert key.endswith(version)
        assert len(key) == 22
        assert cache.get(key) == 1
        assert client_of(cache).exists(cache.cache.key_prefix + key)
        cache.set(key, 7)
        assert f(1) == 7
        client_of(cache).delete(cache.cache.key_prefix + key)
        assert f(1) == 2
        cache.set(cache._memvname(function_namespace(f.uncached)[0]), "VVVVVV")
        assert f.make_cache_key(f.uncached, 1).endswith("VVVVVV")
        assert f(1) == 3


@pytest.mark.parametrize("foreign", [b"!" + pickle.dumps("AAAAAA"), b"AAAAAA", b"123456"])
def test_a_version_that_is_none_is_made_anew(
    app: Flask, pair: tuple[Cache, Cache], calls: Calls, foreign: bytes
) -> None:
    cache, _ = pair
    f = cache.memoize()(_named("odd", calls))
    with app.app_context():
        assert [f(1), f(1)] == [1, 1]
        name = cache.cache.key_prefix + cache._memvname(function_namespace(f.uncached)[0])
        client_of(cache).set(name, foreign)
        assert [f(1), f(1)] == [2, 2]
        client_of(cache).delete(name)
        assert [f(1), f(1)] == [3, 3]


def test_versions_end_after_their_entries_and_do_end(
    app: Flask, pair: tuple[Cache, Cache], calls: Calls
) -> None:
    cache, other = pair
    never = cache.memoize(60, response_filter=lambda value: False)(_named("never", calls))
    short = cache.memoize(60)(_named("short", calls))
    long = cache.memoize(5000)(_named("long", calls))
    ever = cache.memoize(0)(_named("ever", calls))
    with app.app_context():
        for f in (never, short, long, ever):
            f(1)
        assert 500 < left(cache, never) <= 600
        assert 500 < left(cache, short) <= 600
        assert left(cache, long) > 5000
        assert left(cache, ever) == -1
        # One that is stored for less shortens nothing, also from elsewhere.
        brief = other.memoize(1)(long.uncached)
        brief(2)
        assert left(cache, long) > 5000
        cache.delete_memoized(long)
        assert 500 < left(cache, long) <= 600
        long(1)
        assert left(cache, long) > 5000


def test_none(app: Flask, pair: tuple[Cache, Cache], calls: Calls) -> None:
    cache, _ = pair

    def loses(number: int) -> None:
        calls()

    def keeps(number: int) -> None:
        calls()

    loses, keeps = cache.memoize()(loses), cache.memoize(cache_none=True)(keeps)
    with app.app_context():
        assert [loses(1), loses(1), calls.count] == [None, None, 2]
        assert [keeps(1), keeps(1), calls.count] == [None, None, 3]


def test_calls_that_are_not_plain_have_the_same_entries(
    app: Flask, pair: tuple[Cache, Cache], calls: Calls
) -> None:
    cache, _ = pair
    flag: list[bool] = [False]
    f = cache.memoize(forced_update=lambda number: flag[0])(_named("forced", calls))
    plain = cache.memoize()(f.uncached)
    with app.app_context():
        assert [f(1), plain(1), f(1)] == [1, 1, 1]
        flag[0] = True
        assert f(1) == 2
        flag[0] = False
        assert [plain(1), f(1)] == [2, 2]
        app.debug = True
        assert plain(1) == 2
        cache.delete_memoized(plain)
        assert [plain(1), f(1)] == [3, 3]


def test_methods(app: Flask, pair: tuple[Cache, Cache], calls: Calls) -> None:
    cache, _ = pair

    class Counter(Box):
        @cache.memoize()
        def next(self, step: int) -> int:
            return calls()

    one, two = Counter("one"), Counter("two")
    with app.app_context():
        assert [one.next(1), two.next(1), one.next(1), two.next(1)] == [1, 2, 1, 2]
        cache.delete_memoized(one.next)
        assert [two.next(1), one.next(1)] == [2, 3]
        cache.delete_memoized(Counter.next)
        assert [two.next(1), one.next(1)] == [4, 5]


def test_one_load_for_all(app: Flask, pair: tuple[Cache, Cache], calls: Calls) -> None:
    cache, _ = pair
    gate, started = threading.Event(), threading.Event()

    @cache.memoize()
    def slow(number: int) -> int:
        started.set()
        assert gate.wait(30)
        return calls()

    found: list[int] = []

    def ask() -> None:
        with app.app_context():
            found.append(slow(1))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [1] * 6


def test_one_load_for_all_who_find_no_version(app: Flask, redis_url: str, calls: Calls) -> None:
    entered = threading.Barrier(8)
    for number in range(1, 11):
        cache = Cache(app, config=config_of(redis_url))
        cold = cache.memoize()(_named("cold", calls))

        def ask(cold: Any = cold) -> None:
            with app.app_context():
                entered.wait(30)
                cold(1)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert calls.count == number


def test_nobody_gets_what_was_forgotten_before_the_call(
    app: Flask, pair: tuple[Cache, Cache]
) -> None:
    one, other = pair
    state = [0]

    def read(number: int) -> int:
        return state[0]

    first, second = one.memoize()(read), other.memoize()(read)
    with app.app_context():
        for step in range(1, 40):
            state[0] = step
            other.delete_memoized(second)
            assert (first(1), second(1)) == (step, step)


def test_windows(app: Flask, redis_url: str, clock: HandClock, calls: Calls) -> None:
    cache = Cache(app, config=config_of(redis_url))

    @cache.memoize(60, stale_on_error=600)
    def frail(number: int) -> int:
        if calls() == 2:
            raise OSError("the origin is away")
        return calls.count

    with app.app_context():
        assert frail(1) == 1
        clock.advance(61)
        assert frail(1) == 1
        assert left(cache, frail) > 660


def test_a_server_that_is_away(app: Flask, calls: Calls, log: pytest.LogCaptureFixture) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": free_port()}
    cache = Cache(app, config=config)
    f = cache.memoize()(_named("away", calls))
    with app.app_context():
        assert [f(1), f(1)] == [1, 2]
        assert cache.stats()["events"]["store-failed"] >= 2
        with pytest.raises(OSError, match="probe"):
            f.make_cache_key(f.uncached, 1)
        with pytest.raises(OSError, match="probe"):
            cache.delete_memoized(f)
    assert len([message for message in log.messages if "store failed" in message]) == 1


def test_an_overridden_key_maker_is_asked(app: Flask, redis_url: str, calls: Calls) -> None:
    class Renamed(Cache):
        def _memoize_make_cache_key(self, *args: Any, **kwargs: Any) -> Any:
            make = super()._memoize_make_cache_key(*args, **kwargs)
            return lambda f, *args, **kwargs: "renamed:" + make(f, *args, **kwargs)

    cache = Renamed(app, config=config_of(redis_url))
    f = cache.memoize()(_named("mine", calls))
    with app.app_context():
        assert [f(1), f(1)] == [1, 1]
        assert cache.get(f.make_cache_key(f.uncached, 1)) == 1
        assert f.make_cache_key(f.uncached, 1).startswith("renamed:")
        f.make_cache_key = lambda f, number: f"assigned:{number}"
        assert [f(1), f(1)] == [2, 2]
        assert cache.get("assigned:1") == 2


def test_versions_under_each_prefix(app: Flask, redis_url: str, calls: Calls) -> None:
    run = uuid.uuid4().hex
    cache = Cache(app, config=config_of(redis_url, CACHE_KEY_PREFIX=lambda: f"{run}{g.tenant}-"))
    f = cache.memoize()(_named("tenants", calls))
    found: list[int] = []
    for tenant in "abab":
        with app.app_context():
            g.tenant = tenant
            found.append(f(1))
    assert found == [1, 2, 1, 2]
    with app.app_context():
        g.tenant = "a"
        cache.delete_memoized(f)
        assert f(1) == 3
        g.tenant = "b"
        assert f(1) == 2


# The room of what is forgotten.


def names(server: RedisServer) -> int:
    """How many names there are."""
    with redis_py.Redis(port=server.port) as client:
        return int(client.dbsize())  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", [Cache, SafeCache])
def test_forgetting_gives_the_room_back_at_once(
    app: Flask, own_redis: RedisServer, calls: Calls, dialect: Any
) -> None:
    cache = dialect(app, config=config_of(own_redis.url))

    class Counter(Box):
        @cache.memoize(3600)
        def next(self, step: int) -> Any:
            return [calls()]

        def __caching_id__(self) -> str:
            return self.name

    @cache.memoize(3600)
    def count(step: int) -> Any:
        return calls() if step % 2 else f"text {calls()}"

    one, two = Counter("one"), Counter("two")
    with app.app_context():
        cache.set("stays", 1)
        for step in range(300):
            count(step)
        for step in range(30):
            one.next(step)
            two.next(step)
        full = names(own_redis)
        assert full >= 361
        cache.delete_memoized(count)
        after = names(own_redis)
        # Where there is a version, it is a name; the rest are marks, which are few.
        assert after <= full - 295
        cache.delete_memoized(one.next)
        assert names(own_redis) <= after - 25
        before = calls.count
        two.next(1)
        assert calls.count == before, "the other instance still has what it had"
        one.next(1)
        assert calls.count == before + 1
        cache.delete_memoized(Counter.next)
        assert names(own_redis) <= 15
        two.next(1)
        assert calls.count == before + 2
        assert cache.get("stays") == 1


def test_forgetting_a_page_gives_the_room_of_every_query_back(
    app: Flask, own_redis: RedisServer, calls: Calls
) -> None:
    cache = Cache(app, config=config_of(own_redis.url))
    app.add_url_rule("/x", "x", cache.cached(3600, query_string=True)(lambda: f"page {calls()}"))
    web = app.test_client()
    for page in range(50):
        text_of(web, f"/x?page={page}")
    assert names(own_redis) >= 50
    assert cache.delete("view//x")
    assert names(own_redis) <= 5
    assert text_of(web, "/x?page=1") == "page 51"
