"""What the safe dialect stores: never what one user must not see of another's."""

from __future__ import annotations

import functools
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import session as proxy
from flask import templating
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from . import _native
from ._context import request_context
from .responses import status_of
from .vary import Inputs
from .watching import place_of_reader


def of_request(request: Any, inputs: Inputs, *, custom: bool) -> str | None:
    """Why answers to this request are left alone; None when they may be cached."""
    if custom:
        return None
    environ = request.environ
    method, credentials = environ["REQUEST_METHOD"], "HTTP_AUTHORIZATION" in environ
    return _native.askable(method, credentials, inputs.tells_credentials())


def of_request_made(inputs: Inputs, *, custom: bool) -> str | None:
    """Why the answer that was made to this request is served and not stored, whatever it says; None
    when it may be."""
    request = _native.current_request()
    if not custom and request is not None and request.method == "HEAD":
        # HEAD may be answered from what a GET left; what a view says to HEAD is no answer to a GET.
        return "method"
    if (
        not custom
        and _session_was_touched()
        and not inputs.tells_sessions(session_cookie(_native.current_app()))
    ):
        return "session"
    return None


def of_answer(value: Any, inputs: Inputs) -> str | None:
    """Why this answer is served and not stored, by what it says itself; None when it may be."""
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
# Where it notes in debug which code looked at the session first.
_PLACE = "_larder.session_place"
# What hands the session to templates, on a Flask older than 3.1.3.
_FOR_TEMPLATES = getattr(
    getattr(templating, "_default_template_ctx_processor", None), "__code__", None
)


@contextmanager
def watched_session() -> Generator[None]:
    """Notes whether a view looks at the session.

    Flask notes on the session object whether anything looked at it. What looked before the view ran
    (a hook that loads the user, say) did not look for the view: the note is cleared before the view
    runs and put back afterwards, because Flask itself goes by it when it writes `Vary: Cookie`. But
    if there is something in a session that a hook looked at, the view may have it from the hook.
    """
    session = _session()
    if session is None:
        yield
        return
    context = request_context()
    context.request.environ.pop(_PLACE, None)
    own: type[Any] = context.__class__
    before = bool(getattr(session, "accessed", False))
    context.__class__ = _watching(own)
    session.accessed = False
    try:
        yield
    finally:
        context.__class__ = own
        told = before and bool(session)
        context.request.environ[_TOUCHED] = told or bool(session.accessed)
        session.accessed = before or session.accessed


@dataclass
class Looks:
    """Whether anything looked."""

    seen: bool = False


@contextmanager
def looking(context: Any) -> Generator[Looks]:
    """Notes whether what runs within looks at the session of a request whose context may have ended:
    a stream goes on after its view. Flask has written the headers by then, so what was noted before is
    put back for whoever else goes by it."""
    looks, session = Looks(), _session_of(context)
    if session is None:
        yield looks
        return
    own: type[Any] = context.__class__
    before = bool(getattr(session, "accessed", False))
    context.__class__ = _watching(own)
    session.accessed = False
    try:
        yield looks
    finally:
        context.__class__ = own
        looks.seen = bool(session.accessed)
        session.accessed = before or session.accessed


@functools.cache
def _watching(context: type[Any]) -> type[Any]:
    """A class of request contexts that note on the session that it was looked at.

    Flask's do so since 3.1.3. Before, a session of Flask's own notes some ways of looking and not
    others (`"user" in session`), and one of another package none, or all of them at all times.
    """
    noting = getattr(context, "session", None)
    # A stream with a context pushes it for each of its pieces; before, that looked whether the session
    # is open yet.
    pushes = getattr(getattr(context, "push", None), "__code__", None)

    def look(self: Any) -> Any:
        if sys._getframe(1).f_code is _FOR_TEMPLATES:
            # Every template is handed the session, whether it looks at it or not: as since 3.1.3,
            # it gets the proxy, which comes here again once somebody looks.
            return proxy
        if sys._getframe(1).f_code is pushes and "session" in self.__dict__:
            return self.__dict__["session"]
        if self.app.debug:
            self.request.environ.setdefault(_PLACE, place_of_reader())
        if isinstance(noting, property) and noting.fget is not None:
            return noting.fget(self)
        session: Any = self.__dict__["session"]
        if session is not None:
            session.accessed = True
        return session

    def assign(self: Any, session: Any) -> None:
        place = "_session" if isinstance(noting, property) else "session"
        self.__dict__[place] = session

    twin = type(context.__name__, (context,), {"session": property(look, assign)})
    twin.__module__, twin.__qualname__ = context.__module__, context.__qualname__
    return twin


def place_of(reason: str) -> str | None:
    """Where the code of the application gave this reason, as far as that was noted: in debug."""
    request = _native.current_request()
    if reason != "session" or request is None:
        return None
    place: str | None = request.environ.get(_PLACE)
    return place


def _session_was_touched() -> bool:
    session = _session()
    if session is None:
        return False
    return bool(request_context().request.environ.get(_TOUCHED, session.accessed))


def session_cookie(app: Any) -> str:
    """The name of the cookie that carries the sessions of an application."""
    return "" if app is None else str(app.config["SESSION_COOKIE_NAME"])


def _session() -> Any:
    """The session of this request, without touching it; None outside of a request."""
    context = request_context()
    return None if context is None else _session_of(context)


def _session_of(context: Any) -> Any:
    # The attribute has an underscore since Flask 3.1.3, where `session` notes who looks at it.
    found: dict[str, Any] = context.__dict__
    return found["_session"] if "_session" in found else found["session"]
