"""What stores outside the process have in common: how they are opened, and a near tier in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .. import config as settings
from .. import durations
from .._native import Engine
from .options import namespace

if TYPE_CHECKING:
    from ..config import Secret

__all__ = ["Near", "Opening", "near_of"]

_BETWEEN = " + "
"""What stands between the tiers in a URL."""

_LONGEST = 365 * 86400.0
"""The longest life of a near copy, in seconds: what is asked for beyond it is no limit either."""


@dataclass(frozen=True)
class Near:
    """A near tier: its size in bytes and how many seconds it keeps a copy, or None for what they are
    where nobody says it."""

    size: int | None = None
    timeout: float | None = None

    def before(self, url: str) -> str:
        """The URL of a store with this tier in front of it."""
        if _BETWEEN in url:
            raise ValueError(
                "CACHE_NEAR is set, and the URL has a near tier (leave one of them out)"
            )
        asked: dict[str, str] = {}
        if self.size is not None:
            asked["size"] = f"{self.size}B"
        if self.timeout is not None:
            asked["ttl"] = f"{max(round(self.timeout * 1000), 1)}ms"
        return f"memory://{'?' if asked else ''}{urlencode(asked)}{_BETWEEN}{url}"


def near_of(size: object, timeout: object) -> Near | None:
    """The near tier that CACHE_NEAR and CACHE_NEAR_TIMEOUT ask for, or None."""
    if size is None or size is False or size == 0:
        if timeout is not None:
            raise ValueError(
                "CACHE_NEAR_TIMEOUT is set without CACHE_NEAR (set CACHE_NEAR to a size or to True)"
            )
        return None
    room = None if size is True else settings.bytes_of(size, "CACHE_NEAR")
    if timeout is None:
        return Near(room)
    seconds = durations.span(timeout, "CACHE_NEAR_TIMEOUT")
    if seconds == 0:
        raise ValueError("CACHE_NEAR_TIMEOUT=0 keeps nothing near (leave CACHE_NEAR out)")
    return Near(room, min(seconds, _LONGEST))


@dataclass(frozen=True)
class Opening:
    """What is said of a store besides where it is.

    `key_prefix` keeps its entries apart from those of others; `secret` seals them, and `compress` is
    the size from which on they are compressed. An operation takes `deadline` seconds at most, a value
    `max_value` bytes. `near` and `near_timeout` are those of CACHE_NEAR and CACHE_NEAR_TIMEOUT.
    """

    key_prefix: str | Callable[[], str] | None = None
    secret: Secret = None
    compress: object = None
    deadline: object = None
    max_value: int = settings.MAX_VALUE
    near: object = None
    near_timeout: object = None
    on_event: Any = None

    def engine(self, url: str) -> Engine:
        """The engine over the store at a URL. Raises a ValueError for settings that are wrong."""
        near = near_of(self.near, self.near_timeout)
        deadline = self.deadline
        return Engine.open(
            url if near is None else near.before(url),
            namespace=namespace(self.key_prefix),
            packing=settings.packed(self.secret, self.compress),
            deadline=None if deadline is None else durations.span(deadline, "deadline"),
            max_value=self.max_value,
            on_event=self.on_event,
        )

    @staticmethod
    def said(config: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords that a configuration gives to every such store."""
        return {
            "key_prefix": settings.key_prefix(config),
            "secret": config["CACHE_SECRET"],
            "compress": config["CACHE_COMPRESS"],
            "max_value": settings.size(config, "CACHE_MAX_VALUE"),
            "near": config["CACHE_NEAR"],
            "near_timeout": config["CACHE_NEAR_TIMEOUT"],
        }
