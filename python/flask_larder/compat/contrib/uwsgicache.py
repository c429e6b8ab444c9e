"""Entries in uWSGI's own cache, by way of cachelib's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachelib.uwsgi import UWSGICache as CachelibUWSGICache

from ..backends.base import BaseCache

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["UWSGICache"]


class UWSGICache(BaseCache, CachelibUWSGICache):
    """uWSGI's cache; a RuntimeError where the process does not run under uWSGI, or without a cache."""

    def __init__(
        self,
        default_timeout: Any = 300,
        cache: str = "",
        ignore_delete_many_errors: bool = False,
    ) -> None:
        CachelibUWSGICache.__init__(self, default_timeout, cache, ignore_delete_many_errors)
        if "cache2" not in self._uwsgi.opt:
            raise RuntimeError(
                "uWSGI runs without a cache (enable cache2: uwsgi --cache2 name=default,items=100)"
            )

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Builds the back end from CACHE_UWSGI_NAME."""
        kwargs["cache"] = config.get("CACHE_UWSGI_NAME", "")
        return cls(*args, **kwargs)
