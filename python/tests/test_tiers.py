"""A near tier in front of a server: what lies near is as good as a read, and costs none.

With `shops` the clock stands still unless a test moves it. So whatever goes from a near tier there went
because of what others did, not because its time was over. Outages are waited for by the real clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from conftest import Calls, RedisServer, text_of
from fleet_support import asked, config_of, made, until
from redis_servers import Node

from flask_larder.testing import HandClock

NEAR = 30.0
"""How long a near tier keeps a copy here, by the clock of the test."""

PATIENCE = 60.0

LIFE = 600.0
"""The lifetime of what is to lapse. The server counts it by a clock of its own, and must not be first."""


@pytest.fixture
def server(own_redis: RedisServer) -> Any:
    """A client of the server, to ask what others ask of it."""
    client = Node(own_redis.port, tmp_of(own_redis)).client()
    yield client
    client.close()


def tmp_of(server: RedisServer) -> Any:
    """The folder of a server."""
    from pathlib import Path

    return Path(server.folder)


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """How functions are called: by a thread that blocks, or by a coroutine."""
    return str(request.param)


class Shop:
    """One process of several, as far as the store can tell, with a near tier of its own."""

    def __init__(self, url: str | None, way: str, **options: Any) -> None:
        near = {"CACHE_NEAR": "1MB", "CACHE_NEAR_TIMEOUT": NEAR}
        redis = {} if url is None else {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url}
        self.app, self.cache = made({**near, **redis}, **options)
        self.way = way
        self.calls = Calls()
        self.answers: dict[str, Any] = {}

    def function(self, timeout: float = 3600, **options: Any) -> Callable[[str], Any]:
        """A memoized function that answers what `answers` says, or raises it."""

        def found(name: str) -> Any:
            self.calls()
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        if self.way == "sync":

            def value(name: str) -> Any:
                return found(name)

            ask: Callable[[str], Any] = self.cache.memoize(timeout, **options)(value)
        else:

            async def value(name: str) -> Any:  # type: ignore[no-redef]
                await asyncio.sleep(0)
                return found(name)

            later = self.cache.memoize(timeout, **options)(value)

            def ask(name: str) -> Any:
                return asyncio.run(later(name))

        self._memoized = value if self.way == "sync" else later

        def asking(name: str) -> Any:
            with self.app.app_context():
                return ask(name)

        self.forget = self._forgetting(ask if self.way == "sync" else later)
        return asking

    def _forgetting(self, memoized: Any) -> Callable[[str], None]:
        def forget(name: str) -> None:
            with self.app.app_context():
                self.cache.delete_memoized(memoized, name)

        return forget

    def get(self, key: str) -> Any:
        with self.app.app_context():
            return self.cache.get(key)

    def set(self, key: str, value: Any, timeout: float = 3600) -> bool:
        with self.app.app_context():
            return bool(self.cache.set(key, value, timeout))

    def delete(self, key: str) -> Any:
        with self.app.app_context():
            return self.cache.delete(key)


@pytest.fixture
def shops(own_redis: RedisServer, way: str, clock: HandClock) -> list[Shop]:
    """Two processes, with time enough for a busy machine."""
    del clock
    return [Shop(own_redis.url, way, CACHE_OPTIONS={"deadline": 30}) for _ in range(2)]


def lies_near(server: Any, ask: Callable[[], Any]) -> None:
    """Returns as soon as asking costs the server nothing: a channel takes a moment to open, and may
    be slow to give a sign of life on a busy machine."""

    def for_free() -> bool:
        before = asked(server)
        for _ in range(20):
            ask()
        return asked(server) == before

    until(for_free)


def test_t7_1_a_far_hit_is_promoted_with_what_is_left_of_it(
    shops: list[Shop], server: Any, clock: HandClock
) -> None:
    one, two = (shop.function(timeout=LIFE) for shop in shops)
    for shop in shops:
        shop.answers["a"] = "value"
    assert one("a") == "value"
    clock.advance(LIFE - 4)
    assert two("a") == "value"
    assert [shop.calls.count for shop in shops] == [1, 0]
    lies_near(server, lambda: two("a"))
    assert shops[1].calls.count == 0
    clock.advance(5)
    assert two("a") == "value"
    assert shops[1].calls.count == 1


def test_t7_1_views_and_values_are_promoted_too(
    shops: list[Shop], server: Any, clock: HandClock
) -> None:
    one, two = shops
    for shop in shops:
        shop.app.add_url_rule(
            "/", "index", shop.cache.cached(LIFE)(lambda shop=shop: str(shop.calls()))
        )
    clients = [shop.app.test_client() for shop in shops]
    assert one.set("k", [1], LIFE)
    assert [text_of(clients[0]), text_of(clients[1]), two.get("k")] == ["1", "1", [1]]
    clock.advance(LIFE - 4)
    lies_near(server, lambda: (text_of(clients[1]), two.get("k")))
    assert two.calls.count == 0
    clock.advance(5)
    assert two.get("k") is None
    assert text_of(clients[1]) == "1"
    assert two.calls.count == 1


def test_t7_2_near_copies_follow_an_update(shops: list[Shop], server: Any) -> None:
    one, two = shops
    for number in range(5):
        assert one.set("k", number)
        until(lambda number=number: two.get("k") == number)
        lies_near(server, lambda: two.get("k"))
        assert one.get("k") == number


def test_t7_2_near_copies_follow_a_removal_a_tag_and_a_clear(
    shops: list[Shop], server: Any
) -> None:
    functions = [shop.function(tags=["all"]) for shop in shops]
    one = shops[0]
    purges: list[Callable[[], Any]] = [
        lambda: one.forget("a"),
        lambda: one.cache.invalidate_tags("all"),
        one.cache.clear,
    ]
    for number, purge in enumerate([*purges, *purges]):
        for shop in shops:
            shop.answers["a"] = number
        until(lambda number=number: functions[1]("a") == number)
        assert functions[0]("a") == number
        lies_near(server, lambda: functions[1]("a"))
        for shop in shops:
            shop.answers["a"] = number + 1
        with one.app.app_context():
            purge()
        # One's own removals are seen at once, those of others soon.
        assert functions[0]("a") == number + 1
        until(lambda number=number: functions[1]("a") == number + 1)


def test_t7_2_one_reads_what_one_has_written(shops: list[Shop], server: Any) -> None:
    (one, _) = shops
    lies_near(server, lambda: one.get("other") or one.set("other", 1))
    for number in range(50):
        assert one.set("k", number)
        assert one.get("k") == number
        if number % 10 == 0:
            assert one.delete("k")
            assert one.get("k") is None


def test_t7_3_a_spare_is_served_when_its_time_is_over_and_not_when_it_was_removed(
    shops: list[Shop], server: Any, clock: HandClock
) -> None:
    one, two = (shop.function(timeout=10, stale_on_error=600) for shop in shops)
    for shop in shops:
        shop.answers["a"] = "old"
    assert (one("a"), two("a")) == ("old", "old")
    lies_near(server, lambda: two("a"))
    for shop in shops:
        shop.answers["a"] = RuntimeError("the origin is ill")
    clock.advance(11)
    assert two("a") == "old"
    shops[0].forget("a")

    def gone() -> bool:
        try:
            return two("a") != "old"
        except RuntimeError as error:
            return "the origin is ill" in str(error)

    until(gone)


def test_t7_4_without_the_server_the_near_tier_and_the_function_carry_on(
    own_redis: RedisServer, way: str
) -> None:
    # While this process goes on alone, what it sets stays near; on a busy machine it would be alone too soon.
    shop = Shop(own_redis.url, way, CACHE_OPTIONS={"deadline": 2})
    ask = shop.function()
    for name in "abcdefgh":
        shop.answers[name] = name
    server = Node(own_redis.port, tmp_of(own_redis)).client()
    until(lambda: shop.set("k", 1) and bool(server.keys("*k")))
    own_redis.stop()
    began = time.monotonic()
    attempts = _Listener(own_redis.port)
    try:
        for _ in range(100):
            for name in "abcdefgh":
                assert ask(name) == name
        took = time.monotonic() - began
        # One load for each, and they are kept near; each is a promise for itself.
        assert shop.calls.count <= 8 + 8 * (took // 5 + 1)
        assert shop.get("k") is None
        # Five attempts in a second for reads, news and listeners together, and one to begin with.
        most = 5 * (time.monotonic() - began + 1) + 1
        assert attempts.count <= most, attempts.count
    finally:
        attempts.close()
    own_redis.start()
    until(lambda: shop.set("k", 2) and shop.get("k") == 2)
    until(lambda: _in_the_store(own_redis, ask))


def _in_the_store(server: RedisServer, ask: Callable[[str], Any]) -> bool:
    """Whether an answer reaches the server again."""
    before = Node(server.port, tmp_of(server)).client().dbsize()
    ask("a")
    return bool(before) and Node(server.port, tmp_of(server)).client().dbsize() > 0


class _Listener:
    """Something on a port that lets everybody in, counts them and says nothing."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._closing:
                connection.close()
                return
            self.count += 1
            self._taken.append(connection)

    _closing = False

    def close(self) -> None:
        self._closing = True
        with socket.socket() as last:
            last.connect(self._socket.getsockname())
        self._thread.join()
        self._socket.close()
        for connection in self._taken:
            connection.close()


def test_t7_5_what_was_removed_without_the_server_is_removed_before_anything_is_read(
    own_redis: RedisServer, way: str
) -> None:
    one, two = (Shop(own_redis.url, way, CACHE_OPTIONS={"deadline": 2}) for _ in range(2))
    functions = [shop.function(tags=["all"]) for shop in (one, two)]
    for shop in (one, two):
        shop.answers.update(a=1, b=1)

    def stored() -> bool:
        return bool(one.set("k", 1)) and two.get("k") == 1

    until(stored)
    until(lambda: [one_of(name) for one_of in functions for name in "ab"] == [1] * 4)
    for shop in (one, two):
        shop.answers.update(a=2, b=2)
    own_redis.signal(signal.SIGSTOP)
    try:
        for removal in (lambda: two.delete("k"), lambda: two.forget("a")):
            with pytest.raises(OSError, match="store"):
                removal()
        # What lay near is gone at once, whether the server has heard of it or not.
        assert two.get("k") is None
        assert functions[1]("a") == 2
    finally:
        own_redis.signal(signal.SIGCONT)
    seen: list[Any] = []

    def back() -> bool:
        seen.append((two.get("k"), functions[1]("a")))
        return bool(two.set("probe", 1)) and one.get("probe") == 1

    until(back)
    assert all(found[0] is None and found[1] == 2 for found in seen), seen
    until(lambda: one.get("k") is None)
    until(lambda: functions[0]("a") == 2)
    # The last word on a key counts: what is stored after all that stays.
    until(lambda: bool(two.set("k", 3)) and [two.get("k") for _ in range(5)] == [3] * 5)
    until(lambda: bool(two.set("k", 3)) and one.get("k") == 3)


def test_t7_6_a_channel_that_ends_takes_the_copies_with_it(shops: list[Shop], server: Any) -> None:
    one, two = shops
    for number in range(5):
        assert one.set("k", number)
        until(lambda number=number: two.get("k") == number)
        lies_near(server, lambda: two.get("k"))
        until(lambda: two.cache.stats()["told_by"] == "client tracking")
        # Every connection but the test's own, and in the same turn of the server a change.
        pipe = server.pipeline(transaction=True)
        for kind in ("normal", "pubsub"):
            pipe.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        pipe.execute()
        until(lambda number=number: one.set("k", number + 100))
        until(lambda number=number: two.get("k") == number + 100)


def test_t7_7_a_server_that_does_not_answer_costs_its_limit(
    own_redis: RedisServer, way: str
) -> None:
    shop = Shop(own_redis.url, way, CACHE_OPTIONS={"deadline": 0.05})
    ask = shop.function()
    shop.answers.update({str(number): number for number in range(20)})
    until(lambda: shop.set("k", 1))
    own_redis.signal(signal.SIGSTOP)
    try:
        # Nothing will come from the server; so each of these ends by itself or not at all.
        for number in range(20):
            assert ask(str(number)) == number
    finally:
        own_redis.signal(signal.SIGCONT)
    until(lambda: shop.set("k", 2))


class Held:
    """A proxy in front of a server that can hold back the answers in which some bytes stand."""

    def __init__(self, port: int, what: bytes) -> None:
        self._to, self._what = port, what
        self.holding, self.held, self.release = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._open += [near, far]
            for pair in ((near, far, False), (far, near, True)):
                thread = threading.Thread(target=self._pass, args=pair)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if answers and self.holding.is_set() and self._what in data:
                    self.held.set()
                    assert self.release.wait(PATIENCE)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            _shut(end)

    def close(self) -> None:
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        # Whoever came last has threads of its own from then on, and is shut out with the others.
        self._threads[0].join()
        for end in self._open:
            _shut(end)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()


def _shut(end: socket.socket) -> None:
    """Wakes whoever reads there, which closing would not."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def held(own_redis: RedisServer) -> Generator[Held]:
    """A proxy that can hold back answers with the old value in them."""
    proxy = Held(own_redis.port, b"the old value")
    yield proxy
    proxy.close()


def test_t7_10_a_purge_that_races_a_promotion_leaves_nothing_near(
    own_redis: RedisServer, held: Held, way: str, clock: HandClock
) -> None:
    del clock
    one = Shop(own_redis.url, way, CACHE_OPTIONS={"deadline": 60})
    two = Shop(f"redis://127.0.0.1:{held.port}", way, CACHE_OPTIONS={"deadline": 60})
    functions = [shop.function() for shop in (one, two)]
    for shop in (one, two):
        shop.answers["a"] = "the old value"
    assert two.set("other", 1)
    assert functions[0]("a") == "the old value"
    held.holding.set()
    heard: list[Any] = []
    thread = threading.Thread(target=lambda: heard.append(functions[1]("a")))
    thread.start()
    assert held.held.wait(PATIENCE)
    for shop in (one, two):
        shop.answers["a"] = "the new value"
    one.forget("a")
    held.holding.clear()
    held.release.set()
    thread.join()
    # Whoever began to read before the purge may hear of what was there; nobody else does who has been
    # told of it. Nothing near lapses by itself here.
    assert heard[0] in ("the old value", "the new value")
    until(lambda: functions[1]("a") == "the new value")
    assert [functions[1]("a") for _ in range(10)] == ["the new value"] * 10


def test_t7_11_what_cannot_be_read_is_a_miss_and_is_counted(shops: list[Shop], server: Any) -> None:
    functions = [shop.function() for shop in shops]
    for shop in shops:
        shop.answers["a"] = "value"
    assert [ask("a") for ask in functions] == ["value"] * 2
    lies_near(server, lambda: functions[1]("a"))
    for name in server.keys("*"):
        if server.type(name) == b"hash":
            for field, stored in server.hgetall(name).items():
                server.hset(name, field, stored[:-4] + b"damn")
    until(lambda: functions[1]("a") == "value" and shops[1].calls.count > 0)
    with shops[1].app.app_context():
        assert shops[1].cache.stats()["events"]["unreadable"] >= 1


def test_t8_4_coroutines_and_threads_read_nothing_that_was_removed_in_an_outage(
    own_redis: RedisServer, way: str
) -> None:
    """Without a near tier too."""
    options = {"CACHE_NEAR": None, "CACHE_NEAR_TIMEOUT": None, "CACHE_OPTIONS": {"deadline": 2}}
    shop = Shop(own_redis.url, way, **options)
    ask = shop.function(tags=["t"])
    shop.answers.update(a=1, b=1)
    until(lambda: bool(shop.set("probe", 1)))

    def stored() -> bool:
        before = shop.calls.count
        return (ask("a"), ask("b")) == (1, 1) and shop.calls.count == before

    until(stored)
    shop.answers.update(a=2, b=2)
    own_redis.signal(signal.SIGSTOP)
    try:
        with pytest.raises(OSError, match="store"):
            shop.forget("a")
        assert ask("a") == 2
    finally:
        own_redis.signal(signal.SIGCONT)
    until(lambda: bool(shop.set("probe", 2)))
    assert (ask("a"), ask("b")) == (2, 1)


@pytest.mark.parametrize("place", ["near-memcached", "near-file", "near-foreign"])
def test_t7_1_where_nothing_is_told_the_near_lifetime_is_the_bound(
    place: str, request: pytest.FixtureRequest, way: str, clock: HandClock
) -> None:
    config = config_of(place, request)
    one, two = (Shop(None, way, **config) for _ in range(2))
    functions = [shop.function(tags=["all"]) for shop in (one, two)]
    for shop in (one, two):
        shop.answers["a"] = 1
    assert one.set("k", 1)
    assert [two.get("k"), functions[0]("a"), functions[1]("a")] == [1, 1, 1]
    for shop in (one, two):
        shop.answers["a"] = 2
    assert one.set("k", 2)
    one.forget("a")
    # Who writes and purges reads what comes of it at once.
    assert (one.get("k"), functions[0]("a")) == (2, 2)
    # Nobody tells the other one, so its copies are what it answers with: no read would find them.
    assert two.cache.stats()["told_by"] is None
    clock.advance(NEAR - 1)
    assert (two.get("k"), functions[1]("a")) == (1, 1)
    clock.advance(2)
    assert (two.get("k"), functions[1]("a")) == (2, 2)
    assert two.calls.count == 0
