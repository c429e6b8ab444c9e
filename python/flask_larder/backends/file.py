"""The store in the files of a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import config as settings
from .. import places
from .base import Backend
from .opening import Opening
from .options import refuse_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["FileSystemCache"]


class FileSystemCache(Backend):
    """Entries as files in a directory, for all processes that are given it, also on a shared volume.

    `cache_dir` is made if there is none; everything lies in a folder of its own in there, and other
    files are never touched. At most `threshold` entries (0 is as many as have room) and `size` bytes;
    `mode` is that of the files. Raises a ValueError for a directory that cannot be used.
    """

    takes_near = True

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        threshold: int = 500,
        default_timeout: object = 300,
        mode: int | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        size: int | str | None = None,
        key_prefix: str | Callable[[], str] | None = None,
        url: str | None = None,
        **opening: Any,
    ) -> None:
        if url is None:
            bounds: dict[str, object] = {
                "threshold": settings.entries(threshold, "CACHE_THRESHOLD"),
                "size": settings.bytes_if_any(size, "CACHE_SIZE"),
                "mode": _digits(mode),
            }
            url = places.directory_url("file", cache_dir, bounds)
        engine = Opening(key_prefix, **opening).engine(url)
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_DIR, CACHE_THRESHOLD and CACHE_SIZE, or CACHE_URL."""
        options = dict(config["CACHE_OPTIONS"] or {})
        refuse_options("FileSystemCache", options, ("cache_dir", "threshold", "mode", "size"))
        given = {
            "cache_dir": config["CACHE_DIR"],
            "threshold": config["CACHE_THRESHOLD"],
            "size": config["CACHE_SIZE"],
            "url": config.get("CACHE_URL"),
            **Opening.said(config),
        }
        return cls(*args, **{**kwargs, **given, **options})


def _digits(mode: object) -> str | None:
    """The mode of files as a URL has it."""
    if mode is None:
        return None
    if isinstance(mode, bool) or not isinstance(mode, int) or mode < 0:
        raise ValueError(f"mode={mode!r} is no mode of files (use an int, 0o600 for example)")
    return f"{mode:o}"
