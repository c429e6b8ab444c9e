"""Other people's back ends under the engine: whatever has the interface of cachelib.

The engine keeps its entries in them as sealed bytes, and beside each a small record that purges
delete, so that everything it promises holds there too: one load for many callers, stale windows, tags,
and that nothing loaded before a purge is stored after it.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from ._native import ForeignStore, Key, Packing
from .backends import Backend
from .backends.opening import Near

R = TypeVar("R")

__all__ = ["ForeignCache", "Wrapping"]

_ENVELOPE = b"\xf5LRD"
"""What every entry of the engine begins with, in whatever version of the format."""

_FOREVER = 10 * 365 * 86_400
"""Ten years. Not cachelib's 0: what has no end is the first that it drops when it needs room."""

_LATER = 600
"""Ten minutes. Not for ever: tags may be as many as entries."""

_NEEDED = ("get", "set", "delete")


def _seen(value: Any) -> bytes | None:
    """What the engine sees of a stored value: bytes, empty ones for what is none of its own."""
    if value is None or isinstance(value, bytes):
        return value
    return bytes(cast("Any", value)) if isinstance(value, bytearray | memoryview) else b""


def _drops_by_expiry(backend: Any) -> bool:
    """Whether a back end that is full first drops what ends first: cachelib's memory and files."""
    # Where nobody has imported it, nothing is of its classes.
    known: Any = sys.modules.get("cachelib")
    return known is not None and isinstance(backend, (known.SimpleCache, known.FileSystemCache))


def _timeout(seconds: float | None) -> int:
    return _FOREVER if seconds is None else min(max(math.ceil(seconds), 1), _FOREVER)


class Pairs:
    """A back end as the engine asks it: bytes under texts, lives in seconds, None for ever.

    What a back end has no method for is done with those that it has.
    """

    def __init__(self, backend: Any, prefix: str) -> None:
        self._whole = (prefix + "!", prefix + "!l")
        self._tags = prefix + "!t"
        # The engine holds this object where the collector of cycles does not see it, and a back end
        # may well hold its application, which holds everything else.
        try:
            self._reference: Callable[[], Any] = weakref.ref(backend)
        except TypeError:
            self._reference = lambda: backend
        self._by_expiry = _drops_by_expiry(backend)

    @property
    def _backend(self) -> Any:
        backend = self._reference()
        if backend is None:
            raise OSError("its application is gone")
        return backend

    def _timeout(self, name: str, seconds: float | None) -> int:
        """The life of a record; the engine's own times say how long it is used.

        Where what ends first makes room, all records of a key live equally long, so that those written
        first go first. Those of tags, on which many entries may depend, go a little later; the two on
        which all entries depend go last.
        """
        if not self._by_expiry:
            return _timeout(seconds)
        if name in self._whole:
            return 2 * _FOREVER
        return _FOREVER + _LATER if name.startswith(self._tags) else _FOREVER

    def get_many(self, names: list[str]) -> list[bytes | None]:
        """What stands under these names, in their order."""
        backend = self._backend
        many = getattr(backend, "get_many", None)
        found = [backend.get(name) for name in names] if many is None else many(*names)
        return [_seen(value) for value in found]

    def set(self, name: str, value: bytes, seconds: float | None) -> None:
        """Stores bytes, or raises an OSError."""
        if self._backend.set(name, value, timeout=self._timeout(name, seconds)) is False:
            raise OSError("it did not store a value")

    def add(self, name: str, value: bytes, seconds: float | None) -> bool:
        """Stores bytes where nothing is, in one step if the back end can."""
        add = getattr(self._backend, "add", None)
        if add is None:
            return self._backend.get(name) is None and self._put(name, value, seconds)
        stored = add(name, value, timeout=self._timeout(name, seconds))
        return _seen(self._backend.get(name)) == value if stored is None else bool(stored)

    def swap(self, name: str, old: bytes, new: bytes, seconds: float | None) -> bool:
        """Stores bytes where these others are; in two steps, because there is no method for it."""
        return _seen(self._backend.get(name)) == old and self._put(name, new, seconds)

    def _put(self, name: str, value: bytes, seconds: float | None) -> bool:
        self.set(name, value, seconds)
        return True

    def delete_many(self, names: list[str]) -> None:
        """Deletes what stands under these names, or raises an OSError.

        One by one: a `delete_many` may give up at the first key that is not there.
        """
        for name in names:
            if not self._backend.delete(name):
                self._insist(name)

    def _insist(self, name: str) -> None:
        """Looks whether something is left, for `delete` also answers False where nothing was."""
        left = self._backend.get(name)
        if left is None:
            return
        self._backend.delete(name)
        # Something else there was stored meanwhile, and is not what had to go.
        if self._backend.get(name) == left:
            raise OSError("it did not delete a value")

    def clear(self) -> None:
        """Gives the space back, in the back end's own way."""
        clear = getattr(self._backend, "clear", None)
        if clear is not None:
            clear()


@dataclass(frozen=True)
class Wrapping:
    """What the engine needs to know to keep entries in a back end."""

    key_prefix: str
    default_timeout: object
    packing: Packing
    max_value: int
    near: Near | None = None
    on_event: Callable[[str, str | None, str], object] | None = None


class ForeignCache(Backend):
    """A back end of somebody else's, with everything that the engine promises.

    `wrapped` is the back end. What this class does not have falls through to it, so
    `cache.cache._client` is its client; its keys begin with CACHE_KEY_PREFIX. What other code has
    stored there under such a key, `get` answers as it is, and decorated functions take for a miss.
    """

    wrapped: Any

    def __init__(self, backend: Any, wrapping: Wrapping) -> None:
        missing = [name for name in _NEEDED if not callable(getattr(backend, name, None))]
        if missing:
            kind = type(backend).__name__
            raise ValueError(
                f"{kind} is no back end: it has no {missing[0]}() "
                "(give it the methods of cachelib.BaseCache)"
            )
        near = wrapping.near
        self._store = ForeignStore(
            Pairs(backend, wrapping.key_prefix),
            namespace=wrapping.key_prefix,
            packing=wrapping.packing,
            max_value=wrapping.max_value,
            near=None if near is None else (near.size, near.timeout),
            on_event=wrapping.on_event,
        )
        own = getattr(backend, "default_timeout", None)
        known = isinstance(own, int | float | timedelta) and not isinstance(own, bool)
        super().__init__(
            self._store.engine,
            own if known else wrapping.default_timeout,
            bool(getattr(backend, "ignore_delete_many_errors", False)),
        )
        # Last: from now on, what is not among the attributes so far is the back end's.
        self.wrapped = backend

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "wrapped" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return getattr(self.wrapped, name)

    def __setattr__(self, name: str, value: Any) -> None:
        backend = vars(self).get("wrapped")
        if backend is not None and name not in vars(self) and hasattr(backend, name):
            setattr(backend, name, value)
        else:
            super().__setattr__(name, value)

    def _ask(self, work: Callable[..., R], *args: Any) -> R:
        """What the back end answers; an OSError for its exceptions, as for those of every store."""
        try:
            return work(*args)
        except Exception as error:
            raise OSError(f"the back end raised {type(error).__name__}: {error}") from error

    def _raw(self, key: Any) -> Any:
        """What the back end has under the name of a key."""
        return self._ask(self.wrapped.get, self._store.name_of(key))

    def _strange(self, key: Any) -> Any:
        """What other code has stored under a key; None for nothing, and for an entry of ours."""
        if isinstance(key, Key):
            return None
        found = self._raw(key)
        seen = _seen(found)
        return None if seen is not None and seen.startswith(_ENVELOPE) else found

    def get(self, key: Any) -> Any:
        """The value, or None."""
        found = self.engine.get(key)
        if found is not None:
            return found[0]
        value = self._only_variant(key)
        return self._strange(key) if value is None else value

    def has(self, key: Any) -> bool:
        """Whether there is a value, None included."""
        return super().has(key) or self._strange(key) is not None

    def add(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value where none is. False if one is there."""
        return self._strange(key) is None and super().add(key, value, timeout)

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        found = zip(keys, self.engine.get_many(*keys), strict=True)
        return [self._strange(key) if value is None else value[0] for key, value in found]

    def delete(self, key: Any) -> bool:
        """Removes a key with all its variants. Whether it was there."""
        strange = self._strange(key) is not None
        return super().delete(key) or strange

    def inc(self, key: Any, delta: int = 1) -> int | None:
        """Adds to a counter: in the back end's own way, unless `set` has stored the number."""
        return self._count(key, "inc", delta)

    def dec(self, key: Any, delta: int = 1) -> int | None:
        """Subtracts from a counter, as `inc` adds."""
        return self._count(key, "dec", delta)

    def _count(self, key: Any, way: str, delta: int) -> int | None:
        seen = _seen(self._raw(key))
        theirs: Any = getattr(self.wrapped, way, None)
        if theirs is None or (seen is not None and seen.startswith(_ENVELOPE)):
            return self.engine.count(key, delta if way == "inc" else -delta, self._policy(None))
        return self._ask(theirs, self._store.name_of(key), delta)
