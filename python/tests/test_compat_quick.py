"""Hits that are answered at once in the compat dialect: never when somebody should have been asked."""

from __future__ import annotations

from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from conftest import Calls, text_of
from flask import Flask, abort, request

from flask_larder.compat import Cache, cache_view_hit
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


@pytest.fixture
def page(app: Flask, compat: Cache, calls: Calls) -> Any:
    """A view that was answered from the cache already, so that plain hits are answered at once."""

    @app.get("/")
    @compat.cached()
    def index() -> str:
        return f"page {calls()}"

    client = app.test_client()
    assert [text_of(client) for _ in range(3)] == ["page 1"] * 3
    return index


def test_what_is_set_is_seen(app: Flask, compat: Cache, page: Any) -> None:
    client = app.test_client()
    compat.set("view//", "set")
    assert text_of(client) == "set"
    compat.delete("view//")
    assert text_of(client) == "page 2"
    compat.clear()
    assert text_of(client) == "page 3"


def test_none_that_was_set_does_not_count(app: Flask, compat: Cache, page: Any) -> None:
    compat.set("view//", None)
    assert text_of(app.test_client()) == "page 2"


def test_a_key_function_that_is_assigned_is_asked(app: Flask, page: Any) -> None:
    page.make_cache_key = lambda **_how: request.args["a"]
    client = app.test_client()
    assert [text_of(client, f"/?a={a}") for a in "xyx"] == ["page 2", "page 3", "page 2"]


def test_signals_that_are_switched_on_are_sent(app: Flask, compat: Cache, page: Any) -> None:
    heard: list[str] = []

    def hear(sender: None, **what: Any) -> None:
        heard.append(what["cache_key"])

    compat.enable_signals = True
    with cache_view_hit.connected_to(hear):
        text_of(app.test_client())
    assert heard == ["view//"]


def test_source_check_that_is_switched_on_is_made(app: Flask, compat: Cache, page: Any) -> None:
    compat.source_check = True
    assert text_of(app.test_client()) == "page 2"


def test_another_serializer_is_used(app: Flask, compat: Cache, page: Any) -> None:
    compat.cache.serializer = JSONSerializer()
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["page 2", "page 2"]
    assert compat.cache._cache["view//"][1] == b'"page 2"'


def test_other_applications_have_their_own_answers(app: Flask, calls: Calls) -> None:
    other = Flask("other")
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    view = cache.cached()(lambda: f"page {calls()}")
    for flask in (app, other):
        cache.init_app(flask)
        flask.add_url_rule("/", "index", view)
    first, second = app.test_client(), other.test_client()
    assert [text_of(first), text_of(first)] == ["page 1", "page 1"]
    assert [text_of(second), text_of(second)] == ["page 2", "page 2"]
    assert [text_of(first), text_of(second)] == ["page 1", "page 2"]


def test_errors_that_are_kept_are_raised(app: Flask, compat: Cache, calls: Calls) -> None:
    @app.get("/missing")
    @compat.cached()
    def missing() -> str:
        abort(404, f"call {calls()}")

    client = app.test_client()
    assert [client.get("/missing").status_code for _ in range(4)] == [404] * 4
    assert calls.count == 1


def test_expiry(app: Flask, clock: HandClock, compat: Cache, page: Any) -> None:
    client = app.test_client()
    compat.clear()
    assert [text_of(client), text_of(client)] == ["page 2", "page 2"]
    clock.advance(300)
    assert text_of(client) == "page 3"


def test_memoized_calls_see_every_change(app: Flask, compat: Cache, calls: Calls) -> None:
    @compat.memoize()
    def f(a: Any, b: Any = None) -> tuple[Any, int]:
        return a, calls()

    with app.app_context():
        assert [f(1), f(1), f(1)] == [(1, 1)] * 3
        assert [f(True), f(1.0), f("1"), f(True)] == [(True, 2), (1.0, 3), ("1", 4), (True, 2)]
        assert [f(1, b=2), f(1, 2), f(1, b=True)] == [(1, 5), (1, 5), (1, 6)]
        compat.delete_memoized(f, 1)
        assert [f(1), f(True)] == [(1, 7), (True, 2)]
        compat.delete_memoized(f)
        assert [f(1), f(1)] == [(1, 8), (1, 8)]
        key = f.make_cache_key(f.uncached, 1)  # type: ignore[attr-defined]
        compat.set(key, "set")
        assert f(1) == "set"


def test_hits_are_counted(app: Flask, compat: Cache, page: Any) -> None:
    [counters] = compat.stats()["functions"].values()
    assert (counters["hits"], counters["misses"]) == (2, 1)


def test_a_method_replaced_on_the_store_itself_is_called(
    app: Flask, compat: Cache, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    with monkeypatch.context() as patch:
        patch.setattr(compat.cache, "get", lambda key: f"replaced {key}")
        assert text_of(client) == "replaced view//"
    assert [text_of(client), text_of(client)] == ["page 1", "page 1"]
