"""The configuration of one cache: read, checked and completed when it is built."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, cast

from . import durations, places
from ._native import Packing, bytes_in
from .dialect import Dialect
from .http import Http
from .reads import USER_NAMES

DEFAULTS: dict[str, Any] = {
    "CACHE_DEFAULT_TIMEOUT": 300,
    "CACHE_IGNORE_ERRORS": False,
    "CACHE_THRESHOLD": 500,
    "CACHE_KEY_PREFIX": "flask_cache_",
    "CACHE_MEMCACHED_SERVERS": None,
    "CACHE_DIR": None,
    "CACHE_OPTIONS": None,
    "CACHE_ARGS": [],
    "CACHE_NO_NULL_WARNING": False,
    "CACHE_SOURCE_CHECK": False,
    "CACHE_ENABLE_SIGNALS": False,
    "CACHE_HASH_METHOD": None,
    "CACHE_SERIALIZER": None,
}
"""Keys of Flask-Caching with the values that they have where nobody sets them."""

SKIP_HOOKS = "skip-hooks"
"""CACHE_EARLY_HITS of those who say that the hooks of their application do not matter for hits."""

MAX_VALUE = 8 * 1024 * 1024
"""The largest value that is stored, where nobody says it."""

OWN_DEFAULTS: dict[str, Any] = {
    "CACHE_MAX_BYTES": 256 * 1024 * 1024,
    "CACHE_MAX_VALUE": MAX_VALUE,
    "CACHE_NEAR": None,
    "CACHE_NEAR_SIZE": None,
    "CACHE_NEAR_TIMEOUT": None,
    "CACHE_SECRET": None,
    "CACHE_COMPRESS": None,
    "CACHE_EARLY_HITS": False,
    "CACHE_HTTP": False,
    "CACHE_SIZE": None,
    "CACHE_STATUS_HEADERS": None,
    "CACHE_USER_NAMES": None,
}
"""Keys that only Larder has."""

_OTHERS = {
    "CACHE_TYPE",
    "CACHE_FILE_HASH_METHOD",
    "CACHE_GCS_BUCKET",
    "CACHE_MEMCACHED_PASSWORD",
    "CACHE_MEMCACHED_USERNAME",
    "CACHE_REDIS_CLUSTER",
    "CACHE_REDIS_DB",
    "CACHE_REDIS_HOST",
    "CACHE_REDIS_PASSWORD",
    "CACHE_REDIS_PORT",
    "CACHE_REDIS_SENTINELS",
    "CACHE_REDIS_SENTINEL_MASTER",
    "CACHE_REDIS_SENTINEL_PASSWORD",
    "CACHE_REDIS_URL",
    "CACHE_UWSGI_NAME",
    "CACHE_URL",
}

_KNOWN = DEFAULTS.keys() | OWN_DEFAULTS.keys() | _OTHERS

_ELSEWHERE = {
    **dict.fromkeys(
        ("gaememcached", "spreadsaslmemcached"),
        "use MemcachedCache or SASLMemcachedCache, or flask_larder.compat",
    ),
    **dict.fromkeys(
        ("uwsgi", "googlecloudstorage"),
        "flask_larder.compat has it",
    ),
}
"""Stores of Flask-Caching that only the other dialect has under these names, and what to do."""

_OLD_TYPES = {
    "simple": "SimpleCache",
    "null": "NullCache",
    "redis": "RedisCache",
    "redissentinel": "RedisSentinelCache",
    "rediscluster": "RedisClusterCache",
    "shared": "SharedCache",
    "filesystem": "FileSystemCache",
    "memcached": "MemcachedCache",
    "saslmemcached": "SASLMemcachedCache",
}


def checked(config: object) -> dict[str, Any] | None:
    """The dict that was handed in, or a ValueError that says what came instead."""
    if config is None or isinstance(config, dict):
        return config  # pyright: ignore[reportUnknownVariableType]
    kind = type(config).__name__
    raise ValueError(f"config is {kind} (use a dict of CACHE_ options, or None)")


def merged(
    app_config: Mapping[str, Any], dialect: Dialect, *given: dict[str, Any] | None
) -> dict[str, Any]:
    """One dict of the application's configuration, the given ones over it, and the defaults."""
    config = dict(app_config)
    for layer in given:
        config.update(layer or {})
    _check_shapes(config)
    if dialect.careful:
        for layer in given:
            _refuse_unknown(layer or {})
        _warn_unknown(app_config, dialect)
        places.complete_url(config, _OLD_TYPES)
        if config.get("CACHE_SIZE") is not None and config.get("CACHE_MAX_BYTES") is not None:
            raise ValueError("CACHE_SIZE and CACHE_MAX_BYTES are both set (leave one of them out)")
    if "CACHE_TYPE" not in config:
        config["CACHE_TYPE"] = dialect.default_type
        if dialect.careful:
            logging.getLogger(dialect.log_name).info(
                "no CACHE_TYPE is set: answers are kept in the memory of each process"
            )
    for name, value in (DEFAULTS | OWN_DEFAULTS).items():
        config.setdefault(name, copy(value))
    return config


def _check_shapes(config: Mapping[str, Any]) -> None:
    shapes = (("CACHE_OPTIONS", Mapping, "a dict"), ("CACHE_ARGS", Sequence, "a list"))
    for name, kind, wanted in shapes:
        value = config.get(name)
        if value and (isinstance(value, str) or not isinstance(value, kind)):
            raise ValueError(f"{name}={value!r} is {type(value).__name__} (use {wanted})")


def _refuse_unknown(layer: Mapping[Any, Any]) -> None:
    for name in layer:
        if not isinstance(name, str) or name in _KNOWN:
            continue
        if name.startswith("CACHE_") or name.upper() in _KNOWN:
            raise ValueError(f"{name} is no option of flask_larder{_hint(name.upper(), _KNOWN)}")


def _warn_unknown(config: Mapping[str, Any], dialect: Dialect) -> None:
    # An application's configuration is shared by all of its extensions, so a strange key may be
    # somebody else's: that is worth a line in the log, not an error.
    for name in config:
        if name.startswith("CACHE_") and name not in _KNOWN:
            hint = _hint(name, _KNOWN)
            logging.getLogger(dialect.log_name).warning("%s is not an option%s", name, hint)


def _hint(name: str, known: set[str] | dict[str, str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown_type(name: str, known: list[str]) -> ValueError:
    """The error for a CACHE_TYPE that nothing answers to."""
    if name.lower().removesuffix("cache") in _ELSEWHERE:
        cure = _ELSEWHERE[name.lower().removesuffix("cache")]
        return ValueError(f"CACHE_TYPE={name!r} is no store of flask_larder ({cure})")
    meant = places.TYPES.get(name.lower())
    hint = f" (did you mean {meant}?)" if meant else _hint(name, set(known))
    hint = hint or f" (use one of {', '.join(sorted(known))}, or a dotted path)"
    return ValueError(f"CACHE_TYPE={name!r} is no store{hint}")


def type_name(config: Mapping[str, Any]) -> str:
    """The configured type, older names brought up to date."""
    name = config["CACHE_TYPE"]
    if not isinstance(name, str):
        kind = type(name).__name__
        raise ValueError(f"CACHE_TYPE is {kind} (use the name of a store, or a dotted path)")
    return _OLD_TYPES.get(name, name)


def refuse_serializer(config: Mapping[str, Any], name: str) -> None:
    """A ValueError where CACHE_SERIALIZER is set for a store that stores in its own way."""
    if config["CACHE_SERIALIZER"] is not None and name != "NullCache":
        raise ValueError(
            f"CACHE_SERIALIZER is set, and {name} stores values in a format of its own "
            "(leave it out; flask_larder.compat uses serializers)"
        )


def key_prefix(config: Mapping[str, Any]) -> str | Callable[[], str] | None:
    """CACHE_KEY_PREFIX: a text, or a function that makes one."""
    prefix: Any = config.get("CACHE_KEY_PREFIX")
    if prefix is not None and not isinstance(prefix, str) and not callable(prefix):
        kind = type(prefix).__name__
        raise ValueError(
            f"CACHE_KEY_PREFIX={prefix!r} is {kind} (use a text, or a function that makes one)"
        )
    return cast("str | Callable[[], str] | None", prefix)


def redis_url(config: Mapping[str, Any]) -> str | None:
    """CACHE_REDIS_URL as it is; with none the host, the port and the password are looked at too."""
    url = config.get("CACHE_REDIS_URL")
    if url:
        if not isinstance(url, str):
            raise ValueError(f"CACHE_REDIS_URL is {type(url).__name__} (use redis://host:port/db)")
        return url
    # As with a variable of the environment that is not set.
    host, port = config.get("CACHE_REDIS_HOST", ""), config.get("CACHE_REDIS_PORT", 6379)
    if isinstance(host, str):
        if "://" in host:
            raise ValueError("CACHE_REDIS_HOST is a URL (set CACHE_REDIS_URL to it instead)")
        if not str(port).isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"CACHE_REDIS_PORT={port!r} is no port (use a number up to 65535)")
    return None


def complete_secret(config: dict[str, Any], secret_key: Any) -> None:
    """Sets CACHE_SECRET, where nothing else is configured, to SECRET_KEY and the keys that were in its
    place before, as Flask reads them to exchange it: SECRET_KEY_FALLBACKS."""
    if secret_key and not config["CACHE_SECRET"]:
        config["CACHE_SECRET"] = [secret_key, *(config.get("SECRET_KEY_FALLBACKS") or ())]


def packing(config: Mapping[str, Any]) -> Packing:
    """How entries are packed for a store outside the process, by CACHE_SECRET and CACHE_COMPRESS."""
    return packed(config.get("CACHE_SECRET"), config.get("CACHE_COMPRESS"))


Secret = str | bytes | Sequence[str | bytes] | None
"""One secret, several of which the first one seals and any opens, or none."""


def packed(secret: Secret, compress: object = None) -> Packing:
    """How entries are packed for a store outside the process: `compress` is the size from which on
    values are compressed, or None."""
    several = [secret] if secret and not isinstance(secret, list | tuple) else secret or ()
    off = compress is None or compress is False
    above = None if off else bytes_of(compress, "CACHE_COMPRESS")
    return Packing([_secret(one) for one in several], above)


def _secret(given: object) -> bytes:
    if not isinstance(given, str | bytes):
        # The value of a secret is in no message.
        kind = type(given).__name__
        raise ValueError(f"CACHE_SECRET, or SECRET_KEY, is {kind} (use a text, or a list of texts)")
    return given.encode() if isinstance(given, str) else given


def user_names(config: Mapping[str, Any]) -> frozenset[str]:
    """CACHE_USER_NAMES: the attributes of `g` and of the request that name a user."""
    names = config["CACHE_USER_NAMES"]
    if names is None:
        return frozenset(USER_NAMES)
    listed = isinstance(names, Iterable) and not isinstance(names, str)
    texts = list(cast("Iterable[object]", names)) if listed else [None]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f'CACHE_USER_NAMES={names!r} is no list of texts (use ["user", "tenant"])')
    return frozenset(cast("list[str]", texts))


def http(config: Mapping[str, Any], dialect: Dialect) -> Http | None:
    """CACHE_HTTP: whether views are served as HTTP wants it, and how."""
    found = Http.of(config["CACHE_HTTP"], "CACHE_HTTP")
    if found is not None and not dialect.careful:
        raise ValueError(
            "CACHE_HTTP is set: views are answered as Flask-Caching does here (use flask_larder)"
        )
    return found


def early_hits(value: object, option: str) -> bool | str:
    """The value of CACHE_EARLY_HITS or `cached(early=...)`."""
    if value is True or value is False or value == SKIP_HOOKS:
        return cast("bool | str", value)
    raise ValueError(f"{option}={value!r} is no such option (use True, False or {SKIP_HOOKS!r})")


def early(config: Mapping[str, Any], dialect: Dialect) -> bool | str:
    """CACHE_EARLY_HITS: whether hits are answered before Flask is asked."""
    found = early_hits(config["CACHE_EARLY_HITS"], "CACHE_EARLY_HITS")
    if found and not dialect.careful:
        raise ValueError(
            "CACHE_EARLY_HITS is set: views are answered as Flask-Caching does here "
            "(use flask_larder)"
        )
    return found


def default_timeout(config: Mapping[str, Any]) -> float:
    """CACHE_DEFAULT_TIMEOUT in seconds; 0 is for ever."""
    return durations.seconds(config["CACHE_DEFAULT_TIMEOUT"], "CACHE_DEFAULT_TIMEOUT")


def count(config: Mapping[str, Any], name: str) -> int:
    """A number of things, from 1 upwards; 0 is 500, as cachelib's memory reads it."""
    return entries(config[name], name) or 500


def entries(value: object, name: str) -> int:
    """A number of entries from the value of an option."""
    if isinstance(value, bool) or not isinstance(value, int):
        kind = type(value).__name__
        raise ValueError(f"{name}={value!r} is {kind} (use an int from 1 upwards)")
    if value < 0:
        raise ValueError(f"{name}={value!r} is negative (use an int from 1 upwards)")
    return min(value, _MOST)


_MOST = 1 << 62


def size(config: Mapping[str, Any], name: str) -> int:
    """A number of bytes: an int from 1 upwards, or text such as "64MB"."""
    return bytes_of(config[name], name)


def bytes_of(value: object, name: str) -> int:
    """A number of bytes from the value of an option."""
    if isinstance(value, str):
        found = bytes_in(name, value)
    else:
        found = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if found > 0:
        return min(found, _MOST)
    raise ValueError(f'{name}={value!r} is no size (use a number of bytes, or text such as "64MB")')


def bytes_if_any(value: object, name: str) -> int | None:
    """As `bytes_of`; None stays None, and 0 is 0."""
    if value is None or (value == 0 and not isinstance(value, bool)):
        return None if value is None else 0
    return bytes_of(value, name)
