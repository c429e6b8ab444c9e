"""Rows of `get` and `set` in memory: processor time."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import cachebox
import cachetools
from beside import wanted
from cachelib import SimpleCache
from rounds import CPU, Contestant, Effort, Row, measure, report
from sites import BODY, MAKERS, Site

FLAT = {f"key {number}": f"value {number}" for number in range(50)}
NESTED = {f"key {number}": {"id": number, "name": f"name {number}"} for number in range(50)}
TEN = {f"of ten {number}": f"value {number}" for number in range(10)}

SITES = {name: Site(make) for name, make in MAKERS.items()}

# Peers that are used like a dict, by the capacity that they are made with.
MAPPINGS: dict[str, Callable[[int], Any]] = {
    "cachebox TTLCache": lambda capacity: cachebox.TTLCache(capacity, 3600),
    "cachetools TTLCache": lambda capacity: cachetools.TTLCache(capacity, 3600),
}


def direct(name: str, value: Any, statement: str) -> list[Contestant]:
    """`get` or `set` of one value on every cache."""
    expected = value if statement == "get" else None
    calls = {"get": "get(key)", "set": "put(key, value)"}
    contestants = []
    for owner, site in SITES.items():
        context = site.inside("/text")
        context.run(site.cache.set, name, value)
        names = {"get": site.cache.get, "put": site.cache.set, "key": name, "value": value}
        contestants.append(Contestant(owner, calls[statement], names, context, expected))
    bare = SimpleCache(default_timeout=3600)
    bare.set(name, value)
    names = {"get": bare.get, "put": bare.set, "key": name, "value": value}
    contestants.append(Contestant("cachelib", calls[statement], names, None, expected))
    calls = {"get": "get(key)", "set": "held[key] = value"}
    isolates = not isinstance(value, dict)
    for owner, make in MAPPINGS.items():
        held = make(500)
        held[name] = value
        names = {"held": held, "get": held.get, "key": name, "value": value}
        contestants.append(
            Contestant(owner, calls[statement], names, None, expected, isolates=isolates)
        )
    return contestants


def direct_use() -> list[Row]:
    """`cache.get` and `cache.set` inside a request context."""
    rows = []
    for title, key, value in (
        ("str of 10 B", "short", "ten bytes!"),
        ("str of 1 KiB", "text", BODY),
        ("str of 64 KiB", "long", 64 * BODY),
        ("flat dict of 50", "flat", FLAT),
        ("dict of 50 dicts", "nested", NESTED),
    ):
        rows.append(Row("direct", f"`get` of a {title}", direct(key, value, "get")))
        rows.append(Row("direct", f"`set` of a {title}", direct(key, value, "set")))
    return rows


def many_keys() -> list[Row]:
    """Ten keys in one call."""
    reads, writes = [], []
    for name, site in SITES.items():
        context = site.inside("/text")
        context.run(site.cache.set_many, TEN)
        names = {"get_many": site.cache.get_many, "keys": list(TEN)}
        reads.append(Contestant(name, "get_many(*keys)", names, context, list(TEN.values())))
        names = {"set_many": site.cache.set_many, "ten": TEN}
        writes.append(Contestant(name, "set_many(ten)", names, context))
    return [
        Row("direct", "`get_many` of 10 keys", reads),
        Row("direct", "`set_many` of 10 keys", writes),
    ]


def full_stores() -> list[Row]:
    """A new key into a store that is full."""
    rows = []
    for capacity in (500, 5_000, 50_000):
        # Four times the capacity: what comes round again went long ago.
        keys = [f"key {number}" for number in range(4 * capacity)]
        contestants = []
        for name, make in MAKERS.items():
            site = Site(make, CACHE_THRESHOLD=capacity)
            context = site.inside("/text")
            _fill(context.run, site.cache.set, keys[-capacity:])
            names = {"put": site.cache.set, "keys": itertools.cycle(keys), "value": "value"}
            contestants.append(Contestant(name, "put(next(keys), value)", names, context))
        for name, make in MAPPINGS.items():
            held = make(capacity)
            for key in keys[-capacity:]:
                held[key] = "value"
            names = {"held": held, "keys": itertools.cycle(keys), "value": "value"}
            contestants.append(Contestant(name, "held[next(keys)] = value", names))
        shown = f"{capacity:,}".replace(",", " ")
        rows.append(Row("full", f"`set` of a new key, store full at {shown}", contestants))
    return rows


def _fill(run: Callable[..., Any], put: Callable[[str, str], Any], keys: list[str]) -> None:
    for key in keys:
        run(put, key, "value")


def main() -> None:
    """Measures."""
    rows = wanted([*direct_use(), *many_keys(), *full_stores()], sys.argv[1:])
    measure(rows, Effort.chosen(sys.argv), CPU)
    report(rows)


if __name__ == "__main__":
    main()
