"""Memoized functions in the compat dialect, on the engine and on cachelib."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import Calls
from flask import Flask

from flask_larder.compat import (
    Cache,
    cache_memoize_hit,
    cache_memoize_miss,
    function_namespace,
    utils,
)
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def test_calls_that_mean_the_same(app: Flask, each: Cache, calls: Calls) -> None:
    @each.memoize(50)
    def f(a: Any, b: Any = 0, *args: Any, **more: Any) -> int:
        return calls()

    with app.app_context():
        assert f(1) == f(1, 0) == f(1, b=0) == f(a=1, b=0) == 1
        assert f(1, None) == 2
        assert f([1], {"a": 2}) == f([1], b={"a": 2}) == 3
        assert f(1, 0, 3) == 4
        assert f(1, c=1, d=2) == f(1, d=2, c=1) == 5
        assert [f(1.0), f(True), f("1")] == [6, 7, 8]


def test_deleting_a_function(app: Flask, each: Cache, calls: Calls) -> None:
    @each.memoize(50)
    def f(a: int, b: int = 2) -> int:
        return calls()

    @each.memoize(50)
    def other(a: int) -> int:
        return calls()

    with app.app_context():
        assert [f(1), f(2), other(1)] == [1, 2, 3]
        each.delete_memoized(f, 1, b=2)
        assert [f(1), f(2), other(1)] == [4, 2, 3]
        each.delete_memoized(f)
        assert [f(1), f(2), other(1)] == [5, 6, 3]
        f.delete_memoized()  # type: ignore[attr-defined]
        assert [f(1), f(2), other(1)] == [7, 8, 3]
        each.delete_memoized_verhash(f)
        assert [f(1), f(2), other(1)] == [9, 10, 3]
        with pytest.raises(TypeError):
            each.delete_memoized("f")  # type: ignore[arg-type]


def methods(cache: Cache, calls: Calls) -> Any:
    """A class whose methods are memoized in every way."""

    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __repr__(self) -> str:
            return f"Shop({self.name!r})"

        @cache.memoize()
        def price(self, product: str) -> int:
            return calls()

        @cache.memoize(args_to_ignore=["self"])
        def shared(self, product: str) -> int:
            return calls()

        @classmethod
        @cache.memoize()
        def tax(cls, country: str) -> int:
            return calls()

        @staticmethod
        @cache.memoize()
        def rate(currency: str) -> int:
            return calls()

        @property
        @cache.memoize()
        def size(self) -> int:
            return calls()

    return Shop


def test_methods(app: Flask, each: Cache, calls: Calls) -> None:
    shop = methods(each, calls)
    north, south = shop("north"), shop("south")
    with app.app_context():
        assert north.price("bread") == shop("north").price("bread") == 1
        assert south.price("bread") == 2
        assert north.shared("bread") == south.shared("bread") == 3
        assert shop.tax("de") == north.tax("de") == 4
        assert shop.rate("eur") == north.rate("eur") == 5
        assert north.size == shop("north").size == 6
        assert south.size == 7


@pytest.mark.parametrize("through", ["instance", "instance twice", "class"])
def test_deleting_one_call_of_a_method(app: Flask, each: Cache, calls: Calls, through: str) -> None:
    shop = methods(each, calls)
    north, south = shop("north"), shop("south")
    with app.app_context():
        prices = [north.price("bread"), north.price("milk"), south.price("bread")]
        if through == "instance":
            each.delete_memoized(north.price, "bread")
        elif through == "instance twice":
            each.delete_memoized(north.price, north, "bread")
        else:
            each.delete_memoized(shop.price, north, "bread")
        again = [north.price("bread"), north.price("milk"), south.price("bread")]
    assert again == [4, *prices[1:]]


def test_deleting_methods_altogether(app: Flask, each: Cache, calls: Calls) -> None:
    shop = methods(each, calls)
    north, south = shop("north"), shop("south")
    with app.app_context():
        assert [north.price("a"), south.price("a"), shop.tax("de")] == [1, 2, 3]
        each.delete_memoized(north.price)
        assert [north.price("a"), south.price("a"), shop.tax("de")] == [4, 2, 3]
        each.delete_memoized(shop.price)
        assert [north.price("a"), south.price("a"), shop.tax("de")] == [5, 6, 3]
        each.delete_memoized(shop.tax)
        assert [north.price("a"), south.price("a"), shop.tax("de")] == [5, 6, 7]
        each.delete_memoized(shop.tax, shop, "de")
        assert shop.tax("de") == 8
        for wrong in (lambda: each.delete_memoized(shop.tax, "de"), delete_without_instance):
            with pytest.raises(ValueError, match="first"):
                wrong() if wrong is not delete_without_instance else wrong(each, shop)


def delete_without_instance(cache: Cache, shop: Any) -> None:
    """Through the class there is no instance to fall back on."""
    cache.delete_memoized(shop.price, product="a")


def test_an_instance_that_is_falsy_is_one(app: Flask, each: Cache, calls: Calls) -> None:
    # Flask-Caching takes its method for a function, and forgets what other instances answered.
    class Basket(list[str]):
        @each.memoize()
        def total(self) -> int:
            return calls()

    empty, full = Basket(), Basket(["bread"])
    with app.app_context():
        assert [empty.total(), full.total()] == [1, 2]
        each.delete_memoized(empty.total)
        assert [empty.total(), full.total()] == [3, 2]


def test_keys_are_where_they_are_said_to_be(app: Flask, each: Cache) -> None:
    @each.memoize()
    def f(foo: str, bar: str) -> str:
        return foo + bar

    with app.app_context():
        f("a", "b")
        make: Any = f.make_cache_key  # type: ignore[attr-defined]
        plain: Any = f.uncached  # type: ignore[attr-defined]
        assert each.get(make(plain, foo="a", bar="b")) == "ab"
        assert each.get(make(plain, foo="b", bar="a")) is None
        version = each.get(each._memvname(function_namespace(f)[0]))
        assert make(plain, "a", "b").endswith(version)


def test_key_function_assigned_afterwards(app: Flask, each: Cache, calls: Calls) -> None:
    # Flask-Caching 2.5 lost this, and code that was written for older versions relies on it.
    @each.memoize()
    def f(a: int) -> int:
        return calls()

    f.make_cache_key = lambda f, *args, **kwargs: "one key"  # type: ignore[attr-defined]
    with app.app_context():
        assert [f(1), f(2)] == [1, 1]
        each.delete_memoized(f, 3)
        assert f(1) == 2


def test_versions_end_with_their_entries(app: Flask, compat: Cache, clock: HandClock) -> None:
    @compat.memoize(timeout=60)
    def f(a: str) -> str:
        return a.upper()

    version = compat._memvname(function_namespace(f)[0])
    f("a")
    clock.advance(50)
    f("b")
    clock.advance(59)
    assert compat.get(version) is not None
    clock.advance(2)
    assert compat.get(version) is None


def test_versions_live_as_long_as_something_stale(
    app: Flask, compat: Cache, clock: HandClock, calls: Calls
) -> None:
    @compat.memoize(10, stale_on_error=60)
    def load() -> int:
        if calls() > 1:
            raise LookupError
        return 1

    name = compat._memvname(function_namespace(load)[0])
    with app.app_context():
        assert load() == 1
        clock.advance(69)
        assert load() == 1
        assert compat.get(name) is not None
        clock.advance(2)
        assert compat.get(name) is None


def test_versions_that_nothing_was_stored_under_end(
    app: Flask, compat: Cache, clock: HandClock
) -> None:
    # Flask-Caching keeps them for ever.
    @compat.memoize(response_filter=lambda value: False)
    def filtered() -> int:
        return 1

    @compat.memoize()
    def forgotten() -> int:
        return 1

    @compat.memoize(timeout=0)
    def lasting() -> int:
        return 1

    functions: list[Any] = [filtered, forgotten, lasting]
    names = [compat._memvname(function_namespace(f)[0]) for f in functions]
    with app.app_context():
        filtered()
        compat.delete_memoized(forgotten)
        lasting()
        clock.advance(29 * 24 * 3600)
        assert None not in compat.get_many(*names)
        clock.advance(2 * 24 * 3600)
        assert [found is None for found in compat.get_many(*names)] == [True, True, False]


def test_results_are_the_callers_own(app: Flask, each: Cache) -> None:
    @each.memoize()
    def f() -> list[int]:
        return [1]

    with app.app_context():
        f()
        f().append(2)
        assert f() == [1]


def test_none_counts_only_where_it_is_asked_for(app: Flask, each: Cache, calls: Calls) -> None:
    def nothing() -> None:
        calls()

    kept, lost = each.memoize(cache_none=True)(nothing), each.memoize()(nothing)
    with app.app_context():
        assert [kept(), kept()] == [None, None]
        assert calls.count == 1
        each.clear()
        assert [lost(), lost()] == [None, None]
        assert calls.count == 3


def test_gates_of_memoized_functions(app: Flask, each: Cache, calls: Calls) -> None:
    seen: list[Any] = []

    def forced(a: int, b: int) -> bool:
        seen.append(("forced", a, b))
        return a == 9

    def stale(value: int, a: int, b: int) -> bool:
        seen.append(("stale", value, a, b))
        return False

    @each.memoize(forced_update=forced, is_stale=stale)
    def f(a: int, b: int) -> int:
        return calls()

    with app.app_context():
        assert [f(1, 2), f(1, 2), f(9, 2), f(9, 2)] == [1, 1, 2, 3]
    assert [entry for entry in seen if entry[0] == "stale"] == [("stale", 1, 1, 2)]
    assert len([entry for entry in seen if entry[0] == "forced"]) == 4


def test_signals_of_memoized_functions(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_ENABLE_SIGNALS": True})
    heard: list[Any] = []

    def hear(name: str) -> Any:
        def receiver(sender: None, **what: Any) -> None:
            heard.append((name, what["f"], what["args"], what["kwargs"]))

        return receiver

    @cache.memoize()
    def add(a: int, b: int = 0) -> int:
        return a + b

    hit, miss = hear("hit"), hear("miss")
    with cache_memoize_hit.connected_to(hit), cache_memoize_miss.connected_to(miss):
        add(1, b=2)
        add(1, b=2)
    plain = add.uncached  # type: ignore[attr-defined]
    assert heard == [("miss", plain, (1,), {"b": 2}), ("hit", plain, (1,), {"b": 2})]


def test_one_caller_loads_for_all(app: Flask, compat: Cache, calls: Calls) -> None:
    # The engine's gain in this dialect: Flask-Caching calls the function once for each thread.
    started, go = threading.Event(), threading.Event()
    answers: list[int] = []

    @compat.memoize()
    def slow() -> int:
        started.set()
        go.wait(30)
        return calls()

    def call() -> None:
        answers.append(slow())

    threads = [threading.Thread(target=call) for _ in range(8)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers == [1] * 8
    assert calls.count == 1


def test_callers_who_come_first_share_one_load(
    app: Flask, compat: Cache, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored, not even the function's version: two callers make one up together."""
    price = compat.memoize(50)(lambda product: [product, calls()])
    together = threading.Barrier(2)
    make = utils.fresh_version

    def fresh_version() -> str:
        together.wait(60)
        return make()

    monkeypatch.setattr(utils, "fresh_version", fresh_version)
    answers: list[Any] = []

    def ask() -> None:
        with app.app_context():
            answers.append(price("lamp"))

    callers = [threading.Thread(target=ask) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == [["lamp", 1]] * 2
