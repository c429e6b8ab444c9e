"""What was answered a moment ago is answered again without a key, and never longer than it is valid."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Generator
from typing import Any

import pytest
from flask import Flask, Response, request

from flask_larder import Cache, Http
from flask_larder.backends import SimpleCache
from flask_larder.testing import HandClock

OFTEN = 40
"""More calls than pass between two looks into the table of the store."""


@pytest.fixture
def cache() -> Generator[Cache]:
    app = Flask("recent")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        yield cache


def counted(cache: Cache, **options: Any) -> tuple[Any, list[Any]]:
    """A memoized function of any one argument, and the arguments that it was called with."""
    calls: list[Any] = []

    @cache.memoize(**options)
    def answer(value: Any = None) -> str:
        calls.append(value)
        return f"{value!r}, call {len(calls)}"

    for _ in range(OFTEN):
        assert answer() == "None, call 1"
    return answer, calls


def test_hits_are_counted_and_the_function_is_left_alone(cache: Cache) -> None:
    answer, calls = counted(cache)
    assert calls == [None]
    (stats,) = cache.stats()["functions"].values()
    assert (stats["hits"], stats["misses"]) == (OFTEN - 1, 1)
    assert answer.uncached() == "None, call 2"


@pytest.mark.parametrize(
    "purge",
    [
        lambda cache, answer: cache.delete_memoized(answer),
        lambda cache, answer: cache.delete_memoized(answer, None),
        lambda cache, answer: cache.clear(),
        lambda cache, answer: cache.invalidate_tags("ours"),
        lambda cache, answer: cache.delete(answer.make_cache_key()),
        lambda cache, answer: cache.delete_prefix("memoize/"),
    ],
    ids=["function", "call", "clear", "tag", "key", "prefix"],
)
def test_what_was_purged_is_not_answered(cache: Cache, purge: Any) -> None:
    answer, _ = counted(cache, tags=["ours"])
    for call in (2, 3):
        purge(cache, answer)
        for _ in range(OFTEN):
            assert answer() == f"None, call {call}"


def test_purges_of_other_things_change_nothing(cache: Cache) -> None:
    answer, calls = counted(cache, tags=["ours"])
    cache.invalidate_tags("theirs")
    cache.set("k", 1)
    cache.delete("k")
    for _ in range(OFTEN):
        assert answer() == "None, call 1"
    assert calls == [None]


def test_what_is_no_longer_fresh_is_not_answered(clock: HandClock, cache: Cache) -> None:
    answer, _ = counted(cache, timeout=10)
    clock.advance(9)
    assert answer() == "None, call 1"
    clock.advance(1)
    assert [answer() for _ in range(OFTEN)] == ["None, call 2"] * OFTEN


def test_a_value_stored_under_the_key_is_the_answer(cache: Cache) -> None:
    answer, _ = counted(cache)
    cache.set(answer.make_cache_key(), "chosen")
    assert [answer() for _ in range(OFTEN)] == ["chosen"] * OFTEN
    cache.delete(answer.make_cache_key())
    assert [answer() for _ in range(OFTEN)] == ["None, call 2"] * OFTEN


def test_arguments_that_are_equal_are_different_calls(cache: Cache) -> None:
    answer, _ = counted(cache)
    values: list[Any] = [1, 1.0, True, "1", b"1", (1,), [1], None, 0, -0.0, 0.0, "", {1: "a"}]
    for _ in range(OFTEN):
        for value in values:
            assert answer(value).startswith(f"{value!r}, call ")
    everything = [answer(number) for number in range(200)]
    for _ in range(3):
        assert [answer(number) for number in range(200)] == everything


def test_all_ways_to_write_a_call_are_one(cache: Cache) -> None:
    calls: list[Any] = []

    @cache.memoize()
    def answer(a: int, b: int = 2, *more: int, c: int = 3, **names: int) -> Any:
        calls.append((a, b, more, c, names))
        return calls[-1]

    named = {"a": 1}
    ways: list[Any] = [
        lambda: answer(1),
        lambda: answer(1, 2),
        lambda: answer(1, b=2),
        lambda: answer(a=1, b=2, c=3),
        lambda: answer(*[1, 2]),
        lambda: answer(**named),
        functools.partial(answer, 1),
        functools.partial(answer, 1, c=3),
        lambda: next(map(answer, [1])),
        lambda: answer.__call__(1),
    ]
    for _ in range(OFTEN):
        for way in ways:
            assert way() == (1, 2, (), 3, {})
    for _ in range(OFTEN):
        assert answer(1, 2, 4, 5, c=6, d=7) == (1, 2, (4, 5), 6, {"d": 7})
        assert answer(1, 2, 4) == (1, 2, (4,), 3, {})
    assert len(calls) == 3
    for wrong in (lambda: answer(), lambda: answer(1, a=1)):
        with pytest.raises(TypeError, match=r"answer\(\)"):
            wrong()


def test_methods_are_bound_as_those_of_functions(cache: Cache) -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __repr__(self) -> str:
            return f"<Shop {self.name}>"

        @cache.memoize()
        def price(self, of: str, currency: str = "EUR") -> str:
            return f"{of} at {self.name}, {currency}"

        @staticmethod
        @cache.memoize()
        def tax(of: str) -> str:
            return f"tax of {of}"

        @classmethod
        @cache.memoize()
        def kind(cls, of: str) -> str:
            return f"{cls.__name__} of {of}"

    Shop.__qualname__ = "RecentShop"
    globals()["RecentShop"] = Shop
    here, there = Shop("here"), Shop("there")
    bound = here.price
    for _ in range(OFTEN):
        assert here.price("tea") == bound("tea") == Shop.price(here, "tea") == "tea at here, EUR"
        assert there.price("tea", currency="GBP") == "tea at there, GBP"
        assert here.tax("tea") == Shop.tax("tea") == "tax of tea"
        assert here.kind("tea") == Shop.kind("tea") == "Shop of tea"
    assert bound.__self__ is here
    here.price = lambda of: f"no {of}"  # type: ignore[assignment, method-assign]
    assert here.price("tea") == "no tea"


def test_a_copy_is_each_callers_own(cache: Cache) -> None:
    @cache.memoize()
    def tree() -> dict[str, list[int]]:
        return {"a": [1]}

    for _ in range(OFTEN):
        found = tree()
        assert found == {"a": [1]}
        found["a"].append(2)
        found["b"] = []


def test_views_differ_by_all_that_their_keys_hold() -> None:
    app = Flask("recent views")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    runs: list[str] = []

    @app.route("/page")
    @app.route("/other")
    @cache.cached(query_string=True, vary=["Accept-Language"])
    def page() -> str:
        runs.append(request.url)
        return f"{request.url} {request.headers.get('Accept-Language')}"

    @app.route("/response")
    @cache.cached()
    def response() -> Response:
        runs.append(request.url)
        return Response(request.url, status=203, headers={"X-Run": str(len(runs))})

    client = app.test_client()
    asked = [
        (f"{scheme}://{host}{mount}", path, language)
        for scheme in ("http", "https")
        for host in ("shop.example", "other.example:81")
        for mount in ("", "/mounted")
        for path in ("/page", "/other", "/page?a=1&b=2", "/page?a=12")
        for language in (None, "de", "")
    ]
    for _ in range(OFTEN):
        for base, path, language in asked:
            headers = {} if language is None else {"Accept-Language": language}
            answer = client.get(path, base_url=base, headers=headers).text
            assert answer == f"{base}{path} {language}"
    assert len(runs) == len(asked)
    assert client.get("/page?b=2&a=1", base_url="http://shop.example").text.endswith("b=2 None")
    first = client.get("/response")
    for _ in range(OFTEN):
        again = client.get("/response")
        assert (again.status_code, again.headers["X-Run"]) == (203, first.headers["X-Run"])
    assert client.post("/page").status_code == 405


def test_credentials_pass_by_what_was_answered_a_moment_ago() -> None:
    app = Flask("recent users")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.route("/")
    @cache.cached()
    def page() -> str:
        user = request.authorization
        return "anybody" if user is None else str(user.username)

    client = app.test_client()
    for _ in range(OFTEN):
        assert client.get("/").text == "anybody"
    for name in ("ann", "bob"):
        assert client.get("/", auth=(name, "secret")).text == name
    assert client.get("/").text == "anybody"


def test_what_is_asked_for_stays_in_a_full_store() -> None:
    app = Flask("full")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 100})
    with app.app_context():
        answer, calls = counted(cache)
        for number in range(5_000):
            cache.set(f"key {number}", number)
            assert answer() == "None, call 1"
        assert calls == [None]
        cache.clear()
        assert answer() == "None, call 2"


def test_what_was_evicted_is_not_answered() -> None:
    app = Flask("evicted")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 1})
    with app.app_context():
        answer, calls = counted(cache)
        cache.set("k", "in its place")
        assert answer() == "None, call 2"
        assert calls == [None, None]


def test_what_is_asked_for_stays_where_other_things_are_asked_for_too() -> None:
    app = Flask("full")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 100})
    with app.app_context():
        answer, calls = counted(cache)
        for number in range(300):
            cache.set(f"key {number}", number)
            for _ in range(3):
                assert cache.get_many(f"key {number}") == [number]
            for _ in range(8):
                answer()
        assert calls == [None]


@pytest.mark.parametrize("key", ["k", "k" * 600], ids=["short", "long"])
@pytest.mark.parametrize("size", [100, 20_000])
def test_what_is_large_or_long_is_not_held_beyond_its_end(
    cache: Cache, key: str, size: int
) -> None:
    value = "".join(["x"] * size)
    before = sys.getrefcount(value)
    cache.set(key, value)
    for _ in range(3):
        assert cache.get(key) is value
    cache.clear()
    # A small one is held until something else is in its place.
    held = int(len(key) < 512 and size < 16_384)
    assert sys.getrefcount(value) == before + held


def test_what_serves_all_serves_nobody_who_has_a_page_of_its_own() -> None:
    app = Flask("base")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    runs: list[int] = []

    @app.route("/page")
    @cache.cached(query_string=True, http=Http(requests="full"))
    def page() -> str:
        runs.append(1)
        return f"page {len(runs)}"

    client = app.test_client()
    assert client.get("/page?a=1").text == "page 1"
    with app.app_context():
        # As it is stored, so that it is served without Python.
        cache.set("view//page", cache.cache.get("view//page"))
    for query in ("a=1", "a=2") * 10:
        assert client.get(f"/page?{query}").text == "page 1"
    # Loaded later, so that it counts for those who ask for it.
    assert client.get("/page?a=1", headers={"Cache-Control": "no-cache"}).text == "page 2"
    for _ in range(10):
        assert client.get("/page?a=1").text == "page 2"
        assert client.get("/page?a=2").text == "page 1"
    with app.test_request_context("/page?a=1"):
        # The first call finds out how the keys of views begin.
        for _ in range(3):
            assert cache.get("view//page").get_data(as_text=True) == "page 2"


def test_a_delete_is_seen_by_all_threads(cache: Cache) -> None:
    valid = [0]

    @cache.memoize()
    def answer() -> int:
        return valid[0]

    app, wrong = cache.app, []
    done = threading.Event()

    def read() -> None:
        with app.app_context():
            while not done.is_set():
                # What was valid before the call began, or became so meanwhile.
                least = valid[0]
                found = answer()
                if found < least - 1:
                    wrong.append((found, least))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 300):
        valid[0] = number
        cache.delete_memoized(answer)
        assert answer() == number
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_function_may_call_itself(cache: Cache) -> None:
    @cache.memoize()
    def sum_to(number: int) -> int:
        return number + sum_to(number - 1) if number else 0

    for _ in range(OFTEN):
        assert sum_to(20) == 210


def test_each_application_has_its_own(cache: Cache) -> None:
    answer, _ = counted(cache)
    second = Flask("second")
    cache.init_app(second, config={"CACHE_TYPE": "SimpleCache"})
    for _ in range(OFTEN):
        with second.app_context():
            assert answer() == "None, call 2"
        assert answer() == "None, call 1"


def test_a_store_or_a_method_of_its_own_is_written_to(cache: Cache, monkeypatch: Any) -> None:
    def instead(*args: Any, **kwargs: Any) -> str:
        return f"instead of {args[-2]!r}"

    assert cache.set("k", 1)
    assert cache.set("k", 2) is True
    with monkeypatch.context() as patch:
        patch.setattr(cache.cache, "set", instead)
        assert cache.set("k", 3) == "instead of 'k'"
    with monkeypatch.context() as patch:
        patch.setattr(SimpleCache, "set", instead, raising=False)
        assert cache.set("k", 4) == "instead of 'k'"
    with monkeypatch.context() as patch:
        patch.setattr(cache.cache, "get_many", lambda *keys: [7] * len(keys))
        assert cache.get_many("k", "k") == [7, 7]
    assert cache.get("k") == 2


def test_a_changed_timeout_holds_for_what_is_set_next(clock: HandClock, cache: Cache) -> None:
    cache.set("k", 1)
    cache.set("k", 2)
    cache.cache.default_timeout = 10
    cache.set("k", 3)
    cache.set("k", 4)
    clock.advance(11)
    assert cache.get("k") is None
    cache.set("k", 5, 0)
    cache.set("short", 6, timeout=5)
    clock.advance(1000)
    assert cache.get("k") == 5
    assert cache.get("short") is None


def test_what_cannot_be_kept_is_refused_as_ever(cache: Cache, caplog: Any) -> None:
    cache.set("k", 1)
    cache.set("k", 2)
    assert cache.set("k", lambda: None) is False
    assert "'k' is not kept" in caplog.text
    assert cache.set("k", (number for number in range(3))) is False

    class Failing:
        def __reduce__(self) -> Any:
            raise OSError("no")

    assert cache.set("failing", Failing()) is False


def test_many_values_come_in_order(cache: Cache) -> None:
    assert cache.get_many() == []
    keys = [f"key {number}" for number in range(20)]
    cache.set_many({key: [key] for key in keys})
    for _ in range(OFTEN):
        found = cache.get_many(*keys)
        assert found == [[key] for key in keys]
        found[0].append("spoiled")
    cache.delete("key 7")
    found = cache.get_many(*keys)
    assert [place for place, value in enumerate(found) if value is None] == [7]
    cache.set("none", None)
    assert cache.get_many("none", "key 1") == [None, ["key 1"]]
    with pytest.raises(TypeError, match="a key is a str"):
        cache.get_many("key 1", 7)  # type: ignore[arg-type]
