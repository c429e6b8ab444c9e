"""Timeouts as cachelib reads them."""

from __future__ import annotations

import math
from datetime import timedelta

__all__ = ["whole_seconds"]


def whole_seconds(timeout: object) -> int:
    """A timeout as cachelib reads it: whole seconds, rounded up."""
    if isinstance(timeout, timedelta):
        return math.ceil(timeout.total_seconds())
    if isinstance(timeout, int | float):
        return math.ceil(timeout)
    kind = type(timeout).__name__
    raise TypeError(f"timeout is {kind} (use a number of seconds, a timedelta or None)")
