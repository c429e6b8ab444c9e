"""How often people's own callables and methods are called in the compat dialect: as often as there."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from compat_support import Recorded
from conftest import Calls, text_of
from flask import Flask, render_template_string
from jinja2 import DictLoader
from markupsafe import Markup

from flask_larder.compat import Cache
from flask_larder.compat.backends import SimpleCache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def test_a_key_function_is_called_once_for_each_call(app: Flask, compat: Cache) -> None:
    asked: list[str] = []

    def key_of(name: str) -> str:
        asked.append(name)
        return f"by {name}"

    @app.get("/<name>")
    @compat.cached(make_cache_key=key_of)
    def page(name: str) -> str:
        return name

    client = app.test_client()
    # The first answer lets the next hits be answered at once; what is no hit comes after it.
    for name in ("a", "a", "b", "b"):
        text_of(client, f"/{name}")
    assert asked == ["a", "a", "b", "b"]


def test_a_key_function_that_fails_is_called_once(app: Flask, compat: Cache) -> None:
    asked: list[str] = []

    def key_of(name: str) -> str:
        asked.append(name)
        return {"a": "known"}[name]

    @app.get("/<name>")
    @compat.cached(make_cache_key=key_of)
    def page(name: str) -> str:
        return name

    client = app.test_client()
    assert [text_of(client, f"/{name}") for name in ("a", "a", "b")] == ["a", "a", "b"]
    assert asked == ["a", "a", "b"]
    app.debug = True
    with pytest.raises(KeyError):
        client.get("/b")


@pytest.mark.parametrize("debug", [False, True])
def test_a_hit_is_logged_in_debug(app: Flask, compat: Cache, log: Any, debug: bool) -> None:
    app.debug = debug

    @app.get("/")
    @compat.cached()
    def page() -> str:
        return ""

    @compat.memoize()
    def double(number: int) -> int:
        return 2 * number

    client = app.test_client()
    for _ in range(3):
        client.get("/")
        assert double(2) == 4
    hits = [record.getMessage() for record in log.records]
    assert hits == (["Cache used for key: view//"] * 2 if debug else [])


@pytest.mark.parametrize(("given", "seconds"), [(timedelta(seconds=1.5), 2), (7, 7), ("20", 20)])
def test_the_default_timeout_is_rounded_up(app: Flask, given: object, seconds: int) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": given}
    assert Cache(app, config=config).cache.default_timeout == seconds


def test_a_cache_of_ones_own_sees_every_removal(app: Flask) -> None:
    gone: list[tuple[str, ...]] = []

    class Watching(Recorded):
        def delete_many(self, *keys: str) -> Any:
            gone.append(keys)
            return super().delete_many(*keys)

    cache = Watching(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def double(number: int) -> int:
        return 2 * number

    cache.unlink("a", "b")
    assert gone == [("a", "b")]
    cache.calls.clear()
    cache.delete_memoized(double)
    assert cache.calls == ["get_many", "set_many"]


def test_a_store_that_forgot_a_version_is_given_one(app: Flask) -> None:
    class Forgetful(Recorded):
        def get_many(self, *keys: str) -> Any:
            super().get_many(*keys)
            return [None for _ in keys]

        def set_many(self, mapping: Any, timeout: object = None) -> Any:
            assert all(mapping.values())
            written.append(len(mapping))
            return super().set_many(mapping, timeout=timeout)

    written: list[int] = []
    cache = Forgetful(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def double(number: int) -> int:
        return 2 * number

    assert double(2) == 4
    assert written == [1, 1]


def test_a_block_is_kept_as_its_template_has_it(app: Flask, compat: Cache, calls: Calls) -> None:
    block = "{% cache 60, name %}<b>{{ '<' }}</b>{% endcache %}"
    app.jinja_loader = DictLoader({"plain": block})
    with app.test_request_context():
        plain = app.jinja_env.get_template("plain")
        assert plain.render(name="a") == plain.render(name="a") == "<b><</b>"
        for _ in range(2):
            assert render_template_string(block, name="b") == "<b>&lt;</b>"
    kept = [compat.get(f"_template_fragment_cache_{name}") for name in "ab"]
    assert [type(text) for text in kept] == [str, Markup]


def test_entries_tell_the_time_by_the_clock_of_the_store(compat: Cache, clock: HandClock) -> None:
    compat.set("a", 1, timeout=50)
    assert compat.cache._cache["a"][0] == pytest.approx(clock() + 50, abs=0.01)


class Sealed(SimpleCache):
    """A memory whose values are wrapped on their way in and out, and that notes what is deleted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deleted: list[str] = []

    def get(self, key: str) -> Any:
        found = super().get(key)
        return None if found is None else found[1]

    def set(self, key: str, value: Any, timeout: object = None) -> bool:
        return super().set(key, ("sealed", value), timeout)

    def delete(self, key: str) -> bool:
        self.deleted.append(key)
        return super().delete(key)


def test_a_method_of_a_derived_store_serves_many_keys_and_counters(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": f"{__name__}.Sealed"})
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many("a", "b", "c") == [1, 2, None]
    assert cache.get_dict("a") == {"a": 1}
    assert [cache.cache.inc("n"), cache.cache.inc("n", 4), cache.cache.dec("n")] == [1, 5, 4]
    assert cache.delete_many("a", "z") == ["a", "z"]
    assert cache.cache.deleted == ["a", "z"]
    assert super(Sealed, cache.cache).get("b") == ("sealed", 2)


def test_a_method_replaced_on_the_store_serves_many_keys(compat: Cache) -> None:
    compat.set("a", 1)
    compat.cache.get = lambda key: f"own {key}"
    assert compat.get_many("a", "b") == ["own a", "own b"]


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_an_answer_by_query_is_deleted_once(app: Flask, redis_url: str, where: str) -> None:
    prefix = f"compat-{uuid.uuid4().hex}-"
    far = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": redis_url, "CACHE_KEY_PREFIX": prefix}
    far["CACHE_OPTIONS"] = {"deadline": 30}
    cache = Cache(app, config=far if where == "redis" else {"CACHE_TYPE": "SimpleCache"})

    @app.get("/works")
    @cache.cached(query_string=True)
    def works() -> str:
        return ""

    client = app.test_client()
    client.get("/works?limit=15")
    with app.app_context():
        gone = [cache.delete_cached(works, "/works", "limit=15") for _ in range(2)]
    assert gone == [True, False]


def test_errors_of_redis_are_caught_as_those_of_redis_py(app: Flask) -> None:
    # Nothing listens on this port.
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1})
    calls: list[Any] = [
        lambda: cache.get("a"),
        lambda: cache.get_many("a"),
        lambda: cache.has("a"),
        lambda: cache.set("a", 1),
        lambda: cache.set_many({"a": 1}),
        lambda: cache.add("a", 1),
        lambda: cache.delete("a"),
        lambda: cache.delete_many("a"),
        lambda: cache.unlink("a"),
        lambda: cache.cache.inc("a"),
        lambda: cache.clear(),
    ]
    for call in calls:
        with pytest.raises(redis.exceptions.ConnectionError) as caught:
            call()
        assert isinstance(caught.value, OSError)


def test_a_password_for_a_server_that_has_none(app: Flask, redis_url: str) -> None:
    address = urlsplit(redis_url)
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": address.hostname,
        "CACHE_REDIS_PORT": address.port,
        "CACHE_REDIS_PASSWORD": "not asked for",
        "CACHE_KEY_PREFIX": f"compat-{uuid.uuid4().hex}-",
        "CACHE_OPTIONS": {"deadline": 30},
    }
    cache = Cache(app, config=config)
    assert cache.set("a", 1)
    assert cache.get("a") == 1
