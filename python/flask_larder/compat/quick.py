"""Plain hits on Larder's own stores, without the steps that only other calls need.

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

from .. import _native
from .._native import CachedFunction, Key, ViewKey
from ..decorated import Decorated
from ..responses import responder
from ..steps import Steps, run
from .gates import OwnGate

if TYPE_CHECKING:
    from .cache import Cache


class Answered:
    """What came out of the steps, so that it is not taken for a hit."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Quick(Decorated):
    """A decorated function whose plain hits are answered at once."""

    cache: Cache
    keeps_none: bool
    # The engine and the application of the last call that could have been a plain hit.
    _quick: tuple[Any, Any] | None = None
    _native: CachedFunction | None = None
    _load_seconds = 0.0

    def own_name(self) -> str:
        try:
            return super().own_name()
        except TypeError:
            # Here the name is for people alone: the keys are made as Flask-Caching makes them.
            kind = type(self.function)
            return f"{kind.__module__}.{kind.__qualname__}"

    def native_rule(self) -> ViewKey | None:
        """What makes the key without Python, where that is possible."""
        return None

    def armed(self, engine: Any) -> None:
        if not isinstance(engine, OwnGate) or engine.blocks:
            return
        app = self.cache._app()
        quick = (engine.engine, app)
        if self._quick == quick:
            return
        options = self.options
        asked = options.unless or options.forced_update or options.is_stale
        if asked is not None or not self.cache._may_arm(app):
            return
        rule = self.native_rule()
        if rule is not None and self._native is not None:
            self._native.arm(engine.engine, app, rule, self.stats, responder(app))
        self._quick = quick

    def disarm(self) -> None:
        self._quick = None
        if self._native is not None:
            self._native.disarm()

    def store(self, call: Any, permit: Any, value: Any, seconds: float) -> Steps:
        """As its base, and the time is noted that a hit saves."""
        self._load_seconds = seconds
        return super().store(call, permit, value, seconds)

    def answer(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], load: Callable[..., Any]
    ) -> Any:
        """The answer to a call: a plain hit at once, everything else by the steps."""
        quick = self._quick
        if quick is None or self.assigned_key() is not None:
            return run(self.steps(args, kwargs), load)
        app = _native.current_app()
        if app is not None and app is not quick[1]:
            return run(self.steps(args, kwargs), load)
        # People's own key functions are called once for each call: the steps are given what was
        # made here, be it a key or an error, and know what is to be done about that.
        try:
            key = self.key(args, kwargs)
        except Exception as error:
            return run(self.steps(args, kwargs, partial(_again, error)), load)
        found = self._stored(quick[0], key)
        if found is None or (found[0] is None and not self.keeps_none):
            return run(self.steps(args, kwargs, lambda: key), load)
        self.stats.count_hit("fresh", self._load_seconds, 0.0)
        self.served()
        return self.outgoing(found[0])

    def _stored(self, engine: Any, key: Key) -> Any:
        try:
            return engine.get(key)
        except Exception:
            # The steps meet the same error.
            return None


def _again(error: Exception) -> Key:
    raise error
