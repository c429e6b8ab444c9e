"""`Cache.get` answers natively what is at hand, and asks wherever somebody has a say."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from flask import Flask, Response

from flask_larder import Cache
from flask_larder.backends import Backend, SimpleCache
from flask_larder.testing import HandClock


def made(**config: Any) -> tuple[Flask, Cache]:
    """An application and its cache, with the context pushed by whoever asks."""
    app = Flask("at_hand")
    return app, Cache(app, config={"CACHE_TYPE": "SimpleCache", **config})


@pytest.fixture
def cache() -> Generator[Cache]:
    app, cache = made()
    with app.app_context():
        # The first call finds out how the keys of views begin.
        assert cache.get("nothing") is None
        yield cache


@pytest.mark.parametrize("key", ["k", "", "memoize/k", "ключ", "\ud800", "a b\n"])
def test_any_text_is_a_key(cache: Cache, key: str) -> None:
    assert cache.get(key) is None
    assert cache.set(key, f"value of {key!r}")
    assert cache.get(key) == f"value of {key!r}"
    cache.delete(key)
    assert cache.get(key) is None


def test_values_come_as_before(cache: Cache) -> None:
    cache.set("none", None)
    assert cache.get("none") is None
    assert cache.has("none")
    tree = {"a": [1, 2]}
    cache.set("tree", tree)
    found = cache.get("tree")
    assert found == tree
    found["a"].append(3)
    assert cache.get("tree") == {"a": [1, 2]}
    cache.set("page", Response("body", status=203))
    assert isinstance(cache.get("page"), Response)
    assert cache.get("page").status_code == 203


def test_a_key_is_a_text(cache: Cache) -> None:
    with pytest.raises(TypeError, match="a key is a str, not int"):
        cache.get(7)  # type: ignore[arg-type]

    class Text(str):
        pass

    cache.set("k", "value")
    assert cache.get(Text("k")) == "value"


def test_what_is_no_longer_fresh_is_not_at_hand(clock: HandClock) -> None:
    app, cache = made()
    with app.app_context():
        cache.set("k", "value", timeout=10)
        assert [cache.get("k"), cache.get("k")] == ["value", "value"]
        clock.advance(11)
        assert cache.get("k") is None


def test_a_replaced_store_or_method_is_asked(cache: Cache, monkeypatch: Any) -> None:
    cache.set("k", "value")
    assert cache.get("k") == "value"
    with monkeypatch.context() as patch:
        patch.setattr(cache.cache, "get", lambda key: f"instead of {key}")
        assert cache.get("k") == "instead of k"
    with monkeypatch.context() as patch:
        patch.setattr(SimpleCache, "get", lambda self, key: "of the class", raising=False)
        assert cache.get("k") == "of the class"
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "get", lambda self, key: "of its base")
        assert cache.get("k") == "of its base"
    assert cache.get("k") == "value"


def test_a_cache_that_says_what_its_store_is_is_asked() -> None:
    elsewhere = made()[1]

    class Moved(Cache):
        @property
        def cache(self) -> Any:
            return elsewhere.cache

    app, other = Flask("moved"), Flask("other")
    elsewhere.init_app(app)
    moved = Moved(app, config={"CACHE_TYPE": "SimpleCache"})
    plain = Cache(other, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        app.extensions["cache"][moved].set("k", "not this")
        elsewhere.set("k", "this")
        assert moved.get("nothing") is None
        assert moved.get("k") == "this"
    with other.app_context():
        plain.set("k", "of the other")
        assert plain.get("nothing") is None
        assert plain.get("k") == "of the other"


def test_each_application_has_its_own(cache: Cache) -> None:
    cache.set("k", "of the first")
    second = Flask("second")
    cache.init_app(second, config={"CACHE_TYPE": "SimpleCache"})
    with second.app_context():
        assert cache.get("k") is None
        cache.set("k", "of the second")
        assert cache.get("k") == "of the second"
    assert cache.get("k") == "of the first"


def test_the_key_of_a_view_stands_for_what_this_request_would_get() -> None:
    app, cache = made()
    runs: list[int] = []

    @app.route("/page")
    @cache.cached(query_string=True)
    def page() -> str:
        runs.append(1)
        return f"page {len(runs)}"

    client = app.test_client()
    with app.app_context():
        assert cache.get("nothing") is None
    for query in ("a=1", "a=2"):
        client.get(f"/page?{query}")
    for query, expected in (("a=1", "page 1"), ("a=2", "page 2")):
        with app.test_request_context(f"/page?{query}"):
            assert cache.get("view//page") == expected
