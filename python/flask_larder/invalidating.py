"""`@cache.invalidates`: a function that writes, and the tags that are out of date once it has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from .callbacks import Callback
from .steps import Load, Steps, Store, run, run_async
from .tags import Tags

if TYPE_CHECKING:
    from ._native import Engine
    from .cache import Cache

Given = str | Callable[..., Iterable[str]]


class Holder(Protocol):
    """What a purge may have to wait for: the transactions that the caller has open."""

    def hold(self, engine: Engine, tags: list[str]) -> bool:
        """Keeps the tags until the transactions end. Whether the purge has to wait for that."""
        ...


class Invalidating:
    """One function that writes, and how its calls are answered."""

    def __init__(
        self, cache: Cache, function: Callable[..., Any], given: tuple[Given, ...]
    ) -> None:
        self.cache = cache
        self.function = function
        _check(function)
        self._named = Tags([one for one in given if isinstance(one, str)], function)
        self._computed = [Callback(one, leading=1) for one in given if not isinstance(one, str)]

    def wrapped(self) -> Callable[..., Any]:
        """The function that stands in the place of the one that writes."""
        function = self.function
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def write_async(*args: Any, **kwargs: Any) -> Any:
                return await run_async(self.steps(args, kwargs), function)

            return write_async

        @functools.wraps(function)
        def write(*args: Any, **kwargs: Any) -> Any:
            return run(self.steps(args, kwargs), function)

        return write

    def steps(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """How a call is answered."""
        # What is wrong with the tags or the store's configuration is said before anything is written.
        tags = self._named.of(args, kwargs)
        engine = self.cache._tagging_engine()
        value = yield Load(args, kwargs)
        for computed in self._computed:
            tags += self._tags_of(computed, value, args, kwargs)
        if tags and not self.cache._hold(engine, tags):
            yield Store(engine, lambda: self.cache._bump_after_write(engine, tags))
        return value

    def _tags_of(
        self, computed: Callback, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[str]:
        """The tags that depend on what the function returned; none where that fails, for the write
        has happened, and its caller must not be told otherwise."""
        try:
            found = computed(value, *args, **kwargs)
            if isinstance(found, str):
                raise TypeError(f"a callable of invalidates answered {found!r} (answer a list)")
            return [str(tag) for tag in found]
        except Exception:
            name = getattr(self.function, "__qualname__", repr(self.function))
            self.cache._log.exception("%s wrote, and its tags could not be computed", name)
            return []


def _check(function: Any) -> None:
    """Refuses what returns before it has written."""
    kind: str = type(function).__name__
    if kind in ("staticmethod", "classmethod"):
        raise TypeError(f"invalidates got a {kind} (put @{kind} above @cache.invalidates)")
    if not callable(function):
        raise TypeError(
            f'invalidates decorates a function, not {kind} (name its tags: @cache.invalidates("tag"))'
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{name} is a generator: it returns before it has written "
            "(call cache.invalidate_tags() at its end)"
        )


def checked(given: tuple[Any, ...]) -> tuple[Given, ...]:
    """The tags that were handed to the decorator, or an error that says what is wrong with them."""
    if not given:
        raise TypeError('invalidates names no tag (use @cache.invalidates("user:{user_id}"))')
    for one in given:
        if not isinstance(one, str) and not callable(one):
            kind = type(one).__name__
            raise TypeError(
                f"invalidates got a {kind} (name each tag for itself, or pass a callable)"
            )
    return given
