"""Forks while other threads are in the middle of everything: no child finds a lock that nobody opens.

`LARDER_EFFORT` multiplies the forks.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from flask import Flask

from flask_larder import Cache

# How long a child may take before it counts as hanging: longer than one operation of a store.
PATIENCE = 100
FORKS = 40 * int(os.environ.get("LARDER_EFFORT", "1"))
PRODUCTS = 8
# Threads take turns this often while others fork: more that may go wrong, and less to wait for.
TURN_SECONDS = 0.0002

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
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    for thread in crowd:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        sys.setswitchinterval(usual)
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
    end = os.pidfd_open(child)
    hangs = not select.select([end], [], [], PATIENCE)[0]
    os.close(end)
    if hangs:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return None if hangs else status


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
