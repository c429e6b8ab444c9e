"""The store in the Redis server that sentinels name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .addresses import Access, sentinel_url, tls_of
from .base import Backend
from .opening import Opening
from .redis import server_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["RedisSentinelCache"]

_LOCAL = (("127.0.0.1", 26379),)


class RedisSentinelCache(Backend):
    """Entries in the Redis server that is the master of a name at this moment, as sentinels tell.

    `sentinels` are pairs of a host and a port. `password`, `username` and `db` are those of the master,
    the others what the sentinels ask for. Reads and writes go to the master: what a replica has may be
    older than a purge. A failover is followed without a restart.
    """

    takes_near = True

    def __init__(
        self,
        sentinels: Any = None,
        master: str = "mymaster",
        password: str | None = None,
        db: int = 0,
        default_timeout: object = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        url: str | None = None,
        username: str | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        tls: Mapping[str, Any] | None = None,
        **opening: Any,
    ) -> None:
        if url is None:
            access = Access(username, password, db, tls_of(tls or {}))
            login = (sentinel_username, sentinel_password)
            url = sentinel_url(_LOCAL if sentinels is None else sentinels, master, access, login)
        engine = Opening(key_prefix, **opening).engine(url)
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_REDIS_SENTINELS, their master and the passwords, or CACHE_URL, or a CACHE_REDIS_URL
        that names sentinels; what else stands there is not looked at, as in Flask-Caching."""
        more = ("sentinel_username", "sentinel_password")
        url = config.get("CACHE_URL") or _of_sentinels(config.get("CACHE_REDIS_URL"))
        options = server_options(cls.__name__, config, url, more)
        given = {
            "sentinels": config.get("CACHE_REDIS_SENTINELS"),
            "master": config.get("CACHE_REDIS_SENTINEL_MASTER", "mymaster"),
            "password": config.get("CACHE_REDIS_PASSWORD"),
            "sentinel_password": config.get("CACHE_REDIS_SENTINEL_PASSWORD"),
            "db": config.get("CACHE_REDIS_DB", 0),
            "url": url,
            **Opening.said(config),
        }
        return cls(*args, **{**kwargs, **given, **options})


def _of_sentinels(url: object) -> str | None:
    return url if isinstance(url, str) and "+sentinel://" in url else None
