"""What the stores check of their options."""

from __future__ import annotations

from typing import Any


def refuse_options(name: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    for option in options:
        if option not in known:
            raise ValueError(
                f"CACHE_OPTIONS has {option!r}, which {name} does not know "
                f"(it knows {', '.join(known)})"
            )


def check_prefix(prefix: object) -> None:
    if prefix is not None and not isinstance(prefix, str):
        kind = type(prefix).__name__
        raise ValueError(f"key prefix {prefix!r} is {kind} (use a text)")
    if prefix is not None and any("\ud800" <= sign <= "\udfff" for sign in prefix):
        raise ValueError(f"key prefix {prefix!r} has a lone surrogate, which Redis cannot hold")
