"""`cache.warm`: fills an entry before anybody asks for it, after a deploy for one."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from werkzeug.datastructures import MultiDict
from werkzeug.routing import BuildError

from . import _native
from .callbacks import Callback
from .decorated import DECORATED, Decorated
from .endpoints import endpoints_of
from .views import View

if TYPE_CHECKING:
    from flask import Flask

    from ._native import Key
    from .cache import Cache

# How often it is tried when hits come in between; each time one has to come at the wrong moment.
_TRIES = 5


@dataclass(frozen=True)
class Warmed:
    """What became of a `cache.warm`. True if something was stored."""

    stored: bool
    reason: str | None
    """Why nothing was stored."""
    key: str | None
    """The key of the entry, as people read it; None where the cache was not asked at all."""

    def __bool__(self) -> bool:
        return self.stored


class _Warming:
    """One warming, and what is known of its outcome."""

    def __init__(self, decorated: Decorated) -> None:
        self.decorated = decorated
        self.asked = False
        self.key: Key | None = None
        self.stored = False
        self.reason: str | None = None

    def outcome(self, otherwise: str) -> Warmed:
        reason = None if self.stored else self.reason or otherwise
        return Warmed(self.stored, reason, None if self.key is None else self.key.text)


# A context variable, because only the caller's own call is forced, and it may go through other threads.
_current: ContextVar[_Warming | None] = ContextVar("larder_warming", default=None)


def note(decorated: Decorated, key: Key | None, stored: bool, reason: str | None) -> None:
    """Tells the caller's warming, if there is one, what became of its load."""
    warming = _current.get()
    if warming is not None and warming.decorated is decorated:
        warming.asked = True
        warming.key = key
        warming.stored = stored
        warming.reason = reason


# Decorated functions that are being warmed, by how many callers, and their options of otherwise.
_warmers: dict[Decorated, tuple[int, Any]] = {}
_lock = threading.Lock()


@contextmanager
def _forced(warming: _Warming) -> Generator[None]:
    """Lets the caller's calls of the function load whatever is stored; the calls of others do not,
    and are not answered natively meanwhile."""
    decorated = warming.decorated
    with _lock:
        count, options = _warmers.get(decorated, (0, decorated.options))
        _warmers[decorated] = (count + 1, options)
        if count == 0:
            decorated.options = replace(options, forced_update=_asking(decorated, options))
            decorated.disarm()
    token = _current.set(warming)
    try:
        yield
    finally:
        _current.reset(token)
        with _lock:
            count, options = _warmers.pop(decorated)
            if count > 1:
                _warmers[decorated] = (count - 1, options)
            else:
                decorated.options = options


def _asking(decorated: Decorated, options: Any) -> Callback:
    others = options.forced_update

    def forced_update(*args: Any, **kwargs: Any) -> bool:
        warming = _current.get()
        if warming is not None and warming.decorated is decorated:
            warming.asked = True
            return True
        return others is not None and others(*args, **kwargs) is True

    return Callback(forced_update)


class Warmer:
    """Warms one view or function of a cache."""

    def __init__(self, cache: Cache, function: Callable[..., Any]) -> None:
        self._cache = cache
        self._function = function
        decorated = getattr(getattr(function, "__func__", function), DECORATED, None)
        if not isinstance(decorated, Decorated) or decorated.cache is not cache:
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(f"{name} is not cached by this cache (warm takes what it decorated)")
        self._decorated = decorated
        self._app = _app_of(cache)

    def warm(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `cache.warm` answers."""
        if isinstance(self._decorated, View):
            return self._warm_view(args, kwargs)
        if inspect.iscoroutinefunction(self._function):
            return self._warm_async(args, kwargs)
        call = self._function
        with self._context():
            return self._try(lambda: call(*args, **kwargs), lambda _: "failed")

    def _context(self) -> Any:
        there = _native.current_app() is self._app
        return nullcontext() if there else self._app.app_context()

    def _try(self, call: Callable[[], Any], otherwise: Callable[[Any], str]) -> Warmed:
        warming = _Warming(self._decorated)
        answer: Any = None
        with _forced(warming):
            for _ in range(_TRIES):
                hits = self._hits()
                answer = call()
                if warming.asked or self._hits() == hits:
                    break
                # A hit of another thread made the function answer this one natively as well.
                self._decorated.disarm()
            return self._outcome(warming, otherwise(answer))

    def _outcome(self, warming: _Warming, otherwise: str) -> Warmed:
        engine = getattr(self._cache.cache, "engine", None)
        if engine is not None and engine.size()["store"] == "null":
            warming.stored, warming.reason = False, "the store keeps nothing"
        return warming.outcome(otherwise)

    def _hits(self) -> int:
        hits: int = self._decorated.stats.as_dict()["hits"]
        return hits

    async def _warm_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Warmed:
        warming = _Warming(self._decorated)
        with self._context(), _forced(warming):
            await self._function(*args, **kwargs)
            return self._outcome(warming, "failed")

    # Views.

    def _warm_view(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Warmed:
        how = {name: kwargs.pop(name, None) for name in ("query", "headers", "base_url")}
        endpoints = endpoints_of(self._app, self._function)
        if not endpoints:
            return self._warm_in_request(args, kwargs, **how)
        if args:
            raise TypeError(
                f"{self._decorated.name} is a view, and a URL is made of keywords (name the argument)"
            )
        path, root = _place(self._app, endpoints, kwargs, how["base_url"])
        path = _with_query(path, how["query"])

        def get() -> int:
            client = self._app.test_client(use_cookies=False)
            answer = client.get(path, base_url=root, headers=how["headers"])
            with answer:
                _read_on(answer)
            return answer.status_code

        return self._try(get, lambda status: f"not loaded: status {status}")

    def _warm_in_request(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        query: Any,
        headers: Any,
        base_url: Any,
    ) -> Warmed:
        """Warms what views call; its key has no path, but may have the host and the query."""
        prefix = getattr(self._decorated.options, "key_prefix", None)
        if isinstance(prefix, str) and "%s" in prefix:
            raise ValueError(
                f"{self._decorated.name} is cached by its path, and no URL leads to it "
                "(add it to the application's routes before it is warmed)"
            )
        environ = {"query_string": _encoded(query), "headers": headers, "base_url": base_url}

        def call() -> None:
            with self._app.test_request_context(**environ):
                self._function(*args, **kwargs)

        return self._try(call, lambda _: "failed")


def _read_on(answer: Any) -> None:
    """Reads a stream for as long as it may still be stored."""
    warming = _current.get()
    for _ in answer.iter_encoded():
        if warming is None or warming.reason is not None:
            return


def _app_of(cache: Cache) -> Flask:
    current = _native.current_app()
    if current is not None:
        return current
    if cache._outcomes.applications > 1:
        raise RuntimeError(
            "this cache serves several applications (say which: with app.app_context(): ...)"
        )
    return cache.app


def _place(
    app: Flask, endpoints: list[str], values: dict[str, Any], base_url: str | None
) -> tuple[str, str]:
    """The path of the first endpoint that these values lead to, and the URL of what it is below."""
    # Most programs never come here.
    from flask.testing import EnvironBuilder

    environ = EnvironBuilder(app, base_url=base_url).get_environ()
    adapter: Any = app.create_url_adapter(app.request_class(environ))
    missing: BuildError | None = None
    for endpoint in endpoints:
        filled = dict(values)
        app.inject_url_defaults(endpoint, filled)
        try:
            built: str = adapter.build(endpoint, filled, method="GET", force_external=True)
        except BuildError as error:
            missing = error
        else:
            url, root = urlsplit(built), str(adapter.script_name)
            path = "/" + url.path.removeprefix(root)
            return _with_query(path, url.query), f"{url.scheme}://{url.netloc}{root}"
    raise ValueError(f"no URL is made of {values!r}: {missing}")


def _with_query(path: str, query: Any) -> str:
    text = _encoded(query)
    return f"{path}{'&' if '?' in path else '?'}{text}" if text else path


def _encoded(query: Any) -> str:
    """A query as it stands in a URL: of a text, a mapping, or pairs."""
    if query is None or isinstance(query, str):
        return query or ""
    if isinstance(query, MultiDict):
        query = list(cast("Any", query).items(multi=True))
    return urlencode(query, doseq=True)
