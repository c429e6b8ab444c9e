"""The decorators' positional parameters in the order of Flask-Caching 2.4.

2.5 put `is_stale` in front of `response_filter`, so that whatever older code passes by position from
there on lands one place too far. Where the values cannot be what 2.5 has in those places and can be
what 2.4 had, they are taken as 2.4 took them.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

# The place that `is_stale` has since 2.5; what comes before it never moved.
MOVED_FROM = 4
_HASHES = [getattr(hashlib, name) for name in sorted(hashlib.algorithms_guaranteed)]


def _is_function(value: Any) -> bool:
    # A hash constructor is one, but nobody filters or ages answers by it.
    return value is None or (callable(value) and not any(value is one for one in _HASHES))


def _is_hash(value: Any) -> bool:
    return value is None or callable(value)


def _is_switch(value: Any) -> bool:
    return value is None or isinstance(value, bool | int)


def _is_list(value: Any) -> bool:
    return value is None or isinstance(value, list | tuple | set | frozenset)


Kinds = Mapping[str, Callable[[Any], bool]]

CACHED: Kinds = {
    "response_filter": _is_function,
    "query_string": _is_switch,
    "hash_method": _is_hash,
    "cache_none": _is_switch,
    "make_cache_key": _is_function,
    "source_check": _is_switch,
    "response_hit_indication": _is_switch,
}
"""What `cached` of 2.4 had from the fifth place on."""

MEMOIZE: Kinds = {
    "response_filter": _is_function,
    "hash_method": _is_hash,
    "cache_none": _is_switch,
    "source_check": _is_switch,
    "args_to_ignore": _is_list,
}
"""What `memoize` of 2.4 had from the fifth place on."""


def _fits(values: tuple[Any, ...], kinds: Kinds) -> bool:
    if len(values) > len(kinds):
        return False
    return all(suits(value) for suits, value in zip(kinds.values(), values, strict=False))


def in_either_order(kinds: Kinds) -> Callable[[F], F]:
    """Lets a decorator of a cache understand positional arguments in 2.4's order as well.

    Where both orders fit, 2.5's holds. Taking 2.4's warns with a DeprecationWarning.
    """
    newer: Kinds = {"is_stale": _is_function, **kinds}

    def wrap(decorator: F) -> F:
        @functools.wraps(decorator)
        def either(self: Any, *args: Any, **kwargs: Any) -> Any:
            moved = args[MOVED_FROM:]
            if moved and not _fits(moved, newer) and _fits(moved, kinds):
                names = list(kinds)[: len(moved)]
                warnings.warn(
                    f"{decorator.__name__}() was given {', '.join(names)} by position in the order "
                    "of Flask-Caching 2.4 (pass them by name)",
                    DeprecationWarning,
                    stacklevel=2,
                )
                twice = [name for name in names if name in kwargs]
                if twice:
                    raise TypeError(
                        f"{decorator.__name__}() got {twice[0]} by position and by name (drop one)"
                    )
                args = args[:MOVED_FROM]
                kwargs.update(zip(names, moved, strict=True))
            return decorator(self, *args, **kwargs)

        vars(either)["__signature__"] = _as_theirs(inspect.signature(decorator))
        return cast("F", either)

    return wrap


def _as_theirs(signature: inspect.Signature) -> inspect.Signature:
    """The signature with the default that `query_string` has there: None means the same here."""
    parameters = signature.parameters.values()
    return signature.replace(
        parameters=[
            one.replace(default=False) if one.name == "query_string" else one for one in parameters
        ]
    )
