"""Values: what one caller does to an answer never reaches another."""

from __future__ import annotations

import datetime
import threading
import uuid
from decimal import Decimal
from typing import Any

import pytest
from conftest import Calls
from flask import Flask
from markupsafe import Markup

from flask_larder import Cache


@pytest.fixture(autouse=True)
def context(app: Flask) -> Any:
    with app.app_context():
        yield


VALUES: list[Any] = [
    None, True, 0, -1, 2**100, 1.5, "text", "\ud800", b"bytes", (1, "a"), [1, [2]], {"a": {"b": 1}},
    {1, 2}, frozenset({1}), Decimal("1.10"), uuid.UUID(int=5), Markup("<b>"), 1j if False else 2,
    datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC), datetime.date(2024, 2, 29),
    datetime.timedelta(days=1, microseconds=1),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back_as_they_were(stored: Cache, value: Any) -> None:
    stored.set("k", value)
    for _ in range(2):
        found = stored.get("k")
        assert found == value
        assert type(found) is type(value)


class Basket:
    """An object of the application's own."""

    def __init__(self) -> None:
        self.items = ["bread"]


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        value["more"] = 1
        value["list"].append(1)
    elif isinstance(value, Basket):
        value.items.append("stolen")
    else:
        value[0].append(1)


@pytest.mark.parametrize("make", [lambda: {"list": [1]}, lambda: [[1]], lambda: ([1],), Basket])
def test_answers_that_can_be_changed_are_the_callers_own(stored: Cache, make: Any) -> None:
    @stored.memoize(60)
    def answer() -> Any:
        return make()

    def content(value: Any) -> Any:
        return value.items if isinstance(value, Basket) else value

    expected = content(make())
    for _ in range(4):
        got = answer()
        assert content(got) == expected
        spoil(got)


def test_changing_what_was_stored_changes_nothing(stored: Cache) -> None:
    value = {"list": [1]}
    stored.set("k", value)
    spoil(value)
    assert stored.get("k") == {"list": [1]}


def test_immutable_answers_are_handed_over_without_a_copy(cache: Cache) -> None:
    value = ("a" * 1000, frozenset({1, 2}))
    cache.set("k", value)
    assert cache.get("k") is value


@pytest.mark.parametrize("make", [threading.Lock, lambda: [threading.Lock()]])
def test_what_cannot_be_pickled_is_served_with_one_warning(
    stored: Cache, calls: Calls, caplog: pytest.LogCaptureFixture, make: Any
) -> None:
    @stored.memoize(60)
    def answer() -> Any:
        calls()
        return make()

    for _ in range(3):
        assert answer() is not None
    assert calls.count == 3
    (record,) = [record for record in caplog.records if "answer" in record.getMessage()]
    assert "lock" in record.getMessage()
    (counters,) = stored.stats()["functions"].values()
    assert sum(counters["passes"].values()) == 3


def test_set_of_what_cannot_be_pickled(stored: Cache, caplog: pytest.LogCaptureFixture) -> None:
    assert stored.set("k", threading.Lock()) is False
    assert stored.get("k") is None
    assert "lock" in caplog.text


def test_objects_need_a_secret_outside_of_the_process(redis_url: str, calls: Calls) -> None:
    from conftest import redis_config

    app = Flask("no secret")
    stored = Cache(app, config=redis_config(redis_url))

    @stored.memoize(60)
    def answer() -> Basket:
        calls()
        return Basket()

    with app.app_context():
        assert [answer().items, answer().items] == [["bread"]] * 2
        (counters,) = stored.stats()["functions"].values()
    assert calls.count == 2
    (reason,) = counters["passes"]
    assert "Basket" in reason
    assert "SECRET_KEY" in reason


def test_large_values_are_served_and_not_stored(stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    def answer(size: int) -> bytes:
        calls()
        return b"x" * size

    large, small = 8 * 1024 * 1024 + 1, 900 * 1024
    assert [len(answer(large)), len(answer(large)), calls.count] == [large, large, 2]
    assert [len(answer(small)), len(answer(small)), calls.count] == [small, small, 3]
    (counters,) = stored.stats()["functions"].values()
    assert counters["passes"] == {"too-large": 2}


def test_the_bound_on_values_can_be_set(calls: Calls) -> None:
    app = Flask("shop")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_MAX_VALUE": "1 KB"})
    answer = cache.memoize(60)(lambda: calls() and b"x" * 2000)
    with app.app_context():
        assert [answer(), answer()] == [b"x" * 2000] * 2
    assert calls.count == 2
