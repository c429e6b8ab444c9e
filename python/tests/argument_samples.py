"""Classes whose objects are arguments."""

from __future__ import annotations

import dataclasses
import enum
import threading
from typing import Any, NamedTuple

import properties  # noqa: F401  # It sets the profile.


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Paint(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Number(int):
    pass


class OtherNumber(int):
    pass


class Text(str):
    pass


class Rows(list[Any]):
    pass


class Real(float):
    pass


class Point(NamedTuple):
    x: int
    y: int


class Size(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Product:
    name: str
    tags: list[str]


@dataclasses.dataclass(slots=True, frozen=True)
class Price:
    amount: int


class Discounted(Product):
    """It derives from a dataclass, and has an attribute that is no field."""

    def __init__(self, name: str, discount: int) -> None:
        super().__init__(name, [])
        self.discount = discount


class Valued:
    """It is compared by its content."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Valued) and self.content == other.content

    __hash__ = None  # type: ignore[assignment]


class OtherValued(Valued):
    pass


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int) -> None:
        self.a, self.b = a, b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and (self.a, self.b) == (other.a, other.b)

    __hash__ = None  # type: ignore[assignment]


class Identified:
    def __init__(self, number: Any) -> None:
        self.number = number
        self.lock = threading.Lock()

    def __caching_id__(self) -> Any:
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


class OtherIdentified(Identified):
    pass


class Anonymous:
    def __init__(self, content: Any = None) -> None:
        self.content = content


class Lazy:
    """A translation: its text depends on the language of the request, which it does not hold."""

    language = "en"

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.text} in {self.language}"


def function() -> None:
    """An argument that is a function."""


def other_function() -> None:
    """Another one."""
