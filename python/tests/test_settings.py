"""Wrong settings: each is an error at the start, with the value that is wrong and the cure."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache

EITHER = pytest.mark.parametrize("kind", [Cache, CompatCache], ids=["safe", "compat"])
# Nobody listens there, and nothing connects at the start.
NOWHERE = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1}


def wrong(kind: Any, **options: Any) -> str:
    """The message of the ValueError that these options are."""
    with pytest.raises(ValueError, match=r".") as caught:
        kind(Flask("shop"), config={"CACHE_TYPE": "SimpleCache", **options})
    return str(caught.value)


def test_stores_of_the_other_dialect_are_known_by_name() -> None:
    assert "use MemcachedCache or SASL" in wrong(Cache, CACHE_TYPE="gaememcached")
    assert "flask_larder.compat has it" in wrong(Cache, CACHE_TYPE="uwsgi")
    assert "did you mean SimpleCache?" in wrong(Cache, CACHE_TYPE="simplecache")
    assert "did you mean SharedCache?" in wrong(Cache, CACHE_TYPE="sharedcache")


def test_files_of_cachelib_are_named_by_their_path(tmp_path: Path) -> None:
    config = {
        "CACHE_TYPE": "cachelib.FileSystemCache",
        "CACHE_OPTIONS": {"cache_dir": str(tmp_path)},
    }
    cache = Cache(Flask("shop"), config=config)
    assert cache.set("product", 1)
    assert cache.get("product") == 1


@EITHER
def test_options_have_the_shape_of_options(kind: Any) -> None:
    assert wrong(kind, CACHE_OPTIONS="x") == "CACHE_OPTIONS='x' is str (use a dict)"
    assert wrong(kind, CACHE_ARGS=3) == "CACHE_ARGS=3 is int (use a list)"


def test_names_of_options_are_in_capitals() -> None:
    assert "did you mean CACHE_TYPE" in wrong(Cache, cache_type="SimpleCache")
    config: Any = {5: 5, "CACHE_TYPE": "SimpleCache"}
    assert Cache(Flask("shop"), config=config).set("product", 1)


@EITHER
@pytest.mark.parametrize("value", ["many", "100", -1])
def test_a_threshold_is_a_number(kind: Any, value: Any) -> None:
    assert wrong(kind, CACHE_THRESHOLD=value).startswith(f"CACHE_THRESHOLD={value!r} is ")


@EITHER
def test_a_huge_threshold_is_no_limit(kind: Any) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 10**30}
    assert kind(Flask("shop"), config=config).set("product", 1)


def test_a_threshold_may_have_a_point_as_in_cachelib() -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 1e3}
    cache = CompatCache(Flask("shop"), config=config)
    assert cache.cache._threshold == 1000


def test_huge_sizes_are_no_limits() -> None:
    config = {
        "CACHE_TYPE": "SimpleCache",
        "CACHE_MAX_BYTES": 10**30,
        "CACHE_MAX_VALUE": "99999999999GB",
    }
    assert Cache(Flask("shop"), config=config).set("product", 1)


@EITHER
@pytest.mark.parametrize("prefix", [5, b"shop", ["shop"]])
def test_a_prefix_on_redis_is_a_text(kind: Any, prefix: Any) -> None:
    expected = f"CACHE_KEY_PREFIX={prefix!r} is {type(prefix).__name__}"
    assert expected in wrong(kind, **NOWHERE, CACHE_KEY_PREFIX=prefix)


@EITHER
def test_addresses_of_redis_are_looked_at(kind: Any) -> None:
    assert "CACHE_REDIS_PORT='abc' is no port" in wrong(
        kind, CACHE_TYPE="RedisCache", CACHE_REDIS_PORT="abc"
    )
    assert "CACHE_REDIS_PORT=70000 is no port" in wrong(
        kind, CACHE_TYPE="RedisCache", CACHE_REDIS_PORT=70000
    )
    assert "CACHE_REDIS_HOST is a URL (set CACHE_REDIS_URL" in wrong(
        kind, **NOWHERE, CACHE_REDIS_HOST="redis://localhost"
    )
    assert "CACHE_REDIS_URL is int" in wrong(kind, **NOWHERE, CACHE_REDIS_URL=5)
    assert "CACHE_REDIS_HOST" in wrong(kind, **NOWHERE, CACHE_REDIS_HOST=5)


def test_names_of_users_are_a_list() -> None:
    for names in (5, "user", [5]):
        assert f"CACHE_USER_NAMES={names!r} is no list" in wrong(Cache, CACHE_USER_NAMES=names)


def test_texts_for_redis_are_texts() -> None:
    assert "lone surrogate" in wrong(Cache, **NOWHERE, CACHE_KEY_PREFIX="\ud800")
    message = wrong(Cache, **NOWHERE, CACHE_SECRET=12345)
    assert "CACHE_SECRET, or SECRET_KEY, is int" in message
    assert "12345" not in message


def test_a_password_may_be_a_number() -> None:
    config = {**NOWHERE, "CACHE_REDIS_PASSWORD": 12345}
    assert Cache(Flask("shop"), config=config).get("product") is None


@pytest.mark.parametrize("scheme", ["http", "valkey"])
def test_what_redis_py_refuses_is_refused_at_the_start(scheme: str) -> None:
    pytest.importorskip("redis")
    message = wrong(CompatCache, CACHE_TYPE="RedisCache", CACHE_REDIS_URL=f"{scheme}://localhost")
    assert "must specify one of the following schemes" in message
    with pytest.raises(TypeError, match="nonsense"):
        CompatCache(Flask("shop"), config={**NOWHERE, "CACHE_OPTIONS": {"nonsense": 1}})


def test_a_module_is_no_store() -> None:
    with pytest.raises(TypeError, match="CACHE_TYPE='simplecache' is a module"):
        CompatCache(Flask("shop"), config={"CACHE_TYPE": "simplecache"})


def test_what_makes_no_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("makers")
    module.nothing = lambda *_given: None
    monkeypatch.setitem(sys.modules, "makers", module)
    expected = "CACHE_TYPE='makers.nothing' made a NoneType, which is no back end"
    assert expected in wrong(CompatCache, CACHE_TYPE="makers.nothing")
    assert "NoneType is no back end" in wrong(Cache, CACHE_TYPE="makers.nothing")


def test_a_value_that_is_too_large_is_told(caplog: pytest.LogCaptureFixture) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_MAX_VALUE": 1000}
    cache = Cache(Flask("shop"), config=config)

    @cache.memoize(60)
    def report(number: int) -> str:
        return "x" * 2000

    assert not cache.set("picture", b"x" * 2000)
    for number in (1, 2):
        report(number)
    picture, answer = (record.getMessage() for record in caplog.records)
    assert picture == "'picture' is not kept: it is larger than CACHE_MAX_VALUE allows"
    assert answer.startswith("an answer of ")
    assert answer.endswith("report is larger than CACHE_MAX_VALUE allows, and is not stored")
