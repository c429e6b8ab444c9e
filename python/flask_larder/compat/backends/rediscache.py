"""Entries in Redis, by way of cachelib's class: values and keys are those of Flask-Caching, so that
both can work on one server while an application moves from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from cachelib.redis import RedisCache as CachelibRedisCache

from .base import BaseCache

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["RedisCache", "RedisClusterCache", "RedisSentinelCache"]

Config = dict[str, Any]

_SENTINEL = "sentinel_"


def _redis() -> Any:
    try:
        import redis
    except ImportError as error:
        raise RuntimeError("no redis module found (install it: pip install redis)") from error
    return redis


class RedisCache(BaseCache, CachelibRedisCache):
    """One Redis server, or any client that has redis-py's methods as `host`.

    `_write_client` and `_read_client` are the redis-py clients, which may be replaced.
    """

    def __init__(
        self,
        host: Any = "localhost",
        port: int = 6379,
        password: str | None = None,
        db: int = 0,
        default_timeout: Any = 300,
        key_prefix: str | Callable[[], str] | None = None,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        CachelibRedisCache.__init__(
            self,
            host,
            port,
            password,
            db,
            default_timeout,
            key_prefix,
            ignore_delete_many_errors,
            **kwargs,
        )
        # A client that was handed in sees the calls that Flask-Caching makes, and no others.
        self._notes_variants = isinstance(host, str)

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_REDIS_URL, or from host, port, password and database."""
        prefix = config.get("CACHE_KEY_PREFIX")
        if prefix:
            kwargs["key_prefix"] = prefix
        url = config.get("CACHE_REDIS_URL")
        if not url:
            given: Config = {
                "host": config.get("CACHE_REDIS_HOST", "localhost"),
                "port": config.get("CACHE_REDIS_PORT", 6379),
                "db": config.get("CACHE_REDIS_DB", 0),
            }
            if config.get("CACHE_REDIS_PASSWORD"):
                given["password"] = config["CACHE_REDIS_PASSWORD"]
            return cls(*args, **{**kwargs, **given})
        own = ("default_timeout", "key_prefix", "ignore_delete_many_errors")
        options = {name: value for name, value in kwargs.items() if name not in own}
        options.setdefault("db", config.get("CACHE_REDIS_DB", 0))
        client = _redis().from_url(url, **options)
        backend = cls(client, *args, **{name: kwargs[name] for name in own if name in kwargs})
        backend._notes_variants = True
        return backend

    # Which keys there are under the base key of a view by query: Redis cannot find them by itself
    # without looking at all of its keys. The set lives at least as long as every key in it.

    def _variants_of(self, base: str) -> str:
        return f"{self._get_prefix()}flask_larder.variants:{base}"

    def note_variant(self, base: str, key: str, timeout: Any) -> None:
        """Remembers that `key` belongs to `base`."""
        if not self._notes_variants:
            return
        name, seconds = self._variants_of(base), self._normalize_timeout(timeout)
        pipe = self._write_client.pipeline(transaction=False)
        pipe.ttl(name)
        pipe.sadd(name, key)
        left, _ = pipe.execute()
        # -2 is a new set, -1 one that is kept for ever.
        if seconds == -1:
            self._write_client.persist(name)
        elif left == -2 or 0 <= left < seconds:
            self._write_client.expire(name, seconds)

    def delete_variants(self, base: str) -> bool:
        """Removes every key that belongs to `base`. Whether there was one."""
        if not self._notes_variants:
            return False
        name, prefix = self._variants_of(base), self._get_prefix()
        found = [prefix.encode() + key for key in self._write_client.smembers(name)]
        return bool(found) and self._write_client.delete(name, *found) > 1

    def unlink(self, *keys: str) -> Any:
        """Removes keys, their memory reclaimed behind the answer. How many there were."""
        if not keys:
            return None
        return self._write_client.unlink(*[self._get_prefix() + key for key in keys])


class RedisSentinelCache(RedisCache):
    """A Redis server that sentinels watch: writes go to the master, reads to a replica."""

    def __init__(
        self,
        sentinels: Any = None,
        master: str = "mymaster",
        password: str | None = None,
        db: int = 0,
        default_timeout: Any = 300,
        key_prefix: str | Callable[[], str] = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        _redis()
        from redis.sentinel import Sentinel

        if kwargs.get("decode_responses"):
            raise ValueError("decode_responses is not supported by RedisCache.")
        own = {
            name.removeprefix(_SENTINEL): kwargs.pop(name)
            for name in list(kwargs)
            if name.startswith(_SENTINEL)
        }
        sentinel: Any = cast("Any", Sentinel)(
            sentinels or [("127.0.0.1", 26379)],
            password=password,
            db=db,
            sentinel_kwargs=own,
            **kwargs,
        )
        super().__init__(
            host=sentinel.master_for(master),
            default_timeout=default_timeout,
            key_prefix=key_prefix,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )
        self._read_client: Any = sentinel.slave_for(master)

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_REDIS_SENTINELS and its passwords."""
        given: Config = {
            "sentinels": config.get("CACHE_REDIS_SENTINELS", [("127.0.0.1", 26379)]),
            "master": config.get("CACHE_REDIS_SENTINEL_MASTER", "mymaster"),
            "password": config.get("CACHE_REDIS_PASSWORD"),
            "sentinel_password": config.get("CACHE_REDIS_SENTINEL_PASSWORD"),
            "key_prefix": config.get("CACHE_KEY_PREFIX", ""),
            "db": config.get("CACHE_REDIS_DB", 0),
        }
        return cls(*args, **{**given, **kwargs})


class RedisClusterCache(RedisCache):
    """A cluster of Redis servers; connects when it is made."""

    def __init__(
        self,
        cluster: Any = "",
        password: str = "",
        default_timeout: Any = 300,
        key_prefix: str | Callable[[], str] = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        _redis()
        from redis.cluster import ClusterNode, RedisCluster

        if kwargs.get("decode_responses"):
            raise ValueError("decode_responses is not supported by RedisCache.")
        kwargs.setdefault("skip_full_coverage_check", True)
        make: Any = RedisCluster
        url = kwargs.pop("redis_url", None)
        if url:
            client = make.from_url(url, **kwargs)
        else:
            nodes = [ClusterNode(*_node(node)) for node in cluster.split(",")]
            client = make(startup_nodes=nodes, password=password, **kwargs)
        super().__init__(
            host=client,
            default_timeout=default_timeout,
            key_prefix=key_prefix,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_REDIS_CLUSTER, or from CACHE_REDIS_URL."""
        given: Config = {
            "cluster": config.get("CACHE_REDIS_CLUSTER", ""),
            "password": config.get("CACHE_REDIS_PASSWORD", ""),
            "key_prefix": config.get("CACHE_KEY_PREFIX", ""),
        }
        if config.get("CACHE_REDIS_URL"):
            given["redis_url"] = config["CACHE_REDIS_URL"]
        return cls(*args, **{**given, **kwargs})


def _node(text: str) -> tuple[str, int]:
    host, found, port = text.strip().rpartition(":")
    if not found or not port.isdigit():
        raise ValueError(
            f"CACHE_REDIS_CLUSTER has {text!r} (use host:port, several with commas between them)"
        )
    return host, int(port)
