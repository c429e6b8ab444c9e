"""What views, functions and fragments have in common: how a cached call is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from . import behind, durations, overridden, overtime, running
from ._native import Answer, Engine, FunctionStats, Key, Permit, Policy
from .context import Loading
from .failures import copy_of
from .names import name_of
from .options import MISSING, Options, Uncached, Windows
from .running import Call, Unfinished, open_loads
from .steps import Load, Lookup, Steps, Store
from .tags import Tags
from .watching import is_watching, note_part

if TYPE_CHECKING:
    from .cache import Cache
    from .reads import Read

# How often a key is made anew because somebody has learned what belongs into it.
_TRIES = 4

__all__ = ["DECORATED", "MISSING", "Decorated", "Options", "Uncached", "Windows"]

DECORATED = "_larder_decorated"
"""Where a wrapper keeps what it decorates with."""


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
        # What calls were seen to read of their requests, by the part of the function that they concern.
        self.reads: dict[str, frozenset[Read]] = {}
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

    def answered(self, value: Any) -> Any:
        """What the caller gets for a value that was loaded."""
        return value

    def answer_of(self, call: Call, answer: Answer) -> Any:
        """What the caller gets for a hit."""
        del call
        return self.outgoing(answer.value)

    def renewed(self, keep: Any) -> Any:
        """What is stored again of what is stored."""
        return keep

    def finished(self, keep: Any, policy: Policy) -> tuple[Any, Policy]:
        """What is stored, and under which policy, after both are known; raises Uncached when it must
        not be stored."""
        return keep, policy

    def loaded(self, call: Call, value: Any, keep: Any) -> Any:
        """What the caller gets who loaded `value`, of which `keep` was stored."""
        del call, keep
        return value

    def aside(self, answer: Answer) -> tuple[str, Any] | None:
        """Why a caller who found nothing must not load for others, and what it gets instead: an answer,
        or None to call the function. None as a whole for a caller who may load."""
        del answer
        return None

    def writes_status(self) -> bool:
        """Whether answers from the cache say themselves what the cache did."""
        return False

    def forward(self) -> str:
        """Why the function was called."""
        return "miss"

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

    def watched(self, loading: Loading) -> AbstractContextManager[None]:
        """What is watched while the function runs."""
        del loading
        return nullcontext()

    def part(self, args: tuple[Any, ...]) -> str:
        """Which part of the function a call concerns, where it stands for several."""
        del args
        return ""

    def judged(self, loading: Loading) -> None:
        """Raises Uncached where what the function did forbids to store its answer."""

    def plan(self) -> tuple[Any, Any] | None:
        """The key rule and the response maker of plain hits, if they can be answered natively."""
        return None

    def armed(self, engine: Engine) -> None:
        """Called after a hit or a store: lets the next plain hits be answered natively."""
        if self.reads and is_watching():
            return
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
            policy = None if self.varies() else self.policy((), {})
            self.wrapper.arm(engine, self.cache, app, plan[0], self.stats, plan[1], policy=policy)

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
            return (yield from self._unstored(args, kwargs))
        started = perf_counter()
        try:
            engine = self.gate(args)
            key = self.key(args, kwargs) if made_key is None else made_key()
            policy = self.policy(args, kwargs)
            answer = yield from self._ask(engine, key, policy, args, kwargs)
            for _ in range(_TRIES):
                if answer.kind != "again":
                    break
                # What this call waited for is under a key that holds more.
                key = self.key(args, kwargs)
                answer = yield from self._ask(engine, key, policy, args, kwargs)
        except Uncached as uncached:
            return (yield from self.passed(uncached, args, kwargs))
        except Exception as error:
            if not self.cache._swallows(error):
                raise
            return (yield from self._unstored(args, kwargs))
        return (yield from self._settle(Call(engine, key, policy, (args, kwargs), started), answer))

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
        answer: Answer = (
            (yield Lookup(engine, key, policy, running.would_wait())) if told is True else told
        )
        is_stale = self.options.is_stale
        served = answer.kind in ("hit", "stale")
        if served and is_stale is not None:
            value = self.outgoing(answer.value)
            if is_stale(value, *args, **kwargs) is True:
                if answer.permit is not None:
                    answer.permit.drop()
                return (yield Store(engine, lambda: engine.refresh(key, policy)))
        return answer

    def _settle(self, call: Call, answer: Answer) -> Steps:
        permit: Any = answer.permit
        if answer.kind in ("pass", "again"):
            self.cache._note_pass(self, answer.reason or "pass")
            return (yield from self._unstored(call.args, call.kwargs))
        if answer.kind == "failed":
            self.signal(False, call.key, call.args, call.kwargs)
            raise copy_of(answer.error)
        if answer.kind == "miss":
            aside = self.aside(answer)
            if aside is None and permit.is_limited:
                return (yield from overtime.limited(self, call, permit))
            self.signal(False, call.key, call.args, call.kwargs)
            if aside is not None:
                return (yield from self._step_aside(call, permit, aside))
            return (yield from self._load(call, permit))
        if answer.kind == "timeout":
            return self.overdue(call, answer)
        if answer.kind == "stale":
            if permit.is_limited:
                return (yield from overtime.limited(self, call, permit))
            behind.refresh(self, call, permit)
        return self._served(call, answer)

    def overdue(self, call: Call, answer: Answer) -> Any:
        """What a caller gets who has waited as long as it may: something stale, or a CacheTimeout."""
        if answer.kind == "hit":
            return self._served(call, answer)
        self.signal(False, call.key, call.args, call.kwargs)
        self.cache._note_miss(self, call.key, ("refused", "hard-timeout", 0))
        if self.options.default is not MISSING:
            return self.options.default
        error: Any = answer.error
        raise error

    def _served(self, call: Call, answer: Answer) -> Any:
        """What a caller gets for a hit."""
        self.signal(True, call.key, call.args, call.kwargs)
        self.stats.count_hit(answer.served or "fresh", answer.cost, perf_counter() - call.started)
        self.cache._note_hit(self, call.key, answer)
        if self.reads:
            note_part(self.reads.get(self.part(call.args), ()))
        self.served()
        self.armed(call.engine)
        return self.answer_of(call, answer)

    def _step_aside(self, call: Call, permit: Any, aside: tuple[str, Any]) -> Steps:
        """Leaves the load to one of those who wait."""
        permit.drop()
        reason, instead = aside
        self.cache._note_pass(self, reason)
        if instead is not None:
            return instead
        return (yield from self._unstored(call.args, call.kwargs))

    def passed(self, uncached: Uncached, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """Answers a call that has no key, or must not have one."""
        self.cache._note_pass(self, uncached.detail)
        return (yield from self._unstored(args, kwargs))

    def _unstored(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """Calls the function where nothing will be stored."""
        opened = Loading(self).open()
        try:
            return (yield Load(args, kwargs))
        finally:
            Loading.close(opened)

    def _load(self, call: Call, permit: Any) -> Steps:
        started = perf_counter()
        token = open_loads.set((permit.number, *open_loads.get()))
        call.loading = Loading(self, call.args, permit)
        opened = call.loading.open()
        try:
            with self.watched(call.loading):
                value = yield Load(call.args, call.kwargs)
        except Exception as error:
            Loading.close(opened)
            open_loads.reset(token)
            return (yield from self._failed(call, permit, error))
        except BaseException:
            # The caller was cancelled, or the program ends: one of those who wait loads instead.
            Loading.close(opened)
            open_loads.reset(token)
            permit.drop()
            raise
        Loading.close(opened)
        open_loads.reset(token)
        return (yield from self.store(call, permit, value, perf_counter() - started))

    def store(self, call: Call, permit: Any, value: Any, seconds: float) -> Steps:
        """Stores what was loaded, if it may be, and answers what the caller gets."""
        finish = yield from self.keeping(call, permit, value, seconds)
        return finish()

    def keeping(self, call: Call, permit: Any, value: Any, seconds: float) -> Steps:
        """Stores what was loaded, if it may be, and gives what makes the caller's answer: that is made
        where the caller is."""
        failure = self.failure_in(value) if permit.has_spare else None
        if failure is not None:
            self.stats.count_error()
            answer: Answer = yield Store(call.engine, partial(permit.fail, failure))
            return partial(self.answer_of, call, answer) if answer.kind == "hit" else lambda: value
        try:
            value = self.answered(self.cache._joined(value))
            keep, policy = self.kept(call, value)
            if isinstance(keep, Unfinished):
                begun = keep.begin(call, permit, (policy, seconds))
                self.cache._note_begun(self, call.key)
                return lambda: begun
        except Uncached as uncached:
            permit.decline(uncached.reason)
            self.stats.count_load(seconds, 0)
            return partial(self._turned_away, call, value, uncached.detail)
        except BaseException:
            permit.drop()
            raise
        outcome = yield Store(call.engine, lambda: self._put(call, permit, keep, (policy, seconds)))
        self.stats.count_load(seconds, outcome[2])
        return partial(self._kept, call, value, keep, outcome)

    def _turned_away(self, call: Call, value: Any, reason: str) -> Any:
        """What the caller gets whose answer must not be stored."""
        self.cache._note_miss(self, call.key, ("refused", reason, 0))
        return value

    def _kept(self, call: Call, value: Any, keep: Any, outcome: Any) -> Any:
        """What the caller gets whose answer was to be stored."""
        self.cache._note_miss(self, call.key, outcome)
        self.armed(call.engine)
        return self.loaded(call, value, keep) if outcome[0] == "stored" else value

    def kept(self, call: Call, value: Any) -> tuple[Any, Policy]:
        """What is stored of an answer, and under which policy; raises Uncached where it must not be."""
        loading = call.loading
        if loading.skipped is not None:
            raise Uncached(loading.skipped)
        stored = loading.stored if loading.renews(value) else None
        if stored is not None:
            self.judged(loading)
            loading.renewing = True
            return self.renewed(stored[0]), loading.policy(call.policy)
        keep = self.incoming(value)
        self.judged(loading)
        wanted = self.options.response_filter
        if wanted is not None and not wanted(value):
            raise Uncached("filtered")
        if keep is None and not self.options.cache_none:
            raise Uncached("filtered")
        return self.finished(keep, loading.policy(self.policy_for(call.policy, value)))

    def _put(self, call: Call, permit: Any, keep: Any, times: tuple[Policy, float]) -> Any:
        """Stores what was loaded, by way of the cache's `set` where somebody overrides it."""
        loading = call.loading
        if loading.renewing:
            return permit.renew(times[0], keep)
        if loading.under is not None:
            return permit.store_under(loading.under, keep, *times)
        if self.cache._overrides("set"):
            return overridden.write(self.cache, call.key, permit, keep, times)
        return permit.store(keep, *times)

    def _failed(self, call: Call, permit: Permit, error: Exception) -> Steps:
        finish = yield from self.failing(call, permit, error)
        return finish()

    def failing(self, call: Call, permit: Permit, error: Exception) -> Steps:
        """Settles a load that failed, and gives what makes the caller's answer, or raises its error."""
        reason = self.turned_down(error)
        if reason is not None:
            permit.decline(reason)
            return partial(self._raise, call, error, ("refused", reason, 0))
        self.stats.count_error()
        if self.options.default is not MISSING and not permit.has_spare:
            default = self.options.default
            yield Store(call.engine, lambda: permit.stand_in(default, call.policy))
            return lambda: default
        answer: Answer = yield Store(call.engine, lambda: permit.fail(error))
        if answer.kind != "hit":
            return partial(self._raise, call, error, None)
        return partial(self._spared, call, answer)

    def _raise(self, call: Call, error: Exception, outcome: Any) -> Any:
        if outcome is not None:
            self.cache._note_miss(self, call.key, outcome)
        raise error

    def _spared(self, call: Call, answer: Answer) -> Any:
        """What the caller gets in place of an error."""
        self.cache._note_hit(self, call.key, answer)
        return self.answer_of(call, answer)

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

    def varies(self) -> bool:
        """Whether the tags of a call depend on its arguments."""
        return self._tags.vary

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
