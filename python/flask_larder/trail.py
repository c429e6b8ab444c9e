"""What became of the last answers of each view, for people who ask why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from . import _native

MOST = 1000
"""Pages of which the last answer is remembered; the one that was answered longest ago goes first."""


@dataclass(frozen=True)
class Last:
    """The last answer of a page that this process noted.

    Plain hits are not noted one by one: they are answered before Python is asked.
    """

    outcome: str
    """"hit", "miss" or "pass"."""
    reason: str
    """How a hit was served ("fresh", "collapsed", "stale", "stale-error"); what became of a miss
    ("stored", "fenced", or why it was not stored); why the cache was left alone."""
    at: float
    """When, in seconds since the epoch."""
    digest: str | None
    """Which variant it was; None where there was no key."""


class Trail:
    """The last answers of this process, by view and page."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Last] = {}

    def note(self, view: Any, key: Any, outcome: str, reason: str) -> None:
        """Remembers an answer of a view; of anything else nothing."""
        if view.sort != "view":
            return
        place = (view.name, page_of(view, key))
        digest = None if key is None else key.digest
        # No lock: another thread may be at it, and a child of a fork would find the lock held. At worst
        # one note is lost.
        self._last.pop(place, None)
        self._last[place] = Last(outcome, reason, _native.now(), digest)
        if len(self._last) > MOST:
            with suppress(RuntimeError, StopIteration):
                self._last.pop(next(iter(self._last)), None)

    def last(self, view: Any, key: Any) -> Last | None:
        """The last answer of the page that the current request asks for."""
        return self._last.get((view.name, page_of(view, key)))


def page_of(view: Any, key: Any) -> str:
    """The page that a key belongs to, or that the current request asks for."""
    if key is not None:
        text: str = key.text
        return text
    request, prefix = _native.current_request(), view.options.key_prefix
    path = "" if request is None else request.path
    return str(prefix).replace("%s", path) if isinstance(prefix, str) else path
