"""What the stores check of their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def refuse_options(name: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    for option in options:
        if option not in known:
            raise ValueError(
                f"CACHE_OPTIONS has {option!r}, which {name} does not know "
                f"(it knows {', '.join(known)})"
            )


def namespace(key_prefix: str | Callable[[], str] | None) -> str:
    """What keeps the entries of a cache apart from those of others in one store."""
    prefix = key_prefix() if callable(key_prefix) else key_prefix
    check_prefix(prefix)
    return prefix or "flask_cache_"


def check_prefix(prefix: object) -> None:
    if prefix is not None and not isinstance(prefix, str):
        kind = type(prefix).__name__
        raise ValueError(f"key prefix {prefix!r} is {kind} (use a text)")
    if prefix is not None and any("\ud800" <= sign <= "\udfff" for sign in prefix):
        raise ValueError(f"key prefix {prefix!r} has a lone surrogate, which no store can hold")
