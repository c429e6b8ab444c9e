"""The application and the request, for versions of Flask whose context variables have other names."""

from __future__ import annotations

from typing import Any

import flask


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
