"""Where a store is: CACHE_URL, and the options that say it one by one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

from ._native import store_of

__all__ = ["complete_url", "directory_url"]

TYPES = {
    "memory": "SimpleCache",
    "shared": "SharedCache",
    "file": "FileSystemCache",
    "redis": "RedisCache",
    "memcached": "MemcachedCache",
    "null": "NullCache",
}
"""What CACHE_TYPE calls the stores that a URL can name."""

_REDIS = {"sentinel": "RedisSentinelCache", "cluster": "RedisClusterCache"}
"""What it calls those that a URL of Redis names by the second part of its scheme."""

_NEAR = "memory://"
"""How the URL of a near tier begins; ` + ` and that of the far one follow."""

_BESIDE = (
    "CACHE_DIR",
    "CACHE_MAX_BYTES",
    "CACHE_MEMCACHED_PASSWORD",
    "CACHE_MEMCACHED_SERVERS",
    "CACHE_MEMCACHED_USERNAME",
    "CACHE_NEAR_SIZE",
    "CACHE_REDIS_CLUSTER",
    "CACHE_REDIS_DB",
    "CACHE_REDIS_HOST",
    "CACHE_REDIS_PASSWORD",
    "CACHE_REDIS_PORT",
    "CACHE_REDIS_SENTINELS",
    "CACHE_REDIS_SENTINEL_MASTER",
    "CACHE_REDIS_SENTINEL_PASSWORD",
    "CACHE_REDIS_URL",
    "CACHE_SIZE",
    "CACHE_THRESHOLD",
)
"""Options that say what a URL says itself."""


def complete_url(config: dict[str, Any], types: Mapping[str, str]) -> None:
    """Sets CACHE_TYPE to the store that CACHE_URL names; `types` are older names of stores.

    Raises a ValueError for a URL that names none, and where another option says something else.
    """
    url = config.get("CACHE_URL")
    if not url:
        # As with a variable of the environment that is not set.
        config["CACHE_URL"] = None
        return
    if not isinstance(url, str):
        raise ValueError(f"CACHE_URL is {type(url).__name__} (use a text, memory:// for example)")
    try:
        name = _type_of(url)
    except ValueError as error:
        raise ValueError(f"CACHE_URL: {error}") from None
    given = config.get("CACHE_TYPE", name)
    known = types.get(given, given)
    # Whoever says RedisCache has a Redis, whichever way the URL leads to it.
    if known not in (name, f"SASL{name}") and (known, name) not in _GENERAL:
        raise ValueError(
            f"CACHE_URL names a {name} and CACHE_TYPE={given!r} another store (leave one of them out)"
        )
    for option in _BESIDE:
        if config.get(option) is not None:
            raise ValueError(
                f"{option} is set beside CACHE_URL, which says all of that (leave it out, or write "
                "it into the URL)"
            )
    config["CACHE_TYPE"] = known


_GENERAL = tuple(("RedisCache", name) for name in _REDIS.values())


def far_of(url: str) -> str:
    """The URL of the store itself, without that of a near tier in front of it."""
    near, between, far = url.partition(" + ")
    return far.strip() if between and near.strip().startswith(_NEAR) else url


def _type_of(url: str) -> str:
    """What CACHE_TYPE calls the store that a URL names."""
    name = TYPES[store_of(url)]
    way = far_of(url).partition("://")[0].lower().partition("+")[2]
    return _REDIS.get(way, name)


def directory_url(store: str, directory: object, options: Mapping[str, object]) -> str:
    """The URL of a store in CACHE_DIR; a ValueError for what is no directory to rely on."""
    if directory is None or directory == "":
        raise ValueError("CACHE_DIR is not set (give the store a directory of its own)")
    if not isinstance(directory, str | os.PathLike):
        raise ValueError(f"CACHE_DIR is {type(directory).__name__} (use the path of a directory)")
    path = os.fsdecode(cast("str | os.PathLike[str]", directory))
    if not os.path.isabs(path):
        raise ValueError(
            f"CACHE_DIR={path!r} is relative, so that it depends on where a process was started "
            f"(use {os.path.abspath(os.path.expanduser(path))!r}, if that is meant)"
        )
    asked = urlencode({name: value for name, value in options.items() if value is not None})
    return f"{store}://{quote(os.fsencode(path))}{'?' if asked else ''}{asked}"
