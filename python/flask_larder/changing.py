"""Requests that change something drop what is stored of it (RFC 9111 section 4.4), and may name the tag of
a page in a coding."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from . import _native
from ._context import request_context
from .endpoints import HARMLESS, leads_to
from .http import Http
from .source import source_of
from .steps import Steps, Store, run

if TYPE_CHECKING:
    from .cache import Cache
    from .views import View

_READING = ("GET", "HEAD", "OPTIONS")


def watch_changes(cache: Cache, app: Flask) -> None:
    """Has an application tell the cache of its requests."""
    app.before_request_funcs.setdefault(None, []).append(translator(cache))
    app.after_request_funcs.setdefault(None, []).append(forgetter(cache))


def translator(cache: Cache) -> Callable[[], None]:
    """What an application calls before each of its requests: views know the tags of plain pages, and a
    client that has a page in a coding names the tag of that in `If-Match`."""

    def translate() -> None:
        request = _native.current_request()
        if request is None or "HTTP_IF_MATCH" not in request.environ or not _codes(cache):
            return
        both = _native.with_plain_tags(request.environ["HTTP_IF_MATCH"])
        if both is not None:
            request.environ["HTTP_IF_MATCH"] = both
            # Somebody may have read it before.
            request.__dict__.pop("if_match", None)

    setattr(translate, HARMLESS, True)
    return translate


def _codes(cache: Cache) -> bool:
    """Whether there are pages of this cache in codings."""
    own = (view.options.http for view in cache._views())
    return any(isinstance(http, Http) and http.codings for http in (cache._http(), *own))


def forgetter(cache: Cache) -> Callable[[Response], Response]:
    """What an application calls with each of its answers: after a request that changed something and
    did not fail, the pages of its URL are dropped, and those of `Location` and `Content-Location` on
    the same host."""

    def forget(response: Response) -> Response:
        request = _native.current_request()
        if request is None or request.method in _READING:
            return response
        if _native.invalidates(request.method, response.status_code):
            _forget(cache, _paths(request, response))
        return response

    setattr(forget, HARMLESS, True)
    return forget


def _paths(request: Any, response: Response) -> list[str]:
    """The decoded paths of what changed, without the place where the application is mounted."""
    mount = request.root_path
    paths = [request.path]
    for found in _native.changed_paths(request.environ, list(response.headers)):
        path = unquote(found, errors="replace")
        if path.startswith(mount):
            paths.append(path.removeprefix(mount) or "/")
    return paths


def _forget(cache: Cache, paths: list[str]) -> None:
    """Drops the pages of these paths, in every variant, and never raises: what they show has been
    changed, and whoever changed it must not take that for a failure."""
    texts = {text for view in cache._views() for path in paths for text in _texts(view, path)}
    if not texts:
        return
    engine = cache._engine()

    def steps() -> Steps:
        yield Store(engine, lambda: engine.remove(*sorted(texts)))

    try:
        run(steps(), forgetter)
    except OSError as error:
        # The engine owes the purge now, and carries it out before it reads the store again.
        cache._log.warning(
            "the store is away: the pages of %s will be dropped when it is back, and other processes "
            "may serve them until then: %s",
            ", ".join(paths),
            error,
        )
    except Exception:
        cache._log.exception("the pages of %s could not be dropped", ", ".join(paths))


def _texts(view: View, path: str) -> list[str]:
    """The base keys under which a view has what it answered to a path."""
    prefix = view.options.key_prefix
    if not isinstance(prefix, str) or view.custom_key:
        return []
    if "%s" in prefix:
        text = prefix.replace("%s", path, 1)
    elif _answers(view, path):
        text = prefix
    else:
        return []
    return [text + (source_of(view, view.options.source_check) or "")]


def _answers(view: View, path: str) -> bool:
    """Whether a GET of this path is answered by the view."""
    context = request_context()
    adapter = None if context is None else context.url_adapter
    if adapter is None:
        return False
    try:
        endpoint, _ = adapter.match(path, method="GET")
    except HTTPException:
        return False
    return leads_to(view.cache._app().view_functions.get(endpoint), view.wrapper)
