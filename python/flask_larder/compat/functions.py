"""`@cache.memoize` of the compat dialect: Flask-Caching's keys and versions."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import durations
from .._native import ClassicCall, Key, Policy
from ..decorated import Decorated
from ..functions import Function, FunctionOptions
from ..steps import Steps
from . import far, utils
from .backends.versions import Unreachable
from .gates import ClassicGate, OwnGate
from .memoizing import KEY_HOOKS, KeyMaker
from .quick import Quick

if TYPE_CHECKING:
    from .cache import Cache


class CompatFunction(Quick, Function):
    """One memoized function.

    A version is stored for each function, and one for each instance of a method; they are part of
    every key. To forget is to write another version.
    """

    cache: Cache
    # What a hit on a server saves, as far as this process knows.
    _load_seconds = 0.0

    def __init__(
        self, cache: Cache, function: Callable[..., Any], options: FunctionOptions
    ) -> None:
        self.keeps_none = options.cache_none
        options.cache_none = True
        super().__init__(cache, function, options)
        self._make_key = cache._key_maker(options)

    def gate(self, args: tuple[Any, ...]) -> Any:
        if self.cache._is_classic():
            return ClassicGate(self.cache, self)
        return OwnGate(self.cache._engine(), self)

    def answer(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        load: Callable[..., Any],
        made: Any = None,
    ) -> Any:
        try:
            shared = self.cache._shared_versions()
        except Exception:
            # There is no store for this application: the steps know whether that is raised.
            shared = None
        if shared is None or not far.is_plain(self):
            return super().answer(args, kwargs, load, made)
        return far.answer(self, shared, (args, kwargs), load)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        make = self.assigned_key() or self._make_key
        try:
            text = make(self.function, *args, **kwargs)
        except Unreachable as error:
            raise far.away(self, error) from None
        values = [repr(compute()) for compute in self.options.values]
        if values:
            text += utils.memoize_digest(self.cache.hash_method, "", repr(values), b"")
        return self.named(text)

    def readable_key(self, function: Any = None, /, *args: Any, **kwargs: Any) -> str:
        """The key of a call; the first argument is the function, as in Flask-Caching."""
        return self._make_key(self.function if function is None else function, *args, **kwargs)

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Policy:
        # The versions do what the tags of functions do in the other dialect. In a store that knows
        # what carries a tag, the tags give back the room.
        policy = Decorated.policy(self, args, kwargs)
        shared = self.cache._shared_versions()
        if shared is None or not shared.tagged:
            return policy
        return policy.tagged([], self._version_keys(args))

    def _version_keys(self, args: tuple[Any, ...]) -> list[str]:
        return self.cache._version_keys(self.function, args, self.options.args_to_ignore)

    def classic_timeout(self, value: Any) -> Any:
        """The timeout as the cache's `set` takes it."""
        del value
        return utils.classic_timeout(self.wrapper.cache_timeout)

    def store(self, call: Any, permit: Any, value: Any, seconds: float) -> Steps:
        """As its base, and the versions of the call live as long as what was stored."""
        permit.args = call.args
        self._load_seconds = seconds
        return super().store(call, permit, value, seconds)

    def was_stored(self, args: tuple[Any, ...], timeout: Any) -> None:
        """Writes the versions again, so that they do not end before what was stored under them."""
        keys, shared = self._version_keys(args), self.cache._shared_versions()
        if shared is not None:
            # What was loaded is served, whatever becomes of its version.
            try:
                shared.outlive(keys, self._kept_for())
            except OSError as error:
                far.away(self, error)
            return
        windows = self.options.windows
        if windows.stale or windows.stale_on_error or windows.revalidate:
            timeout = math.ceil(self._kept_for())
        ignored = self.options.args_to_ignore
        self.cache._prolong_versions(self.function, args, ignored, timeout)

    def _kept_for(self) -> float:
        """How many seconds an answer is kept at most; 0 is for ever."""
        timeout, windows = self.timeout(), self.options.windows
        if timeout is None:
            return 0
        more = (windows.stale or 0, windows.stale_on_error or 0, windows.revalidate or 0)
        return max(timeout, 1) + sum(durations.span(window, "window") for window in more)

    def native_rule(self) -> ClassicCall | None:
        make = self.plain_maker()
        return None if make is None else make.rule(self.function)

    def plain_maker(self) -> KeyMaker | None:
        """What makes the keys where nobody else has a say in them."""
        cache, make = self.cache, self._make_key
        if not isinstance(make, KeyMaker) or make.cache is not cache or self.options.values:
            return None
        return None if any(cache._replaces(name) for name in KEY_HOOKS) else make
