"""Which endpoints of an application lead to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HARMLESS = "_larder_changes_no_hit"
"""What marks a hook that does nothing to the answer to a GET or HEAD."""


def endpoints_of(app: Any, function: Callable[..., Any]) -> list[str]:
    """The endpoints whose view is `function`, or wraps it, or is a class that has it for a method."""
    plain = getattr(function, "__func__", function)
    return [name for name, view in app.view_functions.items() if leads_to(view, plain)]


def leads_to(view: Any, function: Any) -> bool:
    """Whether a view is `function`, or wraps it, or is a class that has it for a method."""
    methods = getattr(view, "view_class", None)
    if methods is not None and any(leads_to(one, function) for one in _methods(methods)):
        return True
    while view is not None:
        if view is function:
            return True
        view = getattr(view, "__wrapped__", None)
    return False


def _methods(view_class: type) -> list[Any]:
    # Of the class's own methods only those that answer requests.
    names = {
        "dispatch_request",
        *(name.lower() for name in getattr(view_class, "methods", ()) or ()),
    }
    return [found for found in (getattr(view_class, name, None) for name in names) if found]
