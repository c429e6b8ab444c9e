"""Entries in memcached: on Larder's engine, or by way of a client that was handed in."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from cachelib.memcached import MemcachedCache as CachelibMemcachedCache

from ... import config as settings
from .clienterrors import raising
from .memcachelink import Servers, servers_of
from .twofold import Twofold, say_once
from .versions import EngineSpace, Versions

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]

Config = dict[str, Any]
# A client, and what lends it to one caller at a time.
Pool = tuple[Any, Callable[[], Any]]


@raising("pylibmc", "Error")
class MemcachedCache(Twofold, CachelibMemcachedCache):  # type: ignore[misc]
    """memcached servers, or any client that has the usual methods as `servers`.

    From addresses (`host:port`, the path of a socket), entries are Larder's own. A client that is handed
    in, also later as `_client`, is used as Flask-Caching uses it: its calls, and its bytes, which are
    pickles.
    """

    theirs = CachelibMemcachedCache
    place = "memcached"

    def __init__(
        self,
        servers: Any = None,
        default_timeout: Any = 300,
        key_prefix: str | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        *,
        deadline: object = None,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        self.check_connection = False
        self.key_prefix = key_prefix
        self._pooling = (pool_size, pool_blocking)
        self._deadline = deadline
        # A client that somebody handed in, and one that was made for somebody who looked.
        self._assigned: Pool | None = None
        self._made: Pool | None = None
        self._servers: Servers | None = servers_of(servers)
        if self._servers is None:
            self._client = servers
        elif self._servers.strange:
            say_once(
                f"MemcachedCache goes through cachelib and its client library, for Larder's own client "
                f"does not know {self._servers.strange}: values are pickles that are trusted"
            )
            self._assigned = self._pool

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_MEMCACHED_SERVERS and CACHE_KEY_PREFIX."""
        return cls._from(config, args, kwargs, {})

    @classmethod
    def _from(cls, config: Config, args: list[Any], kwargs: Config, more: Config) -> Any:
        on_event = kwargs.pop("on_event", None)
        given: Config = {
            "servers": config["CACHE_MEMCACHED_SERVERS"],
            "key_prefix": config["CACHE_KEY_PREFIX"],
            **more,
        }
        backend = cls(*args, **{**given, **kwargs})
        backend._packing, backend._on_event = settings.packing(config), on_event
        if not backend.coded:
            # A wrong setting is an error now, not with the first request.
            _ = backend.engine
        return backend

    # The engine, or a client that somebody handed in.

    @property
    def coded(self) -> bool:
        """Whether values go through a client that was handed in, as Flask-Caching's bytes."""
        return self._assigned is not None

    def _get_prefix(self) -> str:
        return self.key_prefix or ""

    def _open(self, prefix: str) -> Versions:
        if self._servers is None or self.coded:
            raise AttributeError("entries of this MemcachedCache go through a client: no engine")
        engine = self._servers.open(prefix, self._packing, self._deadline, self._on_event)
        return Versions(EngineSpace(engine), tagged=False)

    @property
    def _pool(self) -> Pool:
        """The client that was handed in, else one of cachelib's for the same servers."""
        if self._assigned is not None:
            return self._assigned
        if self._made is None:
            assert self._servers is not None
            self._made = self.import_preferred_memcache_lib(self._servers.given, *self._pooling)
        return self._made

    @property
    def _client(self) -> Any:  # type: ignore[override]
        return self._pool[0]

    @_client.setter
    def _client(self, client: Any) -> None:
        say_once(
            f"MemcachedCache was given a {type(client).__name__} as the client: values are its own, and "
            "pickles in the store are trusted (a list of addresses alone needs none)"
        )
        self._assigned = (client, partial(nullcontext, client))

    @property
    def _client_context(self) -> Callable[[], Any]:  # type: ignore[override]
        return self._pool[1]

    # Values.

    def _named(self, key: Any) -> str:
        if isinstance(key, str):
            return key
        raise TypeError(f"key {key!r} is {type(key).__name__} (use a text)")

    def delete_many(self, *keys: Any) -> list[Any]:
        """Removes keys, in one trip to each server. Answers what is gone.

        memcached cannot list its keys, so a star is a star here.
        """
        if self.coded:
            return CachelibMemcachedCache.delete_many(self, *keys)
        self.engine.remove(*map(self._named, keys))
        return list(keys)

    def inc(self, key: Any, delta: int = 1) -> Any:
        """Adds to a counter in one step. Answers its new value."""
        if not self.coded:
            # What is no whole number is added to as Python adds, which cachelib leaves it to.
            with suppress(TypeError):
                return super().inc(key, delta)
            value = (self.get(key) or 0) + delta
            return value if self.set(key, value) else None
        return CachelibMemcachedCache.inc(self, key, delta)

    def dec(self, key: Any, delta: int = 1) -> Any:
        """Subtracts from a counter in one step. Answers its new value."""
        return CachelibMemcachedCache.dec(self, key, delta) if self.coded else self.inc(key, -delta)


class SASLMemcachedCache(MemcachedCache):
    """memcached servers that ask for a user and a password.

    SASL needs pylibmc. With `binary=False` the login is that of the text protocol, which a server that
    was started with `-Y` takes, and entries are Larder's own.
    """

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
        deadline = kwargs.pop("deadline", None)
        if kwargs.pop("binary", True):
            servers = _client_of(servers, (username, password), kwargs)
        elif kwargs:
            raise TypeError(
                f"{next(iter(kwargs))} is an option of pylibmc (leave out binary=False)"
            )
        super().__init__(
            servers,
            default_timeout,
            key_prefix,
            pool_size=pool_size,
            pool_blocking=pool_blocking,
            ignore_delete_many_errors=ignore_delete_many_errors,
            deadline=deadline,
        )
        if self._servers is not None:
            self._servers = self._servers.with_login(username, password)

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end; CACHE_MEMCACHED_USERNAME and _PASSWORD are required."""
        more: Config = {
            "username": config["CACHE_MEMCACHED_USERNAME"],
            "password": config["CACHE_MEMCACHED_PASSWORD"],
        }
        return cls._from(config, args, kwargs, more)


def _client_of(servers: Any, login: tuple[str | None, str | None], options: Config) -> Any:
    """A client of pylibmc, which speaks SASL."""
    try:
        pylibmc: Any = importlib.import_module("pylibmc")
    except ImportError as error:
        raise RuntimeError(
            "no pylibmc module found (install it: pip install pylibmc; or, for a server with -Y, set "
            'CACHE_OPTIONS = {"binary": False})'
        ) from error
    return pylibmc.Client(
        servers or ["127.0.0.1:11211"],
        username=login[0],
        password=login[1],
        binary=True,
        **options,
    )


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
        more: Config = {
            "username": config.get("CACHE_MEMCACHED_USERNAME"),
            "password": config.get("CACHE_MEMCACHED_PASSWORD"),
        }
        return cls._from(config, args, kwargs, more)

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
