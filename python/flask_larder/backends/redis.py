"""The store in a Redis server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import config as settings
from .. import durations
from .._native import Engine, store_of
from .base import Backend
from .options import namespace, refuse_options

if TYPE_CHECKING:
    from flask import Flask

    from ..config import Secret

__all__ = ["RedisCache"]


class RedisCache(Backend):
    """Entries in Redis or Valkey, shared by every process and machine that uses the same prefix.

    The server may be away: operations then fail within `deadline` seconds, and at once while it stays
    away. Building the cache does not connect.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        password: str | None = None,
        db: int = 0,
        default_timeout: object = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        url: str | None = None,
        username: str | None = None,
        secret: Secret = None,
        compress: object = None,
        deadline: object = None,
        max_value: int = 8 * 1024 * 1024,
        on_event: Any = None,
    ) -> None:
        if url is None:
            url = _redis_url(host, port, db, username, password)
        elif store_of(url) != "redis":
            raise ValueError("CACHE_REDIS_URL names another store (use redis://host:port/db)")
        engine = Engine.open(
            url,
            namespace=namespace(key_prefix),
            packing=settings.packed(secret, compress),
            deadline=None if deadline is None else durations.span(deadline, "deadline"),
            max_value=max_value,
            on_event=on_event,
        )
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_URL or CACHE_REDIS_URL, or host, port, password and db."""
        options = dict(config["CACHE_OPTIONS"] or {})
        refuse_options("RedisCache", options, ("username", "socket_timeout", "deadline"))
        # What Flask-Caching hands to its client as the time for each read is here the time for all.
        if "socket_timeout" in options:
            options.setdefault("deadline", options.pop("socket_timeout"))
        given = {
            "host": config.get("CACHE_REDIS_HOST", "localhost"),
            "port": config.get("CACHE_REDIS_PORT", 6379),
            "password": config.get("CACHE_REDIS_PASSWORD"),
            "db": config.get("CACHE_REDIS_DB", 0),
            "url": config.get("CACHE_URL") or settings.redis_url(config),
            "key_prefix": settings.key_prefix(config),
            "secret": config["CACHE_SECRET"],
            "compress": config["CACHE_COMPRESS"],
            "max_value": settings.size(config, "CACHE_MAX_VALUE"),
        }
        return cls(*args, **{**kwargs, **given, **options})


def _redis_url(host: object, port: object, db: object, user: str | None, key: object) -> str:
    if not isinstance(host, str):
        kind = type(host).__name__
        raise ValueError(
            f"CACHE_REDIS_HOST is {kind} (use a host name here; flask_larder.compat takes a client)"
        )
    access = f"{quote(user or '', safe='')}:{quote(str(key), safe='')}@" if key else ""
    return f"redis://{access}{host}:{port}/{db}"
