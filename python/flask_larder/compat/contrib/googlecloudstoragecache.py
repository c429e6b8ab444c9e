"""Flask-Caching keeps entries in Google Cloud Storage here; Larder does not, and says so.

With Flask-Caching 2.5 it cannot be configured either: its factory fails on an argument of its own.
"""

from __future__ import annotations

from typing import Any

from ..backends.base import BaseCache

__all__ = ["GoogleCloudStorageCache"]


class GoogleCloudStorageCache(BaseCache):
    """The name alone: a RuntimeError says what to use instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "GoogleCloudStorageCache is not part of flask_larder.compat "
            "(use RedisCache, or a back end of your own that derives from BaseCache)"
        )

    @classmethod
    def factory(cls, app: Any, config: Any, args: Any, kwargs: Any) -> Any:
        """Raises the error of the constructor."""
        return cls()
