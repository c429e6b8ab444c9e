"""Forks while other threads are in the middle of everything: no child finds a lock that nobody opens."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from flask import Flask

from flask_larder import Cache

# How long a child may take before it counts as hanging.
PATIENCE = 30
FORKS = 200
PRODUCTS = 8

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@contextmanager
def storm(work: Callable[[], None], threads: int) -> Generator[None]:
    """Threads that do the same again and again, until the block ends."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    crowd = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in crowd:
            thread.join(PATIENCE)
    assert not failures
    assert not any(thread.is_alive() for thread in crowd)


def fork_and_use(use: Callable[[], None]) -> int | None:
    """The exit status of a child that uses the cache; `None` for one that hangs."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            use()
            status = 0
        finally:
            os._exit(status)
    # The child cannot watch itself: it may hang before its first line.
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def test_children_of_a_storm_use_the_cache(app: Flask, stored: Cache) -> None:
    """Misses, hits, waits with a limit, counters and purges, on both sides of the fork."""

    @stored.memoize(60, wait=0.002)
    def price(product: int) -> int:
        if product == 0:
            # Long enough for others to wait, and for some to give it up.
            time.sleep(0.003)
        return product * 2

    def use() -> None:
        with app.app_context():
            for product in range(PRODUCTS):
                assert price(product) == product * 2
            stored.set("key", [1])
            assert stored.get("key") in ([1], None)
            stored.cache.inc("counter")

    def storm_on() -> None:
        use()
        with app.app_context():
            stored.delete_memoized(price)
            stored.delete("key")

    with storm(storm_on, threads=8):
        for number in range(FORKS):
            status = fork_and_use(use)
            assert status == 0, f"child {number}: {status}"
