"""What is promised of overlapping loads and of refreshes, where a coroutine asks or a thread goes away."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock

PATIENCE = 60


async def until(condition: Callable[[], bool]) -> None:
    """Lets the other tasks run until they have brought something about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


async def turns() -> None:
    """Gives every task some turns."""
    for _ in range(10):
        await asyncio.sleep(0)


def in_loop(app: Flask, main: Callable[[], Any]) -> Any:
    with app.app_context():
        return asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_t1_5_a_task_that_waited_long_enough_loads_alone(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    async def main() -> None:
        gate, calls = asyncio.Event(), Calls()

        # The clock runs on while the store answers: nothing may expire meanwhile.
        @stored.memoize(10_000_000, wait="200ms")
        async def answer() -> str:
            number = calls()
            if number == 1:
                await gate.wait()
            return f"v{number}"

        leader = asyncio.create_task(answer())
        await until(lambda: calls.count == 1)
        follower = asyncio.create_task(answer())
        while not follower.done():
            clock.advance(0.3)
            # What a store keeps for ten minutes must not lapse while it answers slowly.
            await asyncio.sleep(0.01)
        assert await follower == "v2"
        gate.set()
        assert await leader == "v1"
        # Whichever began later wins the store.
        assert await answer() == "v2"
        assert calls.count == 2

    in_loop(app, main)


def test_t1_6_tasks_of_different_keys_do_not_wait_for_one_another(
    app: Flask, stored: Cache
) -> None:
    async def main() -> None:
        gate, calls = asyncio.Event(), Calls()

        @stored.memoize(60)
        async def answer(key: int) -> int:
            calls()
            if key == 1:
                await gate.wait()
            return key

        blocked = asyncio.create_task(answer(1))
        await until(lambda: calls.count == 1)
        assert [await answer(key) for key in range(2, 200)] == list(range(2, 200))
        assert not blocked.done()
        gate.set()
        assert await blocked == 1

    in_loop(app, main)


def test_t1_7_tasks_do_not_queue_for_what_is_not_stored(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    """After the first one all others run at the same time, and so do later ones for a minute."""

    async def main() -> None:
        gate, calls = asyncio.Event(), Calls()

        @stored.memoize(60, response_filter=lambda _: False)
        async def answer() -> int:
            number = calls()
            await gate.wait()
            return number

        first = asyncio.create_task(answer())
        await until(lambda: calls.count == 1)
        rest = [asyncio.create_task(answer()) for _ in range(49)]
        await turns()
        gate.set()
        assert await first == 1
        gate.clear()
        await until(lambda: calls.count == 50)
        gate.set()
        assert sorted(await asyncio.gather(*rest)) == list(range(2, 51))
        clock.advance(59)
        gate.clear()
        later = [asyncio.create_task(answer()) for _ in range(2)]
        await until(lambda: calls.count == 52)
        gate.set()
        assert sorted(await asyncio.gather(*later)) == [51, 52]

    in_loop(app, main)


def test_t1_9_a_thread_that_stops_waiting_takes_nobody_along(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    begun, go_on, calls = threading.Event(), threading.Event(), Calls()

    @stored.memoize(60)
    def answer() -> int:
        number = calls()
        begun.set()
        assert go_on.wait(PATIENCE)
        return number

    def ask() -> int:
        with app.app_context():
            return answer()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def ask_until_interrupted() -> None:
        # The load cannot end before the signal. Where a machine stands still, the signal may come before
        # this thread waits, but never before this.
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        ask()

    with ThreadPoolExecutor(10) as pool:
        leader = pool.submit(ask)
        assert begun.wait(PATIENCE)
        rest = [pool.submit(ask) for _ in range(9)]
        old = signal.signal(signal.SIGALRM, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                ask_until_interrupted()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
            go_on.set()
        assert [future.result(PATIENCE) for future in (leader, *rest)] == [1] * 10
    assert calls.count == 1


def test_t2_6_an_async_view_that_must_be_revalidated_is_not_served_stale(
    app: Flask, stored: Cache, clock: HandClock, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, stale=3600, stale_on_error=86400)
    async def index() -> tuple[str, dict[str, str]]:
        await asyncio.sleep(0)
        return f"v{calls()}", {"Cache-Control": "must-revalidate"}

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["v1", "v1"]
    clock.advance(61)
    assert text_of(client) == "v2"


def test_t2_9_a_refresh_outlives_the_event_loop_that_asked(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    gate, calls = threading.Event(), Calls()

    @stored.memoize(60, stale=3600)
    async def answer() -> str:
        number = calls()
        if number == 2:
            assert gate.wait(PATIENCE)
        return f"v{number}"

    async def main() -> str:
        return await answer()

    assert in_loop(app, main) == "v1"
    clock.advance(61)
    assert in_loop(app, main) == "v1"
    gate.set()
    stored._background.join()
    assert in_loop(app, main) == "v2"
    assert calls.count == 2


@pytest.mark.parametrize("how", ["delete", "delete_memoized", "tag", "clear"])
def test_t8_1_what_a_coroutine_loaded_before_a_purge_is_not_stored(
    app: Flask, stored: Cache, how: str
) -> None:
    async def main() -> None:
        row, gate, calls = ["old"], asyncio.Event(), Calls()

        @stored.memoize(60, tags=["products"])
        async def product() -> str:
            found = row[0]
            calls()
            await gate.wait()
            return found

        purges: dict[str, Callable[[], Any]] = {
            "delete": lambda: stored.delete(product.make_cache_key(product)),  # type: ignore[attr-defined]
            "delete_memoized": lambda: stored.delete_memoized(product),
            "tag": lambda: stored.invalidate_tags("products"),
            "clear": stored.clear,
        }
        load = asyncio.create_task(product())
        await until(lambda: calls.count == 1)
        row[0] = "new"
        purges[how]()
        gate.set()
        # The caller of the load gets what it saw; nobody who comes later does.
        assert await load == "old"
        assert await product() == "new"
        row[0] = "newer"
        assert await product() == "new"

    in_loop(app, main)
