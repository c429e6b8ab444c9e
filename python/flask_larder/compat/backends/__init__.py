"""Back ends, under the names that Flask-Caching has for them."""

from __future__ import annotations

from .base import BaseCache
from .filesystemcache import FileSystemCache
from .memcache import MemcachedCache, SASLMemcachedCache, SpreadSASLMemcachedCache
from .nullcache import NullCache
from .rediscache import RedisCache, RedisClusterCache, RedisSentinelCache
from .simplecache import SimpleCache
from .uwsgicache import UWSGICache

__all__ = [
    "BaseCache",
    "FileSystemCache",
    "MemcachedCache",
    "NullCache",
    "RedisCache",
    "RedisClusterCache",
    "RedisSentinelCache",
    "SASLMemcachedCache",
    "SimpleCache",
    "SpreadSASLMemcachedCache",
]

# Flask-Caching 2.4 and older had a function for each of them, and UWSGICache stood here, and
# configurations still name them.
null = NullCache.factory
simple = SimpleCache.factory
filesystem = FileSystemCache.factory
redis = RedisCache.factory
redissentinel = RedisSentinelCache.factory
rediscluster = RedisClusterCache.factory
uwsgi = UWSGICache.factory
memcached = gaememcached = MemcachedCache.factory
saslmemcached = SASLMemcachedCache.factory
spreadsaslmemcached = SpreadSASLMemcachedCache.factory
