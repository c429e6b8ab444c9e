"""Arguments that no key can be made of, and what the refusal says."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from argument_samples import Anonymous, Valued

from flask_larder import _native

key_of = _native.key_of


def opened() -> Any:
    return open(os.devnull, encoding="utf-8")  # The test closes it.


class TestWhatHasNoKey:
    @pytest.mark.parametrize(
        "make",
        [
            object,
            Anonymous,
            lambda: Anonymous(5),
            lambda: [Anonymous()],
            lambda: {"a": (Anonymous(),)},
            lambda: {Anonymous()},
            lambda: (number for number in [1]),
        ],
    )
    def test_an_address_is_no_content(self, make: Any) -> None:
        with pytest.raises(TypeError, match=r"of type \S+ has no content.*__caching_id__"):
            key_of(make())

    def test_the_type_is_named(self) -> None:
        with pytest.raises(TypeError, match=r"argument_samples\.Anonymous"):
            key_of({"a": [Anonymous()]})
        with pytest.raises(TypeError, match=r"Valued .* it holds \S*Anonymous"):
            key_of(Valued(Anonymous()))

    def test_a_function_without_a_name(self) -> None:
        with pytest.raises(TypeError, match="<lambda> is not found under its name"):
            key_of([lambda: 1])

    def test_a_nested_function_is_not_found_under_its_name(self) -> None:
        def nested() -> None:
            """It may hold anything."""

        with pytest.raises(TypeError, match=r"nested is not found under its name"):
            key_of(nested)

    @pytest.mark.parametrize("make", [threading.Lock, opened])
    def test_what_cannot_say_what_it_is(self, make: Any) -> None:
        value = make()
        with pytest.raises(TypeError, match="type"):
            key_of(value)
        if hasattr(value, "close"):
            value.close()

    @pytest.mark.parametrize("make", [list, dict])
    def test_what_contains_itself(self, make: Any) -> None:
        loop = make()
        if isinstance(loop, list):
            loop.append(loop)
        else:
            loop["loop"] = loop
        for value in (loop, [loop], Valued(loop)):
            with pytest.raises(TypeError, match="nested more than 64 deep"):
                key_of(value)

    def test_the_limit_of_nesting(self) -> None:
        value: list[Any] = []
        for _ in range(63):
            value = [value]
        assert len(key_of(value)) == 2 * 64
        with pytest.raises(TypeError, match="64 deep"):
            key_of([value])

    def test_deep_data_does_not_exhaust_the_stack(self) -> None:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        with pytest.raises(TypeError, match="64 deep"):
            key_of(value)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: "x" * (17 << 20),
            lambda: "ä" * (9 << 20),
            lambda: b"x" * (17 << 20),
            lambda: bytearray(17 << 20),
            lambda: memoryview(bytes(17 << 20)),
            lambda: ["x" * (1 << 20) + str(i) for i in range(17)],
            lambda: 1 << (8 * (17 << 20)),
            lambda: dict.fromkeys(range(600_000)),
            lambda: set(range(1_100_000)),
        ],
    )
    def test_what_is_too_large(self, make: Any) -> None:
        with pytest.raises(TypeError, match="larger than 16 MiB"):
            key_of(make())

    def test_repetition_does_not_take_for_ever(self) -> None:
        value: tuple[Any, ...] = ()
        for _ in range(60):
            value = (value, value)
        with pytest.raises(TypeError, match="larger than 16 MiB"):
            key_of(value)

    def test_what_is_just_not_too_large(self) -> None:
        assert len(key_of("x" * (15 << 20))) > 15 << 20
        assert len(key_of(list(range(500_000)))) > 500_000


def test_a_class_that_fails_to_say_what_it_is() -> None:
    class Broken(Valued):
        def __reduce__(self) -> Any:
            raise ValueError("out of order")

    with pytest.raises(TypeError, match=r"Broken does not say what it consists of: out of order"):
        key_of(Broken(1))
