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


def test_a_lifetime_that_is_named_counts_and_so_does_a_new_usual_one(clock: HandClock) -> None:
    app, cache = made()
    with app.app_context():
        cache.set("usual", 1)
        cache.set("own", 2, timeout=5)
        clock.advance(6)
        assert (cache.get("usual"), cache.get("own")) == (1, None)
        cache.cache.default_timeout = 10
        cache.set("later", 3)
        assert cache.get("later") == 3
        clock.advance(11)
        assert cache.get("later") is None


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


def test_what_is_set_for_all_of_a_view_is_not_what_a_page_of_its_own_is() -> None:
    app, cache = made()
    forced: list[str] = []

    @app.route("/page")
    @cache.cached(query_string=True, forced_update=lambda: bool(forced))
    def page() -> str:
        return "its own"

    with app.app_context():
        cache.set("view//page", "for all")
    forced.append("once")
    assert app.test_client().get("/page?a=1").text == "its own"
    for query, expected in (("a=1", "its own"), ("a=2", "for all")):
        with app.test_request_context(f"/page?{query}"):
            # The first call finds out how the keys of views begin.
            assert [cache.get("view//page") for _ in range(3)] == [expected] * 3


def natively(cache: Cache, monkeypatch: Any) -> None:
    """From here on nothing is asked that the native calls answer themselves."""
    for name in ("_set_many", "_get_many"):
        monkeypatch.setattr(Cache, name, lambda *_: pytest.fail("asked in Python"))


def test_many_are_stored_and_found_as_one_is(cache: Cache, monkeypatch: Any) -> None:
    tree = {"a": [1, 2]}
    # The first one finds out how long values last.
    assert cache.set_many({"first": 1}) == ["first"]
    natively(cache, monkeypatch)
    assert cache.set_many({}) == []
    assert cache.set_many({"one": "1", "none": None, "ключ": 3, "tree": tree}) == [
        "one",
        "none",
        "ключ",
        "tree",
    ]
    tree["a"].append(3)
    assert cache.get_many("tree", "ключ", "none", "one") == [{"a": [1, 2]}, 3, None, "1"]
    assert cache.set_many({"one": "2"}) == ["one"]
    assert cache.get("one") == "2"


def test_many_values_are_found_natively_from_the_second_time_on(monkeypatch: Any) -> None:
    app, cache = made()
    with app.app_context():
        cache.set_many({"a": 1, "b": 2})
        assert cache.get_many("a", "b") == [1, 2]
        natively(cache, monkeypatch)
        assert cache.get_many("a", "b") == [1, 2]


def test_many_last_as_long_as_the_store_says(clock: HandClock) -> None:
    app, cache = made(CACHE_DEFAULT_TIMEOUT=10)
    with app.app_context():
        cache.set_many({"a": 1, "b": 2})
        cache.set_many({"b": 3}, timeout=60)
        clock.advance(11)
        assert cache.get_many("a", "b") == [None, 3]


def test_many_are_stored_without_what_cannot_be_kept(cache: Cache) -> None:
    values = {"a": 1, "never": (one for one in ()), "b": 2}
    assert cache.set_many(values) == ["a", "b"]
    assert cache.get_many("a", "b", "never") == [1, 2, None]
    with pytest.raises(TypeError, match="a key is a str, not int"):
        cache.set_many({"c": 1, 7: 2})  # type: ignore[dict-item]


def test_a_store_that_stores_otherwise_is_asked_for_many(cache: Cache, monkeypatch: Any) -> None:
    kept: list[str] = []

    def keep(_: Any, key: str, value: Any, timeout: Any = None) -> bool:
        kept.append(key)
        return key != "a"

    with monkeypatch.context() as patch:
        patch.setattr(SimpleCache, "set", keep, raising=False)
        assert cache.set_many({"a": 1, "b": 2}) == ["b"]
    assert kept == ["a", "b"]
    with monkeypatch.context() as patch:
        patch.setattr(cache.cache, "set_many", lambda mapping, timeout: [*mapping, timeout])
        assert cache.set_many({"a": 1}) == ["a", None]
    assert cache.get_many("a", "b") == [None, None]


def test_a_value_that_changes_the_dict_while_it_is_stored(cache: Cache) -> None:
    values: dict[str, Any] = {}

    class Late:
        def __reduce__(self) -> Any:
            values["more"] = 1
            return (str, ("late",))

    values |= {"late": Late(), "b": 2}
    assert cache.set_many(values) == ["late", "b"]
    assert cache.get_many("late", "b", "more") == ["late", 2, None]


def test_a_page_is_a_response_wherever_it_lies(cache: Cache) -> None:
    app = cache.app
    assert app is not None

    @cache.cached(key_prefix="front")
    def front() -> Response:
        return Response("front", status=203)

    with app.test_request_context("/"):
        front()
    cache.set("copy", cache.cache.get("front"))
    for _ in range(2):
        for page in (cache.get("copy"), *cache.get_many("copy", "copy")):
            assert (page.status_code, page.get_data()) == (203, b"front")


def test_a_registry_that_answers_otherwise_is_asked(cache: Cache) -> None:
    app, elsewhere = made()
    with app.app_context():
        elsewhere.set("k", "elsewhere")

    class Elsewhere(dict[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            return app.extensions["cache"][elsewhere]

    cache.set("k", "here")
    own = cache.app
    assert own is not None
    assert cache.get("k") == "here"
    own.extensions["cache"] = Elsewhere(own.extensions["cache"])
    assert cache.get("k") == "elsewhere"
    assert cache.get_many("k") == ["elsewhere"]


class Away:
    """A value that is made of something which is away."""

    def __reduce__(self) -> Any:
        return (_gone, ())


def _gone() -> Any:
    raise OSError("the disk is away")


def test_a_value_that_cannot_be_made_again_is_as_one_of_a_store_that_is_away(
    cache: Cache, caplog: Any
) -> None:
    assert cache.set("k", Away())
    for _ in range(2):
        assert cache.get("k") is None
        assert cache.get_many("k") == [None]
    assert "the disk is away" in caplog.text
