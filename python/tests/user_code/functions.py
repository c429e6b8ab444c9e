"""Groups 8 to 12: memoized functions and methods, direct use, keys."""

from __future__ import annotations

from typing import Any, assert_type

from flask import Flask

from flask_larder.compat import Cache

app = Flask("shop")
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@cache.memoize(50)
def add(a: int, b: int = 0) -> int:
    """Group 8."""
    return a + b


@cache.memoize(timeout=50, args_to_ignore=["session"])
def total(first: int, *rest: int, session: object = None, **named: int) -> int:
    """Group 8: whatever arguments there are."""
    return first + sum(rest) + sum(named.values())


@app.get("/<foo>/<bar>")
@cache.memoize(50)
def both(foo: str, bar: str) -> str:
    """Group 8: under a route."""
    return foo + bar


def forget() -> None:
    """Group 9."""
    cache.delete_memoized(add)
    cache.delete_memoized(add, 1, 2)
    cache.delete_memoized(add, 1, b=2)
    add.delete_memoized()
    cache.delete_memoized_verhash(add)


class Adder:
    """Group 10: methods of all sorts."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __repr__(self) -> str:
        return f"Adder({self.start})"

    @cache.memoize(50)
    def add(self, b: int) -> int:
        """One instance's."""
        return self.start + b

    @classmethod
    @cache.memoize(50)
    def double(cls, a: int, b: int = 1) -> int:
        """The class's."""
        return 2 * (a + b)

    @staticmethod
    @cache.memoize(50)
    def triple(a: int) -> int:
        """Nobody's."""
        return 3 * a

    @property
    @cache.memoize(50)
    def half(self) -> float:
        """As an attribute."""
        return self.start / 2


class Named:
    """Group 10: an instance that says what it is."""

    def __caching_id__(self) -> str:
        return "named"

    @cache.memoize(timeout=50, args_to_ignore=["self"])
    def answer(self) -> int:
        """The same for all."""
        return 42


def forget_methods() -> None:
    """Group 10."""
    adder = Adder(1)
    cache.delete_memoized(adder.add)
    cache.delete_memoized(adder.add, 3)
    cache.delete_memoized(adder.add, adder, 3)
    cache.delete_memoized(Adder.add)
    cache.delete_memoized(Adder.add, adder, 3)
    cache.delete_memoized(Adder.double, Adder, 5, 2)


def direct() -> dict[str, Any]:
    """Group 11."""
    cache.set("k", {"a": 1}, timeout=60)
    cache.add("k", 1)
    cache.set_many({"a": 1, "b": 2}, timeout=60)
    values: list[Any] = cache.get_many("a", "b")
    found: dict[str, Any] = cache.get_dict("a", "b")
    if cache.has("k") and cache.get("k"):
        cache.delete("k")
    cache.cache.inc("n")
    cache.delete_many("a", "b")
    cache.unlink("c")
    assert values == [1, 2]
    cache.clear()
    return found


def keys() -> tuple[Any, Any]:
    """Group 12."""
    key = add.make_cache_key(add.uncached, 1, b=2)
    with app.test_request_context("/a/b"):
        return cache.get(key), cache.get(both.make_cache_key(both.uncached, foo="a", bar="b"))


def types() -> None:
    """What the decorated functions are to a type checker: what they were."""
    assert_type(add(1, b=2), int)
    assert_type(add.uncached(1, b=2), int)
    assert_type(total(1, 2, 3, session=app, tax=4), int)
    assert_type(Adder(1).add(2), int)
    assert_type(Adder.add(Adder(1), 2), int)
    assert_type(Adder.triple(1), int)
    assert_type(Adder(3).half, float)
    assert_type(Named().answer(), int)
