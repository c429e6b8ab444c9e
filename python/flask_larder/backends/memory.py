"""The stores of one process: its memory, and nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import config as settings
from .._native import Engine, Packing
from .base import Backend
from .options import refuse_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["NullCache", "SimpleCache"]


class SimpleCache(Backend):
    """Entries in the memory of each process, bounded by number and by bytes."""

    def __init__(
        self,
        threshold: int = 500,
        default_timeout: object = 300,
        ignore_delete_many_errors: bool = False,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        max_value: int = 8 * 1024 * 1024,
        url: str | None = None,
        on_event: Any = None,
    ) -> None:
        if url is None:
            engine = Engine.memory(
                max_entries=threshold, max_bytes=max_bytes, max_value=max_value, on_event=on_event
            )
        else:
            engine = Engine.open(
                url, namespace="", packing=Packing(), max_value=max_value, on_event=on_event
            )
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_THRESHOLD, CACHE_SIZE (or CACHE_MAX_BYTES) and CACHE_MAX_VALUE, or
        from CACHE_URL."""
        refuse_options("SimpleCache", config["CACHE_OPTIONS"] or {}, ("threshold", "max_bytes"))
        room = "CACHE_MAX_BYTES" if config["CACHE_SIZE"] is None else "CACHE_SIZE"
        given = {
            "threshold": settings.count(config, "CACHE_THRESHOLD"),
            "max_bytes": settings.size(config, room),
            "max_value": settings.size(config, "CACHE_MAX_VALUE"),
            "url": config.get("CACHE_URL"),
        }
        return cls(*args, **{**kwargs, **given, **(config["CACHE_OPTIONS"] or {})})


class NullCache(Backend):
    """Keeps nothing."""

    def __init__(self, default_timeout: object = 300, **_ignored: Any) -> None:
        super().__init__(Engine.null(), default_timeout)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store; it has no options."""
        return cls(config["CACHE_DEFAULT_TIMEOUT"])

    def has(self, key: Any) -> bool:
        """False."""
        return False

    def delete(self, key: Any) -> bool:
        """True, as Flask-Caching has it."""
        return True
