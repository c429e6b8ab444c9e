"""Redis away: the site answers, and caches again once the server is back."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from conftest import Calls, RedisServer, free_port, text_of
from flask import Flask

from flask_larder import Cache

# Far more than is promised (0.1 s until the breaker opens): a slow machine must not fail a test. What
# it must catch is a request that hangs.
BOUND = 15.0
PATIENCE = 60


class Shop:
    """An application on one Redis, and how long its pages take."""

    def __init__(self, port: int, **options: Any) -> None:
        self.app = Flask("shop")
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1"}
        self.cache = Cache(self.app, config={**config, "CACHE_REDIS_PORT": port, **options})
        self.calls = Calls()
        self.price = self.cache.memoize(60)(lambda: self.calls())

        @self.app.get("/")
        @self.cache.cached(60)
        def index() -> str:
            return f"{self.price()} {self.calls()}"

    def get(self) -> str:
        started = time.monotonic()
        answer = self.app.test_client().get("/")
        assert answer.status_code == 200
        assert time.monotonic() - started < BOUND
        return str(answer.text)

    def caches(self) -> bool:
        """Whether two requests in a row get one answer."""
        return self.get() == self.get()


def until(condition: Callable[[], bool]) -> None:
    """Asks again and again until something holds: what takes its time is the breaker's probe."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_down_at_the_start(own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    own_redis.stop()
    shop = Shop(own_redis.port)
    assert not shop.caches()
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    own_redis.start()
    until(shop.caches)


def test_killed_and_restarted(own_redis: RedisServer) -> None:
    shop = Shop(own_redis.port)
    until(shop.caches)
    own_redis.stop()
    before = shop.calls.count
    for _ in range(5):
        shop.get()
    assert shop.calls.count >= before + 5
    own_redis.start()
    until(shop.caches)
    with shop.app.app_context():
        assert shop.cache.stats()["events"]["store-failed"] >= 1


def test_frozen(own_redis: RedisServer) -> None:
    shop = Shop(own_redis.port)
    until(shop.caches)
    own_redis.signal(signal.SIGSTOP)
    try:
        for _ in range(10):
            shop.get()
    finally:
        own_redis.signal(signal.SIGCONT)
    until(shop.caches)


def test_many_threads_while_it_is_frozen(own_redis: RedisServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    shop = Shop(own_redis.port)
    until(shop.caches)
    own_redis.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(20) as pool:
            assert len(list(pool.map(lambda _: shop.get(), range(100)))) == 100
    finally:
        own_redis.signal(signal.SIGCONT)
    until(shop.caches)


@pytest.fixture
def slow_server() -> Generator[int]:
    """Something that answers each byte of a request with one byte in 50 ms: 20 bytes a second."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def trickle(connection: socket.socket) -> None:
        with connection:
            try:
                while not stop.wait(0.05):
                    connection.sendall(b"$")
            except OSError:
                return

    def serve() -> None:
        trickles: list[threading.Thread] = []
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            trickles.append(threading.Thread(target=trickle, args=(connection,)))
            trickles[-1].start()
        for one in trickles:
            one.join()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    stop.set()
    thread.join()
    listener.close()


def test_twenty_bytes_a_second(slow_server: int) -> None:
    shop = Shop(slow_server)
    for _ in range(10):
        shop.get()


def test_something_else_on_the_port() -> None:
    shop = Shop(free_port())
    for _ in range(3):
        shop.get()


def test_direct_use(own_redis: RedisServer) -> None:
    """Reads find nothing and writes keep nothing; a removal that did not happen is an error."""
    shop = Shop(own_redis.port)
    own_redis.stop()
    cache = shop.cache
    with shop.app.app_context():
        assert cache.get("k") is None
        assert cache.get_many("a", "b") == [None, None]
        assert cache.get_dict("a") == {"a": None}
        assert (cache.set("k", 1), cache.add("k", 1), cache.has("k")) == (False, False, False)
        assert cache.set_many({"k": 1}) == []
        removals: list[Callable[[], Any]] = [
            lambda: cache.delete("k"),
            lambda: cache.delete_many("k", "p*"),
            lambda: cache.delete_prefix("k"),
            lambda: cache.delete_memoized(shop.price),
            lambda: cache.invalidate_tags("t"),
            cache.clear,
        ]
        for removal in removals:
            with pytest.raises(OSError, match="store"):
                removal()


def test_a_stale_answer_is_not_needed_for_a_restart_between_store_and_expiry(
    own_redis: RedisServer,
) -> None:
    """A store that lost everything is a miss, not an error."""
    shop = Shop(own_redis.port)
    until(shop.caches)
    first = shop.get()
    own_redis.stop()
    own_redis.start()
    until(shop.caches)
    assert shop.get() != first


def test_pages_are_right_while_it_flaps(own_redis: RedisServer) -> None:
    app = Flask("shop")
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": own_redis.url})
    app.add_url_rule("/<name>", "page", cache.cached(60)(lambda name: name))
    for _ in range(2):
        for name in ("a", "b"):
            assert text_of(app.test_client(), f"/{name}") == name
        own_redis.stop()
        for name in ("a", "b"):
            assert text_of(app.test_client(), f"/{name}") == name
        own_redis.start()


def test_t8_4_what_was_removed_during_an_outage_is_not_read_after_it(
    own_redis: RedisServer,
) -> None:
    """The server comes back with everything that it held: what was removed meanwhile stays gone."""
    # A busy machine may miss the usual deadline, also when the server is back.
    shop = Shop(own_redis.port, CACHE_OPTIONS={"deadline": 2})
    cache = shop.cache
    answers, loads = {"tagged": 1, "kept": 1}, Calls()
    tagged = cache.memoize(600, tags=["t"])(lambda: (answers["tagged"], loads())[0])
    kept = cache.memoize(600)(lambda: (answers["kept"], loads())[0])

    def answering() -> bool:
        return bool(cache.set("probe", 1))

    def stored() -> bool:
        before = loads.count
        return (tagged(), kept(), cache.get("k")) == (1, 1, 1) and loads.count == before

    with shop.app.app_context():
        until(answering)
        until(lambda: bool(cache.set("k", 1)))
        until(stored)
        answers.update(tagged=2, kept=2)
        own_redis.signal(signal.SIGSTOP)
        try:
            for removal in (lambda: cache.invalidate_tags("t"), lambda: cache.delete("k")):
                with pytest.raises(OSError, match="store"):
                    removal()
        finally:
            own_redis.signal(signal.SIGCONT)
        until(answering)
        assert (tagged(), kept(), cache.get("k")) == (2, 1, None)
        events = cache.stats()["events"]
        assert (events["purge-owed"], events["purges-paid"]) == (2, 1)
