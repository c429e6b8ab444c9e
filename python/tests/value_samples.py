"""Values to try everything with, and what it means that two of them are the same."""

from __future__ import annotations

import collections
import enum
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import properties  # noqa: F401  # It sets the profile.
from hypothesis import strategies as st
from markupsafe import Markup

from flask_larder import _native

Page = _native.Page
keep = _native.KeptValue


class Colour(enum.Enum):
    RED = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Text(str):
    """A text that is more than a text."""


class Number(int):
    """A number that is more than a number."""


class Row(dict[str, int]):
    """A dict that is more than a dict."""


Point = collections.namedtuple("Point", "x y")


class Order:
    """An object of an application."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self.lines == other.lines

    __hash__ = None  # type: ignore[assignment]


BERLIN = ZoneInfo("Europe/Berlin")

IMMUTABLE: list[Any] = [
    None,
    True,
    False,
    0,
    12345678901,
    -(2**63),
    2**63,
    -(10**50),
    1.5,
    "",
    "lamp",
    "Früchte 🍎",
    "x" * 5000,
    "\ud800",
    b"",
    b"\x00\xff" * 1000,
    (),
    (1, ("a", (None, b"x"))),
    frozenset(),
    frozenset([1, "a", (2, 3)]),
    Decimal("1.50"),
    Decimal("-Infinity"),
    date(2026, 2, 28),
    datetime(2026, 2, 28, 1, 2, 3, 4),
    datetime(2026, 2, 28, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2026, 2, 28, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    time(23, 59, 59, 999999),
    time(1, tzinfo=UTC, fold=1),
    timedelta(-1, 2, 3),
    timedelta.max,
    timedelta.min,
    uuid.UUID(int=7),
    Markup("<b>ä</b>"),
    Page(200, [("Link", "</a>"), ("Link", "</ä>")], b"body"),
]

COPIED: list[Any] = [
    [],
    {},
    set(),
    bytearray(b"ab"),
    [1, "a", None],
    {"a": 1, 2: "b", (3, 4): None, None: b"x", 1.5: True},
    {1, "a", (2, frozenset([3]))},
    [[1], {"a": [{"b": {1, 2}}]}, ([3],), bytearray(b"x")],
    {f"row {row}": {"id": row, "name": f"n{row}", "price": Decimal("9.99")} for row in range(50)},
    ([1], 2),
]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and so are the types of everything in them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = same(list(one), list(other))
        return keys and same(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return one == other and sorted(map(repr, map(type, one))) == sorted(
            map(repr, map(type, other))
        )
    if isinstance(one, float):
        return one.hex() == other.hex()
    if isinstance(one, datetime | time):
        return one == other and one.fold == other.fold and repr(one) == repr(other)
    if isinstance(one, Decimal):
        return str(one) == str(other)
    return bool(one == other)


OTHERS: list[Any] = [
    Order(["lamp"]),
    Text("a"),
    Number(1),
    Row(a=1),
    Point(1, 2),
    Fraction(1, 3),
    collections.OrderedDict(a=1),
    [Order(["lamp"])],
    {"row": Row(a=1)},
]


# What cannot be changed, and has no place in the safe codec all the same.
CONSTANTS: list[Any] = [
    Colour.RED,
    range(3),
    1j,
    UTC,
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=1))),
]


def everything_mutable(value: Any) -> list[Any]:
    """All containers in a value that can be changed, the value included."""
    if isinstance(value, dict):
        return [value, *(inner for one in value.values() for inner in everything_mutable(one))]
    if isinstance(value, list):
        return [value, *(inner for one in value for inner in everything_mutable(one))]
    if isinstance(value, tuple):
        return [inner for one in value for inner in everything_mutable(one)]
    return [value] if isinstance(value, set | bytearray) else []


def spoil(value: Any) -> None:
    """Changes every container in a value."""
    for container in everything_mutable(value):
        if isinstance(container, dict):
            container["spoilt"] = "spoilt"
        elif isinstance(container, list):
            container.append("spoilt")
        elif isinstance(container, set):
            container.add("spoilt")
        else:
            container.extend(b"spoilt")


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(alphabet=st.characters(codec=None), max_size=5)
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.sampled_from([UTC, BERLIN, timezone(timedelta(seconds=-20700))]))
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.text().map(Markup),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.booleans(), inner, max_size=4)
        | st.sets(st.integers() | st.text(), max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
        | st.binary().map(bytearray)
    ),
    max_leaves=20,
)
