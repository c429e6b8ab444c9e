"""`cache.context`: what a view, a function or a fragment says of its own answer while it is made."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from . import durations

if TYPE_CHECKING:
    from datetime import timedelta

    from ._native import Key, Policy
    from .cache import Cache
    from .decorated import Decorated
    from .reads import Read
    from .watching import Watch

__all__ = ["Context", "Loading", "innermost"]

_UNSAID: Any = object()


class Loading:
    """One load: what its function has said of its answer, and what it was seen to read.

    Without a permit nothing will be stored: what is said has no effect, so that a function need not
    know whether it is called for the cache.
    """

    __slots__ = (
        "_decorated",
        "_given",
        "_permit",
        "_tags",
        "_timeout",
        "args",
        "before",
        "outer",
        "renewing",
        "skipped",
        "under",
        "watch",
    )

    def __init__(
        self, decorated: Decorated, args: tuple[Any, ...] = (), permit: Any = None
    ) -> None:
        # The arguments of the call.
        self.args = args
        self._decorated = decorated
        self._permit = permit
        self._timeout: Any = _UNSAID
        self._tags: list[str] = []
        # What `not_modified` has answered.
        self._given: Any = _UNSAID
        self.outer: Loading | None = None
        self.skipped: str | None = None
        self.watch: Watch | None = None
        # Inputs that the function may change, as they were when it began.
        self.before: dict[Read, str | None] = {}
        # The key that the answer belongs under, where it was found to be another one.
        self.under: Key | None = None
        # Whether what is stored is stored again.
        self.renewing = False

    def open(self) -> Token[Loading | None]:
        """Makes this the innermost load of the caller, and of whatever it starts."""
        self.outer = _innermost.get()
        return _innermost.set(self)

    @staticmethod
    def close(token: Token[Loading | None]) -> None:
        """The load of this token is over."""
        _innermost.reset(token)

    def policy(self, policy: Policy) -> Policy:
        """A policy with what was said."""
        if self._timeout is not _UNSAID:
            policy = policy.lasting(self._timeout)
        return policy.tagged(self._tags) if self._tags else policy

    def renews(self, value: object) -> bool:
        """Whether the function has answered that what is stored still holds."""
        return value is self._given

    @property
    def stored(self) -> tuple[Any] | None:
        """What is stored and out of date, as a tuple of one, as it is stored."""
        found: tuple[Any] | None = getattr(self._permit, "previous", None)
        return found

    def of(self, cache: Cache) -> bool:
        """Whether this is a load of that cache."""
        return self._decorated.cache is cache

    # What `cache.context` does.

    def last(self, timeout: object) -> None:
        """The answer is kept for this long."""
        self._timeout = durations.lifetime(timeout, "ttl")

    def tag(self, names: tuple[object, ...]) -> None:
        """The answer has these tags as well."""
        for name in names:
            if not isinstance(name, str):
                kind = type(name).__name__
                raise TypeError(f"tag({name!r}) is {kind} (use texts)")
            self._tags.append(name)

    def previous(self) -> Any:
        """What is stored, as a caller gets it."""
        stored = self.stored
        if stored is None:
            return None
        try:
            return self._decorated.outgoing(stored[0])
        except HTTPException as answer:
            return answer

    def not_modified(self) -> Any:
        """What is stored is to be stored again, and is the answer."""
        if self.stored is None:
            raise RuntimeError(
                f"not_modified: nothing is stored of {self._decorated.name} "
                "(look whether cache.context.previous is None first)"
            )
        self._given = self.previous()
        return self._given


# A context variable, because a load may spread over threads and tasks.
_innermost: ContextVar[Loading | None] = ContextVar("larder_loading", default=None)


def innermost() -> Loading | None:
    """The load that the caller is in the middle of."""
    return _innermost.get()


class Context:
    """The load that the caller is in the middle of: `cache.context`.

        @app.get("/prices")
        @cache.cached(timeout="1h")
        def prices():
            table = fetch_prices()
            cache.context.ttl(table.seconds_left)
            cache.context.tag(*(f"shop:{shop.id}" for shop in table.shops))
            if not table.complete:
                cache.context.skip("half of the prices are missing")
            return render_template("prices.html", table=table)

    It is the innermost one of this cache: a view's, or that of a memoized function or a fragment within
    it; threads and tasks have it with a copied context. Where a function runs and nothing will be
    stored (the request was a POST, say), everything is taken and has no effect. Outside of every load a
    RuntimeError says so.
    """

    __slots__ = ("_cache",)

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def ttl(self, timeout: float | timedelta | str) -> None:
        """Keeps the answer for this long, whatever the decorator says: seconds, a timedelta, "5m".

        As with `timeout=`, 0 is for ever, and less than that is not kept. The last word holds. In
        `flask_larder.compat` a memoized answer is kept no longer than the decorator says.
        """
        self._load("ttl").last(timeout)

    def tag(self, *names: str) -> None:
        """Gives the answer tags besides those of the decorator."""
        self._load("tag").tag(names)

    def skip(self, reason: str | None = None) -> None:
        """Serves the answer and stores nothing; the reason is in `Cache-Status` and in the counters."""
        self._load("skip").skipped = reason or "skipped"

    @property
    def previous(self) -> Any:
        """The answer that is stored and out of date, as callers got it; None where there is none.

        There is one while `revalidate=`, `stale=` or `stale_on_error=` keeps it.
        """
        return self._load("previous").previous()

    def not_modified(self) -> Any:
        """Keeps the previous answer for another lifetime: `return cache.context.not_modified()`.

        Returns it. Raises a RuntimeError where `previous` is None.
        """
        return self._load("not_modified").not_modified()

    def _load(self, name: str) -> Loading:
        found = _innermost.get()
        while found is not None and not found.of(self._cache):
            found = found.outer
        if found is None:
            raise RuntimeError(
                f"cache.context.{name} outside of a load (use it in a function that this cache "
                "decorates, called through its decorator)"
            )
        return found
