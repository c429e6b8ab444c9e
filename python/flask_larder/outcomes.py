"""Answers that say how they came about: `Cache-Status` and `Server-Timing`.

A browser's network panel then shows hit or miss. On in debug, or with `CACHE_STATUS_HEADERS`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flask import Response, g, has_request_context

from . import _native
from .endpoints import HARMLESS

if TYPE_CHECKING:
    from flask import Flask

    from ._native import Answer, Key
    from .cache import Cache
    from .decorated import Decorated

_NOTES = "_larder_notes"
# The sort of what was called, what `Cache-Status` is to say, and what `Server-Timing` is.
_Note = tuple[str, str | None, str | None]


class Outcomes:
    """Notes what the cache did for each request, and writes it into the answer's headers."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._asked: dict[Any, bool | None] = {}
        self._hooked: set[Any] = set()
        self.events: dict[str, int] = {}
        self._warned_of_processes = False

    def init_app(self, app: Flask, config: dict[str, Any]) -> None:
        """Remembers what the application wants."""
        self._asked[app] = config["CACHE_STATUS_HEADERS"]

    @property
    def applications(self) -> int:
        """How many applications the cache serves."""
        return len(self._asked)

    def wanted(self, app: Any) -> bool:
        """Whether the answers of this application get the headers."""
        asked = self._asked.get(app)
        return bool(app.debug) if asked is None else asked

    def hit(self, decorated: Decorated, key: Key, answer: Answer) -> None:
        """Something was served from the cache."""
        said = decorated.writes_status()
        status = None if said else _native.status_of_hit(answer.served or "fresh", answer.ttl)
        self._note(decorated, status, "hit")

    def miss(self, decorated: Decorated, key: Key, outcome: Any) -> None:
        """Something was loaded."""
        stored, reason = outcome[0] == "stored", outcome[1]
        forward = decorated.forward()
        if str(reason).startswith("unkeyed-input"):
            # A view that depends on what its key does not hold has no entry that could be missing.
            forward = "bypass"
        said = stored and decorated.writes_status()
        status = None if said else _native.status_of_load(forward, stored, reason)
        self._note(decorated, status, "bypass" if forward == "bypass" else "miss")

    def bypass(self, decorated: Decorated, reason: str) -> None:
        """The cache was left alone."""
        forward = "method" if reason == "method" else "bypass"
        self._note(decorated, _native.status_of_load(forward, False, reason), "bypass")

    def _note(self, decorated: Decorated, status: str | None, word: str) -> None:
        """Notes what is to be said: in `Cache-Status`, unless that is written already, and in
        `Server-Timing`."""
        request = _native.current_request()
        if request is None:
            return
        self._warn_of_processes(request)
        app = self._cache._app()
        wanted = self.wanted(app)
        told = decorated.sort == "view" and (wanted or decorated.writes_status())
        if not wanted and (not told or status is None):
            return
        self._hook(app)
        notes: list[_Note] = g.setdefault(_NOTES, [])
        notes.append((decorated.sort, status if told else None, word if wanted else None))

    def _hook(self, app: Any) -> None:
        """Adds the hook with the first note: debug may be switched on after `init_app`."""
        if app not in self._hooked:
            self._hooked.add(app)
            app.after_request_funcs.setdefault(None, []).append(write_headers)

    def _warn_of_processes(self, request: Any) -> None:
        """Says once that each worker process has a memory of its own."""
        if self._warned_of_processes or not request.environ.get("wsgi.multiprocess"):
            return
        self._warned_of_processes = True
        engine = getattr(self._cache.cache, "engine", None)
        if engine is not None and engine.size()["store"] == "memory":
            self._cache._log.warning(
                "SimpleCache in worker process %d is not shared with the other workers: what is "
                "deleted in one stays in the rest (use SharedCache or RedisCache)",
                os.getpid(),
            )


def write_headers(response: Response) -> Response:
    """Writes the notes of this request into its answer: the view's last, as RFC 9211 orders them."""
    if not has_request_context():
        return response
    notes: list[_Note] = g.pop(_NOTES, [])
    for sort, status, word in notes:
        if word is not None:
            response.headers.add("Server-Timing", f'larder-{sort};desc="{word}"')
        if status is not None:
            response.headers.add("Cache-Status", status)
    return response


# Who answers a hit natively has left no notes.
setattr(write_headers, HARMLESS, True)
