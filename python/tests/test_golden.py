"""The vectors of `tests/golden`, which the Rust suite reads too."""

from __future__ import annotations

import json
import struct
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from flask_larder import _native

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"


def cases(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / f"{file}.json").read_text("utf-8"))
    assert found
    return found


def zone_of(content: Any) -> Any:
    if content is None:
        return None
    return ZoneInfo(content) if isinstance(content, str) else timezone(timedelta(seconds=content))


def time_of(content: dict[str, Any]) -> time:
    return time(*content["time"], tzinfo=zone_of(content["zone"]), fold=content.get("fold", False))


def page_of(content: dict[str, Any]) -> Any:
    headers = [tuple(pair) for pair in content["headers"]]
    return _native.Page(content["status"], headers, content["body"].encode("latin-1"))


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def value_of(notation: Any) -> Any:
    """The object that a vector means."""
    if not isinstance(notation, dict):
        return notation
    ((word, content),) = notation.items()
    return MAKERS[word](content)


def members(content: list[Any]) -> list[Any]:
    return [value_of(one) for one in content]


MAKERS: dict[str, Any] = {
    "int": int,
    "float": float,
    "float_bits": lambda bits: struct.unpack(">d", bytes.fromhex(bits))[0],
    "wide": lambda points: "".join(map(chr, points)),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "list": members,
    "tuple": lambda content: tuple(members(content)),
    "set": lambda content: set(members(content)),
    "frozenset": lambda content: frozenset(members(content)),
    "map": lambda pairs: {value_of(key): value_of(value) for key, value in pairs},
    "nest": nested,
    "date": lambda fields: date(*fields),
    "time": time_of,
    "datetime": lambda content: datetime.combine(date(*content["date"]), time_of(content)),
    "timedelta": lambda fields: timedelta(*fields),
    "decimal": Decimal,
    "uuid": uuid.UUID,
    "markup": Markup,
    "page": page_of,
}

VALUES = cases("values")
KEYS = cases("keys")


def is_opaque(notation: Any) -> bool:
    return "opaque" in json.dumps(notation)


@pytest.mark.parametrize(
    "case",
    [case for case in VALUES if not is_opaque(case["value"])],
    ids=lambda case: case["name"],
)
def test_values(case: dict[str, Any]) -> None:
    value = value_of(case["value"])
    payload = bytes.fromhex(case["hex"])
    assert _native.encode(value) == payload
    decoded = _native.decode(payload)
    assert type(decoded) is type(value)
    assert _native.encode(decoded) == payload
    # Not every number equals itself, but every one shows what it is.
    assert repr(decoded) == repr(value) or decoded == value


def test_nothing_opaque_is_decoded() -> None:
    opaque = [case for case in VALUES if is_opaque(case["value"])]
    assert opaque
    for case in opaque:
        with pytest.raises(ValueError, match="pickle"):
            _native.decode(bytes.fromhex(case["hex"]))


OBJECTS = {
    "uuid": lambda content: uuid.UUID(bytes=bytes.fromhex(content["bytes"])),
    "date": lambda content: date(*(int(field["int"]) for field in content["tuple"])),
}


def argument_of(notation: Any) -> Any:
    if isinstance(notation, dict) and "object" in notation:
        name, content = notation["object"]
        return OBJECTS[name](content)
    return value_of(notation)


@pytest.mark.parametrize(
    "case", [case for case in KEYS if case.get("variant")], ids=lambda case: case["name"]
)
def test_keys(case: dict[str, Any]) -> None:
    base = case["base"]
    base = base.encode() if isinstance(base, str) else bytes.fromhex(base["bytes"])
    head = case["kind"][:1].encode() + struct.pack(">I", len(base)) + base
    variant = b"".join(_native.key_of(argument_of(one)) for one in case["variant"])
    assert (head + variant).hex() == case["hex"]
