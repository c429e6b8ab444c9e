"""Time in the hands of a test, so that no test sleeps through an expiry.

from flask_larder.testing import hand_clock

def test_expiry(client):
    with hand_clock() as clock:
        first = client.get("/").data
        clock.advance(11)
        assert client.get("/").data != first
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from . import _native

__all__ = ["HandClock", "follow_clock", "hand_clock"]


def follow_clock(seconds: Callable[[], float] | None) -> None:
    """Makes every cache of this process go by `seconds`, which answers seconds since the epoch.

    `None` goes back to the clock of the machine.
    """
    _native.follow_clock(seconds)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.seconds = start

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Moves the time on, and wakes those whose wait is over."""
        self.seconds += seconds
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
