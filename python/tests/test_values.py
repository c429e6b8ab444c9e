"""What is kept of an object, and what a reader gets."""

from __future__ import annotations

import gc
import io
import pickle
import sys
import threading
from datetime import UTC
from typing import Any, ClassVar

import pytest
from conftest import sample_name
from hypothesis import given
from markupsafe import Markup
from value_samples import (
    BERLIN,
    COPIED,
    IMMUTABLE,
    OTHERS,
    Access,
    Colour,
    Order,
    Page,
    keep,
    nest,
    plain,
    same,
    spoil,
)
from werkzeug.wrappers import Response

from flask_larder import _native


class Hostile:
    """Any use of it beyond its address and its pickle fails."""

    used: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in ("__class__", "__reduce_ex__", "__reduce__", "__getstate__"):
            Hostile.used.append(name)
        return object.__getattribute__(self, name)

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __hash__(self) -> int:
        raise AssertionError("hashed")

    def __repr__(self) -> str:
        raise AssertionError("shown")


@pytest.mark.parametrize("value", IMMUTABLE, ids=sample_name)
def test_what_cannot_be_changed_is_shared(value: Any) -> None:
    kept = keep(value)
    assert kept.form == "shared"
    assert kept.give() is value
    assert kept.give() is value


@pytest.mark.parametrize(
    "value",
    [Colour.RED, Access.READ | Access.WRITE, 1j, ..., range(3), (Colour.RED, 1), UTC, BERLIN],
    ids=sample_name,
)
def test_other_constants_are_shared_too(value: Any) -> None:
    assert keep(value).give() is value


@pytest.mark.parametrize("value", COPIED, ids=sample_name)
def test_what_can_be_changed_is_copied(value: Any) -> None:
    kept = keep(value)
    assert kept.form == "copied"
    given = kept.give()
    assert same(given, value)
    assert given is not value
    assert kept.give() is not given


@pytest.mark.parametrize("value", COPIED, ids=sample_name)
def test_no_reader_changes_what_the_next_one_gets(value: Any) -> None:
    original = pickle.loads(pickle.dumps(value))
    given_in = pickle.loads(pickle.dumps(value))
    kept = keep(given_in)
    spoil(given_in)
    first = kept.give()
    assert same(first, original)
    spoil(first)
    assert same(kept.give(), original)


def test_emptying_a_copy_leaves_the_rest() -> None:
    kept = keep({"rows": [{"id": 1}], "flat": {"a": 1}})
    given = kept.give()
    given["rows"][0].clear()
    given["flat"].clear()
    del given["rows"]
    assert kept.give() == {"rows": [{"id": 1}], "flat": {"a": 1}}


@given(plain)
def test_spoiling_never_shows(value: Any) -> None:
    kept = keep(value)
    spoil(kept.give())
    assert same(kept.give(), pickle.loads(pickle.dumps(kept.give())))
    given = kept.give()
    assert "spoilt" not in repr(given) or "spoilt" in repr(value)


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_everything_else_is_pickled(value: Any) -> None:
    kept = keep(value)
    assert kept.form == "pickled"
    assert kept.give() is not value
    assert kept.give() == value
    assert type(kept.give()) is type(value)


def test_an_object_is_as_it_was_when_it_was_kept() -> None:
    order = Order(["lamp"])
    kept = keep(order)
    order.lines.append("spoilt")
    kept.give().lines.append("spoilt")
    assert kept.give().lines == ["lamp"]


def test_what_is_shared_inside_stays_shared() -> None:
    inner = [1]
    kept = keep([inner, inner])
    given = kept.give()
    assert given[0] is given[1]
    assert given[0] is not inner
    assert kept.through_bytes().give() == [[1], [1]]


def test_a_list_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    kept = keep(loop)
    given = kept.give()
    assert given[0] is given
    assert given is not loop
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        kept.through_bytes()
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        _native.encode(loop)
    again = kept.through_bytes(sealed=True).give()
    assert again[0] is again


def test_the_limit_of_nesting() -> None:
    assert keep(nest(64)).form == "copied"
    assert keep(nest(64)).give() == nest(64)
    assert keep(nest(65)).form == "pickled"
    assert keep(nest(65)).give() == nest(65)
    assert keep(nest(64)).through_bytes().give() == nest(64)
    with pytest.raises(ValueError, match="64 deep"):
        keep(nest(65)).through_bytes()
    assert keep(nest(65)).through_bytes(sealed=True).give() == nest(65)


def test_nesting_too_deep_for_pickle_is_a_reason() -> None:
    with pytest.raises(TypeError, match=r"of type list cannot be kept.*recursion"):
        keep(nest(100_000))


def test_repetition_does_not_fill_the_memory() -> None:
    lists: list[Any] = []
    tuples: tuple[Any, ...] = ()
    for _ in range(50):
        lists = [lists, lists]
        tuples = (tuples, tuples)
    for value in (lists, tuples):
        kept = keep(value)
        assert kept.weight < 100_000
        with pytest.raises(ValueError, match="repeats an object"):
            kept.through_bytes()
    assert keep(tuples).give() is tuples


def opened() -> Any:
    return open(__file__, encoding="utf-8")  # The test closes it.


def numbers() -> Any:
    yield 1


async def coroutine() -> None:
    """Never runs."""


async def numbers_to_await() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (numbers, "a generator"),
        (numbers_to_await, "an async generator"),
        (opened, "an open file"),
        (lambda: io.FileIO(__file__), "an open file"),
        (io.BytesIO, "an open file"),
        (lambda: Response(numbers()), "a streamed response"),
    ],
)
def test_what_can_be_used_once_is_not_kept(make: Any, reason: str) -> None:
    value = make()
    with pytest.raises(TypeError, match=f"{reason} can be used once only"):
        keep(value)
    if hasattr(value, "close"):
        value.close()


def test_a_coroutine_is_not_kept() -> None:
    value = coroutine()
    with pytest.raises(TypeError, match="a coroutine can be used once only"):
        keep(value)
    value.close()


@pytest.mark.parametrize(
    "value", [threading.Lock(), lambda: 1, [threading.Lock()], {"a": lambda: 1}, sys]
)
def test_what_cannot_be_pickled_is_not_kept(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be kept apart from its other users"):
        keep(value)


class Raises:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error", [ValueError("no"), Unspeakable(), RecursionError(), MemoryError()]
)
def test_a_failing_pickle_is_a_reason(error: BaseException) -> None:
    with pytest.raises(TypeError, match=r"of type \S*Raises cannot be kept"):
        keep(Raises(error))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_no_reason(error: type[BaseException]) -> None:
    with pytest.raises(error):
        keep(Raises(error()))


def test_no_code_of_the_user_runs_but_pickling() -> None:
    Hostile.used.clear()
    value = Hostile()
    for nested in (value, [value], {"a": value}, (value,), [[1, (value,)]]):
        assert keep(nested).form == "pickled"
    assert set(Hostile.used) <= {"__dict__", "__reduce_cython__", "__getnewargs_ex__"}


def test_an_error_of_unpickling_is_the_readers() -> None:
    class_of_error = type(keep(Breaks()).give())
    assert class_of_error is Breaks
    Breaks.broken = True
    try:
        kept = keep(Breaks())
        with pytest.raises(LookupError, match="broken"):
            kept.give()
    finally:
        Breaks.broken = False


class Breaks:
    broken = False

    def __setstate__(self, state: Any) -> None:
        if self.broken:
            raise LookupError("broken")

    def __getstate__(self) -> Any:
        return {"a": 1}


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("x" * 100_000, 100_000),
        ("ä" * 100_000, 100_000),
        ("🍎" * 100_000, 400_000),
        (b"x" * 100_000, 100_000),
        (1 << 800_000, 100_000),
        (["x" * 1000 + str(i) for i in range(100)], 100_000),
        ({i: i for i in range(10_000)}, 10_000 * 24),
        ([[] for _ in range(1000)], 1000 * 56),
        (set(range(10_000)), 10_000 * 16),
        (bytearray(100_000), 100_000),
        (tuple("x" * 1000 + str(i) for i in range(100)), 100_000),
        (Page(200, [("a", "b" * 1000)], b"x" * 99_000), 100_000),
        (Order(["x" * 100_000]), 100_000),
        (Markup("x" * 100_000), 100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_weight_is_honest(value: Any, least: int) -> None:
    weight = keep(value).weight
    assert least <= weight <= 6 * least + 1000
    if type(value) in (str, bytes, int, bytearray):
        assert weight >= sys.getsizeof(value)


def test_a_small_value_weighs_little() -> None:
    assert keep(1).weight < 200
    assert keep("lamp").weight < 250


def counted_text() -> str:
    """A text whose references are counted; Python 3.12 keeps constants for ever and does not count."""
    return "x" * int("1000")


@pytest.mark.parametrize("make", [counted_text, lambda: ("a", 2**70), lambda: Page(200, [], b"")])
def test_what_is_dropped_is_given_back(make: Any) -> None:
    value = make()
    gc.collect()
    before = sys.getrefcount(value)
    kept = [keep(value) for _ in range(100)]
    assert sys.getrefcount(value) == before + 100
    kept.clear()
    assert sys.getrefcount(value) == before


def test_a_copied_leaf_is_given_back() -> None:
    leaf = counted_text()
    before = sys.getrefcount(leaf)
    kept = keep([{"a": leaf}, {"b": [leaf]}])
    for _ in range(10):
        kept.give()
    del kept
    assert sys.getrefcount(leaf) == before


def test_threads_may_read_one_value() -> None:
    kept = keep({"rows": [{"id": row} for row in range(100)]})
    expected = kept.give()
    wrong: list[Any] = []

    def read() -> None:
        for _ in range(200):
            given = kept.give()
            if given != expected:
                wrong.append(given)
            spoil(given)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
