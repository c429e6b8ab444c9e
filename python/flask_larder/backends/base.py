"""What every store of the safe dialect has: cachelib's interface over the engine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import durations
from .._native import Engine, Policy
from ..gathered import Gathered

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Backend", "is_pattern", "watch_forks"]

_log = logging.getLogger("flask_larder")

_WILD = ("*", "?", "\\")


class Backend:
    """A store with the interface that Flask-Caching's backends have.

    Keys are texts. A view's key stands for all of its variants: `delete` removes them all, `get`
    answers the only one there is. Timeouts are seconds, timedelta or text; None is the default
    timeout, 0 is for ever, negative is "do not keep".
    """

    engine: Engine
    # What bounds the size of values, for the log.
    limit = "CACHE_MAX_VALUE"
    # Whether CACHE_NEAR has a meaning: the store lies outside the process, and keeps nothing near.
    takes_near = False

    def __init__(
        self,
        engine: Engine,
        default_timeout: object = 300,
        ignore_delete_many_errors: bool = False,
    ) -> None:
        self.engine = engine
        watch_forks(self)
        self.default_timeout = durations.seconds(default_timeout, "default_timeout")
        self.ignore_delete_many_errors = ignore_delete_many_errors
        # The policy of the default timeout, and that timeout: most calls name none.
        self._default: tuple[object, Policy] | None = None

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Backend:
        """Builds the store from a configuration."""
        raise NotImplementedError

    def _policy(self, timeout: object) -> Policy:
        if timeout is not None:
            return Policy(durations.lifetime(timeout, "timeout"))
        default = self._default
        if default is None or default[0] != self.default_timeout:
            policy = Policy(durations.lifetime(self.default_timeout, "default_timeout"))
            default = self._default = (self.default_timeout, policy)
        return default[1]

    def _refused(self, key: Any, reason: str | None) -> None:
        if reason is not None and reason.startswith("uncodable"):
            _log.warning("%r is not kept: %s", key, reason)
        elif reason == "too-large":
            _log.warning("%r is not kept: it is larger than %s allows", key, self.limit)

    def get(self, key: Any) -> Any:
        """The value, or None."""
        found = self.engine.find(key)
        if len(found) > 1:
            _log.info("%r has %d variants: get() cannot know which is meant", key, len(found))
        return found[0] if len(found) == 1 else None

    def _only_variant(self, key: Any) -> Any:
        variants = self.engine.variants(key)
        return variants[0] if len(variants) == 1 else None

    def has(self, key: Any) -> bool:
        """Whether there is a value, None included."""
        return len(self.engine.find(key)) > 0

    def set(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value. False if it cannot be kept."""
        outcome, reason, _ = self.engine.set(key, value, self._policy(timeout))
        if reason is not None:
            self._refused(key, reason)
        return outcome == "stored"

    def add(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value where none is. False if one is there."""
        stored, reason = self.engine.add(key, value, self._policy(timeout))
        self._refused(key, reason)
        return stored

    def prolong(self, keys: list[str], timeout: object = None) -> None:
        """Lets what is stored under these keys live for `timeout` from now on; what is not there
        stays away, and so does what is removed meanwhile."""
        policy = self._policy(timeout)
        for key in keys:
            self.engine.prolong(key, policy)

    def delete(self, key: Any) -> bool:
        """Removes a key with all its variants. Whether it was there."""
        return bool(self.engine.remove(key))

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        return [None if found is None else found[0] for found in self.engine.get_many(*keys)]

    def get_dict(self, *keys: Any) -> dict[Any, Any]:
        """The values by their keys, None for what is not there."""
        return dict(zip(keys, self.get_many(*keys), strict=True))

    def set_many(self, mapping: dict[Any, Any], timeout: object = None) -> list[Any]:
        """Stores values. Answers the keys that were stored."""
        if type(self).set is not Backend.set:
            return [key for key, value in mapping.items() if self.set(key, value, timeout)]
        # Pickling runs people's code, which may change the mapping.
        values = list(mapping.items())
        outcomes = self.engine.set_many(values, self._policy(timeout))
        for (key, _), (_, reason, _) in zip(values, outcomes, strict=True):
            self._refused(key, reason)
        return [
            key
            for (key, _), (outcome, _, _) in zip(values, outcomes, strict=True)
            if outcome == "stored"
        ]

    def delete_many(self, *keys: Any) -> list[Any]:
        """Removes keys, and what matches those with a `*` or `?` in them. Answers what is gone.

        A key that was not there is gone too, as Flask-Caching has it; of a pattern the answer has the
        keys that were.
        """
        plain = [key for key in keys if not is_pattern(key)]
        gone: list[Any] = list(plain)
        if plain:
            self.engine.remove(*plain)
        for pattern in keys:
            if is_pattern(pattern):
                gone += self.engine.remove_pattern(pattern)
        return gone

    def delete_prefix(self, prefix: str) -> list[Any]:
        """Removes every key that begins so. Answers them."""
        return self.engine.remove_prefix(prefix)

    def clear(self) -> bool:
        """Removes everything of this cache, and nothing else in the store."""
        self.engine.clear()
        return True

    def unlink(self, *keys: Any) -> list[Any]:
        """As `delete_many`."""
        return self.delete_many(*keys)

    def inc(self, key: Any, delta: int = 1) -> int | None:
        """Adds to a counter in one step. Answers its new value."""
        return self.engine.count(key, delta, self._policy(None))

    def dec(self, key: Any, delta: int = 1) -> int | None:
        """Subtracts from a counter in one step. Answers its new value."""
        return self.engine.count(key, -delta, self._policy(None))

    def keys(self) -> Iterator[str]:
        """The keys that are stored, where the store can list them."""
        keys = self.engine.keys()
        return iter([key for key, _ in self.engine.listed("") or ()] if keys is None else keys)

    def forget_loads(self) -> None:
        """Forgets the loads under way, in a process that came out of a fork."""
        self.engine.forget_loads()


_backends: Gathered[Backend] = Gathered()


def watch_forks(backend: Backend) -> None:
    """Lets a store hear of it when the process was forked."""
    _backends.add(backend)


def _forget_loads() -> None:
    for backend in _backends:
        backend.forget_loads()


os.register_at_fork(after_in_child=_forget_loads)


def is_pattern(key: Any) -> bool:
    return isinstance(key, str) and any(sign in key for sign in _WILD)
