"""What every back end of Flask-Caching derives from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["BaseCache"]


class BaseCache(CachelibBaseCache):
    """cachelib's interface, and a factory that reads a configuration.

    Derive from it for a back end of your own and name the class in CACHE_TYPE by its dotted path.
    """

    def __init__(self, default_timeout: int = 300, ignore_delete_many_errors: bool = False) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors=ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Builds the back end; this one reads nothing of the configuration."""
        return cls()
