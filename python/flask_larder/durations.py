"""Spans of time as people write them: seconds, timedelta, or text such as "10m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

Duration = int | float | timedelta | str

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TEXT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", re.ASCII)


def seconds(value: object, name: str) -> float:
    """The number of seconds of `value`; `name` is the option that an error names.

    >>> seconds("10m", "timeout"), seconds(timedelta(hours=1), "stale"), seconds("300", "timeout")
    (600.0, 3600.0, 300.0)
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        if match is None:
            raise ValueError(f'{name}={value!r} is no duration (use seconds, timedelta or "5m")')
        return float(match[1]) * _UNITS[match[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = type(value).__name__
        raise TypeError(f'{name} is {kind}, not a duration (use seconds, timedelta or "5m")')
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}={value!r} is not finite (use 0 for ever)")
    return number


def span(value: object, name: str) -> float:
    """As `seconds`, for a span that cannot be negative."""
    number = seconds(value, name)
    if number < 0:
        raise ValueError(f"{name}={value!r} is negative (use a duration from 0 upwards)")
    return number


def lifetime(value: object, name: str) -> float | None:
    """A timeout as the engine takes it: None is for ever (Flask-Caching's 0), negative is "do not
    keep"."""
    number = seconds(value, name)
    return None if number == 0 else number
