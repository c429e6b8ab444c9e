"""Which arguments are one key, which are two, and which are none."""

from __future__ import annotations

import array
import collections
import dataclasses
import fractions
import functools
import ipaddress
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import types
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from argument_samples import (
    Access,
    Anonymous,
    Colour,
    Discounted,
    Identified,
    Lazy,
    Level,
    Number,
    OtherIdentified,
    OtherNumber,
    OtherValued,
    Paint,
    Point,
    Price,
    Product,
    Real,
    Rows,
    Size,
    Slotted,
    Text,
    Valued,
    function,
    other_function,
)
from conftest import sample_name
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.datastructures import CombinedMultiDict, ImmutableMultiDict, MultiDict
from werkzeug.local import LocalProxy

from flask_larder import _native

key_of = _native.key_of


BERLIN = ZoneInfo("Europe/Berlin")
DAY = datetime(2026, 10, 25, 2, 30)


def distinct() -> list[Any]:
    """Values of which every two are two keys, made anew."""
    return [
        None, True, False, 0, 1, -1, 2**63, -(2**63), -(2**63) - 1, 2**200, -(2**200),
        0.0, -0.0, 1.0, float("inf"), float("nan"), 1j, 1 + 0j, ...,
        "", "1", "a", "None", "True", "ä", "\u0061\u0308", "a\x00", "\ud800", "\udfff",
        b"", b"1", b"a", bytearray(b"1"), memoryview(b"1"), memoryview(array.array("i", [1])),
        [], [1], [True], [1.0], ["1"], [[1]], [1, 2], [2, 1], [[], []], [[[]]],
        (), (1,), (True,), (1, 2), ((1,), 2), (1, (2,)), ("a_b", "c"), ("a", "b_c"), ("a_b_c",),
        {}, {1: 2}, {2: 1}, {True: 2}, {"1": 2}, {1: 2, 3: 4}, {1: {}}, {(): []},
        set(), {1}, {1, 2}, {"1"}, frozenset(), frozenset([1]), frozenset([1, 2]),
        {frozenset([1])}, {(1,)},
        Number(1), OtherNumber(1), Text("1"), Real(1.0), Rows([1]), Level.LOW,
        Colour.RED, Colour.BLUE, Paint.RED, Access.READ, Access.READ | Access.WRITE, Access(0),
        Point(1, 2), Point(2, 1), Size(1, 2),
        Product("a", []), Product("a", ["b"]), Product("b", []), Price(1), Price(2),
        Discounted("a", 1), Discounted("a", 2),
        Valued(1), Valued(2), Valued([1]), OtherValued(1), Slotted(1, 2), Slotted(2, 1),
        Identified(1), Identified(2), Identified("1"), OtherIdentified(1),
        date(2026, 10, 25), date(2026, 10, 26), DAY, DAY.replace(fold=1), DAY.replace(tzinfo=UTC),
        DAY.replace(tzinfo=BERLIN), DAY.replace(tzinfo=BERLIN, fold=1),
        DAY.replace(tzinfo=timezone(timedelta(hours=2))),
        DAY.replace(tzinfo=timezone(timedelta(hours=2), "CEST")),
        datetime(2026, 10, 25), time(), time(1), time(0, tzinfo=UTC), UTC, BERLIN,
        timedelta(), timedelta(1), timedelta(seconds=1), timedelta(microseconds=-1),
        Decimal("1"), Decimal("1.0"), Decimal("-0"), Decimal("NaN"),
        uuid.UUID(int=1), uuid.UUID(int=2), Markup("a"), Markup("1"),
        pathlib.Path("/a"), pathlib.PurePosixPath("/a"), pathlib.Path("a"), pathlib.Path("/a/b"),
        fractions.Fraction(1, 2), ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1"),
        re.compile("a"), re.compile("a", re.IGNORECASE), range(3), range(4), slice(1), slice(2),
        collections.OrderedDict(a=1), collections.OrderedDict(a=2), collections.Counter("a"),
        collections.defaultdict(int, a=1), collections.defaultdict(list, a=1),
        collections.deque([1]), collections.deque([1], maxlen=3), types.SimpleNamespace(a=1),
        array.array("i", [1]), array.array("b", [1]),
        MultiDict([("a", "1")]), MultiDict([("a", "1"), ("a", "2")]), ImmutableMultiDict([("a", "1")]),
        CombinedMultiDict([MultiDict([("a", "1")])]), CombinedMultiDict([MultiDict([("a", "2")])]),
        int, str, Number, Colour, function, other_function, len, print, re, json,
        functools.partial(function, 1), functools.partial(function, 2), Valued(1).__eq__,
        Valued(2).__eq__, "a".join, "b".join,
    ]  # fmt: skip


DISTINCT = distinct()


def test_no_two_values_share_a_key() -> None:
    keys: dict[bytes, Any] = {}
    for value in DISTINCT:
        key = key_of(value)
        assert key not in keys, f"{value!r} has the key of {keys[key]!r}"
        keys[key] = value
    assert len(keys) == len(DISTINCT)


@pytest.mark.parametrize(
    ("value", "again"),
    list(zip(DISTINCT, distinct(), strict=True)),
    ids=sample_name,
)
def test_a_key_is_made_of_the_content(value: Any, again: Any) -> None:
    assert key_of(again) == key_of(value)
    assert key_of([value, "more"]) == key_of([again, "more"])
    assert key_of([value, "more"]) != key_of(["more", value])
    assert key_of({"a": value}) == key_of({"a": again})


EQUAL: list[tuple[Any, Any]] = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, "a", (2,)}, {(2,), "a", 1}),
    (set(range(1000)), set(range(999, -1, -1))),
    (frozenset("abc"), frozenset("cba")),
    (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    (float("nan"), -float("nan")),
    (Product("a", ["b"]), Product("a", ["b"])),
    (memoryview(b"abc")[1:], memoryview(b"bc")),
    (LocalProxy(lambda: 5), 5),
    (LocalProxy(lambda: LocalProxy(lambda: "a")), "a"),
    ([LocalProxy(lambda: None)], [None]),
    (Identified(7), Identified(7)),
    (functools.partial(function, a=1), functools.partial(function, a=1)),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=lambda value: type(value).__name__)
def test_what_is_equal_shares_a_key(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(other)


def test_five_ones() -> None:
    assert len({key_of(one) for one in (1, True, 1.0, "1", b"1")}) == 5


simple = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=8,
)


def exact(value: Any) -> Any:
    """A form in which equal means: of the same types and content."""
    if isinstance(value, list | tuple):
        return (type(value), tuple(map(exact, value)))
    return (type(value), value.hex() if isinstance(value, float) else value)


@given(simple, simple)
def test_keys_are_equal_just_where_values_are(one: Any, other: Any) -> None:
    assert (key_of(one) == key_of(other)) == (exact(one) == exact(other))


@given(st.lists(st.tuples(st.text() | st.integers(), simple), unique_by=lambda pair: pair[0]))
def test_the_order_of_a_dict_is_no_part_of_it(pairs: list[tuple[Any, Any]]) -> None:
    assert key_of(dict(pairs)) == key_of(dict(reversed(pairs)))


@given(st.lists(simple, max_size=3), st.lists(simple, max_size=3))
def test_keys_do_not_run_into_one_another(one: list[Any], other: list[Any]) -> None:
    joined = b"".join(map(key_of, one)) == b"".join(map(key_of, other))
    assert joined == (exact(one) == exact(other))


class TestCachingId:
    def test_it_stands_for_the_object(self) -> None:
        assert key_of(Identified([1, "a"])) == key_of(Identified([1, "a"]))
        assert key_of(Identified([1, "a"])) != key_of([1, "a"])

    def test_its_exceptions_are_the_users(self) -> None:
        with pytest.raises(LookupError, match="mine"):
            key_of([Identified(LookupError("mine"))])

    def test_what_it_answers_needs_a_key_too(self) -> None:
        with pytest.raises(TypeError, match="Anonymous"):
            key_of(Identified(Anonymous()))

    def test_one_that_answers_itself(self) -> None:
        loop = Identified(None)
        loop.number = loop
        with pytest.raises(TypeError, match="64 deep"):
            key_of(loop)

    def test_a_class_is_its_name(self) -> None:
        assert key_of(Identified) != key_of(OtherIdentified)

    def test_a_dataclass_may_have_one(self) -> None:
        @dataclasses.dataclass
        class Item:
            number: int
            lock: Any

            def __caching_id__(self) -> int:
                return self.number

        assert key_of(Item(1, threading.Lock())) == key_of(Item(1, threading.Lock()))
        assert key_of(Item(1, None)) != key_of(Item(2, None))


class TestProxies:
    def test_an_unbound_proxy_raises_as_it_does_anywhere(self) -> None:
        def unbound() -> Any:
            raise RuntimeError("outside of a request")

        with pytest.raises(RuntimeError, match="outside of a request"):
            key_of(LocalProxy(unbound))

    def test_a_proxy_of_an_object_without_content(self) -> None:
        with pytest.raises(TypeError, match="Anonymous"):
            key_of(LocalProxy(Anonymous))

    def test_a_lazy_text_is_its_text(self) -> None:
        lazy = Lazy("lamp")
        english = key_of(lazy)
        Lazy.language = "de"
        try:
            assert key_of(lazy) != english
        finally:
            Lazy.language = "en"
        assert key_of(lazy) == english


def make_class(base: type, factor: int) -> Any:
    class Local(base):  # type: ignore[misc]
        def total(self) -> int:
            return factor

    return Local


@pytest.mark.parametrize("base", [Valued, Number, Product])
def test_classes_of_one_name_are_told_apart(base: type) -> None:
    one, other = make_class(base, 1), make_class(base, 2)
    arguments = ("a", []) if base is Product else (1,)
    assert key_of(one(*arguments)) == key_of(one(*arguments))
    assert key_of(one(*arguments)) != key_of(other(*arguments))
    assert key_of(one) != key_of(other)


def test_the_number_of_a_class_is_never_used_again() -> None:
    keys = {key_of(make_class(Valued, 1)(1)) for _ in range(50)}
    assert len(keys) == 50


def test_attributes_beside_the_content_count() -> None:
    plain, marked, other = Text("a"), Text("a"), Text("a")
    marked.language = "de"  # type: ignore[attr-defined]
    other.language = "fr"  # type: ignore[attr-defined]
    assert len({key_of(text) for text in (plain, marked, other, "a")}) == 4


class Tricky(list[Any]):
    """Its methods lie about its content."""

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_a_subclass_is_read_without_its_methods() -> None:
    assert key_of(Tricky([1])) != key_of(Tricky([2]))


class Changes:
    """It changes the list that it stands in while that is being read."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def __caching_id__(self) -> int:
        self.target.clear()
        return 1


@pytest.mark.parametrize("make", [list, dict, set, collections.deque])
def test_a_container_that_changes_while_it_is_read(make: Any) -> None:
    target = make()
    members = [Changes(target), *(str(number) for number in range(100))]
    if isinstance(target, dict):
        target.update((member, member) for member in members)
    elif isinstance(target, set):
        target.update(members)
    else:
        target.extend(members)
    try:
        assert isinstance(key_of(target), bytes)
    except (RuntimeError, TypeError) as error:
        assert "mutated" in str(error) or "changed" in str(error)  # noqa: PT017
    assert len(target) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_passed_on(error: type[BaseException]) -> None:
    class Interrupted(Valued):
        def __reduce__(self) -> Any:
            raise error

    with pytest.raises(error):
        key_of(Interrupted(1))


PROGRAM = """
import datetime, decimal, enum, pathlib, sys, uuid
from flask_larder import _native
assert "numpy" not in sys.modules and "pandas" not in sys.modules
value = [{"a", "b", "c", ("d", 1)}, frozenset("xyz"), {"k": {"l", "m"}}, decimal.Decimal("1.5"),
         datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), pathlib.Path("/a"),
         uuid.UUID(int=1), print, decimal.Decimal]
print(_native.key_of(value).hex())
assert "numpy" not in sys.modules and "pandas" not in sys.modules
"""


def test_keys_are_the_same_in_every_process() -> None:
    keys = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True
        )
        keys.add(done.stdout)
    assert len(keys) == 1


def test_threads_may_ask_at_once() -> None:
    expected = key_of(DISTINCT[:60])
    wrong: list[bytes] = []

    def ask() -> None:
        for _ in range(100):
            if key_of(DISTINCT[:60]) != expected:
                wrong.append(b"")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_key_does_not_keep_its_arguments() -> None:
    text = "x" * 1000
    before = sys.getrefcount(text)
    for _ in itertools.repeat(None, 100):
        key_of([text, {text: text}, {text}, Valued(text), Product(text, [text])])
    assert sys.getrefcount(text) == before
