"""Entries in the memory of each process, on Larder's engine."""

# The parts of one store know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from cachelib.serializers import SimpleSerializer

from ... import _native, backends
from ..._native import Engine, Key, Page, Policy
from ...responses import respond
from .base import BaseCache
from .seconds import whole_seconds
from .watched import Watched

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["SimpleCache"]

_UNBOUNDED = 1 << 62

# For a look that waits for nobody.
_LOOK = Policy(1.0, wait=0.0)


class _Chosen:
    """The serializer of a store: that of its class, until another is assigned to it."""

    def __init__(self, default: Any) -> None:
        self._default = default

    def __get__(self, backend: SimpleCache | None, owner: Any = None) -> Any:
        return self._default if backend is None else backend._serializer

    def __set__(self, backend: SimpleCache, serializer: Any) -> None:
        # What was stored under another serializer cannot be read by this one, nor be answered by
        # those who hold on to the engine.
        backend.engine.clear()
        backend._serializer = serializer
        backend.engine = backend._new_engine()


def _checked(threshold: Any) -> int:
    """A number of entries: also one with a point, as cachelib takes it."""
    if isinstance(threshold, int | float) and threshold > 0:
        return int(min(threshold, _UNBOUNDED)) or 1
    kind = type(threshold).__name__
    raise ValueError(f"CACHE_THRESHOLD={threshold!r} is {kind} (use a number from 1 upwards)")


class SimpleCache(Watched, backends.Backend, BaseCache):  # type: ignore[misc]
    """Entries in the memory of each process, at most `threshold` and one.

    Values that nobody can change are shared; others are copied out of the store at each `get`, as
    Flask-Caching does by pickling. With another `serializer` every value goes through that.
    """

    def __init__(
        self,
        threshold: int = 500,
        default_timeout: Any = 300,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
        *,
        max_bytes: int = _UNBOUNDED,
        max_value: int = _UNBOUNDED,
        on_event: Any = None,
    ) -> None:
        if ignore_errors is not None:
            warnings.warn(
                "ignore_errors has another name now: ignore_delete_many_errors",
                DeprecationWarning,
                stacklevel=2,
            )
            ignore_delete_many_errors = ignore_errors
        self._serializer = type(self).serializer
        self._counting = threading.Lock()
        self._threshold = _checked(threshold or 500)
        # cachelib makes room before it inserts, and so holds one more than it is told.
        self._new_engine = partial(
            Engine.memory,
            max_entries=self._threshold + 1,
            max_bytes=max_bytes,
            max_value=max_value,
            on_event=on_event,
        )
        super().__init__(self._new_engine(), 0, ignore_delete_many_errors)
        self.default_timeout: Any = default_timeout

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Builds the back end from CACHE_THRESHOLD, CACHE_OPTIONS and the sizes of Larder's own."""
        kwargs.update(threshold=config["CACHE_THRESHOLD"])
        return cls(*args, **kwargs)

    # The serializer.

    serializer = _Chosen(SimpleSerializer())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("serializer")
        if own is not None and not hasattr(own, "__get__"):
            # A class of somebody's own with a serializer as its attribute, as cachelib has it.
            cls.serializer = _Chosen(own)

    @property
    def coded(self) -> bool:
        """Whether values are stored as the bytes of a serializer that somebody chose."""
        return type(self._serializer) is not SimpleSerializer

    def _encode(self, value: Any) -> Any:
        return self._serializer.dumps(value) if self.coded else value

    def _decode(self, value: Any) -> Any:
        if self.coded:
            return self._serializer.loads(value)
        return respond(value) if isinstance(value, Page) else value

    # Values.

    def _policy(self, timeout: object) -> Policy:
        seconds = whole_seconds(self.default_timeout if timeout is None else timeout)
        return Policy(None if seconds == 0 else seconds)

    def get(self, key: Any) -> Any:
        """The value, or None."""
        found = self.engine.get(key)
        if found is not None:
            return self._decode(found[0])
        return self._decode_or_none(self._only_variant(key))

    def _decode_or_none(self, value: Any) -> Any:
        return None if value is None else self._decode(value)

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        if self._has_own("get"):
            return [self.get(key) for key in keys]
        found = self.engine.get_many(*keys)
        return [None if item is None else self._decode(item[0]) for item in found]

    def set(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value. Raises what pickling it raises, if it cannot be kept."""
        policy = self._policy(timeout)
        if policy.timeout is not None and policy.timeout < 0:
            self.engine.remove(key)
            return True
        outcome = self.engine.set(key, self._encode(value), policy)
        self._raise_if_refused(key, value, outcome[1])
        return outcome[0] == "stored"

    def add(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value where none is. False if one is there."""
        stored, reason = self.engine.add(key, self._encode(value), self._policy(timeout))
        self._raise_if_refused(key, value, reason)
        return stored

    def _raise_if_refused(self, key: Any, value: Any, reason: str | None) -> None:
        if reason is not None and reason.startswith(("uncodable", "stream")):
            # Pickling it says best what is wrong with it.
            self._serializer.dumps(value)
            raise TypeError(f"cannot keep the value of {key!r} ({reason})")

    def delete_many(self, *keys: Any) -> list[Any]:
        """Removes keys, and what matches those with a `*` or `?` in them. Answers what is gone."""
        if self._has_own("delete", "has"):
            return BaseCache.delete_many(self, *keys)
        return super().delete_many(*keys)

    def _has_own(self, *names: str) -> bool:
        """Whether somebody put a method of his own in the place of one of these.

        What works on many keys, and counts, goes through it then, as it does in cachelib.
        """
        kind, own = type(self), vars(self)
        return any(n in own or getattr(kind, n) is not getattr(SimpleCache, n) for n in names)

    def inc(self, key: Any, delta: int = 1) -> int | None:
        """Adds to a counter in one step. Answers its new value."""
        if not self.coded and not self._has_own("get", "set"):
            # What is no whole number is added to as Python adds, which cachelib leaves it to.
            with suppress(TypeError):
                return super().inc(key, delta)
        with self._counting:
            value = (self.get(key) or 0) + delta
            return value if self.set(key, value) else None

    def dec(self, key: Any, delta: int = 1) -> int | None:
        """Subtracts from a counter in one step. Answers its new value."""
        return self.inc(key, -delta)

    @property
    def _cache(self) -> Entries:
        return Entries(self)


class Entries(MutableMapping[str, tuple[float, bytes]]):
    """What a SimpleCache holds, as `(expiry, bytes)` by key: 0 is for ever.

    A live view under the name that cachelib keeps its dict by. Bytes are made when they are looked
    at.
    """

    def __init__(self, backend: SimpleCache) -> None:
        self._backend = backend

    def __getitem__(self, key: str) -> tuple[float, bytes]:
        answer = self._backend.engine.lookup(Key(key), _LOOK, [])
        if answer.permit is not None:
            answer.permit.drop()
        if answer.kind != "hit":
            raise KeyError(key)
        value = answer.value
        coded = value if self._backend.coded else self._backend.serializer.dumps(value)
        expiry = 0 if answer.ttl is None else _native.now() + answer.ttl
        return expiry, coded or b""

    def __setitem__(self, key: str, entry: tuple[float, bytes]) -> None:
        expiry, coded = entry
        seconds = max(1, math.ceil(expiry - _native.now())) if expiry else 0
        self._backend.set(key, self._backend.serializer.loads(coded), seconds)

    def __delitem__(self, key: str) -> None:
        if not self._backend.delete(key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._backend.keys()))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._backend.engine.get(key) is not None

    def __len__(self) -> int:
        return int(self._backend.engine.size()["entries"])

    def clear(self) -> None:
        """Removes everything."""
        self._backend.clear()
