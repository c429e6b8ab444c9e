"""What the safe dialect stores: never what one user must not see of another's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from flask.ctx import RequestContext
from flask.globals import request_ctx
from flask.sessions import SecureCookieSession
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from . import _native
from .responses import status_of
from .vary import Inputs


def of_request(request: Any, inputs: Inputs, *, custom: bool) -> str | None:
    """Why answers to this request are left alone; None when they may be cached."""
    if custom:
        return None
    environ = request.environ
    method, credentials = environ["REQUEST_METHOD"], "HTTP_AUTHORIZATION" in environ
    return _native.askable(method, credentials, inputs.tells_credentials())


def of_answer(value: Any, inputs: Inputs, *, custom: bool) -> str | None:
    """Why this answer is served and not stored; None when it may be."""
    request = _native.current_request()
    if not custom and request is not None and request.method == "HEAD":
        # HEAD may be answered from what a GET left; what a view says to HEAD is no answer to a GET.
        return "method"
    if not custom and _session_was_touched() and not inputs.tells_sessions(_session_cookie()):
        return "session"
    status = status_of(value)
    if not _native.is_kept(status):
        return f"status: {status}"
    headers = headers_of(value)
    if headers is None:
        return None
    keyed = [name.lower() for name in inputs.headers]
    if inputs.cookies or inputs.values:
        keyed.append("cookie")
    return _native.shareable(list(headers), keyed)


def headers_of(value: Any) -> Any:
    """The headers that a view chose for its answer; None where it chose none."""
    if isinstance(value, HTTPException):
        value = value.get_response()
    if isinstance(value, WerkzeugResponse):
        return value.headers
    if isinstance(value, tuple) and len(value) >= 2:  # pyright: ignore[reportUnknownArgumentType]
        extra = value[-1]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(extra, dict | list | Headers):
            return Headers(extra)  # pyright: ignore[reportUnknownArgumentType, reportArgumentType]
    return None


# Where a request notes whether the view that was called last looked at the session.
_TOUCHED = "_larder.session_touched"


@contextmanager
def watched_session() -> Generator[None]:
    """Notes whether a view looks at the session.

    Flask notes on the session object whether anything looked at it. What looked before the view ran
    (a hook that loads the user, say) did not look for the view: the note is cleared before the view
    runs and put back afterwards, because Flask itself goes by it when it writes `Vary: Cookie`. But
    if there is something in a session that a hook looked at, the view may have it from the hook.
    """
    session = _session()
    if session is None or not _notes(session):
        yield
        return
    before = bool(session.accessed)
    session.accessed = False
    try:
        yield
    finally:
        told = before and bool(session)
        request_ctx.request.environ[_TOUCHED] = told or bool(session.accessed)
        session.accessed = before or session.accessed


def _session_was_touched() -> bool:
    session = _session()
    if session is None:
        return False
    return bool(request_ctx.request.environ.get(_TOUCHED, session.accessed))


def _session_cookie() -> str:
    app = _native.current_app()
    return "" if app is None else str(app.config["SESSION_COOKIE_NAME"])


def _notes(session: Any) -> bool:
    """Whether accesses to this session are noted one by one.

    Flask 3.1.3 and later note them for every session, earlier versions for their own; on others
    `accessed` is always true, and then a view counts as one that looked.
    """
    return isinstance(getattr(RequestContext, "session", None), property) or isinstance(
        session, SecureCookieSession
    )


def _session() -> Any:
    """The session of this request, without touching it; None outside of a request."""
    if not request_ctx:
        return None
    context = cast("Any", request_ctx)._get_current_object()
    return context._session if hasattr(context, "_session") else context.session
