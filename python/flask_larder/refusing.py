"""What the decorators refuse where they are applied, because it would fail, or do nothing, later."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

from flask.views import View

_DESCRIPTORS = (classmethod, property, functools.cached_property)


def bare(given: object, name: str) -> None:
    """Refuses a decorator that is written without its brackets: it takes the function for an option."""
    if callable(given):
        what = getattr(given, "__qualname__", repr(given))
        raise TypeError(f"cache.{name} was given {what} as an option (write @cache.{name}(...))")


def undecoratable(function: Any, name: str) -> None:
    """Refuses what is no function yet, or none any more."""
    if isinstance(function, _DESCRIPTORS):
        kind = type(cast("object", function)).__name__
        raise TypeError(f"@cache.{name} stands above @{kind} (put it below: it takes a function)")
    if not callable(function):
        raise TypeError(f"@cache.{name} takes a function, not {type(function).__name__}")
    if inspect.isclass(function) and issubclass(function, View):
        raise TypeError(
            f"@cache.{name} takes a function, and {function.__qualname__} is a class of views "
            f"(decorate its methods, or write decorators = [cache.{name}(...)] in it)"
        )


def uncallable(**options: object) -> None:
    """Refuses options that are to be called and cannot be."""
    for name, option in options.items():
        if option is not None and not callable(option):
            raise TypeError(f"{name}={option!r} cannot be called (use a function)")


def no_prefix(prefix: object) -> None:
    """Refuses a `key_prefix` that is neither text nor a function."""
    if not isinstance(prefix, str) and not callable(prefix):
        raise TypeError(
            f"key_prefix={prefix!r} is no key (use a text, or a function that makes one)"
        )


def unknown_arguments(names: Iterable[str], function: Callable[..., Any]) -> None:
    """Refuses names in `args_to_ignore` that are no arguments of the function."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        # A builtin may not tell what it takes.
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise ValueError(
                f"args_to_ignore: {name!r} is no argument of the function (it has {known})"
            )


def single_text(given: object, option: str) -> None:
    """Refuses one text, or what is no list at all, where a list belongs."""
    if isinstance(given, str):
        raise TypeError(f"{option}={given!r} is a str (use a list: {option}=[{given!r}])")
    if given is not None and not isinstance(given, Iterable):
        raise TypeError(f"{option} is {type(given).__name__} (use a list)")
