"""Keys and versions of memoized functions, as Flask-Caching makes and forgets them.

A version is stored for each function, and one for each instance of a method; they are part of every
key, and to forget is to write another one. Subclasses may have a say in each step.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .._native import ClassicCall
from ..cache import Cache as SafeCache
from ..callbacks import callback
from ..functions import FunctionOptions
from ..source import read_source
from . import utils

KEY_HOOKS = frozenset(
    ("_memoize_make_cache_key", "_memoize_version", "_memoize_kwargs_to_args", "_memvname")
)
"""The methods that have a say in the keys of memoized calls."""

# How long a version lives that nothing was stored under, be it that a function was only forgotten or
# that a filter let nothing in: Flask-Caching keeps those for ever. What people put under a key that
# they were given has a month for it.
UNUSED_SECONDS = 30 * 24 * 3600

# Rules that one key maker keeps: it is mostly asked for the keys of one function.
_MOST_RULES = 16


class KeyMaker:
    """Makes the keys of memoized calls; is called with the function and the arguments of a call."""

    def __init__(self, cache: Memoizing, options: dict[str, Any]) -> None:
        self.cache = cache
        self._make_name: Callable[..., str] | None = options["make_name"]
        self._hash_method: Callable[..., Any] | None = options["hash_method"]
        self._source_check: bool | None = options["source_check"]
        self._ignored: list[str] = list(options["args_to_ignore"] or ())
        self._rules: dict[Any, ClassicCall] = {}

    def __call__(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
        cache = self.cache
        if cache._replaces("_memoize_version") or cache._replaces("_memoize_kwargs_to_args"):
            return self._by_hooks(f, args, kwargs)
        digest, keys = self.parts(f, args, kwargs)
        return digest + "".join(cache._versions(keys))

    def parts(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, list[str]]:
        """What stands for the arguments of a call, and where its versions are stored."""
        rule = self.rule(f)
        digest, of_instance = rule.digest(args, kwargs)
        names = (rule.namespace,) if of_instance is None else (rule.namespace, of_instance)
        return digest, [self.cache._memvname(name) for name in names]

    def rule(self, f: Callable[..., Any]) -> ClassicCall:
        """How the calls of `f` become keys, with the hash method and the source that hold now."""
        method = self._hash_method or self.cache.hash_method
        source = self._source(f)
        # Other callables may hold on to whatever they belong to, or have no hash.
        spot = (f, method, source) if inspect.isfunction(f) else None
        rule = None if spot is None else self._rules.get(spot)
        if rule is None:
            rule = self._new_rule(f, method, source)
            if len(self._rules) >= _MOST_RULES:
                self._rules.clear()
            if spot is not None:
                self._rules[spot] = rule
        return rule

    def _new_rule(
        self, f: Callable[..., Any], method: Callable[..., Any], source: bytes
    ) -> ClassicCall:
        receiver = getattr(f, "__self__", None)
        return ClassicCall(
            f"{f.__module__}.{f.__qualname__}",
            [
                (p.name, int(p.kind), p.default is not p.empty, p.default)
                for p in utils.parameters(f)
            ],
            method=method,
            ignored=self._ignored,
            bound=None if inspect.isclass(receiver) else receiver,
            make_name=self._make_name if callable(self._make_name) else None,
            source=source,
        )

    def _source(self, f: Callable[..., Any]) -> bytes:
        asked = self.cache.source_check if self._source_check is None else self._source_check
        return read_source(f).content if asked else b""

    def _by_hooks(self, f: Callable[..., Any], args: Any, kwargs: Any) -> str:
        """The key by way of the methods that a subclass may have replaced."""
        ignored = self._ignored or None
        given = {"args": args, "kwargs": kwargs, "args_to_ignore": ignored}
        make_version = self.cache._memoize_version
        name, version = make_version(f, **_known_to(make_version, given))
        more = {} if ignored is None else {"args_to_ignore": ignored}
        bound, rest = self.cache._memoize_kwargs_to_args(f, *args, **kwargs, **more)
        shown = self._make_name(name) if callable(self._make_name) else name
        method = self._hash_method or self.cache.hash_method
        digest = utils.memoize_digest(method, f"{shown}", f"{bound}{rest}", self._source(f))
        return digest + (version or "")


class Memoizing(SafeCache):
    """The part of `Cache` that makes the keys of memoized calls, and forgets them."""

    def _is_classic(self) -> bool:
        """Whether calls are answered by way of this cache's methods, as Flask-Caching answers them."""
        raise NotImplementedError

    def _shared_versions(self) -> Any:
        """The versions of a store outside the process, where no other program has to see each call;
        None for any other store."""
        return None

    def _replaces(self, name: str) -> bool:
        """Whether a subclass, or somebody on this very object, has a method of this name."""
        return name in vars(self) or getattr(type(self), name) is not getattr(Memoizing, name)

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
        options = {
            "make_name": make_name,
            "hash_method": hash_method,
            "source_check": source_check,
            "args_to_ignore": args_to_ignore,
        }
        return KeyMaker(self, options)

    def _key_maker(self, options: FunctionOptions) -> Callable[..., str]:
        given = {
            "make_name": options.make_name,
            "hash_method": options.hash_method,
            "source_check": options.source_check,
            "args_to_ignore": options.args_to_ignore,
        }
        # A subclass may have been written for a version with other parameters.
        make = self._memoize_make_cache_key
        return make(**_known_to(make, given))

    def _memoize_kwargs_to_args(
        self, f: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call as the key has them."""
        ignored = kwargs.pop("args_to_ignore", None) or ()
        return utils.bound_arguments(f, args, kwargs, ignored)

    # Versions.

    def _memvname(self, funcname: str) -> str:
        """Where the version of a function is stored."""
        return utils.version_key(funcname)

    def _memoize_make_version_hash(self) -> str:
        """A version that no other function ever had."""
        return utils.fresh_version()

    def _memoize_version(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        **how: Any,
    ) -> tuple[str, str | None]:
        """The namespace of a function, and its versions in one text.

        `reset=True` writes another version, for `timeout`; `delete=True` removes it. Both are about
        the instance, if the function is a method of one. `args_to_ignore` is that of the decorator.
        """
        del kwargs
        name, _ = utils.function_namespace(f, args)
        keys = self._version_keys(f, args or (), how.get("args_to_ignore"))
        shared = self._shared_versions()
        if how.get("delete"):
            self.delete_many(keys[-1])
            if shared is not None and shared.tagged:
                shared.space.engine.bump([], keys[-1:])
            return name, None
        if not how.get("reset"):
            return name, "".join(self._versions(keys))
        if self._is_classic():
            # Nothing comes of it; those who follow the calls of a store find it in its place.
            self.get_many(*keys)
        if shared is not None:
            made = shared.renew(keys[-1])
            if shared.tagged:
                shared.space.engine.bump([], keys[-1:])
            return name, made
        made = self._memoize_make_version_hash()
        self.set_many({keys[-1]: made}, timeout=how.get("timeout", UNUSED_SECONDS))
        return name, made

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
        shared = self._shared_versions()
        if shared is not None:
            versions: list[str] = shared.current(keys)
            return versions
        found = self.get_many(*keys)
        if None not in found:
            return found
        made = {
            key: self._memoize_make_version_hash()
            for key, version in zip(keys, found, strict=True)
            if version is None
        }
        if self._is_classic():
            self.set_many(made, timeout=UNUSED_SECONDS)
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
        # Flask-Caching does not call `add` here: a subclass that overrides it is not to hear of it.
        backend = self.cache
        if backend.add(key, version, timeout=UNUSED_SECONDS):
            return version
        there: str | None = backend.get(key)
        return there or version

    def _prolong_versions(
        self, f: Callable[..., Any], args: tuple[Any, ...], ignored: list[str], timeout: Any
    ) -> None:
        """Writes the versions of a call again, so that they live as long as what was stored."""
        if self._replaces("_memoize_version"):
            make: Any = self._memoize_version
            given = {"args": args, "refresh": True, "timeout": timeout, "args_to_ignore": ignored}
            known = _known_to(make, given)
            # Before 2.5 nothing was written again, and a call without `refresh` would do nothing.
            if "refresh" in known:
                make(f, **known)
            return
        keys = self._version_keys(f, args, ignored)
        if not self._is_classic():
            # To read a version and to write it again would undo a `delete_memoized` in between.
            self.cache.prolong(keys, timeout)
            return
        found = zip(keys, self.get_many(*keys), strict=True)
        versions = {key: version or self._memoize_make_version_hash() for key, version in found}
        self.set_many(versions, timeout=timeout)

    # Invalidation.

    def delete_memoized(self, f: Any, *args: Any, **kwargs: Any) -> None:
        """Removes what a memoized function answered: for these arguments, or altogether.

        Of a bound method without arguments, what it answered for that instance.
        """
        if not callable(f):
            kind = type(f).__name__
            raise TypeError(f"delete_memoized takes a memoized function, not {kind}")
        if not args and not kwargs:
            self._memoize_version(f, reset=True)
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
        self._memoize_version(f, delete=True)

    # What code that was written beside `memoize` calls.

    def _bypass_cache(
        self, unless: Callable[..., Any] | None, f: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> bool:
        """Whether `unless` says that the cache is to be left alone for this call of `f`."""
        asked = callback(unless) if callable(unless) else None
        return asked is not None and asked(f, *args, **kwargs) is True

    def _call_fn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a function answers; of a coroutine function the value."""
        return self._plain(fn)(*args, **kwargs)


def _known_to(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function has parameters for."""
    known = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return given
    return {name: value for name, value in given.items() if name in known}


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
