"""Requests with the inputs of a view's key and no others."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_plus

from flask import g
from flask.sessions import SessionMixin

from . import _native
from ._context import request_context
from .reads import Keyed, Read

if TYPE_CHECKING:
    from .views import View

__all__ = ["AbsentSession", "narrowed", "narrowed_environ", "put_session"]

_KEPT = frozenset(
    (
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "HTTP_HOST",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
    )
)
"""Variables of an environment that the server sets, or that are in every key."""


def narrowed_environ(environ: dict[str, Any], keyed: Keyed) -> dict[str, Any]:
    """A WSGI environment with what the key holds of this one, and without a body."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or (name.startswith("wsgi.") and name != "wsgi.input")
    }
    for name in keyed.headers:
        variable = name.upper().replace("-", "_")
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = f"HTTP_{variable}"
        if variable in environ:
            kept[variable] = environ[variable]
    if "HTTP_COOKIE" not in kept and keyed.cookies and "HTTP_COOKIE" in environ:
        kept["HTTP_COOKIE"] = _of_cookies(environ["HTTP_COOKIE"], keyed.cookies)
    query = environ.get("QUERY_STRING", "")
    kept["QUERY_STRING"] = query if keyed.query else _of_query(query, keyed.parameters)
    kept["wsgi.input"] = io.BytesIO()
    kept["CONTENT_LENGTH"] = "0"
    return kept


def _of_cookies(line: str, names: frozenset[str]) -> str:
    pairs = (pair.strip() for pair in line.split(";"))
    return "; ".join(pair for pair in pairs if pair.partition("=")[0].strip() in names)


def _of_query(query: str, names: frozenset[str]) -> str:
    pairs = query.split("&")
    return "&".join(pair for pair in pairs if unquote_plus(pair.partition("=")[0]) in names)


class AbsentSession(dict[str, Any], SessionMixin):
    """The session of a view whose key tells no sessions apart: there is nothing in it, and nothing can
    be put into it."""

    accessed = False
    modified = False

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError(
            "a view with narrow=True wrote to the session, which is not in its key "
            "(name what tells sessions apart in vary=, or do without narrow=)"
        )

    __setitem__ = setdefault = update = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]


def put_session(context: Any, session: Any) -> Any:
    """Gives a request context another session; returns the one that it had."""
    # The attribute has an underscore since Flask 3.1.3, where `session` notes who looks at it.
    place = "_session" if "_session" in vars(context) else "session"
    attributes = cast("dict[str, Any]", vars(context))
    before = attributes.get(place)
    attributes[place] = session
    return before


@contextmanager
def narrowed(view: View) -> Generator[None]:
    """Lets the code of this block see of its request what the view's key holds; the rest is absent.

    The request is another object meanwhile, so that whoever keeps the one or the other has a request
    that stays as it is.
    """
    context, request = request_context(), _native.current_request()
    if context is None or request is None:
        yield
        return
    keyed, names = view.keyed, view.cache._user_names
    holds_users = keyed.holds(Read("session"))
    session = None if holds_users else put_session(context, AbsentSession())
    hidden: dict[str, Any] = {}
    if not holds_users:
        shared = _attributes_of_g()
        hidden = {name: shared.pop(name) for name in names & shared.keys()}
    context.request = _narrow_request(context.app, request, keyed)
    try:
        yield
    finally:
        context.request = request
        if not holds_users:
            put_session(context, session)
            _attributes_of_g().update(hidden)


def _attributes_of_g() -> dict[str, Any]:
    shared: Any = g
    return cast("dict[str, Any]", vars(shared._get_current_object()))


def _narrow_request(app: Any, request: Any, keyed: Keyed) -> Any:
    made = app.request_class(narrowed_environ(request.environ, keyed))
    for name in ("url_rule", "view_args", "routing_exception", "json_module"):
        if hasattr(request, name):
            setattr(made, name, getattr(request, name))
    return made
