"""Answers that say how they came about: `Cache-Status` and `Server-Timing`.

A browser's network panel then shows hit or miss. On in debug, or with `CACHE_STATUS_HEADERS`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flask import Response, g, has_request_context

from . import _native

if TYPE_CHECKING:
    from flask import Flask

    from ._native import Answer, Key
    from .cache import Cache
    from .decorated import Decorated

_NOTES = "_larder_notes"


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
        ttl = "" if answer.ttl is None else f"; ttl={answer.ttl}"
        collapsed = "; collapsed" if answer.served == "collapsed" else ""
        detail = f"; detail={answer.served}" if answer.served in ("stale", "stale-error") else ""
        self._note(decorated, f"hit{ttl}{collapsed}{detail}", "hit")

    def miss(self, decorated: Decorated, key: Key, outcome: Any) -> None:
        """Something was loaded."""
        stored = "; stored" if outcome[0] == "stored" else ""
        detail = f"; detail={_token(outcome[1])}" if outcome[1] else ""
        self._note(decorated, f"fwd=miss{stored}{detail}", "miss")

    def bypass(self, decorated: Decorated, reason: str) -> None:
        """The cache was left alone."""
        forward = "method" if reason == "method" else "bypass"
        self._note(decorated, f"fwd={forward}; detail={_token(reason)}", "bypass")

    def _note(self, decorated: Decorated, status: str, word: str) -> None:
        request = _native.current_request()
        if request is None:
            return
        self._warn_of_processes(request)
        app = self._cache._app()
        if not self.wanted(app):
            return
        self._hook(app)
        notes: list[tuple[str, str, str]] = g.setdefault(_NOTES, [])
        notes.append((decorated.sort, status, word))

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
    notes: list[tuple[str, str, str]] = g.pop(_NOTES, [])
    for sort, status, word in notes:
        response.headers.add("Server-Timing", f'larder-{sort};desc="{word}"')
        if sort == "view":
            response.headers.add("Cache-Status", f"Larder; {status}")
    return response


def _token(text: str) -> str:
    """A detail as a structured field: a token where it is one, else a string (RFC 8941)."""
    if text.replace("-", "").isalnum() and text[0].isalpha():
        return text
    clean = "".join(c if 32 <= ord(c) < 127 else "?" for c in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
