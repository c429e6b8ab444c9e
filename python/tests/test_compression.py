"""CACHE_COMPRESS: large values take less room outside of the process, and are the same values."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from conftest import redis_config
from flask import Flask

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache

PAGE = "".join(f"<tr><td>{n * 7919 % 10_007}</td><td>lamp</td></tr>\n" for n in range(500))


class Basket:
    """No plain data."""

    def __init__(self) -> None:
        self.content = PAGE


def made(kind: Any, config: dict[str, Any], **options: Any) -> Any:
    app = Flask("shop")
    app.secret_key = "a key for tests"
    return kind(app, config={**config, **options})


@pytest.mark.parametrize("kind", [Cache, CompatCache], ids=["safe", "compat"])
def test_values_come_back_whoever_reads(kind: Any, redis_url: str) -> None:
    config = redis_config(redis_url)
    small, plain = made(kind, config, CACHE_COMPRESS="1kB"), made(kind, config)
    for writer in (small, plain):
        assert writer.set("page", PAGE)
        assert writer.set("basket", Basket())
        for reader in (small, plain):
            assert reader.get("page") == PAGE
            assert reader.get("basket").content == PAGE


def taken(config: dict[str, Any]) -> int:
    """The bytes that Redis holds of the entries with this prefix."""
    client = redis.Redis.from_url(config["CACHE_REDIS_URL"])
    names = client.keys(f"{config['CACHE_KEY_PREFIX']}*")
    return sum(client.strlen(name) for name in names if client.type(name) == b"string")


@pytest.mark.parametrize("size", [1024, "1kB", "1024 B"])
def test_values_above_the_size_take_less_room(redis_url: str, size: Any) -> None:
    rooms: dict[tuple[str, bool], int] = {}
    for value in (PAGE, "x" * 1000):
        for options in ({}, {"CACHE_COMPRESS": size}):
            config = redis_config(redis_url)
            assert made(Cache, config, **options).set("k", value)
            rooms[value, bool(options)] = taken(config)
    assert rooms[PAGE, True] * 3 < rooms[PAGE, False]
    assert min(rooms["x" * 1000, True], rooms["x" * 1000, False]) > 1000


def test_back_ends_of_other_people_hold_less_too() -> None:
    rooms: list[int] = []
    for options in ({}, {"CACHE_COMPRESS": 1024}):
        cache = made(Cache, {"CACHE_TYPE": "cachelib.SimpleCache"}, **options)
        assert cache.set("k", PAGE)
        assert cache.get("k") == PAGE
        rooms.append(max(len(held) for _, held in cache.cache.wrapped._cache.values()))
    assert rooms[1] * 3 < rooms[0]


def test_the_bound_on_values_is_that_of_their_whole_size(redis_url: str) -> None:
    """Otherwise a small entry could fill the memory of whoever reads it."""
    config = redis_config(redis_url)
    large = PAGE * 3
    cache = made(Cache, config, CACHE_COMPRESS="1kB", CACHE_MAX_VALUE=len(PAGE) * 2)
    assert cache.set("k", large) is False
    assert made(Cache, config, CACHE_COMPRESS="1kB").set("k", large)
    assert cache.get("k") is None
    assert cache.stats()["events"] == {"unreadable": 1}


@pytest.mark.parametrize("size", [True, -1, 0, "large", 1.5])
def test_wrong_sizes_are_errors_at_the_start(redis_url: str, size: Any) -> None:
    with pytest.raises(ValueError, match=r"CACHE_COMPRESS=.* is no size"):
        made(Cache, redis_config(redis_url), CACHE_COMPRESS=size)


def test_off_is_off(redis_url: str) -> None:
    for off in (None, False):
        assert made(Cache, redis_config(redis_url), CACHE_COMPRESS=off).set("k", PAGE)
