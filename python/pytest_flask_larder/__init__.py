"""The pytest plugin of flask-larder, found by its entry point.

A package of its own, because pytest imports it for every test run on the machine: flask_larder, and
Flask with it, is imported by the fixtures that a test asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask_larder.testing import HandClock

__all__ = ["cache_clock"]


@pytest.fixture
def cache_clock() -> Iterator[HandClock]:
    """A clock that every cache of the process goes by, and that stands still until it is moved:
    `cache_clock.advance(61)`. It starts at the present; the real clock is back after the test."""
    from flask_larder import testing

    with testing.hand_clock(testing.now()) as clock:
        yield clock
