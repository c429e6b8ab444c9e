"""What views, functions and fragments have in common: how a cached call is answered."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from . import durations, overridden
from ._native import Answer, Engine, FunctionStats, Key, Permit, Policy
from .callbacks import Callback
from .names import name_of
from .steps import Load, Lookup, Steps, Store, run
from .tags import Given, Tags

if TYPE_CHECKING:
    from .cache import Cache

# The loads that the caller is in the middle of, innermost first. A context variable, because a load
# may spread over threads and tasks, and one thread may be in the middle of many.
_chain: ContextVar[tuple[int, ...]] = ContextVar("larder_chain", default=())

MISSING: Any = object()

DECORATED = "_larder_decorated"
"""Where a wrapper keeps what it decorates with."""


@dataclass(frozen=True)
class Windows:
    """The windows of a policy, as they were given to a decorator."""

    stale: object = None
    stale_on_error: object = None
    throttle: object = None
    wait: object = None

    def policy(self, timeout: float | None) -> Policy:
        """A policy with this timeout (None is for ever) and these windows."""
        given = {"throttle": self.throttle, "wait": self.wait}
        return Policy(
            timeout,
            stale=durations.span(self.stale or 0, "stale"),
            stale_on_error=durations.span(self.stale_on_error or 0, "stale_on_error"),
            **{
                name: durations.span(value, name)
                for name, value in given.items()
                if value is not None
            },
        )


class Uncached(Exception):
    """The call has no key, or must not have one: the function is called and nothing is stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Options:
    """The options that all decorators share."""

    timeout: object = None
    unless: Callback | None = None
    forced_update: Callback | None = None
    is_stale: Callback | None = None
    response_filter: Callable[[Any], Any] | None = None
    cache_none: bool = False
    windows: Windows = Windows()
    tags: Given = None
    default: Any = MISSING


class Decorated:
    """One cached function: its options, its counters, and how its calls are answered."""

    # What kind of call it is, for logs and signals.
    sort = "function"

    def __init__(self, cache: Cache, function: Callable[..., Any], options: Options) -> None:
        self.cache = cache
        self.function = function
        self.options = options
        self.wrapper: Any = None
        self._offered: Any = None
        self._armed: tuple[Any, Any] | None = None
        self._tags = Tags(options.tags, function)
        # The policies of the timeouts that were in force, before their tags.
        self._policies: dict[float | None, Policy] = {}
        self._name = self._named()
        self.stats = cache._counters(self.sort, self._name) or FunctionStats()
        options.windows.policy(0 if options.timeout is None else self._seconds(options.timeout))
        cache._register(self)

    @property
    def name(self) -> str:
        """The function's name, as people find it in the source.

        Where two functions of a cache have one name all the same, all but the first get a number, so
        that none is given the answers of another, also not of one that is gone.
        """
        return self._name

    def _named(self) -> str:
        own = self.own_name()
        closure = getattr(self.function, "__closure__", None)
        code = None if closure else getattr(self.function, "__code__", None)
        number = self.cache._number_of(self.sort, own, code)
        return own if number == 1 else f"{own}#{number}"

    def own_name(self) -> str:
        """The name that the function has of itself."""
        return name_of(self.function)

    def offer_key(self, make_cache_key: Any) -> None:
        """Puts the key function on the wrapper, where people read and replace it."""
        self._offered = make_cache_key
        self.wrapper.make_cache_key = make_cache_key

    def assigned_key(self) -> Any:
        """The key function that somebody put in the place of ours, or None."""
        if self.wrapper is None:
            return None
        assigned = getattr(self.wrapper, "make_cache_key", None)
        return None if assigned is self._offered else assigned

    def disarm(self) -> None:
        """Lets no hit be answered natively until the next one was answered here."""
        self._armed = None
        if hasattr(self.wrapper, "disarm"):
            self.wrapper.disarm()

    # What a kind of decorated function answers for itself.

    def gate(self, args: tuple[Any, ...]) -> Engine:
        """What is asked for the answer to a call with `args`."""
        return self.cache._engine()

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        """The key of a call; raises Uncached when it has none."""
        raise NotImplementedError

    def outgoing(self, value: Any) -> Any:
        """What a caller gets for a stored value."""
        return value

    def incoming(self, value: Any) -> Any:
        """What is stored of a loaded value; raises Uncached when it must not be stored."""
        return value

    def served(self) -> None:
        """Called when a stored value is about to be served."""

    def turned_down(self, error: Exception) -> str | None:
        """Why an exception of the function is an answer rather than a failure: the reason not to
        store it. None for a failure, which something stale may stand in for."""
        del error
        return None

    def failure_in(self, value: Any) -> Exception | None:
        """The failure that an answer reports, which something stale may stand in for."""
        del value
        return None

    def signal(self, hit: bool, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tells those who listen."""

    def refresher(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any] | None:
        """What calls the function again behind the answer, in a context of its own."""
        raise NotImplementedError

    def watched(self) -> AbstractContextManager[None]:
        """What is watched while the function runs."""
        return nullcontext()

    def plan(self) -> tuple[Any, Callable[[Any], Any]] | None:
        """The key rule and the response maker of plain hits, if they can be answered natively."""
        return None

    def armed(self, engine: Engine) -> None:
        """Called after a hit or a store: lets the next plain hits be answered natively."""
        app = self.cache._app()
        if self._armed == (engine, app) or not hasattr(self.wrapper, "arm"):
            return
        options = self.options
        plain = options.unless is None and options.forced_update is None
        if not plain or options.is_stale is not None or self.assigned_key() is not None:
            return
        plan = self.plan() if self.cache._may_arm(app) else None
        if plan is not None:
            self._armed = (engine, app)
            self.wrapper.arm(engine, self.cache, app, plan[0], self.stats, plan[1])

    # The algorithm.

    def steps(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        made_key: Callable[[], Key] | None = None,
    ) -> Steps:
        """How a call is answered; `made_key` gives its key, or its error, where that was made."""
        unless = self.options.unless
        if unless is not None and unless(self.function, *args, **kwargs) is True:
            self.cache._note_unless(self)
            return (yield Load(args, kwargs))
        started = perf_counter()
        try:
            engine = self.gate(args)
            key = self.key(args, kwargs) if made_key is None else made_key()
            policy = self.policy(args, kwargs)
            answer = yield from self._ask(engine, key, policy, args, kwargs)
        except Uncached as uncached:
            self.cache._note_pass(self, uncached.reason)
            return (yield Load(args, kwargs))
        except Exception as error:
            if not self.cache._swallows(error):
                raise
            return (yield Load(args, kwargs))
        return (
            yield from self._settle(_Call(engine, key, policy, (args, kwargs), started), answer)
        )

    def _ask(
        self,
        engine: Engine,
        key: Key,
        policy: Policy,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Steps:
        forced = self.options.forced_update
        if forced is not None and forced(*args, **kwargs) is True:
            return (yield Store(engine, lambda: engine.refresh(key, policy)))
        told: Any = True
        if self.cache._overrides("get"):
            told = yield Store(engine, partial(overridden.read, self.cache, engine, key))
        if told is False:
            return (yield Store(engine, lambda: engine.refresh(key, policy)))
        answer: Answer = (yield Lookup(engine, key, policy, _chain.get())) if told is True else told
        is_stale = self.options.is_stale
        served = answer.kind in ("hit", "stale")
        if served and is_stale is not None:
            value = self.outgoing(answer.value)
            if is_stale(value, *args, **kwargs) is True:
                if answer.permit is not None:
                    answer.permit.drop()
                return (yield Store(engine, lambda: engine.refresh(key, policy)))
        return answer

    def _settle(self, call: _Call, answer: Answer) -> Steps:
        if answer.kind == "pass":
            self.cache._note_pass(self, answer.reason or "pass")
            return (yield Load(call.args, call.kwargs))
        if answer.kind == "failed":
            self.signal(False, call.key, call.args, call.kwargs)
            raise _copy_of(answer.error)
        if answer.kind == "miss":
            self.signal(False, call.key, call.args, call.kwargs)
            return (yield from self._load(call, answer.permit))
        if answer.kind == "stale":
            self._refresh_behind(call, answer.permit)
        self.signal(True, call.key, call.args, call.kwargs)
        self.stats.count_hit(answer.served or "fresh", answer.cost, perf_counter() - call.started)
        self.cache._note_hit(self, call.key, answer)
        self.served()
        self.armed(call.engine)
        return self.outgoing(answer.value)

    def _load(self, call: _Call, permit: Any) -> Steps:
        started = perf_counter()
        token = _chain.set((permit.number, *_chain.get()))
        try:
            with self.watched():
                value = yield Load(call.args, call.kwargs)
        except Exception as error:
            _chain.reset(token)
            return (yield from self._failed(call, permit, error))
        except BaseException:
            # The caller was cancelled, or the program ends: one of those who wait loads instead.
            _chain.reset(token)
            permit.drop()
            raise
        _chain.reset(token)
        return (yield from self.store(call, permit, value, perf_counter() - started))

    def store(self, call: _Call, permit: Any, value: Any, seconds: float) -> Steps:
        """Stores what was loaded, if it may be, and answers what the caller gets."""
        failure = self.failure_in(value) if permit.has_previous else None
        if failure is not None:
            self.stats.count_error()
            answer: Answer = yield Store(call.engine, partial(permit.fail, failure))
            return self.outgoing(answer.value) if answer.kind == "hit" else value
        try:
            value = self.cache._joined(value)
            keep = self.incoming(value)
            wanted = self.options.response_filter
            if wanted is not None and not wanted(value):
                raise Uncached("filtered")
            if keep is None and not self.options.cache_none:
                raise Uncached("filtered")
            policy = self.policy_for(call.policy, value)
        except Uncached as uncached:
            permit.decline(uncached.reason)
            self.stats.count_load(seconds, 0)
            self.cache._note_miss(self, call.key, ("refused", uncached.reason, 0))
            return value
        except BaseException:
            permit.drop()
            raise
        outcome = yield Store(call.engine, lambda: self._put(call, permit, keep, (policy, seconds)))
        self.stats.count_load(seconds, outcome[2])
        self.cache._note_miss(self, call.key, outcome)
        self.armed(call.engine)
        return value

    def _put(self, call: _Call, permit: Any, keep: Any, times: tuple[Policy, float]) -> Any:
        """Stores what was loaded, by way of the cache's `set` where somebody overrides it."""
        if self.cache._overrides("set"):
            return overridden.write(self.cache, call.key, permit, keep, times)
        return permit.store(keep, *times)

    def _failed(self, call: _Call, permit: Permit, error: Exception) -> Steps:
        reason = self.turned_down(error)
        if reason is not None:
            permit.decline(reason)
            self.cache._note_miss(self, call.key, ("refused", reason, 0))
            raise error
        self.stats.count_error()
        if self.options.default is not MISSING and not permit.has_previous:
            default = self.options.default
            yield Store(call.engine, lambda: permit.stand_in(default, call.policy))
            return default
        answer: Answer = yield Store(call.engine, lambda: permit.fail(error))
        if answer.kind != "hit":
            raise error
        self.cache._note_hit(self, call.key, answer)
        return self.outgoing(answer.value)

    def _refresh_behind(self, call: _Call, permit: Any) -> None:
        """Loads behind the answer that is being served."""
        load = self.refresher(call.args, call.kwargs)
        if load is None:
            permit.drop()
            return

        def steps() -> Steps:
            started = perf_counter()
            token = _chain.set((permit.number,))
            try:
                value = load()
            except Exception as error:
                # Whoever asked was served long ago; the engine's event is what people learn.
                self.stats.count_error()
                return (yield Store(call.engine, partial(permit.fail, error)))
            except BaseException:
                permit.drop()
                raise
            finally:
                _chain.reset(token)
            return (yield from self.store(call, permit, value, perf_counter() - started))

        self.cache._background.submit(lambda: run(steps(), self.function), permit.drop)

    # Policies.

    def _seconds(self, timeout: object) -> float | None:
        return durations.lifetime(timeout, "timeout")

    def timeout(self) -> float | None:
        """The timeout in force: the wrapper's `cache_timeout`, else the cache's default."""
        timeout = getattr(self.wrapper, "cache_timeout", self.options.timeout)
        return self.cache._default_timeout() if timeout is None else self._seconds(timeout)

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Policy:
        """The policy of a call, its tags filled in from the arguments."""
        policy = self.policy_of(self.timeout())
        return policy.tagged(self._tags.of(args, kwargs)) if self._tags else policy

    def policy_of(self, timeout: float | None) -> Policy:
        """The policy of a timeout, made once: it is needed for every call."""
        policy = self._policies.get(timeout)
        if policy is None:
            if len(self._policies) > 16:
                # The timeout is computed for each call.
                self._policies.clear()
            policy = self._policies[timeout] = self.options.windows.policy(timeout)
        return policy

    def policy_for(self, policy: Policy, value: Any) -> Policy:
        """The policy that a loaded value is stored under."""
        del value
        return policy


class _Call:
    """One call, on its way to an answer; a plain class, because one is made for each."""

    __slots__ = ("args", "engine", "key", "kwargs", "policy", "started")

    def __init__(
        self,
        engine: Engine,
        key: Key,
        policy: Policy,
        call: tuple[tuple[Any, ...], dict[str, Any]],
        started: float,
    ) -> None:
        self.engine = engine
        self.key = key
        self.policy = policy
        self.args, self.kwargs = call
        # When it began, for the price of a hit.
        self.started = started


def _copy_of(error: Any) -> BaseException:
    """Somebody else's error for one who waited: a copy, for each raise writes into the object."""
    twin = _twin_of(error)
    if type(twin) is not type(error):
        twin = RuntimeError(f"the load that this call waited for failed: {error!r}")
    twin.__cause__ = error
    twin.__traceback__ = None
    return twin


def _twin_of(error: Any) -> Any:
    with suppress(Exception):
        return copy.copy(error)
    kind = cast("Any", type(error))
    with suppress(Exception):
        # Its constructor does not take what it hands on to `Exception`.
        twin: Any = kind.__new__(kind, *error.args)
        twin.__dict__.update(error.__dict__)
        return twin
    return None


_log = logging.getLogger("flask_larder")
