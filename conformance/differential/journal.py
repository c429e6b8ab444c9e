"""What the functions of the application write when they run, so that both sides can be compared."""

from __future__ import annotations

from collections import Counter

_calls: list[str] = []
_counts: Counter[str] = Counter()


def ran(what: str) -> int:
    """Notes that a function ran; answers how many times it has."""
    _calls.append(what)
    _counts[what] += 1
    return _counts[what]


def take() -> list[str]:
    """What ran since the last time, in its order."""
    taken = _calls.copy()
    _calls.clear()
    return taken


def forget() -> None:
    """Begins anew."""
    _calls.clear()
    _counts.clear()
