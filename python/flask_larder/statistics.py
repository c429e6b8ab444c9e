"""What caching saved, in numbers that a person can act on."""

from __future__ import annotations

from typing import Any


def report(
    functions: dict[str, dict[str, Any]], size: dict[str, Any], events: dict[str, int], process: int
) -> dict[str, Any]:
    """The dict that `cache.stats()` answers."""
    for counters in functions.values():
        counters["verdict"] = verdict(counters)
    return {"functions": functions, **size, "events": events, "process": process}


def verdict(counters: dict[str, Any]) -> str:
    """What the counters of one function say about caching it."""
    calls = counters["hits"] + counters["misses"]
    if calls == 0:
        return "never called"
    if counters["hits"] == 0:
        return "no hits yet" if calls < 100 else "costs more than it saves: no hits"
    if counters["seconds_saved"] <= 0:
        return "costs more than it saves: a hit takes as long as a load"
    return "saves time"
