"""Sentinels and a cluster in the compat dialect: on the engine, and through redis-py with Flask-Caching's
bytes where something was handed in."""

from __future__ import annotations

import pickle
import uuid
from typing import Any

import pytest
from cachelib.serializers import RedisSerializer
from conftest import Calls, text_of
from flask import Flask
from redis_servers import Cluster, Sentinels

from flask_larder.compat import Cache
from flask_larder.compat.backends import RedisCache, RedisClusterCache, RedisSentinelCache


@pytest.fixture(params=["sentinels", "cluster"])
def servers(request: pytest.FixtureRequest) -> Sentinels | Cluster:
    """Each arrangement of servers."""
    found: Sentinels | Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["engine", "near", "client"])
def cache(request: pytest.FixtureRequest, app: Flask, servers: Sentinels | Cluster) -> Cache:
    """A cache there; with a serializer, values go through redis-py."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    config: dict[str, Any] = {**servers.config, "CACHE_KEY_PREFIX": prefix}
    if request.param == "engine":
        config["CACHE_OPTIONS"] = {"deadline": 30}
    elif request.param == "near":
        config |= {"CACHE_OPTIONS": {"deadline": 30}, "CACHE_NEAR": True}
    else:
        config |= {"CACHE_SERIALIZER": RedisSerializer}
    app.secret_key = "a key for tests"
    cache = Cache(app, config=config)
    backend = cache.cache
    assert isinstance(backend, RedisCache)
    assert isinstance(
        backend,
        RedisSentinelCache
        if servers.config["CACHE_TYPE"] == "RedisSentinelCache"
        else RedisClusterCache,
    )
    assert backend.coded is (request.param == "client")
    return cache


@pytest.fixture(autouse=True)
def context(app: Flask) -> Any:
    """All of it in an application."""
    with app.app_context():
        yield


def _read_the_master(cache: Cache) -> None:
    """Through redis-py, reads of a Sentinel go to a replica, which hears of a change a moment later."""
    if cache.cache.coded:
        cache.cache._read_client = cache.cache._write_client


def test_values_of_many_servers(cache: Cache) -> None:
    keys = [f"product-{number}" for number in range(20)]
    assert cache.set_many({key: key for key in keys})
    _read_the_master(cache)
    assert cache.get_many(*keys, "nothing") == [*keys, None]
    assert cache.get_dict(keys[0], "nothing") == {keys[0]: keys[0], "nothing": None}
    assert cache.delete_many(*keys[:5]) == keys[:5]
    assert cache.get_many(*keys) == [None] * 5 + keys[5:]
    assert (cache.cache.inc("n"), cache.cache.inc("n", 2), cache.cache.dec("n")) == (1, 3, 2)
    assert cache.add(keys[5], 1) is False
    assert cache.add("new", 1) is True
    assert cache.delete("new") is True
    assert cache.clear()
    assert cache.get_many(*keys) == [None] * 20


def test_functions_and_views(app: Flask, cache: Cache, calls: Calls) -> None:
    _read_the_master(cache)
    price = cache.memoize(60)(lambda number: (number, calls()))
    app.add_url_rule("/", "index", cache.cached(60)(lambda: f"page {calls()}"))
    client = app.test_client()
    assert [price(1), price(1), text_of(client), text_of(client)] == [
        (1, 1),
        (1, 1),
        "page 2",
        "page 2",
    ]
    cache.delete_memoized(price)
    cache.delete("view//")
    assert [price(1), text_of(client)] == [(1, 3), "page 4"]


def test_bytes_are_flask_cachings_where_a_serializer_is_handed_in(
    app: Flask, servers: Sentinels | Cluster
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    config = {**servers.config, "CACHE_KEY_PREFIX": prefix, "CACHE_SERIALIZER": RedisSerializer}
    backend = Cache(app, config=config).cache
    assert backend.set("k", [1])
    stored = backend._write_client.get(f"{prefix}k")
    assert stored[:1] == b"!"
    assert pickle.loads(stored[1:]) == [1]


def test_a_client_is_there_for_whoever_asks(app: Flask, servers: Sentinels | Cluster) -> None:
    backend = Cache(app, config={**servers.config, "CACHE_KEY_PREFIX": "x-"}).cache
    assert backend._write_client.set("some key", 1)
    assert int(backend._write_client.get("some key")) == 1
    assert backend._read_client is not None
    assert not backend.coded


def test_a_cluster_that_is_away_does_not_keep_an_application_from_starting(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": "127.0.0.1:1"}
    cache = Cache(app, config=config)
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "page"))
    assert text_of(app.test_client()) == "page"
    with pytest.raises(ValueError, match="CACHE_REDIS_CLUSTER has 'nowhere'"):
        Cache(app, config={**config, "CACHE_REDIS_CLUSTER": "nowhere"})


def test_a_near_tier_is_for_stores_of_redis(app: Flask) -> None:
    for kind in ("SimpleCache", "MemcachedCache"):
        with pytest.raises(ValueError, match="has no near tier here"):
            Cache(app, config={"CACHE_TYPE": kind, "CACHE_NEAR": True})
    config = {"CACHE_TYPE": "RedisCache", "CACHE_NEAR": True, "CACHE_OPTIONS": {"retry": None}}
    with pytest.raises(ValueError, match="values go through redis-py"):
        Cache(app, config=config)
