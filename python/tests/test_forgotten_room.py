"""The room of what was forgotten, in memory: reclaimed when it is needed, or when its time is over."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_larder import Cache as SafeCache
from flask_larder.compat import Cache
from flask_larder.testing import HandClock


@pytest.fixture(params=[Cache, SafeCache])
def cache(request: pytest.FixtureRequest, app: Flask) -> Any:
    """A cache in memory of each dialect, for 100 entries."""
    return request.param(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 100})


def entries(cache: Any) -> int:
    """How many entries are in memory, valid or not."""
    return int(cache.cache.engine.size()["entries"])


def test_when_its_time_is_over(app: Flask, cache: Any, clock: HandClock) -> None:
    @cache.memoize(60)
    def double(number: int) -> int:
        return 2 * number

    with app.app_context():
        for number in range(50):
            double(number)
        cache.delete_memoized(double)
        assert entries(cache) >= 50
        clock.advance(3601)
        for number in range(50):
            cache.set(f"k{number}", number, timeout=0)
        # The version of the function may be there as well.
        assert 50 <= entries(cache) <= 52


def test_when_it_is_needed(app: Flask, cache: Any) -> None:
    @cache.memoize(3600)
    def double(number: int) -> int:
        return 2 * number

    with app.app_context():
        for number in range(90):
            double(number)
        cache.delete_memoized(double)
        # What is asked for stays, what was forgotten makes room.
        for number in range(60):
            cache.set(f"k{number}", number)
            assert [cache.get(f"k{other}") for other in range(number + 1)] == list(
                range(number + 1)
            )
        assert entries(cache) <= 101
