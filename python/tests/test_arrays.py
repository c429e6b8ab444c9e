"""Arrays and tables as arguments: their whole content is their key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from argument_samples import Anonymous
from conftest import sample_name
from test_arguments import DISTINCT as OTHERS

from flask_larder import _native

key_of = _native.key_of


def distinct() -> list[Any]:
    """Values of which every two are two keys, made anew."""
    return [
        np.arange(3), np.arange(4), np.arange(3.0), np.arange(3, dtype="i4"), np.arange(3, dtype=">i8"),
        np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2), np.arange(6), np.array(1),
        np.array(["a"]), np.array(["a"], dtype=object), np.array([1], dtype=object),
        np.zeros(2, dtype=[("a", "i4")]), np.zeros(2, dtype=[("b", "i4")]),
        np.zeros(3000), np.array([0.0] * 1500 + [1.0] + [0.0] * 1499),
        np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.bool_(True), np.str_("1"),
        np.datetime64("2026-10-25"), np.datetime64("2026-10-25T00"), np.ma.array([1]),
        pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), pd.DataFrame({"b": [1, 2]}),
        pd.DataFrame({"a": [1, 2]}, index=[1, 2]), pd.DataFrame({"a": ["1", "2"]}),
        pd.DataFrame({"a": range(3000)}), pd.DataFrame({"a": [*range(1500), 0, *range(1501, 3000)]}),
        pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Series(["a", "b"], dtype="category"),
        pd.Series([1.0, 2.0]), pd.Index([1, 2]), pd.RangeIndex(2), pd.MultiIndex.from_tuples([(1, 2)]),
        pd.Timestamp("2026-10-25"), pd.Timestamp("2026-10-25", tz="UTC"), pd.NaT, pd.NA,
        pd.Timedelta(1), pd.Interval(1, 2), pd.date_range("2026-01-01", periods=2),
    ]  # fmt: skip


DISTINCT = distinct()


def test_no_two_values_share_a_key() -> None:
    keys = {key_of(value): value for value in [*OTHERS, *DISTINCT]}
    assert len(keys) == len(OTHERS) + len(DISTINCT)


@pytest.mark.parametrize(
    ("value", "again"),
    list(zip(DISTINCT, distinct(), strict=True)),
    ids=sample_name,
)
def test_a_key_is_made_of_the_content(value: Any, again: Any) -> None:
    assert key_of(again) == key_of(value)
    assert key_of([value, "more"]) == key_of([again, "more"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
        (np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3)),
    ],
)
def test_what_is_equal_shares_a_key(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(other)


def test_an_array_is_read_whole() -> None:
    for place in (0, 500_000, 999_999):
        array = np.zeros(1_000_000, dtype="i1")
        array[place] = 1
        assert key_of(array) != key_of(np.zeros(1_000_000, dtype="i1"))


def test_a_change_of_an_array_changes_its_key() -> None:
    array = np.zeros(3)
    before = key_of(array)
    array[1] = 1
    assert key_of(array) != before
    frame = pd.DataFrame({"a": [1, 2]})
    before = key_of(frame)
    frame.loc[0, "a"] = 5
    assert key_of(frame) != before


def test_an_array_that_is_too_large() -> None:
    with pytest.raises(TypeError, match="larger than 16 MiB"):
        key_of(np.zeros(3 << 20))
    with pytest.raises(TypeError, match="larger than 16 MiB"):
        key_of(pd.DataFrame({"a": np.zeros(3 << 20)}))


def test_an_array_of_objects_without_content() -> None:
    with pytest.raises(TypeError, match="Anonymous"):
        key_of(np.array([Anonymous()], dtype=object))


def test_arrays_and_tables_are_kept_apart_from_their_readers() -> None:
    for value in (np.arange(5), pd.DataFrame({"a": [1, 2]})):
        kept = _native.KeptValue(value)
        first = kept.give()
        assert (first == value).all(axis=None)
        first[:] = 7
        assert (kept.give() == value).all(axis=None)
