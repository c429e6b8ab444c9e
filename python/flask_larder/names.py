"""What functions are called by: in their keys, in counters, in messages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

from . import _native


def name_of(function: Callable[..., Any]) -> str:
    """The function's name, as people find it in the source; of a lambda, with its line.

    Functions that a factory makes have the name in common. What each of them holds tells it from the
    others, in every process alike, as far as that is plain data or other functions.
    """
    name = getattr(function, "__qualname__", None)
    if name is None:
        kind = type(function).__qualname__
        raise TypeError(
            f"{kind} object has no name to tell its answers by (cache a function that calls it)"
        )
    if "<lambda>" in name:
        name = f"{name}:{function.__code__.co_firstlineno}"
    held = _held(function)
    return f"{function.__module__}.{name}" + (f"#{held}" if held else "")


_PLAIN = (str, bytes, int, float, bool, tuple, frozenset)


def _held(function: Any) -> str:
    """A digest of what a function holds from where it was made; empty if that tells nothing."""
    labels: list[bytes] = []
    cells = getattr(function, "__closure__", None) or ()
    for place, cell in enumerate(cells):
        label = _label(cell)
        if label is not None:
            labels.append(b"%d:%d:%s" % (place, len(label), label))
    return hashlib.blake2s(b"".join(labels), digest_size=8).hexdigest() if labels else ""


def _label(cell: Any) -> bytes | None:
    try:
        content = cell.cell_contents
    except ValueError:
        # Nothing is there yet: a function that calls itself, for one.
        return None
    if isinstance(content, FunctionType):
        line = content.__code__.co_firstlineno
        return f"{content.__module__}.{content.__qualname__}:{line}".encode("utf-8", "replace")
    if type(content) not in _PLAIN:
        return None
    try:
        return _native.key_of(content)
    except TypeError:
        return None
