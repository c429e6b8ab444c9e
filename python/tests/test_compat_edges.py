"""Calls at the edge of what the compat dialect promises: no store, odd keys, errors that look alike."""

from __future__ import annotations

import gc
import uuid
import weakref
from typing import Any
from unittest import mock

import pytest
from conftest import Calls, text_of
from flask import Flask, make_response, render_template_string

from flask_larder.compat import Cache, CachedResponse
from flask_larder.compat.backends import SimpleCache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def on_redis(app: Flask, redis_url: str) -> Cache:
    """A cache on Redis, with keys that no other test has."""
    prefix = f"edges-{uuid.uuid4().hex}-"
    options = {"CACHE_REDIS_URL": redis_url, "CACHE_KEY_PREFIX": prefix}
    return Cache(
        app, config={"CACHE_TYPE": "RedisCache", "CACHE_OPTIONS": {"deadline": 30}, **options}
    )


@pytest.fixture
def far(app: Flask, redis_url: str) -> Cache:
    """A cache on Redis."""
    return on_redis(app, redis_url)


def used() -> weakref.ref[Any]:
    """An application that is not needed any more, whose function holds itself and by it the cache."""
    app = Flask("gone")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def total(number: int) -> int:
        return number and number + total(number - 1)

    with app.app_context():
        assert [total(3), total(3), total(3)] == [6, 6, 6]
    return weakref.ref(app)


def test_a_function_that_holds_its_application_does_not_keep_it() -> None:
    gone = used()
    for _ in range(3):
        gc.collect()
    assert gone() is None


def test_a_function_under_an_application_without_this_cache(compat: Cache, calls: Calls) -> None:
    counted = compat.memoize()(calls)
    stranger = Flask("stranger")
    with stranger.app_context():
        assert [counted(), counted()] == [1, 2]
        stranger.extensions["cache"] = {}
        assert counted() == 3
        compat.app.debug = True
        with pytest.raises(KeyError):
            counted()


@pytest.mark.parametrize("made", [b"a", 5, None, ("a", 1)])
@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
def test_any_key_is_a_text_on_redis(
    app: Flask, far: Cache, calls: Calls, option: str, made: Any
) -> None:
    given: dict[str, Any] = {option: lambda *_args: made}
    view = far.cached(60, **given)(calls)
    with app.test_request_context("/"):
        assert [view(), view()] == [1, 1]
        assert (far.get(made), far.get(f"{made}")) == (1, 1)
        assert far.delete(made)
        assert [view(), view()] == [2, 2]


class Fails:
    """An argument whose repr cannot reach something."""

    def __repr__(self) -> str:
        raise ConnectionRefusedError("not the store")


def test_an_os_error_of_an_argument_is_none_of_the_store(
    app: Flask, far: Cache, calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    @far.memoize()
    def count(_argument: object) -> int:
        return calls()

    with app.app_context():
        assert [count(Fails()), count(Fails())] == [1, 2]
        assert "store-failed" not in far.stats()["events"]
        assert [record.getMessage() for record in log.records] == [
            "Exception possibly due to cache backend."
        ] * 2
        app.debug = True
        with pytest.raises(ConnectionRefusedError, match="not the store"):
            count(Fails())


def test_a_response_without_an_end_on_redis(
    app: Flask, far: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @far.cached(60)
    def index() -> CachedResponse:
        return CachedResponse(make_response(str(calls())), -1)

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "1"]
    clock.advance(1e6)
    assert text_of(client) == "1"


@pytest.mark.parametrize("where", ["engine", "redis"])
@pytest.mark.parametrize("of", ["cache", "store"])
def test_a_method_replaced_on_a_class_sees_the_calls_of_what_was_not_used_yet(
    app: Flask, compat: Cache, redis_url: str, calls: Calls, where: str, of: str
) -> None:
    cache = on_redis(app, redis_url) if where == "redis" else compat
    with app.app_context():
        assert cache.get("whatever else") is None
        kind = type(cache) if of == "cache" else type(cache.cache)
        count, page = cache.memoize()(lambda: calls()), cache.cached(key_prefix="p")(calls)
        with mock.patch.object(kind, "get", return_value="patched"):
            assert [count(), page()] == ["patched"] * 2
        assert [count(), count(), page(), page()] == [1, 1, 2, 2]


@pytest.mark.parametrize("made", [b"a", "\ud800", "a"])
def test_a_prefix_of_any_kind_is_made_once_for_each_call(
    app: Flask, compat: Cache, calls: Calls, made: Any
) -> None:
    asked = mock.Mock(return_value=made)
    view = compat.cached(60, key_prefix=asked)(calls)
    with app.test_request_context("/"):
        assert [view() for _ in range(5)] == [1] * 5
        assert (compat.get(made), asked.call_count) == (1, 5)


def test_a_fragment_without_an_end_on_redis(
    app: Flask, far: Cache, calls: Calls, clock: HandClock
) -> None:
    app.jinja_env.globals["calls"] = calls
    with app.app_context():
        for _ in range(3):
            assert render_template_string("{% cache -1, 'f' %}{{ calls() }}{% endcache %}") == "1"
            clock.advance(1e6)


@pytest.mark.parametrize("of", ["cache", "store"])
def test_a_method_replaced_on_a_class_sees_the_calls_of_what_was_used(
    app: Flask, compat: Cache, calls: Calls, of: str
) -> None:
    with app.app_context():
        kind = type(compat) if of == "cache" else type(compat.cache)
        count, page = compat.memoize()(lambda: calls()), compat.cached(key_prefix="p")(calls)
        for _ in range(3):
            assert [count(), page()] == [1, 2]
            with mock.patch.object(kind, "get", return_value="patched"):
                assert [count(), page()] == ["patched"] * 2


@pytest.mark.parametrize("registry", ["ours", "a dict"])
def test_a_method_replaced_on_a_store_that_was_exchanged(
    app: Flask, compat: Cache, calls: Calls, registry: str
) -> None:
    store = SimpleCache()
    count = compat.memoize()(lambda: calls())
    with app.app_context():
        assert [count() for _ in range(3)] == [1, 1, 1]
        if registry == "ours":
            app.extensions["cache"][compat] = store
        else:
            app.extensions["cache"] = {compat: store}
        assert [count() for _ in range(3)] == [2, 2, 2]
        with mock.patch.object(store, "get", return_value="patched"):
            assert count() == "patched"
        assert count() == 2


def test_counters_that_are_no_whole_numbers(app: Flask, compat: Cache) -> None:
    with app.app_context():
        store = compat.cache
        compat.set("half", 1.5)
        assert (store.inc("half"), compat.get("half"), store.dec("half", 2)) == (2.5, 2.5, 0.5)
        assert (store.inc("new", 0.5), store.inc("new")) == (0.5, 1.5)
        compat.set("none", None)
        assert store.inc("none") == 1
        compat.set("text", "x")
        with pytest.raises(TypeError):
            store.inc("text")
