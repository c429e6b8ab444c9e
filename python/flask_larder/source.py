"""The source of a function as part of its keys: code that changes starts with an empty cache.

Reading a source means opening its file, so it is done once for each function, and so is hashing it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from .decorated import Decorated


class Source:
    """The source of one function, in UTF-8, and its digests."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.content = inspect.getsource(function).encode()
        self._digests: dict[Any, str] = {}

    def digest(self, method: Callable[..., Any]) -> str:
        """The hexadecimal digest of the source by a hash method."""
        if method not in self._digests:
            self._digests[method] = method(self.content).hexdigest()
        return self._digests[method]


_sources: WeakKeyDictionary[Callable[..., Any], Source] = WeakKeyDictionary()


def read_source(function: Callable[..., Any]) -> Source:
    """The source of a function. Raises what `inspect.getsource` raises where there is none."""
    plain: Any = getattr(function, "__func__", function)
    if not inspect.isfunction(plain):
        # Others may have no hash, or be equal to what has another source.
        return Source(function)
    source = _sources.get(plain)
    if source is None:
        source = _sources[plain] = Source(plain)
    return source


def is_asked(decorated: Decorated, asked: bool | None) -> bool:
    """Whether the source is part of the keys: as the decorator says, else as the cache does now."""
    return bool(decorated.cache.source_check if asked is None else asked)


def source_of(decorated: Decorated, asked: bool | None) -> str | None:
    """The digest of the function's source, if it is to be in the key."""
    if not is_asked(decorated, asked):
        return None
    method = getattr(decorated.options, "hash_method", None) or decorated.cache.hash_method
    return read_source(decorated.function).digest(method)
