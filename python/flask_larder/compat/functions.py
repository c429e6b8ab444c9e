"""`@cache.memoize` of the compat dialect: Flask-Caching's keys and versions."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._native import ClassicCall, Key, Policy
from ..decorated import Decorated
from ..functions import Function, FunctionOptions
from ..steps import Steps
from . import utils
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

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        make = self.assigned_key() or self._make_key
        text = make(self.function, *args, **kwargs)
        values = [repr(compute()) for compute in self.options.values]
        if values:
            text += utils.memoize_digest(self.cache.hash_method, "", repr(values), b"")
        return Key(text)

    def readable_key(self, function: Any = None, /, *args: Any, **kwargs: Any) -> str:
        """The key of a call; the first argument is the function, as in Flask-Caching."""
        return self._make_key(self.function if function is None else function, *args, **kwargs)

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Policy:
        # The versions do what the tags of functions do in the other dialect.
        return Decorated.policy(self, args, kwargs)

    def classic_timeout(self, value: Any) -> Any:
        """The timeout as the cache's `set` takes it."""
        del value
        return utils.normalize_timeout(self.wrapper.cache_timeout)

    def store(self, call: Any, permit: Any, value: Any, seconds: float) -> Steps:
        """As its base, and the versions of the call live as long as what was stored."""
        permit.args = call.args
        return super().store(call, permit, value, seconds)

    def was_stored(self, args: tuple[Any, ...], timeout: Any) -> None:
        """Writes the versions again, so that they do not end before what was stored under them."""
        windows = self.options.windows
        if windows.stale or windows.stale_on_error:
            timeout = utils.VERSION_TIMEOUT
        ignored = self.options.args_to_ignore
        self.cache._prolong_versions(self.function, args, ignored, timeout)

    def native_rule(self) -> ClassicCall | None:
        make = self.plain_maker()
        return None if make is None else make.rule(self.function)

    def plain_maker(self) -> KeyMaker | None:
        """What makes the keys where nobody else has a say in them."""
        cache, make = self.cache, self._make_key
        if not isinstance(make, KeyMaker) or make.cache is not cache or self.options.values:
            return None
        return None if any(cache._replaces(name) for name in KEY_HOOKS) else make
