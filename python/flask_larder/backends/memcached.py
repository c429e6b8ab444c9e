"""The store in memcached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from .. import config as settings
from .base import Backend
from .opening import Opening
from .options import refuse_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MemcachedCache", "SASLMemcachedCache"]

_LOCAL = "127.0.0.1:11211"

_LARGEST = 1 << 20
"""What a server takes, unless it was told otherwise."""


class MemcachedCache(Backend):
    """Entries in memcached 1.6 or later, on one server or several, for whoever uses the same prefix.

    `servers` are "host:port" and paths of unix sockets, the same ones in every process. A server may be
    away: operations then fail within `deadline` seconds, and at once while it stays away. Keys cannot
    be listed there, nor removed by pattern: tag what has to go together.
    """

    limit = "CACHE_MAX_VALUE, or the server's option -I,"
    takes_near = True

    def __init__(
        self,
        servers: list[str] | tuple[str, ...] | None = None,
        default_timeout: object = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        username: str | None = None,
        password: str | None = None,
        url: str | None = None,
        max_value: int = _LARGEST,
        **opening: Any,
    ) -> None:
        if url is None:
            url = _url(servers, username, password)
        engine = Opening(key_prefix, max_value=max_value, **opening).engine(url)
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_MEMCACHED_SERVERS, or CACHE_URL."""
        options = dict(config["CACHE_OPTIONS"] or {})
        refuse_options(cls.__name__, options, ("deadline",))
        largest = settings.size(config, "CACHE_MAX_VALUE")
        given = {
            "servers": config["CACHE_MEMCACHED_SERVERS"],
            "username": config.get("CACHE_MEMCACHED_USERNAME"),
            "password": config.get("CACHE_MEMCACHED_PASSWORD"),
            "url": config.get("CACHE_URL"),
            **Opening.said(config),
            # What is set nowhere is what the server takes.
            "max_value": _LARGEST if largest == settings.MAX_VALUE else largest,
        }
        return cls(*args, **{**kwargs, **given, **options})


class SASLMemcachedCache(MemcachedCache):
    """Memcached that asks for CACHE_MEMCACHED_USERNAME and CACHE_MEMCACHED_PASSWORD.

    The login is that of the ASCII protocol (`memcached -Y`), for SASL needs the binary one.
    """

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store as MemcachedCache does; without a login it is an error."""
        for name in ("CACHE_MEMCACHED_USERNAME", "CACHE_MEMCACHED_PASSWORD"):
            if not config.get(name) and not config.get("CACHE_URL"):
                raise ValueError(f"{name} is not set (set it, or use MemcachedCache)")
        return super().factory(app, config, args, kwargs)


def _url(servers: object, username: object, password: object) -> str:
    """The URL of these servers."""
    if servers is None or servers == []:
        servers = [_LOCAL]
    if not isinstance(servers, list | tuple):
        kind = type(servers).__name__
        raise ValueError(
            f"CACHE_MEMCACHED_SERVERS is {kind} (use a list of servers, [{_LOCAL!r}] for example; "
            "flask_larder.compat takes a client)"
        )
    named: list[str] = []
    for server in cast("list[object]", servers):
        if not isinstance(server, str):
            kind = type(server).__name__
            raise ValueError(
                f"CACHE_MEMCACHED_SERVERS has a {kind} in it (use texts, {_LOCAL!r} for example)"
            )
        named.append(quote(server.removeprefix("unix:"), safe="/:[]"))
    access = ""
    if username or password:
        access = f"{quote(str(username or ''), safe='')}:{quote(str(password or ''), safe='')}@"
    return f"memcached://{access}{','.join(named)}"
