"""Entries as files, by way of cachelib's class."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

from cachelib.file import FileSystemCache as CachelibFileSystemCache

from .base import BaseCache

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["FileSystemCache"]


class FileSystemCache(BaseCache, CachelibFileSystemCache):
    """One file for each entry; files and layout are those of Flask-Caching."""

    def __init__(
        self,
        cache_dir: Any,
        threshold: int = 500,
        default_timeout: Any = 300,
        mode: int = 0o600,
        hash_method: Any = hashlib.sha256,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
    ) -> None:
        if ignore_errors is not None:
            warnings.warn(
                "ignore_errors has another name now: ignore_delete_many_errors",
                DeprecationWarning,
                stacklevel=2,
            )
            ignore_delete_many_errors = ignore_errors
        CachelibFileSystemCache.__init__(
            self,
            cache_dir,
            threshold,
            default_timeout,
            mode,
            hash_method,
            ignore_delete_many_errors,
        )

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Builds the back end from CACHE_DIR, CACHE_THRESHOLD and CACHE_FILE_HASH_METHOD."""
        kwargs["threshold"] = config["CACHE_THRESHOLD"]
        kwargs["hash_method"] = config.get("CACHE_FILE_HASH_METHOD", hashlib.sha256)
        return cls(config["CACHE_DIR"], *args, **kwargs)
