"""Errors that several callers get, of whom each raises one of its own."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any, cast

from werkzeug.exceptions import GatewayTimeout

__all__ = ["FAILED", "CacheTimeout", "copy_of"]

FAILED = {
    "load-failed": "something stale was served",
    "background-error": "and nobody waits for it any more",
}
"""Events of loads that failed, as the log words them."""


class CacheTimeout(GatewayTimeout, TimeoutError):
    """A load took longer than its `hard_timeout`, and nothing stale could be served.

    The function runs on, and what it answers is stored; unless `background=False`. In a view it is an
    answer 504, which an error handler may replace.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(f"the answer takes longer than {timeout:g} seconds")
        self.timeout = timeout
        """The timeout, in seconds."""

    def __str__(self) -> str:
        return str(self.description)


def copy_of(error: Any) -> BaseException:
    """Somebody else's error for one who waited: a copy, for each raise writes into the object."""
    twin = _twin_of(error)
    if type(twin) is not type(error):
        twin = RuntimeError(f"the load that this call waited for failed: {error!r}")
    twin.__cause__ = error
    twin.__traceback__ = None
    return twin


def _twin_of(error: Any) -> Any:
    with suppress(Exception):
        return copy.copy(error)
    kind = cast("Any", type(error))
    with suppress(Exception):
        # Its constructor does not take what it hands on to `Exception`.
        twin: Any = kind.__new__(kind, *error.args)
        twin.__dict__.update(error.__dict__)
        return twin
    return None
