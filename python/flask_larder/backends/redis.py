"""The store in a Redis server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import config as settings
from .._native import store_of
from .addresses import TLS_OPTIONS, Access, of_client, server_url, tls_of
from .base import Backend
from .opening import Opening
from .options import refuse_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["RedisCache"]

_OPTIONS = ("username", "socket_timeout", "deadline", *TLS_OPTIONS)


class RedisCache(Backend):
    """Entries in Redis or Valkey, shared by every process and machine that uses the same prefix.

    `host` is a name, or a `redis.Redis`: its server, login, database, TLS and `socket_timeout` are
    taken over, its connections are not. `url` goes before all of them; it may name a Sentinel or a
    cluster as well. `tls` says what TLS needs to know, by redis-py's names.

    The server may be away: operations then fail within `deadline` seconds, and at once while it stays
    away. Building the cache does not connect.
    """

    takes_near = True

    def __init__(
        self,
        host: Any = "localhost",
        port: int = 6379,
        password: str | None = None,
        db: int = 0,
        default_timeout: object = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        url: str | None = None,
        username: str | None = None,
        tls: Mapping[str, Any] | None = None,
        **opening: Any,
    ) -> None:
        said = tls_of(tls or {})
        if url is not None:
            _check_url(url)
        elif isinstance(host, str):
            url = server_url(host, port, Access(username, password, db, said))
        else:
            url, patience = of_client(host)
            if opening.get("deadline") is None:
                opening["deadline"] = patience
        engine = Opening(key_prefix, **opening).engine(url)
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_URL or CACHE_REDIS_URL, or host, port, password and db."""
        url = config.get("CACHE_URL") or settings.redis_url(config)
        options = server_options(cls.__name__, config, url)
        given = {
            "host": config.get("CACHE_REDIS_HOST", "localhost"),
            "port": config.get("CACHE_REDIS_PORT", 6379),
            "password": config.get("CACHE_REDIS_PASSWORD"),
            "db": config.get("CACHE_REDIS_DB", 0),
            "url": url,
            **Opening.said(config),
        }
        return cls(*args, **{**kwargs, **given, **options})


def server_options(
    name: str, config: Mapping[str, Any], url: object = None, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What CACHE_OPTIONS says of a server, as keywords; `more` are those that only this store has."""
    options = dict(config["CACHE_OPTIONS"] or {})
    refuse_options(name, options, (*_OPTIONS, *more))
    # What Flask-Caching hands to its client as the time for each read is here the time for all.
    if "socket_timeout" in options:
        options.setdefault("deadline", options.pop("socket_timeout"))
    tls = {option: options.pop(option) for option in TLS_OPTIONS if option in options}
    beside = next((option for option in ("username", *tls) if option in {**options, **tls}), None)
    if url and beside:
        raise ValueError(
            f"CACHE_OPTIONS has {beside} beside a URL, which says all of that (write it into the URL: "
            "rediss://user:password@host:port/db?ca=/path/to/a.pem)"
        )
    return {**options, **({"tls": tls} if tls else {})}


def _check_url(url: str) -> None:
    if store_of(url) != "redis":
        raise ValueError("CACHE_REDIS_URL names another store (use redis://host:port/db)")
