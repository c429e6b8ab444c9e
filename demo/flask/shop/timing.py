"""What each request cost: a Server-Timing header for the browser, a line for the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

log = logging.getLogger("shop")

# One element, the number of SQL statements of the request being served. The
# count is kept here and not on `request`, because work that the cache does in
# the background has no request of its own.
_statements: ContextVar[list[int] | None] = ContextVar("statements", default=None)


def count_statement() -> None:
    """Add one to the request's SQL statements; outside a request, do nothing."""
    tally = _statements.get()
    if tally is not None:
        tally[0] += 1


class Stopwatch:
    """WSGI middleware that measures the whole application, cache included."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve the request; the headers tell what it took until they were sent."""
        tally = [0]
        token = _statements.set(tally)
        started = time.perf_counter()

        def timed(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            milliseconds = (time.perf_counter() - started) * 1000
            headers.append(
                (
                    "Server-Timing",
                    f'app;dur={milliseconds:.2f}, sql;desc="{tally[0]} SQL statements"',
                )
            )
            _report(environ, status, milliseconds, tally[0], headers)
            return start_response(status, headers, exc_info)

        try:
            return self.application(environ, timed)
        finally:
            _statements.reset(token)


def _report(
    environ: dict[str, Any],
    status: str,
    milliseconds: float,
    statements: int,
    headers: list[tuple[str, str]],
) -> None:
    path = environ["PATH_INFO"]
    if path.startswith("/static/"):
        return
    query = environ.get("QUERY_STRING")
    # What a visitor sends must not be able to start a new line in the log.
    target = f"{path}?{query}" if query else path
    shown = target.encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    log.info(
        "%-4s %-40s %s %8.2f ms  %2d SQL  %s",
        environ["REQUEST_METHOD"],
        shown,
        status[:3],
        milliseconds,
        statements,
        _verdict(headers),
    )


def _verdict(headers: list[tuple[str, str]]) -> str:
    """What the cache did: for the page as a whole, else for the parts that it was made of."""
    whole = [value for name, value in headers if name == "Cache-Status"]
    if whole:
        return whole[0]
    parts = [value for name, value in headers if name == "Server-Timing" and "larder-" in value]
    hits = sum('"hit"' in part for part in parts)
    return f"{hits} of {len(parts)} parts were hits" if parts else ""
