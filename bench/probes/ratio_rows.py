"""Rows of what a store that is too small keeps: its share of misses, whatever the time.

Keys are asked for as Zipf's law has it: the second half as often as the first, the third a third. What is
missed is stored.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

import cachebox
import cachetools
from rounds import Contestant, Effort, Row, report
from sites import MAKERS, Site

CAPACITY, KEYS = 500, 100_000
HOUR = 3600
# One of three for each key: what ends first is not what is asked for least.
LIVES = (HOUR, 2 * HOUR, 24 * HOUR)

Get = Callable[[str], Any]
Put = Callable[[str, str, int], Any]


def trace(requests: int) -> list[int]:
    """The numbers of the keys that are asked for; the same each time."""
    shares = list(itertools.accumulate(1 / rank for rank in range(1, KEYS + 1)))
    drawn = random.Random(42).choices(range(KEYS), cum_weights=shares, k=requests)
    # The most popular keys are spread over the times to live by chance, not in turn.
    names = list(range(KEYS))
    random.Random(7).shuffle(names)
    return [names[rank] for rank in drawn]


def misses(get: Get, put: Put, asked: list[int], lives: tuple[int, ...]) -> float:
    """The share that is not found, once the store has been full for a while."""
    missed, begin = 0, len(asked) // 10
    for turn, number in enumerate(asked):
        key = f"key {number}"
        if get(key) is None:
            put(key, "value", lives[number % len(lives)])
            missed += turn >= begin
    return missed / (len(asked) - begin)


def stores() -> dict[str, tuple[Get, Put, Callable[..., Any]]]:
    """Each empty, with what runs a function where it can be used."""

    def plain(function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    found: dict[str, tuple[Get, Put, Callable[..., Any]]] = {}
    for name, make in MAKERS.items():
        site = Site(make, CACHE_THRESHOLD=CAPACITY)
        found[name] = (site.cache.get, site.cache.set, site.inside("/text").run)
    lru: Any = cachetools.LRUCache(CAPACITY)
    found["cachetools LRUCache"] = (lru.get, lambda key, value, _: lru.update({key: value}), plain)
    boxed: Any = cachebox.LRUCache(CAPACITY)
    found["cachebox LRUCache"] = (boxed.get, lambda key, value, _: boxed.insert(key, value), plain)
    return found


def row(title: str, asked: list[int], lives: tuple[int, ...]) -> Row:
    """All stores with the same requests."""
    contestants = [
        Contestant(name, "", {}, seconds=[run(misses, get, put, asked, lives)])
        for name, (get, put, run) in stores().items()
    ]
    return Row("misses", f"misses at a capacity of {CAPACITY}, {title}", contestants)


def main() -> None:
    """Asks, and counts."""
    asked = trace(40_000 if Effort.chosen(sys.argv).rounds < 10 else 400_000)
    report([row("one time to live", asked, (HOUR,)), row("three times to live", asked, LIVES)])


if __name__ == "__main__":
    main()
