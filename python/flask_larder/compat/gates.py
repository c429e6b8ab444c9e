"""Two ways to the store, with one interface, so that there is one algorithm (`Decorated.steps`).

A store that is not Larder's, and a cache or a store whose methods somebody replaced, see exactly the
calls that Flask-Caching makes: `get`, `has` where None counts, `set`. Larder's own stores are asked
by way of the engine, which also lets one caller load for all.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .._native import Answer, Engine, Key, Pending, Permit, Policy

if TYPE_CHECKING:
    from .cache import Cache

Outcome = tuple[str, str | None, int]


class Settled(Protocol):
    """What a gate asks of the decorated function that it works for."""

    cache: Cache
    keeps_none: bool

    def classic_timeout(self, value: Any) -> Any:
        """The timeout as the cache's `set` takes it."""

    def was_stored(self, args: tuple[Any, ...], timeout: Any) -> None:
        """Called when a value has been stored; `args` are those of the call."""


@dataclass(frozen=True)
class Reply:
    """An answer as the engine gives it, with a permit of the gate."""

    kind: str
    value: Any = None
    permit: Any = None
    reason: str | None = None
    error: Any = None
    served: str | None = None
    age: float = 0.0
    ttl: int | None = None
    cost: float = 0.0


class OwnGate:
    """The engine, with Flask-Caching's rules about None."""

    def __init__(self, engine: Engine, decorated: Settled) -> None:
        self.engine = engine
        self._decorated = decorated
        self.blocks = engine.blocks

    def lookup(self, key: Key, policy: Policy, chain: tuple[int, ...]) -> Any:
        """What to do about `key` now."""
        return self._seen(key, policy, self.engine.lookup(key, policy, list(chain)))

    def lookup_soon(self, key: Key, policy: Policy, chain: tuple[int, ...]) -> Soon:
        """As `lookup`, for a greenlet that waits while others run."""
        pending = self.engine.lookup_soon(key, policy, list(chain))
        return Soon(pending, lambda answer: self._seen(key, policy, answer))

    def _seen(self, key: Key, policy: Policy, answer: Answer) -> Any:
        is_none = answer.value is None and answer.kind in ("hit", "stale")
        if is_none and not self._decorated.keeps_none:
            if answer.permit is not None:
                answer.permit.drop()
            answer = self.engine.refresh(key, policy)
        return self._with_permit(answer)

    def refresh(self, key: Key, policy: Policy) -> Any:
        """A permit to load `key`, whatever is stored."""
        return self._with_permit(self.engine.refresh(key, policy))

    def _with_permit(self, answer: Answer) -> Any:
        if answer.permit is None:
            return answer
        return Reply(
            answer.kind,
            answer.value,
            OwnPermit(answer.permit, self._decorated),
            served=answer.served,
            age=answer.age,
            ttl=answer.ttl,
            cost=answer.cost,
        )


class Soon:
    """An answer of the engine that is still to come, seen as the gate sees it."""

    def __init__(self, pending: Pending, seen: Callable[[Answer], Any]) -> None:
        self._pending = pending
        self._seen = seen
        self.cancel = pending.cancel

    def poll(self, wake: Callable[[], None]) -> tuple[Any] | None:
        """A tuple of the answer once it is there; until then None, and `wake` is called."""
        done = self._pending.poll(wake)
        return None if done is None else (self._seen(done[0]),)


class OwnPermit:
    """The engine's permit; tells the decorated function when something was stored."""

    # The arguments of the call, where the decorated function wants to hear of them.
    args: tuple[Any, ...] = ()
    # Flask-Caching has no timeouts.
    is_limited = False

    def __init__(self, permit: Permit, decorated: Settled) -> None:
        self._permit = permit
        self._decorated = decorated
        self.number = permit.number
        self.decline = permit.decline
        self.fail = permit.fail
        self.drop = permit.drop
        self.stand_in = permit.stand_in
        self.renew = permit.renew

    @property
    def previous(self) -> tuple[Any] | None:
        """What is stored and out of date."""
        return self._permit.previous

    @property
    def has_spare(self) -> bool:
        """Whether something out of date is stored that `fail` would serve."""
        return self._permit.has_spare

    def store(self, value: Any, policy: Policy, seconds: float) -> Outcome:
        """Stores what was loaded, and hands it to everyone who waits."""
        outcome = self._permit.store(value, policy, seconds)
        if outcome[0] == "stored":
            self._decorated.was_stored(self.args, self._decorated.classic_timeout(value))
        return outcome


class ClassicGate:
    """The cache's own methods, called as Flask-Caching calls them."""

    blocks = False

    def __init__(self, cache: Cache, decorated: Settled) -> None:
        self._cache = cache
        self._decorated = decorated

    def lookup(self, key: Key, policy: Policy, chain: tuple[int, ...]) -> Reply:
        """A hit if `get` finds something, or None that counts; else a miss."""
        value = self._cache.get(key.text)
        found = value is not None or (self._decorated.keeps_none and self._cache.has(key.text))
        return Reply("hit", value, served="fresh") if found else self.refresh(key, policy)

    def refresh(self, key: Key, policy: Policy) -> Reply:
        """A permit to load `key`, whatever is stored."""
        return Reply("miss", permit=ClassicPermit(self._cache, key, self._decorated))


class ClassicPermit:
    """The right to load, which everybody has: this way nobody waits for anybody."""

    args: tuple[Any, ...] = ()
    # The engine reads 0 as the number of no load.
    number = 0
    has_spare = False
    is_limited = False

    def __init__(self, cache: Cache, key: Key, decorated: Settled) -> None:
        self._cache = cache
        self._key = key
        self._decorated = decorated

    def store(self, value: Any, policy: Policy, seconds: float) -> Outcome:
        """Calls `set`; its failure is logged in production and raised in debug."""
        try:
            timeout = self._decorated.classic_timeout(value)
            self._cache.set(self._key.text, value, timeout=timeout)
            self._decorated.was_stored(self.args, timeout)
        except Exception as error:
            if not self._cache._swallows(error):
                raise
            return "refused", "store-failed", 0
        return "stored", None, 0

    def stand_in(self, value: Any, policy: Policy) -> Outcome:
        """Stores nothing: only the engine can hold a value for a throttle."""
        return "refused", "filtered", 0

    def decline(self, reason: str) -> None:
        """Nobody waits."""

    def fail(self, error: BaseException) -> Reply:
        """The error is the answer."""
        return Reply("failed", error=error)

    def drop(self) -> None:
        """Nobody waits."""
