"""The errors of a store on a server, for code that catches those of the usual client for it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = ["raising"]

T = TypeVar("T")

DIRECT = (
    *("get", "get_many", "has", "set", "set_many", "add", "inc", "dec"),
    *("delete", "delete_many", "delete_prefix", "unlink", "clear"),
)
"""The methods that a program calls itself."""


def raising(
    module: str, name: str, methods: Iterable[str] = DIRECT
) -> Callable[[type[T]], type[T]]:
    """A decorator of a class: `methods` raise the error `name` of `module` where the engine raises an
    OSError. It still is one."""

    def decorate(kind: type[T]) -> type[T]:
        for method in methods:
            setattr(kind, method, _translated(getattr(kind, method), (module, name)))
        return kind

    return decorate


def _translated(method: Callable[..., Any], theirs: tuple[str, str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def translated(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            # Nobody catches the errors of a module that was never imported.
            loaded = sys.modules.get(theirs[0])
            both = None if loaded is None else _both(type(error), getattr(loaded, theirs[1]))
            if both is None:
                raise
            raise both(str(error)) from error

    return translated


@functools.cache
def _both(kind: type[OSError], theirs: type[Exception]) -> type[Exception] | None:
    """A class of their error and of `kind`; None where `kind` is theirs already."""
    if issubclass(kind, theirs):
        return None
    bases: Any = (theirs, kind)
    return type(theirs.__name__, bases, {})
