"""Functions: what tells calls apart, methods, invalidation, and what the decorator leaves alone."""

from __future__ import annotations

import enum
import inspect
import logging
import pickle
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock

MODULE_APP = Flask("module")
MODULE_CACHE = Cache(MODULE_APP, config={"CACHE_TYPE": "SimpleCache"})


@MODULE_CACHE.memoize(60)
def of_the_module(a: int, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
    """Adds nothing."""
    return a, b, c


@pytest.fixture(autouse=True)
def context(app: Flask) -> Any:
    with app.app_context():
        yield


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


@dataclass
class Point:
    x: int
    y: int


class Named:
    """Told by what it says of itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return self.name


DISTINCT: list[Any] = [
    1, True, 1.0, "1", b"1", None, "None", 0, False, 0.0, "", b"", (), [], {}, set(), frozenset(),
    (1,), [1], {1}, {1: 1}, {"1": 1}, (1, (2,)), ((1, 2),), (1, 2), ("a_b", "c"), ("a", "b_c"),
    Decimal("1"), Decimal("1.0"), Path("1"), Colour.RED, Colour.GREEN, Point(1, 2), Point(2, 1),
    Named("a"), Named("b"), 2**80, -(2**80), float("inf"), "\x00", "\ud800", int, str, len,
]  # fmt: skip


def test_different_arguments_are_different_calls(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def shown(value: Any) -> int:
        return calls()

    expected = list(range(1, len(DISTINCT) + 1))
    assert [shown(value) for value in DISTINCT] == expected
    assert [shown(value) for value in DISTINCT] == expected


def test_equal_content_is_one_call(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def shown(value: Any) -> int:
        return calls()

    assert shown({"a": 1, "b": [2]}) == shown({"b": [2], "a": 1}) == 1
    assert shown({3, 1, 2}) == shown({1, 2, 3}) == 2
    assert shown(Point(1, 2)) == shown(Point(1, 2)) == 3
    assert shown(Named("a")) == shown(Named("a")) == 4


def test_one_call_written_in_several_ways(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def bound(a: int, b: int = 2, *, c: int = 3) -> int:
        return calls()

    ways = [bound(1), bound(1, 2), bound(a=1), bound(b=2, a=1), bound(1, c=3), bound(1, 2, c=3)]
    assert ways == [1] * 6
    assert [bound(1, 3), bound(2), bound(1, c=4)] == [2, 3, 4]


def test_every_kind_of_parameter(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def only(a: Any, /, b: Any = 0, *more: Any, c: Any = 0, **names: Any) -> int:
        return calls()

    different = [
        lambda: only(1),
        lambda: only("1"),
        lambda: only(True),
        lambda: only(1.0),
        lambda: only(1, "0"),
        lambda: only(1, 0, 0),
        lambda: only(1, c=1),
        lambda: only(1, c=True),
        lambda: only(1, c=1.0),
        lambda: only(1, c="1"),
        lambda: only(1, d=1),
        lambda: only(1, a=1),
        lambda: only(1, d=1, e=2),
        lambda: only(1, 0, 1, 2),
        lambda: only(1, 0, (1, 2)),
    ]
    expected = list(range(1, len(different) + 1))
    assert [call() for call in different] == expected
    assert [call() for call in different] == expected
    assert only(1, e=2, d=1) == only(1, d=1, e=2)


def test_arguments_that_do_not_fit_raise_what_the_function_raises(stored: Cache) -> None:
    @stored.memoize(60)
    def one(a: int) -> int:
        return a

    for args, kwargs in [((), {}), ((1, 2), {}), ((1,), {"a": 1}), ((1,), {"b": 1})]:
        with pytest.raises(TypeError, match=r"one\(\)"):
            one(*args, **kwargs)  # type: ignore[arg-type]


class Plain:
    """Has no content, only an address."""


def recursive() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep() -> list[Any]:
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Plain, "Plain"),
        (lambda: [Plain()], "Plain"),
        (lambda: {"a": (Plain(),)}, "Plain"),
        (recursive, "unkeyable"),
        (deep, "unkeyable"),
        (lambda: "x" * (17 << 20), "unkeyable"),
        (lambda: (n for n in [1]), "generator"),
    ],
)
def test_arguments_that_make_no_key_are_calls_with_a_reason(
    stored: Cache, calls: Calls, caplog: pytest.LogCaptureFixture, make: Any, words: str
) -> None:
    @stored.memoize(60)
    def shown(value: Any) -> int:
        return calls()

    value = make()
    assert [shown(value), shown(value), shown(value)] == [1, 2, 3]
    (counters,) = stored.stats()["functions"].values()
    ((reason, times),) = counters["passes"].items()
    assert reason.startswith("unkeyable")
    assert words in reason
    assert times == 3
    assert sum("shown" in record.getMessage() for record in caplog.records) == 1


def test_huge_arguments_are_fine(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def shown(value: Any) -> int:
        return calls()

    assert [shown("x" * 1_000_000), shown("x" * 1_000_000), shown("x" * 999_999)] == [1, 1, 2]
    assert [shown(list(range(50_000))), shown(list(range(50_000)))] == [3, 3]


class Shop:
    """Its methods are memoized."""

    made: Any = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Shop({self.name!r})"


def shop_of(cache: Cache, calls: Calls) -> type[Any]:
    class Memoized(Shop):
        @cache.memoize(60)
        def price(self, product: str) -> str:
            return f"{self.name} {product} {calls()}"

        @classmethod
        @cache.memoize(60)
        def currency(cls, country: str) -> str:
            return f"{cls.__name__} {country} {calls()}"

        @staticmethod
        @cache.memoize(60)
        def tax(country: str) -> str:
            return f"{country} {calls()}"

    return Memoized


def test_methods(stored: Cache, calls: Calls) -> None:
    kind = shop_of(stored, calls)
    one, two = kind("one"), kind("two")
    assert [one.price("a"), two.price("a"), one.price("a")] == ["one a 1", "two a 2", "one a 1"]
    assert kind("one").price("a") == "one a 1"
    assert [kind.currency("at"), one.currency("at")] == ["Memoized at 3", "Memoized at 3"]
    assert [kind.tax("at"), one.tax("at"), kind.tax("de")] == ["at 4", "at 4", "de 5"]


def test_deleting_what_methods_answered(stored: Cache, calls: Calls) -> None:
    kind = shop_of(stored, calls)
    one, two = kind("one"), kind("two")

    def prices() -> list[int]:
        return [
            int(text.split()[-1])
            for text in (one.price("a"), one.price("b"), two.price("a"), two.price("b"))
        ]

    assert prices() == prices() == [1, 2, 3, 4]
    stored.delete_memoized(one.price)
    assert prices() == [5, 6, 3, 4]
    stored.delete_memoized(one.price, "a")
    assert prices() == [7, 6, 3, 4]
    stored.delete_memoized(kind.price, two, "b")
    assert prices() == [7, 6, 3, 8]
    stored.delete_memoized(kind.price)
    assert prices() == [9, 10, 11, 12]


def test_instances_without_content_are_not_taken_for_one_another(
    stored: Cache, calls: Calls
) -> None:
    class Bare:
        @stored.memoize(60)
        def number(self) -> int:
            return calls()

    one, two = Bare(), Bare()
    assert len({one.number(), two.number()}) == 2


def test_deleting_what_functions_answered(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def price(product: str, country: str = "at") -> int:
        return calls()

    assert [price("a"), price("b")] == [1, 2]
    stored.delete_memoized(price, "a")
    assert [price("a"), price("b")] == [3, 2]
    stored.delete_memoized(price, "a", country="at")
    assert [price("a"), price("b")] == [4, 2]
    price.delete_memoized()  # type: ignore[attr-defined]
    assert [price("a"), price("b")] == [5, 6]
    stored.delete_memoized_verhash(price)
    assert [price("a"), price("b")] == [7, 8]


def test_functions_of_a_factory_do_not_get_the_answers_of_one_another(stored: Cache) -> None:
    def make(number: int) -> Any:
        @stored.memoize(60)
        def answer() -> int:
            return number

        return answer

    one, two = make(1), make(2)
    assert [one(), two(), one(), two()] == [1, 2, 1, 2]
    stored.delete_memoized(one)
    assert [one(), two()] == [1, 2]
    # Nor those of one that is gone.
    for number in range(3, 10):
        assert make(number)() == number


def test_functions_of_a_factory_are_the_same_in_every_process(redis_url: str) -> None:
    """The order in which they are made tells nothing: it differs from process to process."""
    from conftest import redis_config

    config = redis_config(redis_url)

    def plain(wrapped: Any) -> Any:
        """A decorator that does not say what it stands for."""

        def wrapper() -> Any:
            return wrapped()

        return wrapper

    def one() -> str:
        return "one"

    def two() -> str:
        return "two"

    def process(order: list[Any]) -> list[Any]:
        app = Flask("shop")
        cache = Cache(app, config=config)

        def make(number: int) -> Any:
            return cache.memoize(60)(lambda: number)

        functions = {
            key: make(key) if key in (1, 2) else cache.memoize(60)(plain(key)) for key in order
        }
        with app.app_context():
            return [functions[key]() for key in (1, 2, one, two)]

    assert process([1, 2, one, two]) == [1, 2, "one", "two"]
    assert process([two, 2, one, 1]) == [1, 2, "one", "two"]


def test_functions_that_are_made_again_and_hold_nothing_share_their_answers(stored: Cache) -> None:
    def make() -> Any:
        @stored.memoize(60)
        def answer(seen: list[int], number: int = 1) -> list[int]:
            return [*seen, number]

        return answer

    one, two = make(), make()
    one([1])
    two([1])
    (counters,) = stored.stats()["functions"].values()
    assert (counters["misses"], counters["hits"]) == (1, 1)


def test_deleting_what_is_not_memoized(stored: Cache) -> None:
    with pytest.raises(TypeError, match="not memoized"):
        stored.delete_memoized(len)
    with pytest.raises(TypeError, match="function"):
        stored.delete_memoized("price")  # type: ignore[arg-type]


def test_arguments_that_are_left_out_of_the_key(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60, args_to_ignore=["connection"])
    def price(product: str, connection: Any = None) -> int:
        return calls()

    assert [price("a", Plain()), price("a", Plain()), price("b", Plain())] == [1, 1, 2]


def test_names_that_are_made(stored: Cache, calls: Calls) -> None:
    def first(a: int) -> int:
        return calls()

    def second(a: int) -> int:
        return calls()

    named = {"make_name": lambda _name: "shared"}
    one, two = stored.memoize(60, **named)(first), stored.memoize(60, **named)(second)
    assert [one(1), two(1)] == [1, 1]


def test_the_decorator_leaves_the_function_as_it_looked() -> None:
    plain = of_the_module.uncached  # type: ignore[attr-defined]
    assert inspect.signature(of_the_module) == inspect.signature(plain)
    assert of_the_module.__name__ == "of_the_module"
    assert of_the_module.__doc__ == "Adds nothing."
    assert of_the_module.__module__ == __name__
    assert plain(1) == (1, 2, 3)
    assert of_the_module.cache_timeout == 60  # type: ignore[attr-defined]
    assert "of_the_module" in repr(of_the_module)


def test_a_decorated_function_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(of_the_module)) is of_the_module


def test_the_timeout_can_be_changed_afterwards(
    stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @stored.memoize(60)
    def price() -> int:
        return calls()

    price.cache_timeout = 5  # type: ignore[attr-defined]
    assert price() == 1
    clock.advance(6)
    assert price() == 2


def test_the_key_of_a_call_can_be_read_and_replaced(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def price(product: str) -> int:
        return calls()

    made: Any = price.make_cache_key  # type: ignore[attr-defined]
    assert price("a") == 1
    key = made(price.uncached, "a")  # type: ignore[attr-defined]
    assert stored.get(key) == 1
    assert stored.delete(key)
    assert [price("a"), price("b")] == [2, 3]
    price.make_cache_key = lambda _f, product: "one for all"  # type: ignore[attr-defined]
    assert [price("a"), price("b")] == [4, 4]


def test_the_users_exceptions_pass_and_are_not_logged(
    stored: Cache, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flask_larder")
    error = LookupError("no such product")

    @stored.memoize(60)
    def price() -> int:
        calls()
        raise error

    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            price()
        assert caught.value is error
    assert calls.count == 2
    assert caplog.records == []


def test_an_exception_of_the_users_key_code_passes(stored: Cache) -> None:
    class Broken:
        def __caching_id__(self) -> str:
            raise LookupError("mine")

    @stored.memoize(60)
    def shown(value: Any) -> int:
        return 1

    with pytest.raises(LookupError, match="mine"):
        shown(Broken())


def test_generators_are_served_and_not_stored(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def numbers() -> Any:
        calls()
        return (number for number in range(3))

    assert [list(numbers()), list(numbers())] == [[0, 1, 2], [0, 1, 2]]
    assert calls.count == 2
