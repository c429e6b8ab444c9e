"""Other people's back ends under the safe dialect: how they are made, used, and what they may do wrong."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cachelib
import foreign_backends
import pytest
from cachelib.serializers import JSONSerializer, SimpleSerializer
from cachelib_like import MongoDbCache
from conftest import Calls, text_of
from flask import Flask
from foreign_backends import Failing, Plain
from test_gevent import HUNDRED, in_gevent

from flask_larder import Cache
from flask_larder.foreign import ForeignCache
from flask_larder.testing import HandClock

PATIENCE = 60


def cache_of(app: Flask, kind: str, **config: Any) -> Cache:
    return Cache(app, config={"CACHE_TYPE": kind, **config})


# How they are made.


def test_classes_of_cachelib(app: Flask, tmp_path: Path) -> None:
    options = {"CACHE_ARGS": [str(tmp_path)], "CACHE_OPTIONS": {"threshold": 7}}
    cache = cache_of(app, "cachelib.FileSystemCache", CACHE_DEFAULT_TIMEOUT=11, **options)
    backend = cache.cache.wrapped
    assert type(backend) is cachelib.FileSystemCache
    assert (backend._path, backend._threshold, backend.default_timeout) == (str(tmp_path), 7, 11)
    assert cache.set("k", [1])
    assert cache.get("k") == [1]


def test_a_constructor_is_given_what_it_knows(app: Flask) -> None:
    cache = cache_of(app, "cachelib_like.MongoDbCache", CACHE_ARGS=["client"])
    backend = cache.cache.wrapped
    assert type(backend) is MongoDbCache
    assert (backend.client, backend.db, backend.default_timeout) == ("client", "cache-db", 300)
    with pytest.raises(TypeError, match="colour"):
        cache_of(app, "cachelib_like.MongoDbCache", CACHE_OPTIONS={"colour": 1})


@pytest.mark.parametrize("kind", ["Derived", "HandingOn"])
def test_classes_with_a_factory(app: Flask, kind: str) -> None:
    cache = cache_of(app, f"foreign_backends.{kind}", CACHE_DIR="here", CACHE_DEFAULT_TIMEOUT=5)
    assert type(cache.cache.wrapped).__name__ == kind
    assert (cache.cache.wrapped.folder, cache.cache.default_timeout) == ("here", 5)


def test_factories_and_objects(app: Flask) -> None:
    assert type(cache_of(app, "foreign_backends.plain").cache.wrapped) is Plain
    cache = cache_of(app, "foreign_backends.THE_ONE")
    assert cache.cache.wrapped is foreign_backends.THE_ONE
    # Whoever asks for it gets it handed over, known or not.
    with pytest.raises(TypeError, match="ignore_delete_many_errors"):
        cache_of(app, "foreign_backends.plain", CACHE_IGNORE_ERRORS=True)


def test_what_is_no_back_end_is_refused(app: Flask) -> None:
    with pytest.raises(ValueError, match=r"dict is no back end: it has no set\(\)"):
        cache_of(app, "foreign_backends.incomplete")
    with pytest.raises(ValueError, match="namespace is a b"):
        cache_of(app, "foreign_backends.plain", CACHE_KEY_PREFIX="a b")


def test_one_that_is_put_into_the_registry_later(app: Flask, calls: Calls) -> None:
    cache = cache_of(app, "SimpleCache")
    cached = cache.memoize(60, tags=["t"])(lambda: calls())
    with app.app_context():
        assert [cached(), cached()] == [1, 1]
        backend = Plain()
        app.extensions["cache"][cache] = backend
        assert isinstance(cache.cache, ForeignCache)
        assert [cached(), cached()] == [2, 2]
        assert backend.records
        cache.invalidate_tags("t")
        assert cached() == 3


# What is seen of them.


def test_people_find_their_keys_and_the_back_end(app: Flask) -> None:
    cache = cache_of(app, "cachelib.SimpleCache", CACHE_KEY_PREFIX="shop_")
    cache.set("view//products", "v")
    assert "shop_view//products" in cache.cache._cache
    assert cache.cache.wrapped.get("shop_view//products").startswith(b"\xf5LRD")
    cache.cache._threshold = 5
    assert cache.cache.wrapped._threshold == 5
    assert cache.cache.inc("counter", 2) == 2
    with pytest.raises(AttributeError, match="nothing_like_this"):
        cache.cache.nothing_like_this  # noqa: B018


def test_what_other_code_has_stored(app: Flask, calls: Calls) -> None:
    cache = cache_of(app, "cachelib.SimpleCache")
    cached = cache.memoize(60)(lambda: calls())
    backend = cache.cache.wrapped
    strange = {"int": 42, "bytes": b"raw", "object": {"a": [1]}, "text": "text", "empty": b""}
    for key, value in strange.items():
        backend.set(f"flask_cache_{key}", value)
        assert cache.get(key) == value
        assert cache.has(key)
        assert cache.add(key, "mine") is False
    assert cache.get_many(*strange, "other") == [*strange.values(), None]
    assert cache.delete("int") is True
    assert cache.get("int") is None
    assert cache.delete("int") is False
    # Ours takes its place, and a decorated function takes it for a miss.
    assert cache.set("text", "mine")
    assert cache.get("text") == "mine"
    with app.app_context():
        assert cached() == 1
        for name in list(backend._cache):
            if name.startswith("flask_cache_!e"):
                backend.set(name, 42)
        assert [cached(), cached()] == [2, 2]


def test_counters_of_either_sort(app: Flask) -> None:
    cache = cache_of(app, "cachelib.SimpleCache")
    assert [cache.cache.inc("theirs"), cache.cache.inc("theirs", 4)] == [1, 5]
    assert cache.cache.dec("theirs") == 4
    assert cache.get("theirs") == 4
    assert cache.cache.wrapped.get("flask_cache_theirs") == 4
    cache.set("ours", 7)
    assert [cache.cache.inc("ours"), cache.cache.dec("ours", 3)] == [8, 5]
    assert cache.get("ours") == 5
    plain = cache_of(app, "foreign_backends.plain")
    assert [plain.cache.inc("k", 2), plain.cache.dec("k")] == [2, 1]
    cache.set("text", "x")
    with pytest.raises(TypeError, match="not a counter"):
        cache.cache.inc("text")


def test_patterns_are_refused_with_the_cure(app: Flask) -> None:
    cache = cache_of(app, "foreign_backends.plain")
    cache.set("a", 1)
    assert cache.delete_many("a", "b") == ["a", "b"]
    assert cache.get("a") is None
    for refused in (lambda: cache.delete_many("a*"), lambda: cache.delete_prefix("a")):
        with pytest.raises(NotImplementedError, match="tag the entries"):
            refused()


def test_clearing_reaches_the_back_end_and_the_loads(app: Flask) -> None:
    cache = cache_of(app, "cachelib.SimpleCache")
    begun, go_on = threading.Event(), threading.Event()
    row = ["old"]

    @cache.memoize(60)
    def answer() -> str:
        found = row[0]
        begun.set()
        assert go_on.wait(PATIENCE)
        return found

    def ask() -> None:
        with app.app_context():
            answer()

    cache.cache.inc("theirs")
    load = threading.Thread(target=ask)
    load.start()
    assert begun.wait(PATIENCE)
    row[0] = "new"
    assert cache.clear() is True
    assert cache.get("theirs") is None
    go_on.set()
    load.join(PATIENCE)
    with app.app_context():
        assert answer() == "new"


# Time, secrets, serializers.


def test_times_are_the_engines_own(app: Flask, clock: HandClock) -> None:
    cache = cache_of(app, "foreign_backends.plain")
    cache.set("k", "v", timeout=10)
    cache.set("for ever", "v", timeout=0)
    clock.advance(9.9)
    assert cache.get("k") == "v"
    clock.advance(0.1)
    assert cache.get("k") is None
    assert cache.has("k") is False
    assert "flask_cache_k" in cache.cache.wrapped.records
    clock.advance(3 * 365 * 86_400)
    assert cache.get("for ever") == "v"


def test_what_was_tampered_with_is_a_miss(app: Flask) -> None:
    cache = cache_of(app, "foreign_backends.plain")
    records = cache.cache.wrapped.records
    cache.set("k", {1, 2})
    cache.set("other", Path("/"))
    assert cache.get("other") == Path("/")
    sealed = records["flask_cache_k"]
    for changed in (
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        sealed[:-1],
        pickle.dumps("a pickle")[:0] + b"\xf5LRD",
        records["flask_cache_other"],
    ):
        records["flask_cache_k"] = changed
        assert cache.get("k") is None, changed
    records["flask_cache_k"] = sealed
    assert cache.get("k") == {1, 2}


def test_serializers(app: Flask) -> None:
    mine = SimpleSerializer()
    cache = cache_of(app, "cachelib.SimpleCache", CACHE_SERIALIZER=mine)
    assert cache.cache.serializer is mine
    cache.cache.serializer = other = SimpleSerializer()
    assert cache.cache.wrapped.serializer is other
    cache.set("k", "v")
    assert cache.get("k") == "v"
    with pytest.raises(ValueError, match="JSONSerializer cannot hold bytes"):
        cache_of(app, "cachelib.SimpleCache", CACHE_SERIALIZER=JSONSerializer)
    with pytest.raises(ValueError, match="plain has no serializer"):
        cache_of(app, "foreign_backends.plain", CACHE_SERIALIZER=SimpleSerializer)
    with pytest.raises(ValueError, match="SimpleCache stores values in a format of its own"):
        cache_of(app, "SimpleCache", CACHE_SERIALIZER=SimpleSerializer)


def test_one_that_holds_its_application_is_reclaimed_with_it() -> None:
    app = Flask("shop")
    cache = cache_of(app, "foreign_backends.plain")
    cache.memoize(60)(lambda: "v")
    cache.set("k", "v")
    cache.cache.wrapped.app = app
    assert cache.get("k") == "v"
    gone = weakref.ref(app)
    del app, cache
    gc.collect()
    assert gone() is None


def test_one_that_is_full_keeps_what_is_asked_for(app: Flask) -> None:
    cache = cache_of(app, "cachelib.SimpleCache", CACHE_OPTIONS={"threshold": 60})
    loaded: list[int] = []

    @cache.memoize(3600)
    def double(number: int) -> int:
        loaded.append(number)
        return 2 * number

    with app.app_context():
        for number in range(400):
            assert double(number) == 2 * number
            assert double(number) == 2 * number
            assert double(max(0, number - 5)) == 2 * max(0, number - 5)
    # The records that stand beside the entries do not take the room of the entries.
    assert loaded == list(range(400))


# What they may do wrong.


@pytest.mark.parametrize("method", ["get_many", "get", "set", "add", "delete"])
def test_one_that_fails_is_no_error_of_the_page(app: Flask, calls: Calls, method: str) -> None:
    cache = cache_of(app, "foreign_backends.failing")
    app.add_url_rule("/", "index", cache.cached(60)(lambda: str(calls())))
    client = app.test_client()
    cache.set("k", 1)
    backend: Failing = cache.cache.wrapped
    backend.fails.add(method)
    answers = [text_of(client), text_of(client)]
    assert answers in (["1", "1"], ["1", "2"])
    assert cache.get("other") is None
    assert cache.set("other", 2) in (True, False)
    assert cache.add("third", 2) in (True, False)
    if method == "delete":
        with pytest.raises(OSError, match="the back end raised ConnectionError"):
            cache.delete("k")
    if method in ("get_many", "set"):
        assert cache.stats()["events"]["store-failed"] > 0
    backend.fails.clear()
    # What could not be removed is removed before anything is read again.
    assert (cache.get("k") is None) == (method == "delete")
    last = text_of(client)
    assert text_of(client) == last


@pytest.mark.parametrize("way", ["delete", "clear", "tags"])
def test_a_removal_that_does_nothing_is_an_error(app: Flask, way: str) -> None:
    cache = cache_of(app, "foreign_backends.sleepy")
    with app.app_context():
        cache.memoize(60, tags=["t"])(lambda: "v")()
    cache.set("k", "v")
    ways: dict[str, Callable[[], Any]] = {
        "delete": lambda: cache.delete("k"),
        "clear": cache.clear,
        "tags": lambda: cache.invalidate_tags("t"),
    }
    cache.cache.wrapped.stuck = True
    with pytest.raises(OSError, match="did not delete a value"):
        ways[way]()
    assert cache.get("k") is None
    cache.cache.wrapped.stuck = False
    # It is made up for before anything is read again.
    assert cache.get("k") == (None if way != "tags" else "v")


def test_greenlets_call_one_themselves(tmp_path: Path) -> None:
    # Its sockets and locks belong to the hub of the thread that made them.
    own_threads = "print(len(cache.cache.threads))"
    for kind in ("foreign_backends.sleepy", "cachelib.SimpleCache"):
        code = HUNDRED if kind.startswith("cachelib") else HUNDRED + own_threads
        printed = in_gevent(code, {"CACHE_TYPE": kind}, tmp_path).split("\n")
        assert printed in (["True 1"], ["True 1", "1"]), kind


def test_what_ends_the_program_is_no_failure(app: Flask) -> None:
    cache = cache_of(app, "foreign_backends.failing")
    cached = cache.memoize(60)(lambda: "v")
    backend: Failing = cache.cache.wrapped
    backend.error = KeyboardInterrupt()
    backend.fails.add("get_many")
    with app.app_context(), pytest.raises(KeyboardInterrupt):
        cached()
    with pytest.raises(KeyboardInterrupt):
        cache.get("k")
    backend.fails.clear()
    with app.app_context():
        assert cached() == "v"


def test_one_that_answers_nonsense(app: Flask, calls: Calls) -> None:
    cache = cache_of(app, "foreign_backends.nonsense")
    app.add_url_rule("/", "index", cache.cached(60)(lambda: f"page {calls()}"))
    client = app.test_client()
    for number in range(1, 20):
        assert text_of(client) == f"page {number}"
    cache.set("k", 1)
    cache.add("k", 2)
    for _ in range(20):
        assert cache.get("k") != 1
    cache.clear()


def test_t5_5_one_that_forgets_resurrects_nothing(app: Flask) -> None:
    cache = cache_of(app, "foreign_backends.evicting")
    rows = dict.fromkeys(range(4), 0)
    hits = 0

    @cache.memoize(3600, tags=["row:{number}", "rows"])
    def row(number: int) -> int:
        loaded.append(number)
        return rows[number]

    loaded: list[int] = []
    purges: list[Callable[[int], Any]] = [
        lambda number: cache.invalidate_tags(f"row:{number}"),
        lambda _: cache.invalidate_tags("rows"),
        lambda _: cache.delete_memoized(row),
        lambda number: cache.delete_memoized(row, number),
        lambda _: cache.clear(),
    ]
    with app.app_context():
        for turn in range(600):
            number = turn % 4
            if turn % 7 == 0:
                rows[number] += 1
                purges[turn // 7 % 5](number)
            before = len(loaded)
            assert row(number) == rows[number], turn
            hits += len(loaded) == before
    assert hits > 50


def test_an_event_loop_does_not_wait_for_one(app: Flask) -> None:
    cache = cache_of(app, "foreign_backends.plain")
    backend: Plain = cache.cache.wrapped

    @cache.memoize(60)
    async def answer() -> int:
        return threading.get_native_id()

    async def main() -> int:
        return await answer() + 0 * await answer()

    with app.app_context():
        backend.threads.clear()
        assert asyncio.run(main()) == threading.get_native_id()
    assert threading.get_native_id() not in backend.threads
