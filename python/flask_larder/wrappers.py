"""What decorated functions are to a type checker: functions with a few attributes.

Nothing here exists at run time but the names: a decorated function keeps its signature, also as a
method, and can be asked for its key, its timeout and the function that it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

__all__ = ["BoundCached", "BoundMemoized", "Cached", "Memoized"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)
T = TypeVar("T")


class _Wrapped(Protocol[P, R]):
    # The timeout that is in force when something is stored; may be assigned.
    cache_timeout: Any
    # Makes the key of a call; may be assigned.
    make_cache_key: Callable[..., Any]

    @property
    def uncached(self) -> Callable[P, R]:
        """The function as it was written."""
        ...


class BoundCached(_Wrapped[Concatenate[Any, P], R], Protocol[P, R]):
    """A method decorated with `cached`, of one instance."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Cached(_Wrapped[P, R], Protocol[P, R]):
    """A function decorated with `cached`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> Cached[P, R]: ...

    @overload
    def __get__(
        self: Cached[Concatenate[T, Q], R], instance: T, owner: Any = None, /
    ) -> BoundCached[Q, R]: ...


class BoundMemoized(_Wrapped[Concatenate[Any, P], R], Protocol[P, R]):
    """A method decorated with `memoize`, of one instance."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def delete_memoized(self) -> None:
        """Forgets every answer, of all instances."""
        ...


class Memoized(_Wrapped[P, R], Protocol[P, R]):
    """A function decorated with `memoize`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def delete_memoized(self) -> None:
        """Forgets every answer."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> Memoized[P, R]: ...

    @overload
    def __get__(
        self: Memoized[Concatenate[T, Q], R], instance: T, owner: Any = None, /
    ) -> BoundMemoized[Q, R]: ...
