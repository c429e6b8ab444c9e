"""Stores, as `CACHE_TYPE` names them."""

from __future__ import annotations

from .base import Backend, is_pattern, watch_forks
from .cluster import RedisClusterCache
from .file import FileSystemCache
from .memcached import MemcachedCache, SASLMemcachedCache
from .memory import NullCache, SimpleCache
from .redis import RedisCache
from .sentinel import RedisSentinelCache
from .shared import SharedCache

__all__ = [
    "BACKENDS",
    "Backend",
    "FileSystemCache",
    "MemcachedCache",
    "NullCache",
    "RedisCache",
    "RedisClusterCache",
    "RedisSentinelCache",
    "SASLMemcachedCache",
    "SharedCache",
    "SimpleCache",
    "is_pattern",
    "watch_forks",
]

BACKENDS: dict[str, type[Backend]] = {
    "SimpleCache": SimpleCache,
    "SharedCache": SharedCache,
    "FileSystemCache": FileSystemCache,
    "RedisCache": RedisCache,
    "RedisSentinelCache": RedisSentinelCache,
    "RedisClusterCache": RedisClusterCache,
    "MemcachedCache": MemcachedCache,
    "SASLMemcachedCache": SASLMemcachedCache,
    "NullCache": NullCache,
}
"""The stores by the names that CACHE_TYPE knows them by."""
