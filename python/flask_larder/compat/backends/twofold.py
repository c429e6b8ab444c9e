"""Stores on Larder's engine that go cachelib's way where something was handed in that asks for it."""

# A store's space and its engine belong together.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import logging
import pickle
import threading
from typing import Any, ClassVar

from cachelib import BaseCache as CachelibBaseCache
from flask import Response

from ... import _native, backends
from ..._native import Engine, Packing, Page, Policy
from ...responses import page_of, respond
from .base import BaseCache
from .seconds import whole_seconds
from .versions import Versions

__all__ = ["Twofold", "inward", "outward", "say_once"]

_log = logging.getLogger("flask_caching")
_said: set[str] = set()

# A namespace for each prefix that a callable came up with; beyond this the oldest is made anew.
_MOST_SPACES = 256


def say_once(message: str) -> None:
    """A warning in the log, once in a process."""
    if message not in _said:
        _said.add(message)
        _log.warning("%s", message)


class Twofold(backends.Backend, BaseCache):  # type: ignore[misc]
    """A store whose entries are Larder's own, until a client or a serializer is handed in, also later:
    that is used as Flask-Caching uses it, with its calls and its bytes, which are pickles."""

    theirs: ClassVar[Any]
    """The class of cachelib whose way the other one is."""

    place: ClassVar[str]
    """Where values are stored, in messages."""

    def __init__(self, default_timeout: Any, ignore_delete_many_errors: bool) -> None:
        CachelibBaseCache.__init__(self, default_timeout, ignore_delete_many_errors)
        self._packing = Packing()
        self._on_event: Any = None
        self._spaces: dict[str, Versions] = {}
        self._opening = threading.Lock()
        backends.watch_forks(self)

    # The engine, or what somebody handed in.

    @property
    def coded(self) -> bool:
        """Whether values go cachelib's way."""
        raise NotImplementedError

    def _get_prefix(self) -> str:
        """What stands before every key at this moment."""
        return ""

    def _open(self, prefix: str) -> Versions:
        """What is stored under a prefix. An AttributeError where no engine has it, as of an attribute
        that is not there: nobody has to know of both ways."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:  # type: ignore[override]
        """The engine over the entries of the prefix of the moment."""
        return self.versions.space.engine

    @property
    def versions(self) -> Versions:
        """The versions of memoized functions under the prefix of the moment."""
        prefix = self._get_prefix()
        found = self._spaces.get(prefix)
        return self._new_space(prefix) if found is None else found

    def _new_space(self, prefix: str) -> Versions:
        # Whoever is first makes the one that all use, for loads meet in it.
        with self._opening:
            if prefix not in self._spaces:
                while len(self._spaces) >= _MOST_SPACES:
                    self._spaces.pop(next(iter(self._spaces)), None)
                self._spaces[prefix] = self._open(prefix)
            return self._spaces[prefix]

    def forget_loads(self) -> None:
        """Forgets the loads under way, in a process that came out of a fork."""
        self._opening = threading.Lock()
        for versions in list(self._spaces.values()):
            versions.space.engine.forget_loads()

    # Values.

    def _named(self, key: Any) -> str:
        """A key as the engine takes it; a TypeError for what is none."""
        if isinstance(key, str):
            return key
        kind = type(key).__name__
        raise TypeError(f"key {key!r} is {kind} (use a text)")

    def lifetime(self, timeout: object) -> int:
        """A timeout as whole seconds; 0 is for ever, and a negative one is over already."""
        return whole_seconds(self.default_timeout if timeout is None else timeout)

    def _policy(self, timeout: object) -> Policy:
        return Policy(self.lifetime(timeout) or None)

    def _counting(self) -> Policy:
        """How long a new counter is kept."""
        return self._policy(None)

    def get(self, key: Any) -> Any:
        """The value, or None."""
        if self.coded:
            return self.theirs.get(self, key)
        found = self.engine.get(self._named(key))
        return None if found is None else outward(found[0])

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        if self.coded:
            return self.theirs.get_many(self, *keys)
        found = self.engine.get_many(*map(self._named, keys))
        return [None if item is None else outward(item[0]) for item in found]

    def get_dict(self, *keys: Any) -> dict[Any, Any]:
        """The values by their keys, None for what is not there."""
        if self.coded:
            return self.theirs.get_dict(self, *keys)
        return super().get_dict(*keys)

    def has(self, key: Any) -> Any:
        """Whether there is a value, None included."""
        if self.coded:
            return self.theirs.has(self, key)
        return self.engine.get(self._named(key)) is not None

    def set(self, key: Any, value: Any, timeout: object = None) -> Any:
        """Stores a value. Raises what pickling it raises; False if it can only be a pickle, and there
        is no secret to seal it with."""
        if self.coded:
            return self.theirs.set(self, key, value, timeout)
        name, policy = self._named(key), self._policy(timeout)
        if policy.timeout is not None and policy.timeout < 0:
            self.engine.remove(name)
            return True
        try:
            outcome = self.engine.set(name, inward(value), policy)
        except TypeError as error:
            return self._not_kept(value, error)
        return outcome[0] == "stored" or self._not_kept(value, outcome[1])

    def add(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value where none is, in one step. False if one is there."""
        if self.coded:
            return bool(self.theirs.add(self, key, value, timeout))
        name, policy = self._named(key), self._policy(timeout)
        try:
            stored, reason = self.engine.add(name, inward(value), policy)
        except TypeError as error:
            return self._not_kept(value, error)
        return stored or (reason is not None and self._not_kept(value, reason))

    def _not_kept(self, value: Any, why: object) -> bool:
        # Pickling says best what is wrong with a value that no store can hold.
        pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        say_once(f"a {type(value).__qualname__} is not stored in {self.place}: {why}")
        return False

    def set_many(self, mapping: dict[str, Any], timeout: object = None) -> list[Any]:
        """Stores values. Answers the keys that were stored."""
        if self.coded:
            return self.theirs.set_many(self, mapping, timeout)
        return [key for key, value in mapping.items() if self.set(key, value, timeout)]

    def delete(self, key: Any) -> Any:
        """Removes a key. Whether it was there."""
        if self.coded:
            return self.theirs.delete(self, key)
        return bool(self.engine.remove(self._named(key)))

    def delete_many(self, *keys: Any) -> list[Any]:
        """Removes keys, and what matches those with a `*` or `?` in them. Answers what is gone."""
        if self.coded:
            return self.theirs.delete_many(self, *keys)
        return super().delete_many(*map(self._named, keys))

    def clear(self) -> Any:
        """Removes everything of this store's prefix, and nothing else."""
        return self.theirs.clear(self) if self.coded else super().clear()

    def inc(self, key: Any, delta: int = 1) -> Any:
        """Adds to a counter in one step. Answers its new value."""
        if self.coded:
            return self.theirs.inc(self, key, delta)
        return self.engine.count(self._named(key), delta, self._counting())

    def dec(self, key: Any, delta: int = 1) -> Any:
        """Subtracts from a counter in one step. Answers its new value."""
        if self.coded:
            return self.theirs.dec(self, key, delta)
        return self.engine.count(self._named(key), -delta, self._counting())


def inward(value: Any) -> Any:
    """A plain response as the page that it is; any other value as it is."""
    app = _native.current_app()
    if type(value) is Response or (app is not None and type(value) is app.response_class):
        page = page_of(value)
        return value if page is None else page
    return value


def outward(value: Any) -> Any:
    """A page as a response of the application; any other value as it is."""
    return respond(value) if isinstance(value, Page) else value
