"""`@cache.cached`: views, and functions that are called while a request is being handled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, after_this_request, has_app_context
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from . import _native, safety
from ._native import Key, Page, Policy, ViewKey
from .decorated import Decorated, Options, Uncached
from .durations import lifetime
from .rebuilt import rebuilt_request
from .responses import CachedResponse, page_of, respond, responder, status_of, whole
from .signals import cache_view_hit, cache_view_miss
from .source import is_asked, source_of
from .vary import Inputs

if TYPE_CHECKING:
    from .cache import Cache


@dataclass
class ViewOptions(Options):
    """The options that only `cached` has."""

    key_prefix: str | Callable[..., str] = "view/%s"
    query_string: bool | None = None
    make_cache_key: Callable[..., str] | None = None
    source_check: bool | None = None
    hash_method: Callable[..., Any] | None = None
    response_hit_indication: bool = False
    as_page: bool = False
    inputs: Inputs = field(default_factory=Inputs)


class View(Decorated):
    """One decorated view."""

    sort = "view"
    options: ViewOptions

    def __init__(self, cache: Cache, function: Callable[..., Any], options: ViewOptions) -> None:
        super().__init__(cache, function, options)
        # A custom key function means that the developer took charge of the key.
        self.custom_key = options.make_cache_key is not None or callable(options.key_prefix)
        self.rule = self._rule(custom=self.custom_key)

    def _rule(self, *, custom: bool) -> ViewKey:
        prefix, inputs = self.options.key_prefix, self.options.inputs
        before, after, identity = "", None, None
        if isinstance(prefix, str):
            before, found, rest = prefix.partition("%s")
            after = rest if found else None
        # To a custom key comes what vary= declares, and nothing else.
        whole = self.cache.dialect.whole_url and not custom
        shared = self.options.as_page and not custom
        if whole and prefix == ViewOptions.key_prefix:
            # Two functions that are called in one request have one path.
            identity = self.name
        query = self.options.query_string
        if query is None:
            query = whole and not inputs.parameters
        return ViewKey(
            before,
            after,
            host=whole,
            query=bool(query) and self.cache.dialect.typed_keys,
            headers=inputs.wsgi_headers,
            cookies=list(inputs.cookies),
            parameters=list(inputs.parameters),
            values=list(inputs.values),
            identity=identity,
            shared=shared,
        )

    # The key.

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        request = _native.current_request()
        if self.cache.dialect.careful and request is not None:
            # The request must be one whose answers may be shared at all, whatever the key is.
            reason = safety.of_request(request, self.options.inputs, custom=self.custom_key)
            if reason is not None:
                raise Uncached(reason)
        base = self.base(args, kwargs)
        if request is None:
            if base is None:
                raise RuntimeError(
                    f"{self.name} is cached by its path and was called outside of a request "
                    "(give it a key_prefix without %s)"
                )
            return Key(base)
        if self.assigned_key() is not None:
            return self._rule(custom=True).key(request, base)
        return self.rule.key(request, base)

    def base(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The base key, where the rule alone does not give it: None for the usual path."""
        assigned = self.assigned_key()
        if assigned is not None:
            return self._made(assigned(*args, use_request=True, **kwargs), "make_cache_key")
        make = self.options.make_cache_key
        if make is not None:
            return self._made(make(*args, **kwargs), "make_cache_key")
        prefix = self.options.key_prefix
        text = None
        if callable(prefix):
            text = self._made(prefix(), "key_prefix")
        elif "%s" not in prefix:
            text = prefix
        source = source_of(self, self.options.source_check)
        if source is None:
            return text
        if text is None:
            request = _native.current_request()
            text = str(prefix).replace("%s", request.path if request is not None else "")
        return text + source

    def _made(self, key: Any, option: str) -> str:
        if key is None:
            # One key for all whose key was forgotten: each would get what was made for another.
            raise TypeError(f"{self.name}: {option} answered None (let it return the key, a text)")
        return str(key)

    def readable_key(
        self, *args: Any, path: str | None = None, query_args: Any = None, **kwargs: Any
    ) -> str:
        """The base key of a call as people read it: what `cache.delete` takes."""
        kwargs.pop("use_request", None)
        del query_args
        base = self.base(args, kwargs)
        if base is not None:
            return base
        if path is None:
            request = _native.current_request()
            path = request.path if request is not None else None
        if path is None:
            raise RuntimeError(f"{self.name} is keyed by its path (pass path=, or use a request)")
        return str(self.options.key_prefix) % path

    # Values.

    def incoming(self, value: Any) -> Any:
        if self.cache.dialect.careful:
            value = whole(value, self.cache._app())
            reason = safety.of_answer(value, self.options.inputs, custom=self.custom_key)
            if reason is not None:
                raise Uncached(reason)
        if self.options.as_page and value is not None:
            value = _response_of(self.cache._app(), value)
        if isinstance(value, WerkzeugResponse):
            page = page_of(value)
            if page is None:
                raise Uncached("stream")
            return page
        if inspect.isgenerator(value) or inspect.isasyncgen(value) or _is_application(value):
            raise Uncached("stream")
        return value

    def outgoing(self, value: Any) -> Any:
        if isinstance(value, Page):
            return respond(value)
        if isinstance(value, HTTPException):
            raise value
        return value

    def watched(self) -> AbstractContextManager[None]:
        careful = self.cache.dialect.careful and not self.custom_key
        return safety.watched_session() if careful else nullcontext()

    def policy_for(self, policy: Policy, value: Any) -> Policy:
        if isinstance(value, CachedResponse) and value.timeout:
            policy = policy.lasting(lifetime(value.timeout, "timeout"))
        if self.cache.dialect.careful and self._has_stale_windows:
            headers = safety.headers_of(whole(value, self.cache._app()))
            if headers is not None and _native.is_never_stale(list(headers)):
                policy = policy.never_stale()
        return policy

    @property
    def _has_stale_windows(self) -> bool:
        windows = self.options.windows
        return bool(windows.stale or windows.stale_on_error)

    def turned_down(self, error: Exception) -> str | None:
        if isinstance(error, HTTPException) and not _native.is_failure(status_of(error)):
            return f"status: {status_of(error)}"
        return None

    def failure_in(self, value: Any) -> Exception | None:
        status = status_of(whole(value, self.cache._app()))
        return RuntimeError(f"the view answered {status}") if _native.is_failure(status) else None

    def served(self) -> None:
        if self.options.response_hit_indication and _native.current_request() is not None:
            after_this_request(_indicate_hit)

    # The rest.

    def signal(self, hit: bool, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.cache.enable_signals:
            signal = cache_view_hit if hit else cache_view_miss
            signal.send(cache=self.cache, cache_key=key.text, args=args, kwargs=kwargs)

    def refresher(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any] | None:
        request = _native.current_request()
        app = self.cache._app()
        function = self.cache._plain(self.function)
        if request is None:

            def load() -> Any:
                with app.app_context():
                    return function(*args, **kwargs)
        else:
            rebuilt = rebuilt_request(app, request, self.options.inputs, custom=self.custom_key)

            def load() -> Any:
                with rebuilt():
                    return function(*args, **kwargs)

        return load

    def plan(self) -> tuple[ViewKey, Callable[[Page], Response]] | None:
        options = self.options
        custom = self.custom_key or options.response_hit_indication
        source = is_asked(self, options.source_check)
        if custom or source or not self.cache.dialect.careful:
            return None
        return self.rule, responder(self.cache._app())

    def starts(self) -> tuple[str, ...]:
        """How the keys that people know of this view begin."""
        prefix = self.options.key_prefix
        return (prefix.partition("%s")[0],) if isinstance(prefix, str) else ()

    def answers_to(self, key: str, request: Any) -> bool:
        """Whether `key` is what people call this view's answer to this request."""
        prefix = self.options.key_prefix
        if not isinstance(prefix, str):
            return False
        return key == (prefix % request.path if "%s" in prefix else prefix)


def _response_of(app: Flask, value: Any) -> Any:
    # A refresh behind an answer has no context any more by now, and Flask 2.1 looks for the
    # configuration of its JSON there.
    if has_app_context():
        return app.make_response(value)
    with app.app_context():
        return app.make_response(value)


def _is_application(value: Any) -> bool:
    """Whether Flask takes a value for a WSGI application, which answers for itself each time."""
    return callable(value) and not isinstance(value, HTTPException)


def _indicate_hit(response: Response) -> Response:
    response.headers["hit_cache"] = "True"
    return response
