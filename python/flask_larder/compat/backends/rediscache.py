"""Entries in Redis: on Larder's engine, or by way of a client or a serializer that was handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cachelib.redis import RedisCache as CachelibRedisCache
from cachelib.serializers import BaseSerializer, RedisSerializer

from ... import config as settings
from ..._native import Policy, RedisLink
from ...backends.opening import Near, near_of
from .clienterrors import raising
from .redislink import Link, delete_by_client, of_cluster, of_host, of_sentinels, of_url
from .twofold import Twofold, say_once
from .versions import EngineSpace, Versions

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
        self._own_reader: Any = None
        self._opened: RedisLink | None = None
        self._near: Near | None = None
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
        return backend._ready(config, on_event)

    def _ready(self, config: Config, on_event: Any) -> RedisCache:
        """The same, told of the rest of a configuration: what is wrong with it is an error now, not
        with the first request."""
        self._packing, self._on_event = settings.packing(config), on_event
        self._near = near_of(config.get("CACHE_NEAR"), config.get("CACHE_NEAR_TIMEOUT"))
        if self._link.url is None:
            if self._near is not None:
                raise ValueError(
                    "CACHE_NEAR is set, and values go through redis-py (leave it out, or name the "
                    "server by a host name or a URL)"
                )
            _ = self._write_client
        elif not callable(self.key_prefix) and not self.coded:
            _ = self.engine
        return self

    def _engine_alone(self) -> bool:
        """Whether the engine's entries are its own, and hold no records of other programs."""
        return self._near is not None

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
        if self._engine_alone():
            engine = self._link.engine(prefix, self._packing, self._near, self._on_event)
            return Versions(EngineSpace(engine), tagged=False)
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
        if name == "_read_client" and self._link.make_reader is not None:
            self._own_reader = self._own_reader or self._link.make_reader()
            return self._own_reader
        if self._own_client is None:
            self._own_client = self._link.make_client()
        return self._own_client

    def _assign(self, name: str, client: Any) -> None:
        if client is not None and client in (self._own_client, self._own_reader):
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
    """A Redis server that sentinels watch: whichever is the master at the moment.

    Where a client or a serializer was handed in, and where redis-py alone can do what was asked for,
    writes go to the master and reads to a replica, as in Flask-Caching.
    """

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
        own = {
            name.removeprefix(_SENTINEL): value
            for name, value in kwargs.items()
            if name.startswith(_SENTINEL) and value is not None
        }
        options = {name: kwargs[name] for name in kwargs if not name.startswith(_SENTINEL)}
        places = sentinels or [("127.0.0.1", 26379)]
        super().__init__(
            host=of_sentinels(places, master, (password, db), own, options),
            default_timeout=default_timeout,
            key_prefix=key_prefix,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )

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
        on_event = kwargs.pop("on_event", None)
        return cls(*args, **{**given, **kwargs})._ready(config, on_event)


class RedisClusterCache(RedisCache):
    """A cluster of Redis servers."""

    def __init__(
        self,
        cluster: Any = "",
        password: str = "",
        default_timeout: Any = 300,
        key_prefix: str | Callable[[], str] = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        url = kwargs.pop("redis_url", None)
        super().__init__(
            host=of_cluster(cluster, password, url, kwargs),
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
        on_event = kwargs.pop("on_event", None)
        return cls(*args, **{**given, **kwargs})._ready(config, on_event)

    def _engine_alone(self) -> bool:
        return True

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        if not self.coded:
            return super().get_many(*keys)
        # MGET is for keys that lie on one server.
        return [self.get(key) for key in keys]

    def get_dict(self, *keys: Any) -> dict[Any, Any]:
        """The values by their keys, None for what is not there."""
        return dict(zip(keys, self.get_many(*keys), strict=True))

    def clear(self) -> Any:
        """Removes everything of this store's prefix, on every server, and nothing else."""
        if self.coded and self._get_prefix():
            # KEYS would ask one of the servers.
            return bool(delete_by_client(self, ""))
        return super().clear()
