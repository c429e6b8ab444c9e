"""The two dialects of the Flask face, in one table.

`flask_larder` has safe defaults; `flask_larder.compat` keeps those of Flask-Caching. The rule: the
safe dialect differs only by caching less, never by another body or status. COMPATIBILITY.md gives the
reason of each row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """What one dialect does where the two differ."""

    name: str
    # The store where no CACHE_TYPE is given.
    default_type: str
    # Where names without a dot are looked up.
    backends: str
    # Answers are stored only if HTTP and the session allow it.
    careful: bool
    # The sorted query and the host are in the key of a view.
    whole_url: bool
    # Keys of memoized calls are typed and canonical, not Flask-Caching's text.
    typed_keys: bool
    # The user's own key functions may fail unseen in production, as Flask-Caching has it.
    swallow: bool
    # A coroutine function stays one; else callers get its value.
    awaitable: bool
    log_name: str


SAFE = Dialect(
    name="safe",
    default_type="SimpleCache",
    backends="flask_larder.backends",
    careful=True,
    whole_url=True,
    typed_keys=True,
    swallow=False,
    awaitable=True,
    log_name="flask_larder",
)

COMPAT = Dialect(
    name="compat",
    default_type="NullCache",
    backends="flask_larder.compat.backends",
    careful=False,
    whole_url=False,
    typed_keys=False,
    swallow=True,
    awaitable=False,
    log_name="flask_caching",
)
