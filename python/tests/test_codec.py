"""What leaves the process, how it comes back, and what hostile bytes do."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from conftest import sample_name
from hypothesis import given
from hypothesis import strategies as st
from value_samples import (
    BERLIN,
    CONSTANTS,
    COPIED,
    IMMUTABLE,
    OTHERS,
    Order,
    keep,
    plain,
    same,
    spoil,
)

from flask_larder import _native


@given(plain)
def test_plain_data_comes_back_with_its_exact_types(value: Any) -> None:
    kept = keep(value)
    assert same(kept.give(), value)
    assert same(_native.decode(_native.encode(value)), value)
    through = kept.through_bytes()
    first = through.give()
    assert same(first, value)
    spoil(first)
    assert same(through.give(), value)


@pytest.mark.parametrize("value", [*IMMUTABLE, *COPIED], ids=sample_name)
def test_plain_data_leaves_the_process_without_a_seal(value: Any) -> None:
    assert same(keep(value).through_bytes(sealed=False).give(), value)


def test_text_from_a_store_is_made_once() -> None:
    kept = keep("lamp" * 100).through_bytes()
    assert kept.form == "coded"
    assert kept.give() is kept.give()


@pytest.mark.parametrize("value", [*OTHERS, *CONSTANTS], ids=lambda value: type(value).__name__)
def test_a_pickle_leaves_the_process_only_under_a_seal(value: Any) -> None:
    kept = keep(value)
    with pytest.raises(ValueError, match="SECRET_KEY or CACHE_SECRET"):
        kept.through_bytes(sealed=False)
    given = kept.through_bytes(sealed=True).give()
    assert given == value
    assert type(given) is type(value)


def test_the_refusal_names_the_type() -> None:
    for value in (Order([]), [1, {"a": Order([])}], {"a": Order([])}):
        with pytest.raises(ValueError, match=r"of type \S*Order is no plain data"):
            keep(value).through_bytes()
        with pytest.raises(ValueError, match="Order"):
            _native.encode(value)


class TestHostileBytes:
    """`decode` answers an error for what it did not write, and never runs anything."""

    @given(st.binary(max_size=200))
    def test_any_bytes(self, payload: bytes) -> None:
        try:
            value = _native.decode(payload)
        except ValueError:
            return
        assert same(_native.decode(_native.encode(value)), value)

    @given(plain, st.data())
    def test_damaged_bytes(self, value: Any, data: Any) -> None:
        payload = bytearray(_native.encode(value))
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place] ^= data.draw(st.integers(1, 255))
        try:
            _native.decode(bytes(payload))
        except ValueError:
            return

    @given(plain, st.data())
    def test_bytes_that_are_cut_short(self, value: Any, data: Any) -> None:
        payload = _native.encode(value)
        length = data.draw(st.integers(0, len(payload) - 1))
        with pytest.raises(ValueError, match="cannot code value"):
            _native.decode(payload[:length])

    @pytest.mark.parametrize(
        "payload",
        [
            b"\x0b\x01\x08\x00",  # a set of a list
            b"\x0a\x01\x0a\x00\x00",  # a map whose key is a map
            b"\x0a\x01\x09\x01\x08\x00\x00",  # a key that is a tuple of a list
            b"\x0c\x01\x0e\x00",  # a frozen set of a byte array
            b"\x08\xff\xff\xff\xff\x0f",  # a list of four thousand million
            b"\x08\x01" * 65 + b"\x00",
            b"\x00\x00",
            b"",
            b"\x14\x00",
            b"\x13\x03abc",
        ],
    )
    def test_values_that_are_none(self, payload: bytes) -> None:
        with pytest.raises(ValueError, match="cannot code value"):
            _native.decode(payload)

    def test_a_pickle_is_not_loaded(self) -> None:
        pickled = pickle.dumps(Order(["lamp"]))
        opaque = b"\x17\x06pickle" + bytes([len(pickled)]) + pickled
        for payload in (opaque, b"\x08\x01" + opaque, b"\x0a\x01\x00" + opaque):
            with pytest.raises(ValueError, match="pickle"):
                _native.decode(payload)

    def test_a_zone_that_does_not_exist(self) -> None:
        payload = _native.encode(datetime(2026, 1, 1, tzinfo=BERLIN))
        for name in (b"Europe/Bxrlin", b"../../etc/pwd", b"/etc/timezone"):
            with pytest.raises(ValueError, match="cannot code value"):
                _native.decode(payload.replace(b"Europe/Berlin", name))

    def test_a_decimal_beyond_all_bounds(self) -> None:
        text = b"1E+99999999999999999999999"
        with pytest.raises(ValueError, match="InvalidOperation"):
            _native.decode(b"\x13" + bytes([len(text)]) + text)


class Zone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=2)

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> str:
        return "own"


def test_a_zone_of_ones_own_is_no_plain_data() -> None:
    value = datetime(2026, 1, 1, tzinfo=Zone())
    assert keep(value).form == "pickled"
    with pytest.raises(ValueError, match=r"datetime\.datetime with a tzinfo of type \S*Zone"):
        _native.encode(value)


def test_big_values() -> None:
    big = {"text": "ä" * 1_000_000, "rows": list(range(200_000)), "bytes": b"x" * 1_000_000}
    assert keep(big).give() == big
    assert keep(big).through_bytes().give() == big
