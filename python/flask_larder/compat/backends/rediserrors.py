"""The errors of a store on Redis, for code that catches those of redis-py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = ["as_redis_py"]

T = TypeVar("T")


def as_redis_py(methods: Iterable[str]) -> Callable[[type[T]], type[T]]:
    """A decorator of a class: `methods` raise a redis-py ConnectionError where the engine raises an
    OSError. It still is one."""

    def decorate(kind: type[T]) -> type[T]:
        for name in methods:
            setattr(kind, name, _translated(getattr(kind, name)))
        return kind

    return decorate


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def translated(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            both = _both(type(error))
            if both is None:
                raise
            raise both(str(error)) from error

    return translated


@functools.cache
def _both(kind: type[OSError]) -> type[Exception] | None:
    """A class of redis-py's errors and `kind`; None without redis-py, whose errors nobody catches."""
    try:
        from redis.exceptions import ConnectionError as Unreachable
    except ImportError:
        return None
    if issubclass(kind, Unreachable):
        return None
    return type(Unreachable.__name__, (Unreachable, kind), {})
