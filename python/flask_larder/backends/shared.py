"""The store of all processes of one machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import config as settings
from .. import places
from .._native import Engine
from .base import Backend
from .options import namespace, refuse_options

if TYPE_CHECKING:
    from flask import Flask

    from ..config import Secret

__all__ = ["SharedCache"]


class SharedCache(Backend):
    """Entries in a memory map that all processes of one machine read and write. Linux only.

    `cache_dir` is a directory of its own on a local disk, made if there is none; `size` is the room
    that entries take there at most, and `near` how many bytes each process keeps of what it has read.
    Sizes are numbers of bytes, or text such as "256MB". Everyone who uses the directory gives the same
    size. Raises a ValueError for a directory that cannot be used.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        size: int | str | None = None,
        default_timeout: object = 300,
        ignore_delete_many_errors: bool = False,
        *,
        near: int | str | None = None,
        key_prefix: str | Callable[[], str] | None = None,
        url: str | None = None,
        secret: Secret = None,
        compress: object = None,
        max_value: int = 8 * 1024 * 1024,
        on_event: Any = None,
    ) -> None:
        if url is None:
            room = {"size": settings.bytes_if_any(size, "CACHE_SIZE")}
            room["near"] = settings.bytes_if_any(near, "CACHE_NEAR_SIZE")
            url = places.directory_url("shared", cache_dir, room)
        engine = Engine.open(
            url,
            namespace=namespace(key_prefix),
            packing=settings.packed(secret, compress),
            max_value=max_value,
            on_event=on_event,
        )
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_DIR, CACHE_SIZE and CACHE_NEAR_SIZE, or CACHE_URL."""
        options = dict(config["CACHE_OPTIONS"] or {})
        refuse_options("SharedCache", options, ("cache_dir", "size", "near"))
        given = {
            "cache_dir": config["CACHE_DIR"],
            "size": config["CACHE_SIZE"],
            "near": config["CACHE_NEAR_SIZE"],
            "url": config.get("CACHE_URL"),
            "key_prefix": settings.key_prefix(config),
            "secret": config["CACHE_SECRET"],
            "compress": config["CACHE_COMPRESS"],
            "max_value": settings.size(config, "CACHE_MAX_VALUE"),
        }
        return cls(*args, **{**kwargs, **given, **options})
