"""Secrets: who opens what, how one is exchanged, and what is said where it does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import configuration, redis_config
from flask import Flask

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache


class Basket:
    """No plain data: outside of the process it can only be a sealed pickle."""


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def dialect(request: pytest.FixtureRequest) -> Any:
    """The class of caches of each dialect."""
    return request.param


@pytest.fixture
def shared(redis_url: str) -> dict[str, Any]:
    """The configuration of caches that share their entries."""
    return redis_config(redis_url)


def made(dialect: Any, shared: dict[str, Any], secret: Any = None, **flask: Any) -> Any:
    app = Flask("shop")
    app.config.update(flask)
    options = {} if secret is None else {"CACHE_SECRET": secret}
    return dialect(app, config={**shared, **options})


def test_a_secret_is_exchanged_without_a_miss(dialect: Any, shared: dict[str, Any]) -> None:
    old = made(dialect, shared, "old")
    assert old.set("k", Basket())
    rotated = made(dialect, shared, ["new", "old"])
    assert isinstance(rotated.get("k"), Basket)
    assert rotated.set("k", Basket())
    assert old.get("k") is None
    assert isinstance(made(dialect, shared, b"new").get("k"), Basket)


def test_secret_keys_are_exchanged_as_flask_exchanges_them(
    dialect: Any, shared: dict[str, Any]
) -> None:
    old = made(dialect, shared, SECRET_KEY="old")
    assert old.set("k", Basket())
    rotated = made(dialect, shared, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    assert isinstance(rotated.get("k"), Basket)
    assert made(dialect, shared, SECRET_KEY="new").get("k") is None
    assert rotated.set("k", Basket())
    assert isinstance(made(dialect, shared, SECRET_KEY="new").get("k"), Basket)


def test_a_secret_of_the_cache_goes_before_that_of_the_application(
    dialect: Any, shared: dict[str, Any]
) -> None:
    cache = made(dialect, shared, "own", SECRET_KEY="app", SECRET_KEY_FALLBACKS=["before"])
    assert cache.set("k", Basket())
    assert isinstance(made(dialect, shared, "own").get("k"), Basket)
    for stranger in ("app", "before"):
        assert made(dialect, shared, stranger).get("k") is None


def test_workers_with_other_secrets_are_told_once_what_is_the_matter(
    dialect: Any, shared: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    one = made(dialect, shared, SECRET_KEY="one worker's")
    for key in ("a", "b", "c"):
        assert one.set(key, 1.5)
    other = made(dialect, shared, SECRET_KEY="another worker's")
    assert [other.get(key) for key in ("a", "b", "c")] == [None] * 3
    said = [record.getMessage() for record in caplog.records if "seal" in record.getMessage()]
    assert len(said) == 1, said
    assert "SECRET_KEY" in said[0]
    assert "worker's" not in said[0]
    assert other.stats()["events"]["unreadable"] == 3


@pytest.mark.parametrize("name", ["shared", "file", "memcached"])
def test_every_store_says_that_secrets_differ(
    name: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    store = configuration(name, request)
    assert made(Cache, store, SECRET_KEY="one worker's").set("a", 1.5)
    other = made(Cache, store, SECRET_KEY="another worker's")
    assert [other.get("a"), other.get("a")] == [None, None]
    said = [record.getMessage() for record in caplog.records if "seal" in record.getMessage()]
    assert len(said) == 1, said
    assert "SECRET_KEY" in said[0]
    assert "worker's" not in said[0]
    assert other.stats()["events"]["unreadable"] == 1


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (["fine", 5], "CACHE_SECRET, or SECRET_KEY, is int"),
        ({"a": "b"}, "CACHE_SECRET, or SECRET_KEY, is dict"),
        (["hidden", ""], "the secret is empty"),
        ([f"hidden {number}" for number in range(17)], "there are 17 secrets (give at most 16"),
    ],
)
def test_wrong_secrets_are_errors_at_the_start(
    dialect: Any, shared: dict[str, Any], secret: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        made(dialect, shared, secret)
    assert says in str(caught.value)
    assert "hidden" not in str(caught.value)
