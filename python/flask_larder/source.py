"""The source of a function as part of its keys: code that changes starts with an empty cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .decorated import Decorated

_digests: dict[tuple[Callable[..., Any], Any], str] = {}


def source_of(decorated: Decorated, asked: bool | None) -> str | None:
    """The digest of the function's source, if it is to be in the key; computed once."""
    cache = decorated.cache
    if not (cache.source_check if asked is None else asked):
        return None
    method = getattr(decorated.options, "hash_method", None) or cache.hash_method
    known = (decorated.function, method)
    if known not in _digests:
        _digests[known] = method(inspect.getsource(decorated.function).encode()).hexdigest()
    return _digests[known]
