"""Entries in Redis: on Larder's engine, or by way of a client or a serializer that was handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from cachelib.redis import RedisCache as CachelibRedisCache
from cachelib.serializers import BaseSerializer, RedisSerializer

from ... import config as settings
from ..._native import Policy, RedisLink
from .clienterrors import raising
from .redislink import Link, delete_by_client, of_host, of_url, redis_module
from .twofold import Twofold, say_once
from .versions import Versions

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["RedisCache", "RedisClusterCache", "RedisSentinelCache"]

Config = dict[str, Any]

_SENTINEL = "sentinel_"


@raising("redis.exceptions", "ConnectionError")
class RedisCache(Twofold, CachelibRedisCache):  # type: ignore[misc]
    """One Redis server, or any client that has redis-py's methods as `host`.

    From a host name or a URL, entries are Larder's own and lie under `key_prefix` and key. A client or
    a serializer that is handed in, also later, is used as Flask-Caching uses it: its calls, and its
    bytes, which are pickles.

    `_write_client` and `_read_client` are redis-py clients, made when somebody asks for them.
    """

    theirs = CachelibRedisCache
    place = "Redis"

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
        if host is None:
            raise ValueError("RedisCache host parameter may not be None")
        super().__init__(default_timeout, ignore_delete_many_errors)
        self.check_connection = bool(kwargs.pop("check_connection", False))
        self.key_prefix = key_prefix or ""
        self._serializer: BaseSerializer = _Untouched()
        # The clients that somebody put in the place of ours, by their attributes.
        self._assigned: dict[str, Any] = {}
        self._own_client: Any = None
        self._opened: RedisLink | None = None
        if isinstance(host, str):
            host = of_host(host, port, password, db, kwargs)
        # A client that was handed in sees the calls that Flask-Caching makes, and no others.
        self._notes_variants = isinstance(host, Link)
        if not isinstance(host, Link):
            if not callable(getattr(host, "get", None)):
                raise ValueError(f"CACHE_REDIS_HOST={host!r} is neither a host name nor a client")
            _say_trusted(f"a {type(host).__name__} as the client")
            host = Link.to_client(host)
        self._link = host
        if self.check_connection:
            self._check()

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_REDIS_URL, or from host, port, password and database."""
        on_event = kwargs.pop("on_event", None)
        prefix = settings.key_prefix(config)
        if prefix:
            kwargs["key_prefix"] = prefix
        url = settings.redis_url(config)
        if url:
            backend = cls._from_url(url, config.get("CACHE_REDIS_DB", 0), args, kwargs)
        else:
            given: Config = {
                "host": config.get("CACHE_REDIS_HOST", "localhost"),
                "port": config.get("CACHE_REDIS_PORT", 6379),
                "db": config.get("CACHE_REDIS_DB", 0),
            }
            if config.get("CACHE_REDIS_PASSWORD"):
                given["password"] = config["CACHE_REDIS_PASSWORD"]
            backend = cls(*args, **{**kwargs, **given})
        backend._packing, backend._on_event = settings.packing(config), on_event
        if isinstance(prefix, str) and not backend.coded:
            # A wrong setting is an error now, not with the first request.
            _ = backend.engine
        elif backend._link.url is None:
            _ = backend._write_client
        return backend

    @classmethod
    def _from_url(cls, url: str, db: Any, args: list[Any], kwargs: Config) -> RedisCache:
        own_names = ("default_timeout", "key_prefix", "ignore_delete_many_errors")
        options = {name: value for name, value in kwargs.items() if name not in own_names}
        check = options.pop("check_connection", False)
        link = of_url(url, db, options)
        known = {name: kwargs[name] for name in own_names if name in kwargs}
        # A subclass with a constructor of its own was written for a client.
        ours = cls.__init__ is RedisCache.__init__
        backend = cls(link if ours else link.make_client(), *args, **known)
        if check:
            backend._check()
        return backend

    def _check(self) -> None:
        try:
            self._write_client.ping()
        except Exception as error:
            raise RuntimeError(f"could not connect to Redis server: {error}") from error

    # The engine, or what somebody handed in.

    @property
    def coded(self) -> bool:
        """Whether values go through a client or a serializer that was handed in, as Flask-Caching's
        bytes; so they do without a prefix, which the engine needs to tell its own from the rest."""
        theirs = self._link.url is None or self._assigned
        return (
            bool(theirs) or not isinstance(self._serializer, _Untouched) or not self._get_prefix()
        )

    def _get_prefix(self) -> str:
        return CachelibRedisCache._get_prefix(self)

    def _open(self, prefix: str) -> Versions:
        if self._link.url is None or not prefix:
            raise AttributeError(
                "entries of this RedisCache go through redis-py: no engine has them"
            )
        opened = self._opened or self._link.open(self._packing, self._on_event)
        self._opened = opened
        return Versions(opened.space(prefix), tagged=True)

    @property
    def serializer(self) -> BaseSerializer:  # type: ignore[override]
        """What makes Flask-Caching's bytes; assigning one makes every value go through it."""
        return self._serializer

    @serializer.setter
    def serializer(self, serializer: BaseSerializer) -> None:
        _say_trusted(f"{type(serializer).__name__} as the serializer")
        self._serializer = serializer

    def _client(self, name: str) -> Any:
        if name in self._assigned:
            return self._assigned[name]
        if self._own_client is None:
            self._own_client = self._link.make_client()
        return self._own_client

    def _assign(self, name: str, client: Any) -> None:
        if client is not None and client is self._own_client:
            self._assigned.pop(name, None)
            return
        if not self._assigned and self._link.url is not None:
            _say_trusted(f"a {type(client).__name__} as {name}")
        self._notes_variants = False
        self._assigned[name] = client

    @property
    def _write_client(self) -> Any:  # type: ignore[override]
        return self._client("_write_client")

    @_write_client.setter
    def _write_client(self, client: Any) -> None:
        self._assign("_write_client", client)

    @_write_client.deleter
    def _write_client(self) -> None:
        self._assigned.pop("_write_client", None)

    @property
    def _read_client(self) -> Any:  # type: ignore[override]
        return self._client("_read_client")

    @_read_client.setter
    def _read_client(self, client: Any) -> None:
        self._assign("_read_client", client)

    @_read_client.deleter
    def _read_client(self) -> None:
        self._assigned.pop("_read_client", None)

    # Values.

    def _named(self, key: Any) -> str:
        return key if isinstance(key, str) else f"{key}"

    def lifetime(self, timeout: object) -> int:
        """A timeout as whole seconds; 0 is for ever, and so is -1, as cachelib has it."""
        seconds = super().lifetime(timeout)
        if seconds < -1:
            raise ValueError(f"timeout={timeout!r} is negative (use 0 for ever)")
        return max(seconds, 0)

    def _counting(self) -> Policy:
        return Policy(None)

    def delete_prefix(self, prefix: str) -> list[Any]:
        """Removes every key that begins so. Answers them."""
        return delete_by_client(self, prefix) if self.coded else super().delete_prefix(prefix)

    def unlink(self, *keys: Any) -> Any:
        """Removes keys, their memory reclaimed behind the answer. How many there were."""
        if not keys:
            return None
        if self.coded:
            return self._write_client.unlink(*[f"{self._get_prefix()}{key}" for key in keys])
        return len(self.engine.remove(*map(self._named, keys)))

    # Which keys there are under the base key of a view by query, where the engine does not know it:
    # Redis cannot find them without looking at all of its keys. The set lives at least as long as
    # every key in it.

    def _variants_of(self, base: str) -> str:
        return f"{self._get_prefix()}flask_larder.variants:{base}"

    def note_variant(self, base: str, key: str, timeout: Any) -> None:
        """Remembers that `key` belongs to `base`."""
        if not self._notes_variants or not self.coded:
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
        if not self._notes_variants or not self.coded:
            return False
        name, prefix = self._variants_of(base), self._get_prefix()
        found = [prefix.encode() + key for key in self._write_client.smembers(name)]
        return bool(found) and self._write_client.delete(name, *found) > 1


class _Untouched(RedisSerializer):
    """cachelib's own serializer, as long as nobody chose one."""


def _say_trusted(what: str) -> None:
    say_once(
        f"RedisCache was given {what}: values are Flask-Caching's bytes, and pickles in the store "
        "are trusted (a host name or CACHE_REDIS_URL alone needs none)"
    )


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
        redis_module()
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
        redis_module()
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
