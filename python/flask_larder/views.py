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

from . import _native, learning, safety, streams, tracking
from ._native import Key, Page, Policy, ViewKey
from .context import Loading
from .decorated import Options, Uncached
from .durations import lifetime
from .http import Http
from .http_pages import unconditional
from .http_views import HttpView
from .learning import Known, values_of
from .narrowing import narrowed
from .reads import Keyed, Read
from .rebuilt import rebuilt_request
from .responses import CachedResponse, page_of, respond, responder, status_of, whole
from .signals import cache_view_hit, cache_view_miss
from .source import is_asked, source_of
from .steps import Steps
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
    narrow: bool = False
    http: Http | bool | None = None
    early: bool | str | None = None
    inputs: Inputs = field(default_factory=Inputs)


class View(HttpView):
    """One decorated view."""

    sort = "view"
    options: ViewOptions

    def __init__(self, cache: Cache, function: Callable[..., Any], options: ViewOptions) -> None:
        super().__init__(cache, function, options)
        # A custom key function means that the developer took charge of the key.
        self.custom_key = options.make_cache_key is not None or callable(options.key_prefix)
        # What the key holds as it was declared, and with what was learned since.
        self.declared = self.known = self.known_with(options.inputs)
        # Inputs that callables in vary= were seen to read, so that they are in the key.
        self.told: frozenset[Read] = frozenset()

    def known_with(self, inputs: Inputs) -> Known:
        """The key with these inputs in it."""
        keyed = tracking.keyed_of(self.options, inputs)
        return Known(inputs, keyed, self._rule(inputs, custom=self.custom_key))

    @property
    def rule(self) -> ViewKey:
        """How requests become keys."""
        return self.known.rule

    @property
    def keyed(self) -> Keyed:
        """What the key holds."""
        return self.known.keyed

    def _rule(self, inputs: Inputs, *, custom: bool) -> ViewKey:
        prefix = self.options.key_prefix
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
            values=[*inputs.values, *values_of(inputs)],
            identity=identity,
            shared=shared,
        )

    # The key.

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        request = _native.current_request()
        if self.cache.dialect.careful and request is not None:
            # The request must be one whose answers may be shared at all, whatever the key is.
            reason = safety.of_request(request, self.inputs, custom=self.custom_key)
            if reason is not None:
                raise Uncached(reason)
            tracking.note_key(self, request)
        base = self.base(args, kwargs)
        if request is None:
            if base is None:
                raise RuntimeError(
                    f"{self.name} is cached by its path and was called outside of a request "
                    "(give it a key_prefix without %s)"
                )
            return Key(base)
        if self.assigned_key() is not None:
            return self._rule(self.inputs, custom=True).key(request, base)
        known = self.known
        if known.inputs.auto:
            learning.remember(self, known)
        return known.rule.key(request, base)

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
        http = value is not None and self.pages() is not None
        if self.cache.dialect.careful:
            value = streams.response_of(self, whole(value, self.cache._app()))
            reason = safety.of_request_made(self.inputs, custom=self.custom_key)
            if reason is None and not http:
                # What HTTP says of a page is judged when it is finished.
                reason = safety.of_answer(value, self.inputs)
            if reason is not None:
                raise Uncached(reason, safety.place_of(reason))
        if http or (self.options.as_page and value is not None):
            value = _response_of(self.cache._app(), value)
        if isinstance(value, WerkzeugResponse):
            if self.cache.dialect.careful and streams.is_streamed(value):
                return streams.Streamed.of(self, value)
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

    @property
    def inputs(self) -> Inputs:
        """What the answer depends on besides its path, as far as that is known."""
        return self.known.inputs

    def early(self) -> bool | str:
        """Whether hits may be answered before Flask is asked, and past its hooks."""
        given = self.options.early
        return self.cache._early.said(self.cache._app()) if given is None else given

    def in_charge(self) -> bool:
        """Whether the developer took charge of the key."""
        return self.custom_key or self.assigned_key() is not None

    def watched(self, loading: Loading) -> AbstractContextManager[None]:
        watch: AbstractContextManager[None] = nullcontext()
        if self.cache.dialect.careful and not self.in_charge():
            narrow = self.options.narrow
            watch = narrowed(self) if narrow else tracking.watched_view(self, loading)
        client = self._client()
        return watch if client is None else unconditional(client[1], watch, loading)

    def passed(self, uncached: Uncached, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        if uncached.reason != "authorization":
            return super().passed(uncached, args, kwargs)
        return tracking.passed(self, uncached, self._unstored(args, kwargs))

    def judged(self, loading: Loading) -> None:
        if self.cache.dialect.careful and not self.options.inputs.auto:
            tracking.judge(self, loading)

    def answered(self, value: Any) -> Any:
        # The headers of the answer say what was learned.
        return _response_of(self.cache._app(), value) if self.options.inputs.auto else value

    def kept(self, call: Any, value: Any) -> tuple[Any, Policy]:
        if not self.options.inputs.auto or call.loading.skipped is not None:
            return super().kept(call, value)
        inputs = learning.judge(self, call.loading)
        keep, policy = super().kept(call, value)
        return learning.told(keep, value, inputs), policy

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
                    return streams.read(self, function(*args, **kwargs))
        else:
            # With what was in the key of this call: others may learn until the refresh runs.
            known = learning.known_of_call(self) if self.inputs.auto else self.known
            rebuilt = rebuilt_request(app, request, self, known.keyed)

            def load() -> Any:
                learning.remember(self, known)
                with rebuilt():
                    return streams.read(self, function(*args, **kwargs))

        return load

    def plan(self) -> tuple[ViewKey, Any] | None:
        options = self.options
        custom = self.custom_key or options.response_hit_indication
        source = is_asked(self, options.source_check)
        if custom or source or not self.cache.dialect.careful or self.inputs.learned:
            return None
        app, pages = self.cache._app(), self.pages()
        return self.rule, responder(app) if pages is None else pages.responder(app)

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
