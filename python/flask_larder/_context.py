"""The application and the request, for versions of Flask whose context variables have other names.

What is there is asked for by its name, once, and never by a version number.
"""

from __future__ import annotations

from typing import Any

import flask
import flask.globals

# A proxy of the request's context since Flask 2.2; before, the contexts lay on a stack.
_PROXY: Any = getattr(flask.globals, "request_ctx", None)
_STACK: Any = getattr(flask.globals, "_request_ctx_stack", None) if _PROXY is None else None


def current_app() -> Any:
    """The application whose context is pushed, or None."""
    if not flask.has_app_context():
        return None
    return flask.current_app._get_current_object()  # type: ignore[attr-defined]


def current_request() -> Any:
    """The request that is being answered, or None."""
    if not flask.has_request_context():
        return None
    return flask.request._get_current_object()  # type: ignore[attr-defined]


def request_context() -> Any:
    """Flask's context of the request that is being answered, with its session, or None."""
    if _PROXY is None:
        return _STACK.top
    return _PROXY._get_current_object() if _PROXY else None


def current_globals() -> Any:
    """What `flask.g` stands for at the moment, or None."""
    return flask.g._get_current_object() if flask.has_app_context() else None  # type: ignore[attr-defined]
