"""Making answers invalid: of a view, of a memoized function, of a tag."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import current_app

from .decorated import DECORATED
from .direct import Direct
from .endpoints import endpoints_of
from .functions import Function

if TYPE_CHECKING:
    from ._native import Engine
    from .invalidating import Holder


class Purging(Direct):
    """The part of `Cache` that knows which keys and tags belong to what people decorated."""

    _log: logging.Logger
    # What purges after a write may have to wait for.
    _holders: list[Holder]

    def delete_cached(
        self, f: Callable[..., Any], path: str | None = None, query_args: Any = None, **view: Any
    ) -> bool:
        """Removes what a view answered, in every variant: for `path`, or for these view arguments."""
        if path is None and view:
            path = self._path_of(f, view)
        if not hasattr(f, "make_cache_key"):
            name = getattr(f, "__qualname__", repr(f))
            raise TypeError(
                f"{name} is not cached by this cache (delete_cached takes a cached view)"
            )
        return self.delete(f.make_cache_key(path=path, query_args=query_args))  # type: ignore[attr-defined]

    def _path_of(self, f: Callable[..., Any], view: dict[str, Any]) -> str:
        """The path that leads to a view with these arguments, decoded as a request's path is."""
        from urllib.parse import unquote

        from flask import url_for

        endpoints = endpoints_of(current_app, f)
        name = getattr(f, "__name__", "")
        return unquote(url_for(endpoints[0] if endpoints else name, _external=False, **view))

    def delete_memoized(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Removes what a memoized function answered: for these arguments, or altogether.

        Of a bound method without arguments, what it answered for that instance.
        """
        function, receiver = self._memoized(f)
        if not args and not kwargs:
            function.forget(receiver)
            return
        if receiver is not None and (not args or args[0] is not receiver):
            args = (receiver, *args)
        self.delete(function.readable_key(None, *args, **kwargs))

    def delete_memoized_verhash(self, f: Callable[..., Any], *_ignored: Any) -> None:
        """Removes everything that a memoized function answered."""
        function, receiver = self._memoized(f)
        function.forget(receiver)

    def _memoized(self, f: Any) -> tuple[Function, Any]:
        if not callable(f):
            kind = type(f).__name__
            raise TypeError(f"delete_memoized takes a memoized function, not {kind}")
        decorated = getattr(getattr(f, "__func__", f), DECORATED, None)
        if isinstance(decorated, Function) and decorated.cache is self:
            return decorated, getattr(f, "__self__", None)
        name = getattr(f, "__qualname__", repr(f))
        raise TypeError(f"{name} is not memoized by this cache")

    def invalidate_tags(self, *tags: str) -> None:
        """Makes every answer that carries one of these tags invalid, at once and in constant time.

        Raises a TypeError for a list of tags: `invalidate_tags(*tags)`.
        """
        for tag in tags:
            if isinstance(tag, list | tuple | set | frozenset | dict):
                raise TypeError(
                    f"invalidate_tags takes tags one by one, not a {type(tag).__name__} "
                    "(write invalidate_tags(*tags))"
                )
        self._tagging_engine().bump([str(tag) for tag in tags], [])

    # What those who purge for a write ask of their cache.

    def _tagging_engine(self) -> Engine:
        """The engine of the moment; a RuntimeError where the store knows no tags."""
        return self._engine()

    def _hold(self, engine: Engine, tags: list[str]) -> bool:
        """Gives the tags to the transactions that the caller has open. Whether the purge waits for
        them to end."""
        # Each of them has to be told, whatever the others say.
        waits = [holder.hold(engine, tags) for holder in self._holders]
        return any(waits)

    def _bump_after_write(self, engine: Engine, tags: list[str]) -> None:
        """Makes what carries one of the tags invalid, and never raises: what the tags are about has
        been written, and whoever wrote it must not take that for a failure."""
        try:
            engine.bump(tags, [])
        except OSError as error:
            # The engine owes the purge now, and carries it out before it reads the store again.
            self._log.warning(
                "the store is away: %s will be purged when it is back, and other processes may "
                "serve what carries these tags until then: %s",
                ", ".join(tags),
                error,
            )
        except Exception:
            self._log.exception("%s could not be purged", ", ".join(tags))
