"""Responses: with a lifetime of their own, and as they are stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from . import durations
from ._native import Page

__all__ = ["CachedResponse", "page_of", "respond"]


class CachedResponse(Response):
    """A response that says for itself how long it is to be kept.

    `timeout` is in seconds or a timedelta; with 0 or None the decorator's timeout holds.
    """

    timeout: int | None

    def __init__(self, response: Response, timeout: int | timedelta | None) -> None:
        # The given response goes on living in this one: what is done to either is done to both.
        self.__dict__ = response.__dict__
        whole = None if timeout is None else durations.seconds(timeout, "timeout")
        self.timeout = None if whole is None else int(-(-whole // 1))


def respond(page: Page) -> Response:
    """A response that sends `page`."""
    return Response(page.body, page.status, page.headers)


def page_of(response: Response) -> Page | None:
    """What is stored of a response; None for one that is sent as it is produced."""
    if response.is_streamed or response.direct_passthrough:
        return None
    return Page(response.status_code, list(response.headers), response.get_data())


def status_of(value: object) -> int:
    """The status that Flask will give to what a view returned, or raised."""
    if isinstance(value, Response):
        return value.status_code
    if isinstance(value, HTTPException):
        response = value.get_response()
        return response.status_code
    if isinstance(value, tuple) and len(value) >= 2:  # pyright: ignore[reportUnknownArgumentType]
        status = value[1]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(status, int):
            return int(status)
        if isinstance(status, str) and status[:3].isdigit():
            return int(status[:3])
    return 200
