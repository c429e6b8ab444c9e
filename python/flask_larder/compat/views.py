"""`@cache.cached` of the compat dialect: Flask-Caching's keys and rules."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, url_for
from werkzeug.exceptions import HTTPException

from .. import _native, safety
from .._native import ClassicView, Key, Policy
from ..decorated import Uncached
from ..endpoints import endpoints_of
from ..learning import Known
from ..reads import Keyed
from ..source import Source, is_asked, read_source
from ..steps import Steps
from ..vary import Inputs
from ..views import View, ViewOptions
from ..watching import Watch, watched
from . import utils
from .backends.rediscache import RedisCache
from .gates import ClassicGate, OwnGate
from .quick import Quick
from .responses import CachedResponse

if TYPE_CHECKING:
    from .cache import Cache

# Notes of the request that is being handled, in its WSGI environment.
_ARGS_READ = "larder.compat.args_read"
_UNSAFE = "larder.compat.unsafe"
_SHARED_BY_ACCIDENT = ("session", "authorization", "set-cookie", "private", "cookie")


class CompatView(Quick, View):
    """One decorated view, keyed as Flask-Caching keys it."""

    cache: Cache

    def __init__(self, cache: Cache, function: Callable[..., Any], options: ViewOptions) -> None:
        # Whether None counts is decided behind the gate: Flask-Caching stores it in any case.
        self.keeps_none = options.cache_none
        options.cache_none = True
        self.wanted = options.response_filter
        if self.wanted is not None:
            options.response_filter = self._is_wanted
        super().__init__(cache, function, options)

    def _is_wanted(self, value: Any) -> Any:
        assert self.wanted is not None
        return self.wanted(value.get_response() if isinstance(value, HTTPException) else value)

    def gate(self, args: tuple[Any, ...]) -> Any:
        if self.cache._is_classic():
            return ClassicGate(self.cache, self)
        return OwnGate(self.cache._engine(), self)

    # The key.

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        make = self.options.make_cache_key
        assigned = self.assigned_key()
        if make is not None:
            return self.named(make(*args, **kwargs))
        if assigned is not None:
            return self.named(assigned(*args, use_request=True, **kwargs))
        text = self._text(lambda: current_path(self.name), None)
        request = _native.current_request()
        if request is None or self.options.inputs == Inputs():
            return self.named(text)
        if not self.cache._is_classic():
            return self.rule.key(request, text)
        return Key(text + self._inputs_digest(request))

    def _inputs_digest(self, request: Any) -> str:
        """What `vary` names, for a store that knows nothing of variants."""
        inputs = self.options.inputs
        found = (
            [(name, request.headers.get(name)) for name in inputs.headers],
            [(name, request.cookies.get(name)) for name in inputs.cookies],
            [(name, request.args.getlist(name)) for name in inputs.parameters],
            [compute() for compute in inputs.values],
        )
        return self._method()(repr(found).encode()).hexdigest()

    def base(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        return self._text(lambda: current_path(self.name), None)

    def _method(self) -> Callable[..., Any]:
        return self.options.hash_method or self.cache.hash_method

    def _prefixed(self, path: Callable[[], str]) -> str:
        prefix = self.options.key_prefix
        if callable(prefix):
            return prefix()
        return prefix % path() if "%s" in prefix else prefix

    def _text(self, path: Callable[[], str], query_args: Any) -> str:
        source = self._source()
        base = self._prefixed(path)
        if not self.options.query_string:
            return base if source is None else base + source.digest(self._method())
        if query_args is None:
            request = _native.current_request()
            if request is None:
                raise RuntimeError(
                    f"{self.name} is keyed by its query (pass query_args=, or use a request)"
                )
            query_args = request.args
        pairs = tuple(sorted(utils.query_args_as_pairs(query_args)))
        content = b"" if source is None else source.content
        return base + self._method()(str(pairs).encode() + content).hexdigest()

    def _source(self) -> Source | None:
        """The source of the view, if it is to be part of the key now."""
        asked = is_asked(self, self.options.source_check)
        return read_source(self.function) if asked else None

    def readable_key(
        self,
        *args: Any,
        path: str | None = None,
        query_args: Any = None,
        use_request: bool = False,
        **kwargs: Any,
    ) -> str:
        """The key of the answer to a request, as `cache.get` and `cache.delete` take it."""

        if use_request:
            # The call of a view: what is named like our own parameters are the view's arguments.
            path = query_args = None

        def find() -> str:
            if path is not None:
                return path
            if use_request or self.options.query_string:
                return current_path(self.name)
            return self._url(args, kwargs)

        return self._text(find, query_args)

    def _url(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        values = dict(zip(utils.get_arg_names(self.function), args, strict=False))
        values.update(kwargs)
        endpoints = endpoints_of(current_app, self.wrapper) if current_app else []
        endpoint = next(iter(endpoints), self.function.__name__)
        return url_for(endpoint, _external=False, **values)

    # Values.

    def incoming(self, value: Any) -> Any:
        self._tell_of_accidents()
        if self.cache._is_classic():
            if inspect.isasyncgen(value):
                raise Uncached("stream")
            return value
        whole = isinstance(value, Response) and type(value) not in _plain_responses()
        if whole or isinstance(value, HTTPException):
            # A class of the application's own may hold more than a page does.
            return _restorable(value)
        return super().incoming(value)

    def outgoing(self, value: Any) -> Any:
        # A stored HTTPException is raised where nothing takes it for a failure of the cache.
        return value if isinstance(value, HTTPException) else super().outgoing(value)

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Policy:
        policy = super().policy(args, kwargs)
        if self.by_query and not self.cache._is_classic():
            return policy.tagged([], [base_tag(self._base())])
        return policy

    def policy_for(self, policy: Policy, value: Any) -> Policy:
        own = value.timeout if isinstance(value, CachedResponse) else None
        if own == -1 and isinstance(self.cache.cache, RedisCache):
            # No end, as for the timeout of the decorator.
            return policy.lasting(None)
        return super().policy_for(policy, value)

    def _base(self) -> str:
        return self._prefixed(lambda: current_path(self.name))

    def store(self, call: Any, permit: Any, value: Any, seconds: float) -> Steps:
        """As its base; what is stored by query is noted where the store cannot list it."""
        if self.by_query:
            permit.args = (call.key.text,)
        return super().store(call, permit, value, seconds)

    def was_stored(self, args: tuple[Any, ...], timeout: Any) -> None:
        backend = self.cache.cache
        if args and isinstance(backend, RedisCache):
            backend.note_variant(self._base(), args[0], timeout)

    def known_with(self, inputs: Inputs) -> Known:
        known = super().known_with(inputs)
        # The host is in no key here, and the query only where that is asked for.
        prefix, query = self.options.key_prefix, bool(self.options.query_string)
        path = isinstance(prefix, str) and "%s" in prefix
        return replace(known, keyed=Keyed(inputs, path=path, query=query))

    def native_rule(self) -> ClassicView | None:
        options, prefix = self.options, self.options.key_prefix
        if options.make_cache_key is not None:
            return ClassicView(options.make_cache_key, whole=True)
        if isinstance(prefix, str) and "%s" in prefix and prefix.count("%") > 1:
            # Python's formatting has the last word on what the signs mean.
            return None
        inputs = None if options.inputs == Inputs() else self.rule
        source = self._source()
        if options.query_string:
            content = b"" if source is None else source.content
            return ClassicView(prefix, method=self._method(), source=content, inputs=inputs)
        suffix = "" if source is None else source.digest(self._method())
        return ClassicView(prefix, suffix=suffix, inputs=inputs)

    def asks_on_hits(self) -> bool:
        return self.options.response_hit_indication or super().asks_on_hits()

    @property
    def by_query(self) -> bool:
        """Whether there may be many keys under one base key that people know."""
        custom = self.custom_key or self.assigned_key() is not None
        return bool(self.options.query_string) and not custom

    def is_base(self, key: Any) -> bool:
        """Whether `key` may be the base key of answers that differ by their query."""
        prefix = self.options.key_prefix
        if not self.by_query or not isinstance(prefix, str) or not isinstance(key, str):
            return False
        before, path, after = prefix.partition("%s")
        return key == prefix if not path else key.startswith(before) and key.endswith(after)

    def classic_timeout(self, value: Any) -> Any:
        """The timeout as the cache's `set` takes it."""
        own = value.timeout if isinstance(value, CachedResponse) else None
        return own or utils.classic_timeout(self.wrapper.cache_timeout)

    # Accidents.

    def loading(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The view as it is called for its answer: a raised HTTPException is one too."""

        def load(*args: Any, **kwargs: Any) -> Any:
            request = _native.current_request()
            inputs = self.inputs
            if request is None or self.in_charge():
                return _caught(function, args, kwargs)
            environ = request.environ
            environ[_ARGS_READ] = "args" in vars(request)
            before = safety.of_request(request, inputs, custom=False)
            watch = Watch(self.keyed, self.cache._user_names)
            with safety.watched_session(), watched(request, watch):
                value = _caught(function, args, kwargs)
            made = safety.of_request_made(inputs, custom=False)
            after = made or safety.of_answer(value, inputs)
            reasons = [reason for reason in (before, after) if reason is not None]
            environ[_UNSAFE] = reasons + [f"unkeyed-input: {read}" for read in watch.found]
            return value

        return load

    def _tell_of_accidents(self) -> None:
        request = _native.current_request()
        if request is None:
            return
        environ = request.environ
        for reason in environ.pop(_UNSAFE, ()):
            self.cache._count_unsafe(reason)
            if reason in _SHARED_BY_ACCIDENT:
                self.cache._note_unsafe(self, reason)
        read_before = environ.pop(_ARGS_READ, True)
        varies = self.options.query_string or self.inputs.parameters
        if not varies and not read_before and "args" in vars(request):
            self.cache._note_query(self)


def _caught(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except HTTPException as error:
        return error


def _restorable(value: Any) -> Any:
    """The value, if it can be kept as a pickle and be had back: not every exception can."""
    try:
        pickle.loads(pickle.dumps(value))
    except Exception as error:
        kind = type(value).__qualname__
        raise Uncached(f"uncodable: {kind} cannot be pickled and restored ({error})") from None
    return value


def _plain_responses() -> tuple[type, ...]:
    app = _native.current_app()
    own = () if app is None else (app.response_class,)
    return (Response, CachedResponse, *own)


def base_tag(base: str) -> str:
    """The tag of all answers under a base key."""
    return f"flask_larder.compat/{base}"


def current_path(name: str) -> str:
    """The path of the request that is being handled."""
    request = _native.current_request()
    if request is None:
        raise RuntimeError(
            f"Working outside of request context: {name} is cached by its path "
            "(give it a key_prefix without %s)"
        )
    return request.path
