"""Flask-Caching's `CachedResponse`.

Its annotations are objects, not texts, as they are there: a test of Flask-Caching's reads them.
"""

from datetime import timedelta

from flask import Response

from ..responses import CachedResponse as _CachedResponse

__all__ = ["CachedResponse"]


class CachedResponse(_CachedResponse):
    """A response that says for itself how long it is to be kept; 0 and None leave it to the
    decorator."""

    def __init__(self, response: Response, timeout: int | timedelta | None) -> None:
        super().__init__(response, timeout)
