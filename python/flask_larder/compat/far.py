"""Hits of memoized functions on a server: the versions and the answer in one trip."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import _native
from .._native import Key
from .._waiting import greenlet_park
from ..decorated import Uncached
from ..steps import run
from .backends.versions import Unreachable

if TYPE_CHECKING:
    from .backends.versions import Versions
    from .functions import CompatFunction


def is_plain(function: CompatFunction) -> bool:
    """Whether nobody is asked or told of a call besides the store."""
    options, cache = function.options, function.cache
    asked = options.unless or options.forced_update or options.is_stale
    if asked or function.assigned_key() is not None or function.plain_maker() is None:
        return False
    return cache._may_arm(_native.current_app() or cache.app)


def answer(
    function: CompatFunction,
    shared: Versions,
    call: tuple[tuple[Any, ...], dict[str, Any]],
    load: Callable[..., Any],
) -> Any:
    """The answer to a plain call. What is not found goes through the steps, which are given the key
    that was made here, or the error."""
    started = perf_counter()
    args, kwargs = call
    try:
        digest, keys = function._make_key.parts(function.function, args, kwargs)  # type: ignore[attr-defined]
        text, found = _elsewhere(partial(shared.find, digest, keys))
    except Unreachable as error:
        return run(function.steps(args, kwargs, partial(_raise, away(function, error))), load)
    except Exception as error:
        return run(function.steps(args, kwargs, partial(_raise, error)), load)
    if found is None or (found[0] is None and not function.keeps_none):
        return run(function.steps(args, kwargs, lambda: Key(text)), load)
    function.stats.count_hit("fresh", function._load_seconds, perf_counter() - started)
    return function.outgoing(found[0])


def away(function: CompatFunction, error: OSError) -> Uncached:
    """What a call comes to while the server is away: the function runs, and that is counted."""
    function.cache._on_event("store-failed", None, str(error))
    return Uncached(f"store: {error}")


def _elsewhere(work: Callable[[], Any]) -> Any:
    """Runs what waits for the server so that other greenlets go on."""
    park = greenlet_park()
    return work() if park is None else park.elsewhere(work)


def _raise(error: Exception) -> Key:
    raise error
