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
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from werkzeug.exceptions import HTTPException

from .. import backends as own
from .._native import Answer, CachedFunction, Engine, Key, Page
from ..cache import Cache as SafeCache
from ..decorated import Decorated
from ..dialect import COMPAT
from ..functions import FunctionOptions
from ..responses import respond
from ..statistics import report
from ..steps import run
from . import older, utils
from .backends.rediscache import RedisCache
from .backends.redislink import delete_by_client
from .backends.simplecache import METHODS, SimpleCache
from .building import backend_of, serializer_of
from .functions import CompatFunction
from .jinja2ext import CompatFragment
from .quick import Answered
from .views import CompatView, base_tag

if TYPE_CHECKING:
    from flask import Flask

P = ParamSpec("P")
R = TypeVar("R")

_NOTICED = METHODS | {"hash_method", "source_check", "enable_signals"}


class Cache(SafeCache):
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
                stacklevel=4,
            )
        if kind in ("FileSystemCache", "filesystem") and config["CACHE_DIR"] is None:
            warnings.warn(
                "CACHE_TYPE is FileSystemCache and CACHE_DIR is not set (name a folder)",
                stacklevel=4,
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
        if isinstance(backend, SimpleCache):
            backend.watch(self._disarm)
        if self.serializer is not None:
            if hasattr(backend, "serializer"):
                backend.serializer = self.serializer
            else:
                name = type(backend).__name__
                warnings.warn(f"CACHE_SERIALIZER is set and {name} has no serializer", stacklevel=5)
        return backend

    def _is_classic(self) -> bool:
        """Whether calls are answered by way of this cache's methods, as Flask-Caching answers them."""
        backend = self.cache
        if not isinstance(backend, own.Backend) or getattr(backend, "coded", False):
            return True
        replaced = vars(self).keys() & METHODS or vars(backend).keys() & METHODS
        return bool(replaced) or _overrides(type(self)) or _overrides_store(type(backend))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # What is answered at once must take notice of whatever people change here.
        if name in _NOTICED and "_decorated" in vars(self):
            self._disarm()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in _NOTICED:
            self._disarm()

    # Direct use.

    def get(self, key: Any) -> Any:
        """The value of `key`, or None."""
        found = self.cache.get(key)
        return respond(found) if isinstance(found, Page) else found

    def delete(self, key: Any) -> bool:
        """Removes a key. On Larder's own stores, the base key of a view by query removes them all."""
        backend = self.cache
        gone = backend.delete(key)
        decorated = list(self._decorated)
        if not any(isinstance(view, CompatView) and view.is_base(key) for view in decorated):
            return gone
        if not isinstance(backend, own.Backend) or getattr(backend, "coded", False):
            through_client = isinstance(backend, RedisCache)
            return (through_client and backend.delete_variants(key)) or gone
        known = backend.engine.keys()
        there = known is None or any(_is_by_query(other, key) for other in known)
        backend.engine.bump([base_tag(key)], [])
        return gone or there

    def unlink(self, *keys: Any) -> Any:
        """As `delete_many`, on a store that has a cheaper way in its own words."""
        if getattr(type(self.cache), "unlink", None) is own.Backend.unlink:
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

        def answer(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answered:
            return Answered(decorated.answer(args, kwargs, load))

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

    # Keys and versions of memoized functions.

    def _memoize_make_cache_key(
        self,
        make_name: Callable[..., str] | None = None,
        timeout: Any = None,
        forced_update: Any = None,
        hash_method: Callable[..., Any] | None = None,
        source_check: bool | None = None,
        args_to_ignore: list[str] | None = None,
    ) -> Callable[..., str]:
        """What makes the key of a memoized call; `timeout` and `forced_update` are of older versions
        and have no effect."""
        del timeout, forced_update
        ignored = args_to_ignore or ()
        known = utils.Digests()

        def digest_of(f: Callable[..., Any], args: Any, kwargs: Any, method: Any) -> str:
            name, _ = utils.function_namespace(f, args)
            bound, rest = utils.bound_arguments(f, args, kwargs, ignored)
            asked = self.source_check if source_check is None else source_check
            if callable(make_name):
                name = make_name(name)
            source = utils.source_bytes(f, asked)
            return utils.memoize_digest(method, name, str(bound) + str(rest), source)

        def make_cache_key(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
            method = hash_method or self.hash_method
            # Neither a name nor a source that is asked for each time can be known in advance.
            fixed = make_name is None and not source_check and not self.source_check
            spot = utils.spot_of(f, method, args, kwargs) if fixed else None
            found = None if spot is None else known.get(spot)
            if found is None:
                digest = digest_of(f, args, kwargs, method)
                found = digest, self._version_keys(f, args, ignored)
                if spot is not None:
                    known.put(spot, found)
            return found[0] + "".join(self._versions(found[1]))

        return make_cache_key

    def _key_maker(self, options: FunctionOptions) -> Callable[..., str]:
        given = {
            "make_name": options.make_name,
            "hash_method": options.hash_method,
            "source_check": options.source_check,
            "args_to_ignore": options.args_to_ignore,
        }
        # A subclass may have been written for a version with other parameters.
        make = self._memoize_make_cache_key
        known = inspect.signature(make).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            given = {name: value for name, value in given.items() if name in known}
        return make(**given)

    def _memoize_kwargs_to_args(
        self, f: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call as the key has them."""
        ignored = kwargs.pop("args_to_ignore", None) or ()
        return utils.bound_arguments(f, args, kwargs, ignored)

    def _memvname(self, funcname: str) -> str:
        """Where the version of a function is stored."""
        return utils.version_key(funcname)

    def _version_keys(
        self, f: Callable[..., Any], args: tuple[Any, ...], ignored: Any = ()
    ) -> list[str]:
        name, of_instance = utils.function_namespace(f, args)
        keys = [self._memvname(name)]
        if of_instance is not None and "self" not in (ignored or ()):
            keys.append(self._memvname(of_instance))
        return keys

    def _versions(self, keys: list[str]) -> list[str]:
        """The versions under `keys`; those that are not there are made up and stored."""
        found = self.get_many(*keys)
        if None not in found:
            return found
        made = {
            key: utils.fresh_version()
            for key, version in zip(keys, found, strict=True)
            if version is None
        }
        if self._is_classic():
            if made:
                self.set_many(made, timeout=utils.VERSION_TIMEOUT)
        else:
            made = {key: self._settled(key, version) for key, version in made.items()}
        return [
            made[key] if version is None else version
            for key, version in zip(keys, found, strict=True)
        ]

    def _settled(self, key: str, version: str) -> str:
        """The version that holds where several callers make one up at the same time.

        With one for each of them, each would load for itself.
        """
        if self.add(key, version, timeout=utils.VERSION_TIMEOUT):
            return version
        there: str | None = self.get(key)
        return there or version

    # Invalidation.

    def delete_memoized(self, f: Any, *args: Any, **kwargs: Any) -> None:
        """Removes what a memoized function answered: for these arguments, or altogether.

        Of a bound method without arguments, what it answered for that instance.
        """
        if not callable(f):
            kind = type(f).__name__
            raise TypeError(f"delete_memoized takes a memoized function, not {kind}")
        if not args and not kwargs:
            if self._is_classic():
                # Nothing comes of it; those who follow the calls of a store find it in its place.
                self.get_many(*self._version_keys(f, ()))
            key = self._forgettable(f)
            self.set_many({key: utils.fresh_version()}, timeout=utils.VERSION_TIMEOUT)
            return
        target: Any = f
        plain = target.uncached
        args = _with_receiver(target, plain, args)
        self.delete(target.make_cache_key(plain, *args, **kwargs))

    def delete_memoized_verhash(self, f: Any, *_ignored: Any) -> None:
        """Removes the version of a memoized function, and with it everything that it answered."""
        if not callable(f):
            kind = type(f).__name__
            raise TypeError(f"delete_memoized_verhash takes a memoized function, not {kind}")
        self.delete_many(self._forgettable(f))

    def _forgettable(self, f: Callable[..., Any]) -> str:
        """The version that must change for everything that `f` means to be forgotten."""
        name, of_instance = utils.function_namespace(f)
        return self._memvname(name if of_instance is None else of_instance)

    # What the decorated functions ask of their cache.

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
        functions = {each.name: each.stats.as_dict() for each in list(self._decorated)}
        size = {"store": type(backend).__name__}
        return report(functions, size, dict(self._outcomes.events), os.getpid())


@functools.cache
def _overrides(kind: type) -> bool:
    return any(getattr(kind, name) is not getattr(Cache, name) for name in METHODS)


@functools.cache
def _overrides_store(kind: type[own.Backend]) -> bool:
    """Whether somebody derived from one of Larder's stores and changed what it does."""
    ours = next(base for base in kind.__mro__ if base.__module__.startswith("flask_larder."))
    return any(getattr(kind, name) is not getattr(ours, name) for name in METHODS)


# The key of an answer by query is its base key and a digest: as many digits as the hash method has.
_DIGEST = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96,128})")


def _is_by_query(key: str, base: str) -> bool:
    return key.startswith(base) and _DIGEST.fullmatch(key, len(base)) is not None


def _with_receiver(f: Any, plain: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call of `plain`, with the instance or the class that `f` is bound to."""
    first = next(iter(utils.parameters(plain)), None)
    receiver = getattr(f, "__self__", None)
    name = f.__qualname__
    if inspect.isclass(receiver):
        if not args or args[0] is not receiver:
            raise ValueError(f"{name} is a class method: pass {receiver.__name__} first")
        return args
    if first is None or first.name != "self":
        return args
    if receiver is not None:
        return args if args and args[0] is receiver else (receiver, *args)
    if not args:
        raise ValueError(f"{name} is a method: pass the instance first")
    return args
