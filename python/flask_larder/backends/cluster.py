"""The store in a cluster of Redis servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import config as settings
from .addresses import Access, cluster_url, tls_of
from .base import Backend
from .opening import Opening
from .redis import server_options

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["RedisClusterCache"]


class RedisClusterCache(Backend):
    """Entries in a cluster of Redis servers.

    `cluster` names some of its servers, "host:port,host:port"; the others are asked for. A server that
    is away is a miss for what it has, and for nothing else. Building the cache does not connect.
    """

    takes_near = True

    def __init__(
        self,
        cluster: str = "",
        password: str | None = None,
        default_timeout: object = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        *,
        db: object = 0,
        url: str | None = None,
        username: str | None = None,
        tls: Mapping[str, Any] | None = None,
        **opening: Any,
    ) -> None:
        if url is None:
            url = cluster_url(cluster, Access(username, password, db, tls_of(tls or {})))
        engine = Opening(key_prefix, **opening).engine(url)
        self.key_prefix = key_prefix
        super().__init__(engine, default_timeout, ignore_delete_many_errors)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from CACHE_REDIS_CLUSTER and CACHE_REDIS_PASSWORD, or from CACHE_URL or
        CACHE_REDIS_URL."""
        url = _of_cluster(config.get("CACHE_URL") or config.get("CACHE_REDIS_URL"))
        given = {
            "cluster": config.get("CACHE_REDIS_CLUSTER", ""),
            "password": config.get("CACHE_REDIS_PASSWORD"),
            "db": config.get("CACHE_REDIS_DB", 0),
            "url": url,
            **Opening.said(config),
        }
        return cls(*args, **{**kwargs, **given, **server_options(cls.__name__, config, url)})


def _of_cluster(url: object) -> str | None:
    """The URL as that of a cluster: Flask-Caching's users write redis:// for one as well."""
    if not url:
        return None
    text = settings.redis_url({"CACHE_REDIS_URL": url}) or ""
    for scheme in ("redis", "rediss"):
        if text.startswith(f"{scheme}://"):
            return f"{scheme}+cluster://{text.removeprefix(f'{scheme}://')}"
    return text
