"""Objects that somebody else keeps, looked through while other threads add to them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathered(Generic[T]):
    """A set of objects that it does not keep alive, which can be looked through at any time.

    A `WeakSet` that another thread adds to raises a `RuntimeError` in whoever looks through it, and views
    and fragments may be decorated while requests are served.
    """

    def __init__(self) -> None:
        self._references: set[weakref.ref[T]] = set()

    def add(self, one: T) -> None:
        """Take in an object, until nobody else keeps it."""
        self._references.add(weakref.ref(one, self._references.discard))

    def __contains__(self, one: T) -> bool:
        return weakref.ref(one) in self._references

    def __iter__(self) -> Iterator[T]:
        """Those that are there now. What is added meanwhile may come or not."""
        # Copied in one piece: nothing of Python runs until the copy is whole.
        for reference in self._references.copy():
            one = reference()
            if one is not None:
                yield one
