"""Calls whose arguments the interpreter hands over without a tuple (PEP 590) are those of Python."""

from __future__ import annotations

import gc
import operator
from collections.abc import Generator
from typing import Any

import pytest
from flask import Flask

from flask_larder import Cache

WAYS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, 2), {}),
    ((2, 1), {}),
    ((1, 2, 3, 4), {}),
    ((1, 3), {"c": 2}),
    ((1,), {"b": 3, "c": 4}),
    ((), {"a": 1, "b": 5}),
    ((1, 2, 4), {"c": 6, "d": 7}),
]


@pytest.fixture
def cache() -> Generator[Cache]:
    app = Flask("lined")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        yield cache


def test_arguments_arrive_as_they_were_passed(cache: Cache) -> None:
    def said(a: Any, b: Any = 2, *more: Any, c: Any = 3, **names: Any) -> Any:
        return a, b, more, c, names

    calls: list[Any] = []

    @cache.memoize()
    def kept(a: Any, b: Any = 2, *more: Any, c: Any = 3, **names: Any) -> Any:
        calls.append(a)
        return said(a, b, *more, c=c, **names)

    for _ in range(3):
        for args, kwargs in WAYS:
            # By a tuple and a dict, and one by one with room for self before the first.
            assert kept(*args, **kwargs) == said(*args, **kwargs)
            assert operator.methodcaller("__call__", *args, **kwargs)(kept) == said(*args, **kwargs)
    # Two of them are one call.
    assert len(calls) == len(WAYS) - 1
    assert [kept(1), kept(1, 2), kept(2, 1)] == [said(1), said(1, 2), said(2, 1)]
    assert [kept(1, c=3), kept(a=1, b=2), kept(1, b=3, c=4)] == [said(1), said(1), said(1, 3, c=4)]
    assert len(calls) == len(WAYS) - 1
    for args, kwargs in [((), {}), ((), {"b": 1}), ((1,), {"a": 1})]:
        with pytest.raises(TypeError, match=r"kept\(\)"):
            kept(*args, **kwargs)


def test_a_function_and_all_that_it_remembers_can_be_collected() -> None:
    alive: list[object] = []

    class Told:
        def __init__(self) -> None:
            alive.append(None)

        def __del__(self) -> None:
            alive.pop()

    def use() -> None:
        app = Flask("collected")
        cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
        told = Told()

        @cache.memoize()
        def answer(number: int) -> Any:
            return number, told is None

        with app.app_context():
            for number in (1, 2, 1, 2):
                answer(number)
        app.extensions["answer"] = answer

    use()
    gc.collect()
    assert alive == []
