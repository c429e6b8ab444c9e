"""The cache object of the compat dialect."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
import inspect
import math
import os
import re
import warnings
import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from werkzeug.exceptions import HTTPException

from .. import backends as own
from .._native import Answer, CachedFunction, Engine, Key, Page
from ..cache import Cache as SafeCache
from ..decorated import Decorated
from ..dialect import COMPAT
from ..responses import respond
from ..statistics import report
from ..steps import run
from . import older, utils
from .backends.rediscache import RedisCache
from .backends.redislink import delete_by_client
from .backends.twofold import Twofold
from .backends.versions import Versions
from .backends.watched import METHODS, Watched
from .building import backend_of, level_of_caller, serializer_of
from .functions import CompatFunction
from .jinja2ext import CompatFragment
from .memoizing import KEY_HOOKS, Memoizing
from .quick import Answered
from .views import CompatView, base_tag

if TYPE_CHECKING:
    from flask import Flask

P = ParamSpec("P")
R = TypeVar("R")


class Cache(Memoizing):
    """A cache for Flask applications, as Flask-Caching 2.5.1 has it.

    >>> from flask import Flask
    >>> app = Flask("shop")
    >>> cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    >>> @cache.memoize(60)
    ... def double(number):
    ...     return 2 * number
    >>> double(21)
    42
    """

    dialect = COMPAT
    view_class = CompatView
    function_class = CompatFunction
    fragment_class = CompatFragment
    serializer: Any = None
    app: Any
    _noticed = Memoizing._noticed | METHODS | KEY_HOOKS
    # Counts what might change how calls are answered, for those who are about to rely on it.
    _changes = 0

    cached = older.in_either_order(older.CACHED)(SafeCache.cached)
    memoize = older.in_either_order(older.MEMOIZE)(SafeCache.memoize)

    # Configuration.

    def _configure_hashing(self, config: dict[str, Any]) -> None:
        super()._configure_hashing(config)
        self.serializer = serializer_of(config["CACHE_SERIALIZER"])

    def _warn(self, config: dict[str, Any]) -> None:
        kind = config["CACHE_TYPE"]
        if kind in ("NullCache", "null") and not config["CACHE_NO_NULL_WARNING"]:
            warnings.warn(
                "CACHE_TYPE is NullCache: caching is effectively disabled "
                "(choose a store, or set CACHE_NO_NULL_WARNING)",
                stacklevel=level_of_caller(),
            )
        if kind in ("FileSystemCache", "filesystem") and config["CACHE_DIR"] is None:
            warnings.warn(
                "CACHE_TYPE is FileSystemCache and CACHE_DIR is not set (name a folder)",
                stacklevel=level_of_caller(),
            )

    def _build(self, app: Flask, config: dict[str, Any]) -> Any:
        # Whole seconds, as third-party back ends expect them, and never less than was asked for.
        config["CACHE_DEFAULT_TIMEOUT"] = math.ceil(config["CACHE_DEFAULT_TIMEOUT"])
        # The store outlives nothing that it tells of its events: it must not keep the cache.
        events = weakref.WeakMethod(self._on_event)

        def on_event(name: str, key: str | None, detail: str) -> None:
            tell = events()
            if tell is not None:
                tell(name, key, detail)

        backend = backend_of(app, config, on_event)
        if isinstance(backend, Watched):
            backend.watch(self._disarm)
        if self.serializer is not None:
            if hasattr(backend, "serializer"):
                backend.serializer = self.serializer
            else:
                name = type(backend).__name__
                warnings.warn(
                    f"CACHE_SERIALIZER is set and {name} has no serializer",
                    stacklevel=level_of_caller(),
                )
        return backend

    def _is_classic(self) -> bool:
        """Whether calls are answered by way of this cache's methods, as Flask-Caching answers them."""
        backend = self.cache
        if not isinstance(backend, own.Backend) or getattr(backend, "coded", False):
            return True
        replaced = vars(self).keys() & METHODS or vars(backend).keys() & METHODS
        return bool(replaced) or _overrides(type(self)) or _overrides_store(type(backend))

    def _disarm(self) -> None:
        self._changes += 1
        super()._disarm()

    # Direct use.

    def get(self, key: Any) -> Any:
        """The value of `key`, or None."""
        found = self.cache.get(key)
        return respond(found) if isinstance(found, Page) else found

    def delete(self, key: Any) -> bool:
        """Removes a key. On Larder's own stores, the base key of a view by query removes them all."""
        backend = self.cache
        gone = backend.delete(key)
        decorated = self._decorated
        if not any(isinstance(view, CompatView) and view.is_base(key) for view in decorated):
            return gone
        if not isinstance(backend, own.Backend) or getattr(backend, "coded", False):
            through_client = isinstance(backend, RedisCache)
            return (through_client and backend.delete_variants(key)) or gone
        known = backend.engine.keys()
        if known is None:
            # What answers a query itself is no base key, though a path may end as it does.
            there = _ENDS_BY_QUERY.search(key) is None
        else:
            there = any(_is_by_query(other, key) for other in known)
        backend.engine.bump([], [base_tag(key)])
        return gone or there

    def unlink(self, *keys: Any) -> Any:
        """As `delete_many`, on a store that has a cheaper way in its own words."""
        if getattr(self.cache.__class__, "unlink", None) is own.Backend.unlink:
            return self.delete_many(*keys)
        return super().unlink(*keys)

    def _tagging_engine(self) -> Engine:
        """The engine of the moment; a RuntimeError where the store knows no tags."""
        if self._is_classic():
            name = type(self.cache).__name__
            raise RuntimeError(f"{name} knows no tags (use SimpleCache of flask_larder.compat)")
        return super()._tagging_engine()

    def delete_prefix(self, prefix: str) -> list[Any]:
        """Removes every key that begins so, where the store can find them. Answers them."""
        backend = self.cache
        if isinstance(backend, own.Backend):
            return backend.delete_prefix(prefix)
        if not hasattr(getattr(backend, "_write_client", None), "scan_iter"):
            raise RuntimeError(f"{type(backend).__name__} cannot list its keys")
        return delete_by_client(backend, prefix)

    # Decorators.

    def _wrapped(self, decorated: Decorated, make_cache_key: Any) -> Any:
        function = decorated.function
        plain = self._plain(function)
        load = decorated.loading(plain) if isinstance(decorated, CompatView) else plain
        raises = isinstance(decorated, CompatView)

        assert isinstance(decorated, CompatView | CompatFunction)
        keeps_none = decorated.keeps_none

        def answer(args: tuple[Any, ...], kwargs: dict[str, Any], made: Any = None) -> Answered:
            return Answered(decorated.answer(args, kwargs, load, made))

        native: Any = CachedFunction(answer)
        decorated._native = native

        # A plain function, as people expect of what they decorated: it is a method in a class, and
        # its attributes are copied by other decorators.
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if made.make_cache_key is make_cache_key:
                value = native(*args, **kwargs)
                if type(value) is Answered:
                    value = value.value
                elif value is None and not keeps_none:
                    value = run(decorated.steps(args, kwargs), load)
            else:
                value = run(decorated.steps(args, kwargs), load)
            if raises and isinstance(value, HTTPException):
                raise value
            return value

        made: Any = wrapper
        decorated.wrapper = made
        made._larder_decorated = decorated
        made.uncached = function
        made.cache_timeout = decorated.options.timeout
        decorated.offer_key(make_cache_key)
        return made

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(function):
            return function
        return lambda *args, **kwargs: self.app.ensure_sync(function)(*args, **kwargs)

    # Fragments.

    def _render_fragment(
        self, timeout: object, name: str, vary: list[Any], caller: Callable[[], str]
    ) -> Any:
        if timeout == "del":
            self.delete(utils.make_template_fragment_key(name, [str(value) for value in vary]))
            return caller()
        return super()._render_fragment(timeout, name, vary, caller)

    # What the decorated functions ask of their cache.

    def _shared_versions(self) -> Versions | None:
        """The versions of a store outside the process, where no other program has to see each call."""
        backend = self.cache
        far = isinstance(backend, Twofold) and not self._is_classic()
        return backend.versions if far else None

    def _swallows(self, error: Exception) -> bool:
        if self.app.debug:
            return False
        self._log.exception("Exception possibly due to cache backend.")
        return True

    def _may_arm(self, app: Any) -> bool:
        return not app.debug and super()._may_arm(app)

    def _note_hit(self, decorated: Decorated, key: Key, answer: Answer) -> None:
        super()._note_hit(decorated, key, answer)
        if decorated.sort == CompatView.sort and self.app.debug:
            self._log.info("Cache used for key: %s", key.text)

    def _joined(self, value: Any) -> Any:
        return utils.join_generator(value) if inspect.isgenerator(value) else value

    def _note_query(self, view: CompatView) -> None:
        """Says once that a view depends on what is not in its key."""
        self._say_once(
            f"{view.name} reads request.args and is cached by its path alone: all queries get one "
            "answer (use query_string=True)"
        )

    def _count_unsafe(self, reason: str) -> None:
        """Counts an answer that is stored, and that the other dialect would not have stored."""
        events, name = self._outcomes.events, f"unsafe_store: {reason}"
        if name not in events and len(events) >= _MOST_EVENTS:
            name = "unsafe_store: other"
        events[name] = events.get(name, 0) + 1

    def _note_unsafe(self, view: CompatView, reason: str) -> None:
        """Counts an answer that Flask-Caching stores and others may get; says once which view."""
        view.stats.count_pass(f"unsafe_store: {reason}")
        self._say_once(
            f"unsafe_store: {view.name} is stored for everyone and depends on: {reason} (give it a "
            "key that tells users apart, or import flask_larder, which does not store it)"
        )

    def _say_once(self, warning: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            self._log.warning("%s", warning)

    def stats(self) -> dict[str, Any]:
        """What caching did in this process; of a store that is not Larder's, its name alone."""
        backend = self.cache
        if getattr(backend, "engine", None) is not None:
            return super().stats()
        functions = {each.name: each.stats.as_dict() for each in self._decorated}
        size = {"store": type(backend).__name__}
        return report(functions, size, dict(self._outcomes.events), os.getpid())


# Names of events that are counted, each for itself; inputs may be named by a client.
_MOST_EVENTS = 200

# What our classes had when this module was loaded: whoever replaces a method of a class, as tests do,
# has it called from the next call on that is not answered natively.
_methods = attrgetter(*sorted(METHODS))
_CACHE_METHODS = _methods(Cache)
_STORE_METHODS: dict[type, Any] = {}


def _note_methods(kind: type) -> None:
    _STORE_METHODS[kind] = _methods(kind)
    for derived in kind.__subclasses__():
        _note_methods(derived)


_note_methods(own.Backend)


def _overrides(kind: type) -> bool:
    return bool(_methods(kind) != _CACHE_METHODS)


def _overrides_store(kind: type[own.Backend]) -> bool:
    """Whether somebody derived from one of Larder's stores and changed what it does."""
    ours = next(base for base in kind.__mro__ if base.__module__.startswith("flask_larder."))
    if ours not in _STORE_METHODS:
        _STORE_METHODS[ours] = _methods(ours)
    return bool(_methods(kind) != _STORE_METHODS[ours])


# The key of an answer by query is its base key and a digest: as many digits as the hash method has.
_DIGEST = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96,128})")
_ENDS_BY_QUERY = re.compile(r"[0-9a-f]{32}$")


def _is_by_query(key: str, base: str) -> bool:
    return key.startswith(base) and _DIGEST.fullmatch(key, len(base)) is not None
