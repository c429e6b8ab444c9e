"""What is said to a decorator, for views, functions and fragments alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from . import durations
from ._native import Policy
from .callbacks import Callback
from .tags import Given

MISSING: Any = object()


@dataclass(frozen=True)
class Windows:
    """The windows of a policy, as they were given to a decorator."""

    stale: object = None
    stale_on_error: object = None
    throttle: object = None
    wait: object = None
    revalidate: object = None
    soft_timeout: object = None
    hard_timeout: object = None
    # Whether what takes longer than its timeout is stored when it comes.
    background: bool = True

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> Windows:
        """The windows among all that a decorator was given, by the names of its parameters."""
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def policy(self, timeout: float | None) -> Policy:
        """A policy with this timeout (None is for ever) and these windows."""
        if not isinstance(cast("object", self.background), bool):
            raise TypeError(f"background={self.background!r} is neither True nor False (use one)")
        given = {
            "throttle": self.throttle,
            "wait": self.wait,
            "soft_timeout": self.soft_timeout,
            "hard_timeout": self.hard_timeout,
        }
        return Policy(
            timeout,
            stale=durations.span(self.stale or 0, "stale"),
            stale_on_error=durations.span(self.stale_on_error or 0, "stale_on_error"),
            revalidate=durations.span(self.revalidate or 0, "revalidate"),
            background=self.background,
            **{
                name: durations.span(value, name)
                for name, value in given.items()
                if value is not None
            },
        )


class Uncached(Exception):
    """The call has no key, or must not have one: the function is called and nothing is stored."""

    def __init__(self, reason: str, place: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        # Where in the code of the application the reason lies.
        self.place = place

    @property
    def detail(self) -> str:
        """The reason as people read it."""
        return self.reason if self.place is None else f"{self.reason} ({self.place})"


@dataclass
class Options:
    """The options that all decorators share."""

    timeout: object = None
    unless: Callback | None = None
    forced_update: Callback | None = None
    is_stale: Callback | None = None
    response_filter: Callable[[Any], Any] | None = None
    cache_none: bool = False
    windows: Windows = Windows()
    tags: Given = None
    default: Any = MISSING
