"""What users do with a cache, on every arrangement of servers, with a near tier and without."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, render_template_string
from fleet_support import SECRET, config_of, until
from test_processes import in_a_child

from flask_larder import Cache

EVERYWHERE = [
    "tls",
    "client",
    "account",
    "socket",
    "sentinels",
    "cluster",
    "near-redis",
    "near-sentinels",
    "near-cluster",
    "near-memcached",
    "near-file",
    "near-foreign",
]


@pytest.fixture(params=EVERYWHERE)
def place(request: pytest.FixtureRequest) -> str:
    """The name of an arrangement."""
    return str(request.param)


@pytest.fixture
def config(place: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of an arrangement, with nothing in it."""
    return config_of(place, request)


@pytest.fixture
def cache(app: Flask, config: dict[str, Any]) -> Cache:
    """A cache there."""
    app.secret_key = SECRET
    return Cache(app, config=config)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Any:
    """All of it in an application."""
    with app.app_context():
        yield


def test_values(cache: Cache) -> None:
    assert cache.get("k") is None
    value = {"n": 1, "list": [1.5, "é", None], "bytes": b"\0\xff"}
    assert cache.set("k", value) is True
    assert (cache.get("k"), cache.has("k")) == (value, True)
    assert cache.set("k", timedelta(days=1)) is True
    assert cache.get("k") == timedelta(days=1)
    assert cache.add("k", 1) is False
    assert cache.add("new", 1) is True
    assert cache.delete("k") is True
    assert cache.delete("k") is False
    assert (cache.get("k"), cache.get("new")) == (None, 1)


def test_many_values(cache: Cache) -> None:
    keys = [f"product {number}" for number in range(50)]
    assert sorted(cache.set_many({key: key for key in keys})) == sorted(keys)
    assert cache.get_many(*keys) == keys
    assert cache.get_dict("product 1", "nothing") == {"product 1": "product 1", "nothing": None}
    assert cache.delete_many(*keys[:40]) == keys[:40]
    assert cache.get_many(*keys) == [None] * 40 + keys[40:]
    cache.clear()
    assert cache.get_many(*keys) == [None] * 50


def test_counters(cache: Cache) -> None:
    assert [cache.cache.inc("n"), cache.cache.inc("n", 5), cache.cache.dec("n", 2)] == [1, 6, 4]
    assert cache.get("n") == 4


def test_lifetimes(cache: Cache, clock: Any) -> None:
    # Servers count by their own clock.
    cache.set("short", 1, timeout=100)
    cache.set("ever", 1, timeout=0)
    assert (cache.get("short"), cache.get("ever")) == (1, 1)
    clock.advance(101)
    assert (cache.get("short"), cache.get("ever")) == (None, 1)


def test_prefixes_and_patterns(cache: Cache, place: str) -> None:
    cache.set_many({"a*b:1": 1, "a*b:2": 2, "axb:1": 3})
    if "memcached" in place or "foreign" in place:
        with pytest.raises(NotImplementedError, match="tag the entries"):
            cache.delete_prefix("a*b")
        return
    assert sorted(cache.delete_prefix("a*b:")) == ["a*b:1", "a*b:2"]
    assert cache.get_many("a*b:1", "a*b:2", "axb:1") == [None, None, 3]
    assert cache.delete_many("a?b:*") == ["axb:1"]
    assert cache.get("axb:1") is None


def test_functions_and_tags(cache: Cache, calls: Calls) -> None:
    @cache.memoize(60, tags=["products", "product-{number}"])
    def price(number: int) -> tuple[int, int]:
        return number, calls()

    @cache.memoize(60)
    def other() -> int:
        return calls()

    assert [price(1), price(1), price(2), price(2), other(), other()] == [
        (1, 1),
        (1, 1),
        (2, 2),
        (2, 2),
        3,
        3,
    ]
    cache.invalidate_tags("product-1")
    assert [price(1), price(1), price(2)] == [(1, 4), (1, 4), (2, 2)]
    cache.invalidate_tags("products")
    assert [price(1), price(2), other()] == [(1, 5), (2, 6), 3]
    cache.delete_memoized(price, 1)
    assert [price(1), price(2)] == [(1, 7), (2, 6)]
    cache.delete_memoized(price)
    assert [price(1), price(2), other()] == [(1, 8), (2, 9), 3]


def test_views(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/", "index", cache.cached(60, tags=["pages"])(lambda: f"page {calls()}"))
    client = app.test_client()
    assert [text_of(client), text_of(client, "/?a=1"), text_of(client)] == [
        "page 1",
        "page 2",
        "page 1",
    ]
    assert cache.delete("view//") is True
    assert [text_of(client), text_of(client)] == ["page 3", "page 3"]
    cache.invalidate_tags("pages")
    assert [text_of(client), text_of(client)] == ["page 4", "page 4"]


def test_fragments(app: Flask, cache: Cache, calls: Calls) -> None:
    template = "{% cache 60, 'price' %}{{ price() }}{% endcache %}"

    def rendered() -> str:
        with app.test_request_context():
            return render_template_string(template, price=calls)

    assert [rendered(), rendered()] == ["1", "1"]
    cache.clear()
    assert [rendered(), rendered()] == ["2", "2"]


def test_others_see_what_was_written(app: Flask, config: dict[str, Any], cache: Cache) -> None:
    other = Cache(app, config=config)
    cache.set("k", 1)
    assert other.get("k") == 1
    for number in range(3):
        other.set("k", number)
        assert other.get("k") == number
        if not _silent(config):
            until(lambda number=number: cache.get("k") == number)
    other.clear()
    assert other.get("k") is None
    if not _silent(config):
        until(lambda: cache.get("k") is None)


def _silent(config: dict[str, Any]) -> bool:
    """Whether a near tier is told of nothing there."""
    told = ("RedisCache", "RedisSentinelCache")
    return "CACHE_NEAR" in config and config["CACHE_TYPE"] not in told


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_t7_9_a_cache_that_was_used_works_in_every_child(
    app: Flask, cache: Cache, calls: Calls
) -> None:
    price = cache.memoize(60)(lambda product: [product, calls()])
    app.add_url_rule("/", "index", cache.cached(60)(lambda: str(calls())))
    assert [price("a"), text_of(app.test_client())] == [["a", 1], "2"]

    def work() -> Any:
        with app.app_context():
            first = [price("a"), text_of(app.test_client()), price("b")]
            cache.set("child", 1)
            return [*first, cache.get("child"), price("b")]

    for number in range(2):
        found = in_a_child(work)
        assert found[:2] == [["a", 1], "2"]
        assert found[2] == found[4]
        assert found[3] == 1
        cache.delete_memoized(price, "b")
        cache.set("parent", number)
        assert (price("a"), cache.get("parent")) == (["a", 1], number)
