"""Responses: with a lifetime of their own, and as they are stored."""

from __future__ import annotations

import functools
import math
from datetime import timedelta
from typing import Any

from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from . import _native, durations
from ._native import Page, Responder

__all__ = ["CachedResponse", "finished", "page_of", "respond", "responder"]


class CachedResponse(Response):
    """A response that says for itself how long it is to be kept.

    `timeout` is in seconds or a timedelta; with 0 or None the decorator's timeout holds.
    """

    timeout: int | None

    def __init__(self, response: Response, timeout: int | timedelta | None) -> None:
        # A response of a stored page makes its parts when the first of them is asked for.
        _ = response.headers
        # The given response goes on living in this one: what is done to either is done to both.
        self.__dict__ = response.__dict__
        self.timeout = None if timeout is None else math.ceil(durations.seconds(timeout, "timeout"))


class _Prepared:
    """Sends a stored page without the work of a fresh response, as long as nobody asked for a part of
    it or gave it another one.

    A mixin: hooks of the application read and change the response like any other, for its parts are
    made when the first of them is asked for.
    """

    _page: Page
    # What the installed Werkzeug keeps on a response besides, the same for all of a class.
    _more_parts: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._parts()[name]
        except KeyError:
            raise AttributeError(name, name=name, obj=self) from None

    def _parts(self) -> dict[str, Any]:
        """The attributes of a response, made now if nobody asked for them before."""
        found = self.__dict__
        page = found.pop("_page", None)
        if page is not None:
            headers, body = Headers(), [page.body]
            headers._list = page.headers  # type: ignore[attr-defined]
            made: dict[str, Any] = {
                "headers": headers,
                "response": body,
                "direct_passthrough": False,
                "_on_close": [],
                "_status": page.line,
                "_status_code": page.status,
                "_page_body": body,
                "_page_status": page.status,
            }
            # What was set before any part was asked for stays.
            found.update(self._more_parts | made | found)
        return found

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "HEAD":
            found = self.__dict__
            if len(found) == 1 and "_page" in found:
                page = self._page
                start_response(page.line, page.headers)
                return [page.body]
            found = self._parts()
            body = found["response"]
            # The length among the headers is that of the page's own body.
            own = body is found.get("_page_body") and found["_status_code"] == found["_page_status"]
            if own and not found["_on_close"]:
                start_response(found["_status"], found["headers"].to_wsgi_list())
                return body
        return super().__call__(environ, start_response)  # type: ignore[misc]


_PARTS = ("headers", "response", "direct_passthrough", "_on_close", "_status", "_status_code")
_PLAIN = ("__init__", "__call__", "get_wsgi_headers", "get_app_iter", "get_wsgi_response")


@functools.cache
def _prepared(response_class: type[Response]) -> type[Response] | None:
    """The application's response class with `_Prepared` in front; None where the class has its own
    way of being made or sent, or parts that each response must have for itself."""
    if any(getattr(response_class, name) is not getattr(Response, name) for name in _PLAIN):
        return None
    parts: dict[str, Any] = response_class().__dict__
    more = {name: part for name, part in parts.items() if name not in _PARTS}
    if not all(isinstance(part, str | int | None) for part in more.values()):
        return None
    return type(response_class.__name__, (_Prepared, response_class), {"_more_parts": more})


def responder(app: Any) -> Responder:
    """What makes responses of stored pages, in the application's response class."""
    return Responder(app.response_class, _prepared(app.response_class))


def text_headers(response_class: type[Response]) -> list[tuple[str, str]] | None:
    """The headers of the response to a text; None where its class has a say in each."""
    if _prepared(response_class) is None:
        return None
    if any(getattr(response_class, name) is not getattr(Response, name) for name in _TEXTUAL):
        return None
    sample = response_class("\u20ac")
    headers = list(sample.headers)
    usual = sample.status == "200 OK" and sample.response == [b"\xe2\x82\xac"]
    names = [name.lower() for name, _ in headers]
    located = {"location", "content-location"} & {*names}
    return headers if usual and ("Content-Length", "3") in headers and not located else None


_TEXTUAL = ("set_data", "iter_encoded", "close", "call_on_close")


def respond(page: Page) -> Response:
    """A response that sends `page`, in the class of the current application."""
    app = _native.current_app()
    return Response(page.body, page.status, page.headers) if app is None else responder(app)(page)


def page_of(response: WerkzeugResponse) -> Page | None:
    """What is stored of a response; None for one that is sent as it is produced."""
    if response.is_streamed or response.direct_passthrough:
        return None
    return finished(response.status_code, list(response.headers), response.get_data())


def finished(status: int, headers: list[tuple[str, str]], body: bytes) -> Page:
    """What is stored of a response with this body."""
    if status == 200 and all(name.lower() != "content-length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(body)))]
    return Page(status, headers, body)


def whole(value: Any, app: Any) -> Any:
    """The response that Flask will make of a tuple with a response in it; any other value as it is.

    Status and headers of the tuple are set on the response itself, as Flask does once more.
    """
    if isinstance(value, tuple) and value and isinstance(value[0], WerkzeugResponse):
        return app.make_response(value)  # pyright: ignore[reportUnknownArgumentType]
    return value  # pyright: ignore[reportUnknownVariableType]


def status_of(value: object) -> int:
    """The status that Flask will give to what a view returned, or raised."""
    if isinstance(value, WerkzeugResponse):
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
