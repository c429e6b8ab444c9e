"""The back end that keeps nothing."""

from __future__ import annotations

from .base import BaseCache

__all__ = ["NullCache"]


class NullCache(BaseCache):
    """Keeps nothing, and says that all went well."""

    def has(self, key: str) -> bool:
        """False."""
        return False

    def inc(self, key: str, delta: int = 1) -> int | None:
        """What a counter would be that had been 0."""
        return delta

    def dec(self, key: str, delta: int = 1) -> int | None:
        """What a counter would be that had been 0."""
        return -delta
