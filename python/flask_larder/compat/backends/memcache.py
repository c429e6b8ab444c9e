"""Entries in memcached, by way of cachelib's class."""

from __future__ import annotations

import importlib
import pickle
from typing import TYPE_CHECKING, Any

from cachelib.memcached import MemcachedCache as CachelibMemcachedCache

from .base import BaseCache

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]

Config = dict[str, Any]


class MemcachedCache(BaseCache, CachelibMemcachedCache):
    """memcached servers, or any client that has the usual methods as `servers`."""

    def __init__(
        self,
        servers: Any = None,
        default_timeout: Any = 300,
        key_prefix: str | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
    ) -> None:
        CachelibMemcachedCache.__init__(
            self,
            servers,
            default_timeout,
            key_prefix,
            pool_size=pool_size,
            pool_blocking=pool_blocking,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_MEMCACHED_SERVERS and CACHE_KEY_PREFIX."""
        given: Config = {
            "servers": config["CACHE_MEMCACHED_SERVERS"],
            "key_prefix": config["CACHE_KEY_PREFIX"],
        }
        return cls(*args, **{**given, **kwargs})


class SASLMemcachedCache(MemcachedCache):
    """memcached servers that ask for a user and a password; needs pylibmc."""

    def __init__(
        self,
        servers: Any = None,
        default_timeout: Any = 300,
        key_prefix: str | None = None,
        username: str | None = None,
        password: str | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        try:
            pylibmc: Any = importlib.import_module("pylibmc")
        except ImportError as error:
            raise RuntimeError(
                "no pylibmc module found (install it: pip install pylibmc)"
            ) from error
        client = pylibmc.Client(
            servers or ["127.0.0.1:11211"],
            username=username,
            password=password,
            binary=True,
            **kwargs,
        )
        super().__init__(
            client,
            default_timeout,
            key_prefix,
            pool_size=pool_size,
            pool_blocking=pool_blocking,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end; CACHE_MEMCACHED_USERNAME and _PASSWORD are required."""
        given: Config = {
            "servers": config["CACHE_MEMCACHED_SERVERS"],
            "username": config["CACHE_MEMCACHED_USERNAME"],
            "password": config["CACHE_MEMCACHED_PASSWORD"],
            "key_prefix": config["CACHE_KEY_PREFIX"],
        }
        return cls(*args, **{**given, **kwargs})


class SpreadSASLMemcachedCache(SASLMemcachedCache):
    """As its base, with large values spread over several keys."""

    def __init__(
        self, *args: Any, chunksize: int = 1_048_448, maxchunk: int = 32, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.chunksize = chunksize
        self.maxchunk = maxchunk

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end; a user and a password are optional here."""
        given: Config = {
            "servers": config["CACHE_MEMCACHED_SERVERS"],
            "username": config.get("CACHE_MEMCACHED_USERNAME"),
            "password": config.get("CACHE_MEMCACHED_PASSWORD"),
            "key_prefix": config["CACHE_KEY_PREFIX"],
        }
        return cls(*args, **{**given, **kwargs})

    def _parts(self, key: str) -> list[str]:
        return [f"{key}.{number}" for number in range(self.maxchunk)]

    def set(self, key: str, value: Any, timeout: Any = None) -> bool | None:
        """Stores a value in as many parts as it needs; a ValueError if that is too many."""
        whole = pickle.dumps(value, 2)
        parts = [whole[at : at + self.chunksize] for at in range(0, len(whole), self.chunksize)]
        if len(parts) > self.maxchunk:
            raise ValueError(f"the value of {key!r} has {len(whole)} bytes, too many for memcached")
        names = self._parts(key)
        named = dict(zip(names, parts, strict=False))
        # What an earlier, longer value left behind must not be read as the end of this one.
        stale = names[len(parts) :]
        if stale:
            super().delete_many(*stale)
        return len(super().set_many(named, timeout)) == len(named)

    def get(self, key: str) -> Any:
        """The value, or None."""
        parts = [part for part in super().get_dict(*self._parts(key)).values() if part is not None]
        return pickle.loads(b"".join(parts)) if parts else None

    def get_many(self, *keys: str) -> list[Any]:
        """The values in order, None for what is not there."""
        return [self.get(key) for key in keys]

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """The values by their keys, None for what is not there."""
        return {key: self.get(key) for key in keys}

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        """Stores values. Answers the keys that were stored."""
        return [key for key, value in mapping.items() if self.set(key, value, timeout)]

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Stores a value where none is. False if one is there."""
        return not self.has(key) and bool(self.set(key, value, timeout))

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return super().has(f"{key}.0")

    def delete(self, key: str) -> bool:
        """Removes all parts of a value."""
        there = self.has(key)
        super().delete_many(*self._parts(key))
        return there

    def delete_many(self, *keys: str) -> list[Any]:
        """Removes values. Answers their keys."""
        for key in keys:
            self.delete(key)
        return list(keys)
