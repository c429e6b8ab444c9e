"""One load for all who ask at once: threads, tasks, and requests. T1 of the behaviour that is promised."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, Response, make_response

from flask_larder import Cache
from flask_larder.testing import HandClock

CALLERS = 100
PATIENCE = 60


def until(condition: Callable[[], bool]) -> None:
    """Waits until something that other threads bring about has come about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Crowd:
    """Threads that ask at once: all of them are on their way before the load ends."""

    def __init__(self, app: Flask, number: int = CALLERS) -> None:
        self.app, self.number = app, number
        self.pool = ThreadPoolExecutor(number)
        self.arrived = threading.Barrier(number + 1)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def ask(self, call: Callable[[], Any]) -> list[Future[Any]]:
        def one() -> Any:
            self.arrived.wait(PATIENCE)
            with self.app.app_context():
                return call()

        futures = [self.pool.submit(one) for _ in range(self.number)]
        self.arrived.wait(PATIENCE)
        return futures


class Load:
    """A function that is blocked until the test opens it."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Semaphore(0), threading.Event()
        self.calls = Calls()

    def __call__(self) -> int:
        number = self.calls()
        self.begun.release()
        assert self.open.wait(PATIENCE)
        return number


def collapsed(cache: Cache, app: Flask) -> int:
    with app.app_context():
        return sum(c["collapsed"] for c in cache.stats()["functions"].values())


def test_t1_1_a_hundred_threads_and_one_call(app: Flask, stored: Cache) -> None:
    load = Load()
    answer = stored.memoize(60)(lambda: load())
    with Crowd(app) as crowd:
        futures = crowd.ask(answer)
        assert load.begun.acquire(timeout=PATIENCE)
        load.open.set()
        assert [future.result(PATIENCE) for future in futures] == [1] * CALLERS
    assert load.calls.count == 1
    with app.app_context():
        (counters,) = stored.stats()["functions"].values()
    assert counters["misses"] == 1
    assert counters["hits"] == CALLERS - 1


def test_t1_1_a_hundred_requests_and_one_call(app: Flask, stored: Cache) -> None:
    load = Load()
    app.add_url_rule("/", "index", stored.cached(60)(lambda: str(load())))
    with Crowd(app) as crowd:
        futures = crowd.ask(lambda: text_of(app.test_client()))
        assert load.begun.acquire(timeout=PATIENCE)
        load.open.set()
        assert [future.result(PATIENCE) for future in futures] == ["1"] * CALLERS


def test_t1_1_a_hundred_tasks_of_one_thread_and_one_call(app: Flask, stored: Cache) -> None:
    async def crowd() -> tuple[list[int], int]:
        gate, calls = asyncio.Event(), Calls()

        @stored.memoize(60)
        async def answer() -> int:
            number = calls()
            await gate.wait()
            return number

        tasks = [asyncio.create_task(answer()) for _ in range(CALLERS)]
        while calls.count == 0:
            await asyncio.sleep(0)
        # Everybody has had a turn, and waits.
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks), calls.count

    with app.app_context():
        assert asyncio.run(crowd()) == ([1] * CALLERS, 1)


def test_t1_3_an_error_goes_to_all_who_wait(app: Flask, stored: Cache) -> None:
    load = Load()

    @stored.memoize(60)
    def answer() -> int:
        if load() == 1:
            raise LookupError("the first")
        return 7

    with Crowd(app, 10) as crowd:
        futures = crowd.ask(answer)
        assert load.begun.acquire(timeout=PATIENCE)
        load.open.set()
        outcomes = [future.exception(PATIENCE) or future.result() for future in futures]
    # A thread that came when the load had failed already leads a load of its own.
    errors = [outcome for outcome in outcomes if isinstance(outcome, LookupError)]
    assert errors
    assert all(str(error) == "the first" for error in errors)
    assert len(set(map(id, errors))) == len(errors)
    assert {outcome for outcome in outcomes if outcome not in errors} <= {7}
    with app.app_context():
        assert answer() == 7


class Particular(Exception):
    """Its constructor does not take what it hands on."""

    def __init__(self, code: int, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code


class Stubborn(Exception):
    """Cannot be copied at all."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no copies")

    def __new__(cls, *args: Any, first: bool = False) -> Stubborn:
        if not first:
            raise RuntimeError("no copies")
        return super().__new__(cls, *args)

    def __init__(self, text: str, *, first: bool) -> None:
        super().__init__(text)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Particular(7, "a hint"), Particular),
        (lambda: OSError(2, "gone", "file"), FileNotFoundError),
        (lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), UnicodeDecodeError),
        (lambda: Stubborn("mine", first=True), RuntimeError),
    ],
)
def test_errors_of_any_class_reach_who_waits(
    app: Flask, cache: Cache, make: Callable[[], Exception], expected: type[Exception]
) -> None:
    async def both() -> list[Any]:
        gate = asyncio.Event()

        @cache.memoize(60)
        async def answer() -> int:
            await gate.wait()
            raise make()

        tasks = [asyncio.create_task(answer()) for _ in range(2)]
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with app.app_context():
        leader, follower = asyncio.run(both())
    assert type(follower) is expected
    assert follower.__cause__ is leader
    if expected is not RuntimeError:
        assert str(follower) == str(leader)
        assert vars(follower) == vars(leader)


def test_t1_3_an_error_goes_to_all_tasks_that_wait(app: Flask, stored: Cache) -> None:
    async def crowd() -> list[Any]:
        gate, calls = asyncio.Event(), Calls()

        @stored.memoize(60)
        async def answer() -> int:
            calls()
            await gate.wait()
            raise LookupError("the first")

        tasks = [asyncio.create_task(answer()) for _ in range(10)]
        while calls.count == 0:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if not stored._engine().blocks:
            # On a store that does I/O a task may arrive when the load has failed already.
            assert calls.count == 1
        return outcomes

    with app.app_context():
        outcomes = asyncio.run(crowd())
    assert [(type(outcome), str(outcome)) for outcome in outcomes] == [
        (LookupError, "the first")
    ] * 10


def test_t1_5_who_waited_long_enough_loads_alone(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    first, calls = Load(), Calls()

    # Kept for ever: the clock goes on as long as the machine takes to wake the follower.
    @stored.memoize(0, wait="200ms")
    def answer() -> str:
        number = calls()
        if number == 1:
            first()
        return f"v{number}"

    def ask() -> str:
        with app.app_context():
            return answer()

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(ask)
        assert first.begun.acquire(timeout=PATIENCE)
        follower = pool.submit(ask)
        while not follower.done():
            clock.advance(0.3)
            # What a store keeps for ten minutes must not lapse while it answers slowly.
            time.sleep(0.01)
        assert follower.result() == "v2"
        first.open.set()
        assert leader.result(PATIENCE) == "v1"
    # Whichever began later wins the store.
    assert ask() == "v2"
    assert calls.count == 2


def test_t1_6_different_keys_do_not_wait_for_one_another(app: Flask, stored: Cache) -> None:
    load = Load()

    @stored.memoize(60)
    def answer(key: int) -> int:
        return load() if key == 1 else key

    def ask(key: int) -> int:
        with app.app_context():
            return answer(key)

    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(ask, 1)
        assert load.begun.acquire(timeout=PATIENCE)
        assert [ask(key) for key in range(2, 200)] == list(range(2, 200))
        load.open.set()
        assert blocked.result(PATIENCE) == 1


def test_t1_7_answers_that_are_not_stored_do_not_queue(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    """After the first one all others run at the same time, and so do later ones."""
    number, meeting = 50, threading.Barrier(49)
    calls, first = Calls(), Load()
    lock = threading.Lock()

    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        with lock:
            mine = calls()
        if mine == 1:
            first()
        elif mine <= number:
            meeting.wait(PATIENCE)
        answer = make_response(str(mine))
        answer.headers["Cache-Control"] = "private"
        return answer

    with Crowd(app, number) as crowd:
        futures = crowd.ask(lambda: text_of(app.test_client()))
        assert first.begun.acquire(timeout=PATIENCE)
        first.open.set()
        bodies = {future.result(PATIENCE) for future in futures}
    assert len(bodies) == number


def test_t1_8_a_function_may_call_itself(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def same(depth: int) -> int:
        calls()
        return same(depth) if calls.count < 5 else 7

    @stored.memoize(60)
    def fibonacci(n: int) -> int:
        calls()
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    with app.app_context():
        assert same(1) == 7
        assert calls.count == 5
        calls.count = 0
        assert fibonacci(60) == 1548008755920
        assert calls.count == 61


def test_t1_8_a_coroutine_function_may_call_itself(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    async def same(depth: int) -> int:
        await asyncio.sleep(0)
        if calls() == 1:
            # Also from a task of its own, which has the context of the one that made it.
            return await asyncio.create_task(same(depth))
        return 7

    with app.app_context():
        assert asyncio.run(asyncio.wait_for(same(1), PATIENCE)) == 7
    assert calls.count == 2


def test_t1_9_a_task_that_is_cancelled_takes_nobody_along(app: Flask, stored: Cache) -> None:
    async def crowd() -> None:
        gate, calls = asyncio.Event(), Calls()
        leaders: list[Any] = []

        @stored.memoize(60)
        async def answer() -> int:
            number = calls()
            leaders.append(asyncio.current_task())
            await gate.wait()
            return number

        tasks = [asyncio.create_task(answer()) for _ in range(11)]
        while calls.count == 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        victim = next(task for task in tasks[5:] if task not in leaders)
        victim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await victim
        gate.set()
        rest = await asyncio.gather(*(task for task in tasks if task is not victim))
        assert rest == [1] * 10
        assert calls.count == 1

    with app.app_context():
        asyncio.run(crowd())


def test_a_leader_that_is_cancelled_is_followed_by_another(app: Flask, stored: Cache) -> None:
    async def crowd() -> None:
        gate, calls = asyncio.Event(), Calls()

        @stored.memoize(60)
        async def answer() -> int:
            number = calls()
            await gate.wait()
            return number

        leader = asyncio.create_task(answer())
        while calls.count == 0:
            await asyncio.sleep(0)
        rest = [asyncio.create_task(answer()) for _ in range(10)]
        for _ in range(5):
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.set()
        assert await asyncio.gather(*rest) == [2] * 10
        assert calls.count == 2

    with app.app_context():
        asyncio.run(asyncio.wait_for(crowd(), PATIENCE))


def test_an_event_loop_that_waits_for_a_thread_is_not_blocked(app: Flask, stored: Cache) -> None:
    """The loop has work of its own while a thread of somebody else's loads."""
    load = Load()

    @stored.memoize(60, make_name=lambda _: "one")
    def in_a_thread() -> int:
        return load()

    @stored.memoize(60, make_name=lambda _: "one")
    async def in_the_loop() -> int:
        raise AssertionError("the thread leads")

    def ask() -> int:
        with app.app_context():
            return in_a_thread()

    async def both() -> int:
        task = asyncio.create_task(in_the_loop())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        load.open.set()
        return await asyncio.wait_for(task, PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(ask)
        assert load.begun.acquire(timeout=PATIENCE)
        with app.app_context():
            assert asyncio.run(both()) == 1
        assert leader.result(PATIENCE) == 1
