"""Early hits: which ones are answered before Flask is asked, and why the others are not.

The level itself is native (`_native.EarlyHits`). Here stands what it must not pass by: everything of an
application that takes part in a request and could make another answer of a hit.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import types
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import flask
from flask import Flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.routing import Map

from ._native import EarlyHits, Guard
from .config import SKIP_HOOKS
from .decorated import DECORATED
from .endpoints import HARMLESS
from .responses import text_headers
from .source import is_asked
from .views import View

__all__ = ["Early", "level", "refusal"]

_OFF = "early hits are off for it (set CACHE_EARLY_HITS, or cached(early=True))"

_HOOKS = {
    "before_request_funcs": "before_request",
    "after_request_funcs": "after_request",
    "teardown_request_funcs": "teardown_request",
    "url_value_preprocessors": "url_value_preprocessor",
}
_TEARDOWN = "teardown_appcontext_funcs"
_SIGNALS = (
    "appcontext_pushed",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
)
_CONFIG = (
    "DEBUG",
    "SECRET_KEY",
    "SERVER_NAME",
    "SESSION_COOKIE_NAME",
    "SESSION_REFRESH_EACH_REQUEST",
    "TRUSTED_HOSTS",
)
# What Flask passes a request through, by the order in which it comes there.
_METHODS = (
    "wsgi_app",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "finalize_request",
    "make_response",
    "process_response",
)
# What these ask in turn; looked at whenever something else has changed.
_MORE_METHODS = (
    "request_context",
    "app_context",
    "create_url_adapter",
    "ensure_sync",
    "do_teardown_request",
    "do_teardown_appcontext",
    "raise_routing_exception",
)


def level(app: Any) -> EarlyHits | None:
    """The WSGI level of an application, wherever it stands among its middlewares."""
    found: EarlyHits | None = app.extensions.get(_PLACE)
    return found


_PLACE = "larder_early_hits"


class Early:
    """What one cache says of early hits in its applications."""

    def __init__(self) -> None:
        self._said: WeakKeyDictionary[Flask, bool | str] = WeakKeyDictionary()
        self._asked_for = False

    def init_app(self, app: Flask, said: bool | str) -> None:
        """Remembers what CACHE_EARLY_HITS says."""
        self._said[app] = said
        if said or self._asked_for:
            _install(app)

    def ask_for_it(self) -> None:
        """Notes that there is a view that asks for early hits itself."""
        self._asked_for = True
        for app in list(self._said):
            _install(app)

    def said(self, app: Any) -> bool | str:
        """What CACHE_EARLY_HITS says in an application."""
        return self._said.get(app, False)


def _install(app: Flask) -> None:
    """Puts the level in front of Flask, once for each application."""
    if level(app) is not None:
        return
    inner = app.wsgi_app
    made = EarlyHits(app, inner, Judge(app, inner))
    app.extensions[_PLACE] = made
    app.wsgi_app = made  # type: ignore[method-assign]


def refusal_of_value(entry: Any, *, http: bool) -> str | None:
    """Why a stored answer is not sent early, whatever else holds; None if it is. `entry` is an
    `EntrySeen`, `http` says whether the page is served as HTTP wants it."""
    if entry.status is None and entry.kind not in ("str", "bytes"):
        return f"Flask makes a response of the stored {entry.kind} each time (return a Response)"
    if entry.status not in (None, 200) and not http:
        return f"an answer with the status {entry.status} is Flask's to send"
    return None


class Judge:
    """Says of a view whether its hits may be answered early, and as long as what holds."""

    def __init__(self, app: Flask, inner: Any) -> None:
        self._app = app
        self._inner = inner
        # Whether hooks are skipped: what has to hold, and what was found out since.
        self._known: dict[bool, tuple[Guard, dict[tuple[str, int], bool]]] = {}

    def __call__(self, wrapper: Any, request: Any) -> Guard | None:
        """What has to hold for the hits of a view at the endpoint of this request; None where it is
        not to be answered early."""
        view = getattr(wrapper, DECORATED, None)
        endpoint = request.endpoint
        if not isinstance(view, View) or endpoint is None:
            return None
        wanted = view.early()
        if not wanted:
            return None
        skips = wanted == SKIP_HOOKS
        guard, judged = self._guarded(skips)
        place = (endpoint, id(wrapper))
        if place not in judged:
            why = self.refusal(view, endpoint, request.url_rule)
            judged[place] = why is None
        return guard if judged[place] else None

    def _guarded(self, skips: bool) -> tuple[Guard, dict[tuple[str, int], bool]]:
        known = self._known.get(skips)
        if known is None or not known[0].holds():
            known = self._known[skips] = (_guard(self._app, hooks=not skips), {})
        return known

    def refusal(self, view: View, endpoint: str, rule: Any) -> str | None:
        """Why the hits of a view are not answered early; None if they are."""
        app, wanted = self._app, view.early()
        if not wanted:
            return _OFF
        for reason in _of_view(view, app, endpoint):
            return reason
        for reason in _of_way(app, self._inner):
            return reason
        if wanted != SKIP_HOOKS:
            for reason in _of_hooks(app, endpoint, rule):
                return f"{reason} (early={SKIP_HOOKS!r} if that does not matter for hits)"
        return None


def refusal(view: View, app: Flask, endpoint: str, rule: Any) -> str | None:
    """Why the hits of a view are not answered early; None if they are."""
    found = level(app)
    if found is None:
        return _OFF
    why: str | None = found.judge.refusal(view, endpoint, rule)
    return why


# What forbids it.


def _of_view(view: View, app: Flask, endpoint: str) -> Iterator[str]:
    """What the view itself, and its cache, have to say."""
    yield from _of_options(view, app)
    if view.inputs.values:
        yield "vary= computes a value, which takes a request"
    if app.view_functions.get(endpoint) is not view.wrapper:
        yield "the view is a class, or decorated once more above cached()"


def _of_options(view: View, app: Any) -> Iterator[str]:
    options = view.options
    for option in ("unless", "forced_update", "is_stale"):
        if getattr(options, option) is not None:
            yield f"{option}= is asked at each request"
    if view.in_charge():
        yield "the key is made by a function"
    if options.response_hit_indication:
        yield "response_hit_indication= marks the answer"
    if is_asked(view, options.source_check):
        yield "source_check= looks at the function"
    if view.inputs.learned:
        yield 'vary="auto" has learned of an input that takes a request'
    if not hasattr(view.wrapper, "arm"):
        yield "the view is a coroutine function"
    cache = view.cache
    if cache.enable_signals:
        yield "CACHE_ENABLE_SIGNALS sends a signal at each hit"
    if cache._overrides("get"):
        yield "Cache.get is overridden"
    if cache._outcomes.wanted(app):
        yield "the answers say what the cache did (CACHE_STATUS_HEADERS, or debug)"
    engine = getattr(app.extensions["cache"].get(cache), "engine", None)
    if engine is None or not (engine.answers_at_once or engine.blocks):
        yield "the store is asked in Python"
    elif not engine.answers_at_once:
        yield from _of_server(view, engine.size()["store"])


def _of_server(view: View, store: str) -> Iterator[str]:
    """Why a server is not asked for a hit before Flask is: what it does not have would cost a trip more."""
    if store != "redis":
        yield f"{store} does not say when a hit is to be expected (CACHE_NEAR keeps hits near by)"
    elif view.varies():
        yield "the store is a server, and tags are made of the arguments"


def _of_way(app: Flask, inner: Any) -> Iterator[str]:
    """What a request passes on its way to the view, and who could make another one of it."""
    function = getattr(inner, "__func__", None)
    if getattr(inner, "__self__", None) is not app or function is not getattr(
        type(app), "wsgi_app", None
    ):
        yield "a WSGI middleware was there before the cache (call init_app before it is put there)"
    for name in (*_METHODS, *_MORE_METHODS):
        method = getattr(type(app), name, None)
        if not _is_flasks(method) or (name in vars(app) and name != "wsgi_app"):
            yield f"Flask.{name} is overridden"
    if app.request_class is not flask.Request:
        yield "the application has a request class of its own"
    if type(app.url_map) is not Map:
        yield "the application has a URL map of its own"


_FOLDER = str(Path(flask.__file__).parent)


def _is_flasks(function: Any) -> bool:
    """Whether a function is Flask's own, and not one that stands in its place."""
    return (
        isinstance(function, types.FunctionType)
        and function.__code__.co_filename.startswith(_FOLDER)
        and not hasattr(function, "__wrapped__")
    )


def _of_hooks(app: Flask, endpoint: str, rule: Any) -> Iterator[str]:
    """The hooks that Flask calls for a request to this endpoint."""
    scopes = (None, *_blueprints(endpoint))
    for attribute, word in _HOOKS.items():
        hooks = getattr(app, attribute)
        for scope in scopes:
            for hook in hooks.get(scope, ()):
                if not getattr(hook, HARMLESS, False):
                    yield f"{word} calls {_name_of(hook)}"
    for hook in getattr(app, _TEARDOWN):
        yield f"teardown_appcontext calls {_name_of(hook)}"
    for name in _SIGNALS:
        if _receivers(name):
            yield f"the signal {name} has a receiver"
    yield from _of_session(app)
    for name, converter in getattr(rule, "_converters", {}).items():
        if type(converter) not in Map.default_converters.values():
            yield f"<{name}> has a converter of the application's own"


def _receivers(name: str) -> dict[Any, Any] | None:
    """Who hears a signal of Flask's; None where Flask has no signals."""
    found: dict[Any, Any] | None = getattr(getattr(flask, name, None), "receivers", None)
    return found


def _of_session(app: Flask) -> Iterator[str]:
    interface: Any = app.session_interface
    own = type(interface) is SecureCookieSessionInterface and not vars(interface)
    if not own or interface.session_class is not SecureCookieSession:
        yield f"{type(interface).__name__} may write the session at each request"


def _blueprints(endpoint: str) -> Iterator[str]:
    name = endpoint
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _name_of(hook: Any) -> str:
    return str(getattr(hook, "__qualname__", type(hook).__name__))


# What has to stay as it is.


def _guard(app: Flask, *, hooks: bool) -> Guard:
    own = vars(app)
    names = ["config", "request_class", "response_class", "url_map", "view_functions"]
    routes = vars(app.url_map)
    members = [_member(routes, name) for name in ("_remap", "_rules_by_endpoint")]
    members += [_member(app.config, name) for name in _CONFIG]
    sizes: list[tuple[Any, int]] = [_size(own), _size(routes["_rules_by_endpoint"])]
    objects: list[tuple[Any, str]] = [(type(app), name) for name in _METHODS]
    objects.append((app.response_class, "default_mimetype"))
    if hooks:
        names += [*_HOOKS, _TEARDOWN, "session_interface"]
        found = [getattr(app, name) for name in _HOOKS]
        sizes += [_size(one) for one in (*found, app.teardown_appcontext_funcs)]
        for by_scope in found:
            members += [_member(by_scope, scope) for scope in by_scope]
            sizes += [_size(functions) for functions in by_scope.values()]
        sizes += [_size(heard) for heard in map(_receivers, _SIGNALS) if heard is not None]
    members += [_member(own, name) for name in names]
    return Guard(
        members=members,
        attributes=[(owner, name, getattr(owner, name)) for owner, name in objects],
        sizes=sizes,
        views=app.view_functions,
        cookie=_session_cookie(app) if hooks else None,
        text=text_headers(app.response_class),
    )


def _member(place: Any, key: Any) -> tuple[Any, Any, Any]:
    return place, key, place.get(key)


def _size(container: Sized) -> tuple[Any, int]:
    return container, len(container)


def _session_cookie(app: Flask) -> str | None:
    """The cookie of sessions that Flask may write anew at each request."""
    config: Any = app.config
    if not app.secret_key or not config["SESSION_REFRESH_EACH_REQUEST"]:
        return None
    return str(config["SESSION_COOKIE_NAME"])
