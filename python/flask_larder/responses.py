"""Responses: with a lifetime of their own, and as they are stored."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from . import _native, durations
from ._native import Page

__all__ = ["CachedResponse", "page_of", "respond", "responder"]


class CachedResponse(Response):
    """A response that says for itself how long it is to be kept.

    `timeout` is in seconds or a timedelta; with 0 or None the decorator's timeout holds.
    """

    timeout: int | None

    def __init__(self, response: Response, timeout: int | timedelta | None) -> None:
        # The given response goes on living in this one: what is done to either is done to both.
        self.__dict__ = response.__dict__
        self.timeout = None if timeout is None else math.ceil(durations.seconds(timeout, "timeout"))


class _Prepared:
    """Sends a stored page without the work of a fresh response, as long as nobody replaced its body
    or its status.

    A mixin: hooks of the application read and change the response like any other.
    """

    _page_body: list[bytes]
    _page_status: int

    def __call__(self, environ: Any, start_response: Any) -> Any:
        found = self.__dict__
        untouched = found["response"] is self._page_body and not found["_on_close"]
        if (
            untouched
            and found["_status_code"] == self._page_status
            and environ["REQUEST_METHOD"] != "HEAD"
        ):
            start_response(found["_status"], found["headers"].to_wsgi_list())
            return self._page_body
        return super().__call__(environ, start_response)  # type: ignore[misc]


_PLAIN = ("__init__", "__call__", "get_wsgi_headers", "get_app_iter", "get_wsgi_response")


@functools.cache
def _prepared(response_class: type[Response]) -> type[Response] | None:
    """The application's response class with `_Prepared` in front; None where the class has its own
    way of being made or sent."""
    if any(getattr(response_class, name) is not getattr(Response, name) for name in _PLAIN):
        return None
    return type(response_class.__name__, (_Prepared, response_class), {})


@functools.cache
def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase.upper()}"
    except ValueError:
        return f"{status} UNKNOWN"


def responder(app: Any) -> Callable[[Page], Response]:
    """What makes responses of stored pages, in the application's response class."""
    response_class = app.response_class
    prepared = _prepared(response_class)

    def respond(page: Page) -> Response:
        headers, status = page.headers, page.status
        if prepared is None or not _is_plain(status, headers):
            return response_class(page.body, status, headers)
        response = prepared.__new__(prepared)
        own = Headers()
        own._list = headers  # type: ignore[attr-defined]
        body = [page.body]
        response.__dict__.update(
            headers=own,
            response=body,
            direct_passthrough=False,
            _on_close=[],
            _status=_status_line(status),
            _status_code=status,
            _page_body=body,
            _page_status=status,
        )
        return response

    return respond


def _is_plain(status: int, headers: list[tuple[str, str]]) -> bool:
    """Whether nothing is left for Werkzeug to do: the length is there, and no URL to complete."""
    names = {name.lower() for name, _ in headers}
    return status == 200 and "content-length" in names and not names & _COMPLETED


_COMPLETED = frozenset({"location", "content-location"})


def respond(page: Page) -> Response:
    """A response that sends `page`, in the class of the current application."""
    app = _native.current_app()
    return Response(page.body, page.status, page.headers) if app is None else responder(app)(page)


def page_of(response: Response) -> Page | None:
    """What is stored of a response; None for one that is sent as it is produced."""
    if response.is_streamed or response.direct_passthrough:
        return None
    body = response.get_data()
    headers = list(response.headers)
    if response.status_code == 200 and "Content-Length" not in response.headers:
        headers.append(("Content-Length", str(len(body))))
    return Page(response.status_code, headers, body)


def status_of(value: object) -> int:
    """The status that Flask will give to what a view returned, or raised."""
    if isinstance(value, Response):
        return value.status_code
    if isinstance(value, HTTPException):
        return value.get_response().status_code
    if isinstance(value, tuple) and len(value) >= 2:  # pyright: ignore[reportUnknownArgumentType]
        status = value[1]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(status, int):
            return int(status)
        if isinstance(status, str) and status[:3].isdigit():
            return int(status[:3])
    return 200
