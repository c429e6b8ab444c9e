"""Plain hits on Larder's own memory store, answered natively.

A call is plain when nobody is asked before or after the lookup: no callables, no signals, no headers
that tell of it. What is found then is what the steps would have found; whatever is not found goes
through the steps.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._native import CachedFunction, ClassicCall, ClassicView, Key
from ..decorated import Decorated
from ..responses import responder
from ..steps import run
from .backends.rediscache import RedisCache
from .backends.watched import Watched
from .gates import OwnGate

if TYPE_CHECKING:
    from .cache import Cache


def lasting(cache: Cache, seconds: float | None) -> float | None:
    """A timeout as the store has it, None for ever: on Redis -1 has no end, as cachelib has it."""
    return None if seconds == -1 and isinstance(cache.cache, RedisCache) else seconds


class Answered:
    """What came out of the steps, so that it is not taken for a hit."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Quick(Decorated):
    """A decorated function whose plain hits are answered natively."""

    cache: Cache
    keeps_none: bool
    # The engine and the application of the last call that could have been a plain hit.
    _quick: tuple[Any, Any] | None = None
    _native: CachedFunction | None = None

    def own_name(self) -> str:
        try:
            return super().own_name()
        except TypeError:
            # Here the name is for people alone: the keys are made as Flask-Caching makes them.
            kind = type(self.function)
            return f"{kind.__module__}.{kind.__qualname__}"

    def timeout(self) -> float | None:
        return lasting(self.cache, super().timeout())

    def named(self, made: Any) -> Key:
        """The key that people's own code made. On Redis anything has a text, as for `cache.get`."""
        if not isinstance(made, str) and isinstance(self.cache.cache, RedisCache):
            made = f"{made}"
        return Key(made)

    def answer(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        load: Callable[..., Any],
        made: Any = None,
    ) -> Any:
        """The answer to a call that is no plain hit in memory.

        `made` is the key of the call where that was made before, or the error of making it: people's
        own key functions are called once for each call.
        """
        return run(self.steps(args, kwargs, None if made is None else partial(_again, made)), load)

    def native_rule(self) -> ClassicCall | ClassicView | None:
        """What makes the key without Python, where that is possible."""
        return None

    def asks_on_hits(self) -> bool:
        """Whether more than the key has to be asked for when a stored value is served."""
        options = self.options
        return (options.unless or options.forced_update or options.is_stale) is not None

    def armed(self, engine: Any) -> None:
        if self._native is None or not isinstance(engine, OwnGate) or engine.blocks:
            return
        cache, app = self.cache, self.cache._app()
        quick = (engine.engine, app)
        if self._quick == quick or self.asks_on_hits():
            return
        backend = cache.cache
        if isinstance(backend, Watched):
            # It may have been put in the place of the one that was built.
            backend.watch(cache._disarm)
        # Whoever changes something from here on finds this function armed, and disarms it; what was
        # changed before is seen here.
        changes, watched = cache._changes, _watched(cache, app)
        here = not cache._is_classic() and cache._engine() is engine.engine
        if not here or cache.app.debug or not cache._may_arm(app):
            return
        rule, respond = self.native_rule() or self.key, responder(app)
        self._native.arm(engine.engine, cache, app, rule, self.stats, respond, watched)
        self._quick = quick
        if cache._changes != changes:
            self.disarm()

    def disarm(self) -> None:
        self._quick = None
        if self._native is not None:
            self._native.disarm()


def _watched(cache: Cache, app: Any) -> list[tuple[Any, Any, Any]]:
    """What nobody tells of when it is exchanged, with what is there now: the store, debug, and the
    methods of the classes that a hit goes through."""
    registry = app.extensions["cache"]
    apps = [app] if app is cache.app else [app, cache.app]
    kinds: list[Any] = [type(cache), type(registry[cache])]
    return [
        (app.extensions, "cache", registry),
        (registry, cache, registry[cache]),
        *((each.config, "DEBUG", each.config["DEBUG"]) for each in apps),
        *((kind, "get", kind.get) for kind in kinds),
    ]


def _again(made: Any) -> Any:
    if isinstance(made, Exception):
        raise made
    return made
