"""Processes: a cache that was used before a fork works in every child."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask

from flask_larder import Cache

PATIENCE = 60


# The tests that fork here have started no thread of their own; those of the library are accounted for.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def in_a_child(work: Callable[[], Any]) -> Any:
    """What `work` answers in a forked child, by way of JSON."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # A child that hangs ends by this signal, and fails the test.
            signal.alarm(PATIENCE)
            os.write(write, json.dumps(work()).encode())
            os._exit(0)
        except BaseException as error:
            os.write(write, repr(error).encode())
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, answer
    return json.loads(answer)


def test_a_cache_that_was_used_works_in_every_child(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    price = stored.memoize(60)(lambda product: [product, calls()])
    app.add_url_rule("/", "index", stored.cached(60)(lambda: str(calls())))

    def work() -> Any:
        with app.app_context():
            found = [price("a"), price("b"), text_of(app.test_client())]
            stored.set("child", 1)
            return [*found, stored.get("child"), price("b")]

    with app.app_context():
        assert price("a") == ["a", 1]
    assert text_of(app.test_client()) == "2"
    for _ in range(3):
        found = in_a_child(work)
        # What was there before the fork is there, and what the child stores is found again.
        assert found[0] == ["a", 1]
        assert found[2] == "2"
        assert found[3] == 1
        assert found[1] == found[4]
    with app.app_context():
        assert price("a") == ["a", 1]
        shared = stored.stats()["store"] != "memory"
        assert stored.get("child") == (1 if shared else None)


def test_children_refresh_behind_their_answers(app: Flask, stored: Cache) -> None:
    from flask_larder.testing import hand_clock

    counted = Calls()
    answer = stored.memoize(60, stale=3600)(lambda: counted())

    def ask() -> Any:
        with app.app_context():
            return answer()

    with hand_clock() as clock:
        assert ask() == 1
        clock.advance(61)
        assert ask() == 1
        # The threads of the parent run by now; the child has none of them.
        stored._background.join()
        clock.advance(61)

        def work() -> list[Any]:
            stale = ask()
            stored._background.join()
            return [stale, ask()]

        assert in_a_child(work) == [2, 3]


def test_a_fork_during_a_load_does_not_hang_the_child(app: Flask, stored: Cache) -> None:
    """The child's copy of the wait list has a leader that does not exist there."""
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    @stored.memoize(60, wait=0.2)
    def answer() -> str:
        if os.getpid() == parent:
            begun.set()
            assert go_on.wait(PATIENCE)
            return "parent"
        return "child"

    def ask() -> str:
        with app.app_context():
            return answer()

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(PATIENCE)
    try:
        assert in_a_child(ask) == "child"
    finally:
        go_on.set()
        thread.join()
    assert ask() in ("parent", "child")


def test_counters_are_exact_across_processes(app: Flask, redis_url: str) -> None:
    from conftest import redis_config

    cache = Cache(app, config=redis_config(redis_url))

    def work() -> int:
        with app.app_context():
            for _ in range(200):
                cache.cache.inc("visits")
        return 0

    children = [threading.Thread(target=in_a_child, args=(work,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with app.app_context():
        assert cache.get("visits") == 800


def test_t7_9_coroutines_in_every_child(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    async def price(product: str) -> list[Any]:
        await asyncio.sleep(0)
        return [product, calls()]

    @app.get("/")
    @stored.cached(60)
    async def index() -> str:
        await asyncio.sleep(0)
        return str(calls())

    def ask(product: str) -> Any:
        with app.app_context():
            return asyncio.run(price(product))

    assert [ask("a"), text_of(app.test_client())] == [["a", 1], "2"]
    for _ in range(2):
        found = in_a_child(lambda: [ask("a"), text_of(app.test_client()), ask("b"), ask("b")])
        assert found[:2] == [["a", 1], "2"]
        assert found[2] == found[3]
    assert ask("a") == ["a", 1]
