"""The user's callables, asked once what arguments they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


class Callback:
    """A callable that gets as much of a call as it has parameters for.

    Flask-Caching passes a call's arguments to a callable that has any parameter which is not
    keyword-only, and nothing to one that has none. `leading` is how many arguments in front every
    such callable gets, whether it takes more or not. A callable that does not get the whole call gets
    what the call names like one of its keyword-only parameters.
    """

    def __init__(self, function: Callable[..., Any], *, leading: int | None = None) -> None:
        self.function = function
        parameters = inspect.signature(function).parameters.values()
        taken = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        self._named = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        if leading is None:
            self._arguments = None if taken else 0
        else:
            self._arguments = None if len(taken) > leading else leading

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._arguments is None:
            return self.function(*args, **kwargs)
        named = {name: kwargs[name] for name in self._named if name in kwargs}
        return self.function(*args[: self._arguments], **named)


def callback(function: Any, *, leading: int | None = None) -> Callback | None:
    """A `Callback`, or None for None and for what cannot be called."""
    return Callback(function, leading=leading) if callable(function) else None
