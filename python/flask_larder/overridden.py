"""Caches whose `get` or `set` somebody overrides: decorated functions go by way of these methods.

Such a method is handed a text that it may log, count or compare. If it hands the text on to the method
of `Cache`, that one does what the engine does otherwise, with all that it promises. A method that
answers for itself is taken at its word: what it returns is served, None is a miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import durations

if TYPE_CHECKING:
    from ._native import Engine, Key, Permit, Policy
    from .cache import Cache

_Outcome = tuple[str, str | None, int]


class Noticed(str):
    """The key of a decorated call, as an overridden method sees it.

    It has a text of its own for each variant, so that whoever makes another key of it mixes up no two
    answers.
    """

    key: Key

    @classmethod
    def of(cls, key: Key) -> Noticed:
        """The text of a key."""
        noticed = cls(f"{key.text}#{key.digest}" if key.varies else key.text)
        noticed.key = key
        return noticed


class Read(Noticed):
    """For `get`: knows what the method of `Cache` found, if it was asked."""

    engine: Engine
    asked = False
    value: Any = None

    def look_up(self) -> Any:
        """What is stored and fresh, or None."""
        self.asked = True
        found = self.engine.get(self.key)
        self.value = None if found is None else found[0]
        return self.value


class Written(Noticed):
    """For `set`: holds the permit of the load, which the method of `Cache` settles."""

    permit: Permit
    policy: Policy
    seconds: float
    outcome: _Outcome | None = None

    def keep(self, value: Any, timeout: object) -> bool:
        """Stores a value; under the policy of the call, unless it is given another timeout."""
        if self.outcome is None:
            policy = self.policy
            if timeout is not None and durations.lifetime(timeout, "timeout") != policy.timeout:
                policy = policy.lasting(durations.lifetime(timeout, "timeout"))
            self.outcome = self.permit.store(value, policy, self.seconds)
        return self.outcome[0] == "stored"


@dataclass(frozen=True)
class Told:
    """An answer that an overridden `get` gave by itself."""

    value: Any
    kind: str = "hit"
    permit: Any = None
    reason: str | None = None
    error: Any = None
    served: str | None = "fresh"
    age: float = 0.0
    ttl: int | None = None
    cost: float = 0.0


def read(cache: Cache, engine: Engine, key: Key) -> Told | bool:
    """What an overridden `get` answers: something of its own, or whether to ask the engine."""
    text = Read.of(key)
    assert isinstance(text, Read)
    text.engine = engine
    value = cache.get(text)
    if text.asked and value is text.value:
        return True
    return False if value is None else Told(value)


def write(
    cache: Cache, key: Key, permit: Permit, value: Any, times: tuple[Policy, float]
) -> _Outcome:
    """Lets an overridden `set` store what was loaded; `times` are its policy and its seconds."""
    text = Written.of(key)
    assert isinstance(text, Written)
    text.permit, (text.policy, text.seconds) = permit, times
    timeout = text.policy.timeout
    try:
        cache.set(text, value, timeout=0 if timeout is None else timeout)
    except BaseException:
        permit.drop()
        raise
    if text.outcome is None:
        # It was kept elsewhere, or nowhere: those who wait load for themselves.
        permit.decline("filtered")
        return "refused", "filtered", 0
    return text.outcome
