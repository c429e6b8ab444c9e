"""Stores that tell when somebody replaces what plain hits are answered by."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["METHODS", "Watched"]

METHODS = frozenset(("get", "set", "has", "get_many", "set_many"))
"""The methods that decorated functions go through; whoever replaces one sees every call."""

_NOTICED = METHODS | {"serializer"}


class Watched:
    """A store of which hits may be answered without asking Python; whoever does so learns here that a
    method of this very object, or its serializer, was replaced."""

    # Made with the first listener: subclasses have constructors of their own.
    _listeners: tuple[weakref.WeakMethod[Callable[[], None]], ...] = ()

    def watch(self, listener: Callable[[], None]) -> None:
        """Calls `listener`, a method, as long as its object lives; given again it is called once."""
        heard = weakref.WeakMethod(listener)
        if heard not in self._listeners:
            self._listeners = (*self._listeners, heard)

    def _tell(self, name: str) -> None:
        if name in _NOTICED:
            for listener in self._listeners:
                tell = listener()
                if tell is not None:
                    tell()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._tell(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._tell(name)
