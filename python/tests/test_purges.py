"""Purges: by key, by tag, of everything; and what was loaded before a purge is not stored after it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Calls, refuses_patterns, text_of
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock

PATIENCE = 60

Purge = Callable[[Cache, Any], Any]

PURGES: dict[str, Purge] = {
    "delete_memoized": lambda cache, f: cache.delete_memoized(f),
    "delete_memoized of the arguments": lambda cache, f: cache.delete_memoized(f, 7),
    "delete": lambda cache, f: cache.delete(f.make_cache_key(f.uncached, 7)),
    "delete_many": lambda cache, f: cache.delete_many(f.make_cache_key(f.uncached, 7)),
    "a tag": lambda cache, _: cache.invalidate_tags("products"),
    "a tag of the arguments": lambda cache, _: cache.invalidate_tags("product-7"),
    "clear": lambda cache, _: cache.clear(),
}


@pytest.mark.parametrize("name", PURGES)
def test_t8_1_what_was_loaded_before_a_purge_is_not_stored(
    app: Flask, stored: Cache, name: str
) -> None:
    row, begun, go_on = ["old"], threading.Event(), threading.Event()

    @stored.memoize(60, tags=["products", "product-{number}"])
    def product(number: int) -> str:
        found = row[0]
        begun.set()
        assert go_on.wait(PATIENCE)
        return found

    def ask() -> str:
        with app.app_context():
            return product(7)

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(ask)
        assert begun.wait(PATIENCE)
        row[0] = "new"
        with app.app_context():
            PURGES[name](stored, product)
        go_on.set()
        # The caller of the load gets what it saw; nobody who comes later does.
        assert load.result(PATIENCE) == "old"
    assert ask() == "new"
    row[0] = "newer"
    assert ask() == "new"


@pytest.mark.parametrize("how", ["delete", "delete_many", "prefix", "pattern", "tag", "clear"])
def test_t8_1_of_a_view(app: Flask, stored: Cache, how: str) -> None:
    if how in ("prefix", "pattern") and refuses_patterns(stored, app):
        return
    row, begun, go_on = ["old"], threading.Event(), threading.Event()

    @app.get("/product/<int:number>")
    @stored.cached(60, tags=["product-{number}"])
    def product(number: int) -> str:
        found = row[0]
        begun.set()
        assert go_on.wait(PATIENCE)
        return found

    purges: dict[str, Callable[[], Any]] = {
        "delete": lambda: stored.delete("view//product/7"),
        "delete_many": lambda: stored.delete_many("view//product/7", "other"),
        "prefix": lambda: stored.delete_prefix("view//product"),
        "pattern": lambda: stored.delete_many("view//product/*"),
        "tag": lambda: stored.invalidate_tags("product-7"),
        "clear": stored.clear,
    }
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(lambda: text_of(app.test_client(), "/product/7"))
        assert begun.wait(PATIENCE)
        row[0] = "new"
        with app.app_context():
            purges[how]()
        go_on.set()
        assert load.result(PATIENCE) == "old"
    assert text_of(app.test_client(), "/product/7") == "new"


@pytest.mark.parametrize("how", ["delete", "clear", "tag"])
def test_who_comes_after_the_purge_does_not_get_the_old_answer(
    app: Flask, stored: Cache, how: str
) -> None:
    row, begun, go_on = ["old"], threading.Semaphore(0), threading.Event()

    # Whoever waits for another load waits for longer than this test does.
    @stored.memoize(60, tags=["products"], wait=2 * PATIENCE)
    def product() -> str:
        found = row[0]
        begun.release()
        assert go_on.wait(PATIENCE)
        return found

    def ask() -> str:
        with app.app_context():
            return product()

    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(ask)
        assert begun.acquire(timeout=PATIENCE)
        row[0] = "new"
        with app.app_context():
            purges: dict[str, Callable[[], Any]] = {
                "delete": lambda: stored.delete(product.make_cache_key(product)),  # type: ignore[attr-defined]
                "clear": stored.clear,
                "tag": lambda: stored.invalidate_tags("products"),
            }
            purges[how]()
        after = pool.submit(ask)
        if how != "tag":
            # It loads for itself at once, and does not wait for the load that is out of date.
            assert begun.acquire(timeout=PATIENCE)
        go_on.set()
        assert [before.result(PATIENCE), after.result(PATIENCE)] == ["old", "new"]
    assert ask() == "new"


def test_t8_1_across_caches_that_share_a_store(common: dict[str, Any]) -> None:
    apps = [Flask("one"), Flask("two")]
    one, two = (Cache(app, config=common) for app in apps)
    row, begun, go_on = ["old"], threading.Event(), threading.Event()

    def product() -> str:
        found = row[0]
        begun.set()
        assert go_on.wait(PATIENCE)
        return found

    in_one, in_two = (cache.memoize(60, tags=["products"])(product) for cache in (one, two))

    def ask() -> str:
        with apps[0].app_context():
            return in_one()

    for purge in (
        lambda: two.delete_memoized(in_two),
        lambda: two.invalidate_tags("products"),
        two.clear,
    ):
        row[0] = "old"
        begun.clear()
        go_on.clear()
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(ask)
            assert begun.wait(PATIENCE)
            row[0] = "new"
            with apps[1].app_context():
                purge()
            go_on.set()
            assert load.result(PATIENCE) == "old"
        assert ask() == "new"
        with apps[1].app_context():
            assert in_two() == "new"
            two.clear()


def test_tags(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60, tags=["a", "b"])
    def e1() -> int:
        return calls()

    @stored.memoize(60, tags=["b"])
    def e2() -> int:
        return calls()

    @stored.memoize(60)
    def e3() -> int:
        return calls()

    with app.app_context():
        assert [e1(), e2(), e3()] == [1, 2, 3]
        stored.invalidate_tags("a")
        assert [e1(), e2(), e3()] == [4, 2, 3]
        stored.invalidate_tags("b", "absent")
        assert [e1(), e2(), e3()] == [5, 6, 3]
        stored.invalidate_tags()
        assert [e1(), e2(), e3()] == [5, 6, 3]


def test_tags_that_are_filled_in(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60, tags=["user-{user}", "{user}-{page}-{rest}", "kind-{kind}"])
    def listing(user: int, page: int = 1, **names: Any) -> int:
        return calls()

    with app.app_context():
        first = listing(1, kind="x", rest="r")
        assert listing(1, kind="x", rest="r") == first
        for tag in ("user-1", "1-1-r", "kind-x"):
            stored.invalidate_tags(tag)
            assert listing(1, kind="x", rest="r") == calls.count
        stored.invalidate_tags("user-2", "1-2-r", "kind-y", "user-{user}")
        assert listing(1, kind="x", rest="r") == 4


@pytest.mark.parametrize(
    ("tags", "error", "words"),
    [
        ("products", TypeError, r"tags=\['products'\]"),
        (["product-{nope}"], ValueError, "'nope' is no argument of the function"),
        (["product-{}"], ValueError, "is no argument of the function"),
        (["product-{number"], ValueError, "product-{number"),
    ],
)
def test_wrong_tags_are_refused_where_they_are_declared(
    cache: Cache, tags: Any, error: type[Exception], words: str
) -> None:
    def product(number: int) -> int:
        return number

    with pytest.raises(error, match=words):
        cache.memoize(60, tags=tags)(product)
    with pytest.raises(error, match=words):
        cache.cached(60, tags=tags)(product)


def test_tags_may_be_handed_over_in_anything_that_gives_them(
    app: Flask, cache: Cache, calls: Calls
) -> None:
    number = cache.memoize(60, tags=(tag for tag in ("a", "b")))(lambda: calls())
    with app.app_context():
        for expected in (1, 2, 3):
            assert number() == number() == expected
            cache.invalidate_tags("b")


def test_tags_that_are_computed(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/<name>")
    @stored.cached(60, tags=lambda name: ["pages", f"page-{name}"])
    def page(name: str) -> str:
        return f"{name} {calls()}"

    client = app.test_client()
    assert [text_of(client, "/a"), text_of(client, "/b"), text_of(client, "/a")] == [
        "a 1",
        "b 2",
        "a 1",
    ]
    with app.app_context():
        stored.invalidate_tags("page-a")
    assert [text_of(client, "/a"), text_of(client, "/b")] == ["a 3", "b 2"]
    with app.app_context():
        stored.invalidate_tags("pages")
    assert [text_of(client, "/a"), text_of(client, "/b")] == ["a 4", "b 5"]


def test_a_tag_of_one_cache_does_not_reach_another(app: Flask, calls: Calls) -> None:
    config = {"CACHE_TYPE": "SimpleCache"}
    one, two = Cache(app, config=config), Cache(app, config=config)
    function = one.memoize(60, tags=["t"])(lambda: calls())
    with app.app_context():
        assert function() == 1
        two.invalidate_tags("t")
        assert function() == 1


def test_clear_leaves_other_prefixes_alone(common: dict[str, Any]) -> None:
    apps = [Flask("one"), Flask("two")]
    one, two = (
        Cache(app, config={**common, "CACHE_KEY_PREFIX": f"{uuid.uuid4().hex}-"}) for app in apps
    )
    with apps[0].app_context():
        one.set("k", 1)
    with apps[1].app_context():
        two.set("k", 2)
        two.clear()
        assert two.get("k") is None
    with apps[0].app_context():
        assert one.get("k") == 1


def test_a_purge_of_a_stale_answer_takes_it_away(
    app: Flask, stored: Cache, clock: HandClock, calls: Calls
) -> None:
    @stored.memoize(60, stale=3600, stale_on_error=3600, tags=["t"])
    def answer() -> int:
        if calls() > 1:
            raise LookupError("down")
        return 1

    with app.app_context():
        assert answer() == 1
        stored.invalidate_tags("t")
        with pytest.raises(LookupError, match="down"):
            answer()
