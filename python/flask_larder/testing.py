"""For tests of what is cached: a clock that is moved by hand, and what the cache did.

    from flask_larder.testing import assert_calls, assert_hit, assert_miss

    def test_products(client, cache_clock):
        with assert_miss(products):
            client.get("/products")
        with assert_hit(products):
            client.get("/products")
        cache_clock.advance(61)
        with assert_calls(products, 1):
            client.get("/products")

`cache_clock` is a fixture of the pytest plugin that is installed along; other frameworks use
`hand_clock`. No test has to sleep through an expiry.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from . import _native, durations
from .decorated import DECORATED, Decorated
from .durations import Duration
from .steps import Begun, Load, Steps

__all__ = [
    "HandClock",
    "assert_calls",
    "assert_hit",
    "assert_miss",
    "follow_clock",
    "hand_clock",
    "now",
]


def follow_clock(seconds: Callable[[], float] | None) -> None:
    """Makes every cache of this process go by `seconds`, which answers seconds since the epoch.

    `None` goes back to the clock of the machine.
    """
    _native.follow_clock(seconds)


def now() -> float:
    """The time that the caches of this process go by, in seconds since the epoch."""
    return _native.now()


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.seconds = start

    def __call__(self) -> float:
        return self.seconds

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self.seconds

    def advance(self, seconds: Duration) -> None:
        """Moves the time on by seconds, a timedelta or text such as "5m", and wakes those whose wait
        is over."""
        self.seconds += durations.seconds(seconds, "seconds")
        _native.clock_moved()


@contextmanager
def hand_clock(start: float = 1_700_000_000.0) -> Generator[HandClock]:
    """Lets every cache of this process go by a `HandClock` within the block."""
    clock = HandClock(start)
    follow_clock(clock)
    try:
        yield clock
    finally:
        follow_clock(None)


class Seen:
    """What a cached function did within a block: `hits`, and `calls` of the function itself."""

    def __init__(self, decorated: Decorated) -> None:
        self._decorated = decorated
        self._before = decorated.stats.as_dict()
        # Appending takes one step, which an increment does not.
        self._answering: list[None] = []
        self._behind: list[None] = []

    @property
    def name(self) -> str:
        """The function's name."""
        return self._decorated.name

    @property
    def hits(self) -> int:
        """How many callers were served from the cache, fresh or stale, or by somebody else's load."""
        hits: int = self._decorated.stats.as_dict()["hits"] - self._before["hits"]
        return hits

    @property
    def misses(self) -> int:
        """How many callers were answered by calling the function."""
        return len(self._answering)

    @property
    def calls(self) -> int:
        """How often the function was called: for callers, and behind the answers."""
        self._decorated.cache._background.join()
        return len(self._answering) + len(self._behind)

    def described(self) -> str:
        """All of it, with the reasons for which answers were not stored."""
        before, after = self._before["passes"], self._decorated.stats.as_dict()["passes"]
        reasons = [reason for reason in after if after[reason] > before.get(reason, 0)]
        why = f"; not stored or not asked for: {', '.join(reasons)}" if reasons else ""
        behind = f" and {len(self._behind)} behind the answer" if self._behind else ""
        return f"{self.hits} hits, {self.misses} calls{behind}{why}"

    @contextmanager
    def watching(self) -> Generator[None]:
        """Counts the calls within the block."""
        decorated = self._decorated
        steps, refresher = decorated.steps, decorated.refresher

        def watched_steps(*call: Any) -> Steps:
            return _counting(steps(*call), self._answering)

        def watched_refresher(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            load = refresher(args, kwargs)

            def counted() -> Any:
                self._behind.append(None)
                return load()  # pyright: ignore[reportOptionalCall]

            return None if load is None else counted

        known = {name: vars(decorated).get(name) for name in ("steps", "refresher")}
        vars(decorated).update(steps=watched_steps, refresher=watched_refresher)
        try:
            yield
        finally:
            for name, value in known.items():
                # Blocks may be within each other: what was there goes back to its place.
                del vars(decorated)[name]
                if value is not None:
                    vars(decorated)[name] = value


def _counting(steps: Steps, calls: list[None]) -> Steps:
    """The same steps; the calls of the function among them are counted."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Load | Begun):
                calls.append(None)
            try:
                result = yield step
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


@contextmanager
def _seen(function: Any) -> Generator[Seen]:
    decorated = getattr(getattr(function, "__func__", function), DECORATED, None)
    if not isinstance(decorated, Decorated):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is not cached (decorate it with cached or memoize)")
    seen = Seen(decorated)
    with seen.watching():
        yield seen


@contextmanager
def assert_hit(function: Any) -> Generator[Seen]:
    """Asserts that the cache answered for a view or function within the block, each time it was asked.

    A stale answer is a hit, also if it was refreshed behind the caller. Raises an AssertionError that
    says what happened instead, and a TypeError for a function that is not cached.
    """
    with _seen(function) as seen:
        yield seen
    if seen.hits == 0 or seen.misses > 0:
        raise AssertionError(f"{seen.name} was to be a hit: {seen.described()}")


@contextmanager
def assert_miss(function: Any) -> Generator[Seen]:
    """Asserts that a view or function was itself asked within the block, and the cache never answered.

    Raises an AssertionError that says what happened instead.
    """
    with _seen(function) as seen:
        yield seen
    if seen.hits > 0 or seen.misses == 0:
        raise AssertionError(f"{seen.name} was to be a miss: {seen.described()}")


@contextmanager
def assert_calls(function: Any, times: int) -> Generator[Seen]:
    """Asserts that a view or function itself was called so many times within the block, refreshes
    behind the answers included; those are waited for.

    Raises an AssertionError that says what happened instead.
    """
    with _seen(function) as seen:
        yield seen
        calls = seen.calls
    if calls != times:
        raise AssertionError(f"{seen.name} was to be called {times} times: {seen.described()}")
