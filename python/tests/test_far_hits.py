"""Hits on a Redis that are answered without Python, and what may be wrong about them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from conftest import Calls, RedisServer
from flask import Flask
from redis_servers import until

from flask_larder import Cache
from flask_larder.decorated import Decorated


class Worker:
    """One of the processes of a site, as far as caches go."""

    def __init__(self, url: str, prefix: str) -> None:
        self.app = Flask("far")
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "CACHE_KEY_PREFIX": prefix}
        # Long enough for a busy machine.
        self.cache = Cache(self.app, config={**config, "CACHE_OPTIONS": {"deadline": 30}})
        self.calls = Calls()
        calls = self.calls

        @self.cache.memoize(60)
        def price(number: int) -> str:
            return f"{number} {calls()}"

        @self.cache.memoize(60, tags=["shop"])
        def tagged(number: int) -> str:
            return f"{number} {calls()}"

        @self.cache.memoize(60, tags=["shop:{number}"])
        def filled(number: int) -> str:
            return f"{number} {calls()}"

        @self.app.get("/")
        @self.cache.cached(60)
        def page() -> str:
            return f"page {calls()}"

        self.price, self.tagged, self.filled = price, tagged, filled

    def get(self) -> str:
        return str(self.app.test_client().get("/").text)


@pytest.fixture
def workers(redis_url: str) -> tuple[Worker, Worker]:
    """Two, with an empty cache."""
    prefix = f"far-{uuid.uuid4().hex}-"
    return Worker(redis_url, prefix), Worker(redis_url, prefix)


def python_answers(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]) -> int:
    """How often Python had a part in answering a call."""
    asked = []
    original = Decorated.steps

    def steps(self: Decorated, *args: Any) -> Any:
        asked.append(self)
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Decorated, "steps", steps)
        call()
    return len(asked)


@pytest.mark.parametrize("name", ["price", "tagged"])
def test_the_second_hit_needs_no_python(
    workers: tuple[Worker, Worker], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = workers
    call, same = getattr(one, name), getattr(other, name)
    first = call(7)
    assert python_answers(monkeypatch, lambda: call(7)) == 0
    # Another process has to see it once.
    assert python_answers(monkeypatch, lambda: same(7)) == 1
    assert python_answers(monkeypatch, lambda: same(7)) == 0
    assert call(7) == same(7) == first


def test_a_page_needs_no_python_either(
    workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = workers
    first = one.get()
    assert python_answers(monkeypatch, one.get) == 0
    assert one.get() == first


def test_tags_that_depend_on_the_call_are_for_python(
    workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = workers
    first = one.filled(7)
    assert python_answers(monkeypatch, lambda: one.filled(7)) == 1
    assert one.filled(7) == first


@pytest.mark.parametrize(
    "purge",
    [
        lambda worker: worker.cache.delete_memoized(worker.tagged),
        lambda worker: worker.cache.delete_memoized(worker.tagged, 7),
        lambda worker: worker.cache.invalidate_tags("shop"),
        lambda worker: worker.cache.clear(),
    ],
)
def test_what_another_process_purges_is_loaded_anew(
    workers: tuple[Worker, Worker], purge: Callable[[Worker], Any]
) -> None:
    one, other = workers
    first = one.tagged(7)
    assert one.tagged(7) == other.tagged(7) == first
    purge(other)
    second = one.tagged(7)
    assert second != first
    assert one.tagged(7) == other.tagged(7) == second


def test_many_values_go_and_come_by_their_keys(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    values = {"a": 1, "b": "two", "c": [3], "d": None}
    assert one.cache.set_many(values) == list(values)
    assert other.cache.get_many(*values) == list(values.values())
    assert other.cache.has("d")
    assert not other.cache.has("e")
    assert other.cache.get("a") == 1
    assert other.cache.get("e") is None
    other.cache.cache.inc("a")
    assert one.cache.get("a") == 2
    one.cache.set("a", "text")
    assert other.cache.get("a") == "text"


def test_a_key_that_does_not_exist_is_looked_for_only_once(
    workers: tuple[Worker, Worker],
) -> None:
    one, other = workers
    assert one.cache.get("late") is None
    other.cache.set("late", "come")
    assert one.cache.get("late") == "come"
    other.cache.delete("late")
    assert one.cache.get("late") is None
    assert not one.cache.has("late")


def channels(url: str) -> int:
    """How many connections the server tells of changes."""
    clients = redis.Redis.from_url(url).client_list()
    return sum("t" in client["flags"] for client in clients)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_a_fork_hears_of_changes_too(own_redis: RedisServer) -> None:
    url, prefix = own_redis.url, f"far-{uuid.uuid4().hex}-"
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "CACHE_KEY_PREFIX": prefix}
    config |= {"CACHE_OPTIONS": {"deadline": 30}}
    far = Cache(Flask("far"), config=config)
    # Whoever is not told would see the old value for an hour.
    near = Cache(Flask("near"), config={**config, "CACHE_NEAR": True, "CACHE_NEAR_TIMEOUT": 3600})

    def follows(name: str, expected: int) -> None:
        def sees(value: int) -> bool:
            return bool(near.get(name) == value)

        for value in range(20):
            far.set(name, value)
            until(lambda value=value: sees(value))
            # Near by by now, where there is a channel.
            assert all(sees(value) for _ in range(100))
        until(lambda: near.get(name) == 19 and channels(url) >= expected)

    follows("parent", 1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            follows("child", 2)
            status = 0
        finally:
            os._exit(status)
    # The child's may be over by now.
    follows("parent", 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
