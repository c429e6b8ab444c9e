"""Purges that wait for a commit of SQLAlchemy, and are dropped on a rollback. For SQLAlchemy 2.

    from flask_larder.sqlalchemy import Invalidations

    invalidations = Invalidations(cache, db.session)

    class Product(db.Model):
        __cache_tags__ = ("products", "product:{id}", "category:{category_id}")
        ...

    invalidations.track(db.Model)

A commit that changed a product purges its tags before `commit()` returns; what a reader loaded from
before the commit is not stored after it. Nothing is purged for what was rolled back, savepoints
included. `@cache.invalidates` waits likewise. A commit never fails because of the cache: a store that
is away is owed the purge, and the log says so.

Not seen are: writes as text (`session.execute(text(...))`), writes by a connection, and the older
`bulk_save_objects` and `bulk_..._mappings`; purge for those with `on_commit`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection, event
from sqlalchemy.orm import (
    ORMExecuteState,
    Session,
    SessionTransaction,
    object_session,
    scoped_session,
    sessionmaker,
)

from ._models import Given, ModelTags

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker

    from ._native import Engine
    from .cache import Cache
else:
    try:
        from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
    except ImportError:

        class AsyncSession:
            """In the place of what SQLAlchemy 2.1 has with greenlet alone: nobody has one of these."""

        async_scoped_session = async_sessionmaker = AsyncSession

__all__ = ["Invalidations"]

M = TypeVar("M", bound=type)

# The transactions that the caller opened and that may still be open; each thread, task and greenlet
# has its own.
_opened: ContextVar[tuple[weakref.ref[SessionTransaction], ...]] = ContextVar(
    "larder_transactions", default=()
)


class _Held:
    """What waits for one transaction or savepoint to end."""

    __slots__ = ("committing", "tags", "wrote")

    def __init__(self) -> None:
        self.tags: dict[Engine, dict[str, None]] = {}
        # Whether something was written that only a commit makes visible to others.
        self.wrote = False
        # Whether the database was told to commit: until it answers nobody knows what became of that.
        self.committing = False

    def add(self, engine: Engine, tags: Iterable[str]) -> None:
        self.tags.setdefault(engine, {}).update(dict.fromkeys(tags))

    def take(self, other: _Held) -> None:
        for engine, tags in other.tags.items():
            self.add(engine, tags)
        self.wrote |= other.wrote


class Invalidations:
    """The purges of one cache that wait for the transactions of sessions.

    `session` says which: a `Session` or a class of sessions, a `sessionmaker`, a `scoped_session`
    (Flask-SQLAlchemy's `db.session`), or one of their asynchronous twins; None is every session of
    the process. Make it once, where the cache is made. Asynchronous sessions purge on the event loop,
    one round trip on a store outside the process.

    Raises a TypeError for anything else.
    """

    def __init__(self, cache: Cache, session: Any = None) -> None:
        self._cache = cache
        self._sessions = _sessions_of(session)
        self._trackers: list[_Tracker] = []
        for name in (
            "after_transaction_create",
            "after_transaction_end",
            "after_begin",
            "after_commit",
            "after_flush",
            "do_orm_execute",
        ):
            event.listen(self._sessions, name, _weakly(getattr(self, f"_{name}")))
        cache._holders.append(self)

    # What people ask for.

    def on_commit(self, session: Any, *tags: str) -> None:
        """Purges these tags when the transaction of `session` commits, or the next one if none is
        open. Raises a ValueError for a session that is not watched."""
        session = _session_of(session)
        if not self._watches(session):
            raise ValueError(
                f"{session!r} is not among the sessions of these Invalidations "
                "(make them for it: Invalidations(cache, session))"
            )
        self._held(session).add(self._cache._tagging_engine(), [str(tag) for tag in tags])

    def track(self, model: M, tags: Given = None) -> M:
        """Purges the tags of objects of this class and of those derived from it, when a commit has
        inserted, changed or deleted them.

        `tags` are names, in which `{name}` is filled in from an object's attributes, or a callable
        that gets the object; without them the class says them itself: `__cache_tags__`. An object
        that moves from one tag to another purges both. A statement that changes many rows
        (`session.execute(update(Product))`) purges the tags without a field.

        Returns the class, so that it can decorate one. Raises a ValueError for a field that the class
        has no attribute for, and a TypeError for tags in a str.
        """
        tags_of = ModelTags(model, tags)
        tags_of.remember_old_values()
        tracker = _Tracker(self, tags_of)
        for name in ("after_insert", "before_update", "after_update", "before_delete"):
            event.listen(model, name, _weakly(getattr(tracker, name)), propagate=True)
        self._trackers.append(tracker)
        return model

    # What the cache asks for.

    def hold(self, engine: Engine, tags: list[str]) -> bool:
        """Keeps the tags until the caller's transactions end. Whether the purge has to wait.

        Where it is not certain that the caller wrote something in one of them, it does not wait: a
        transaction that only reads may never commit. It is then purged with the commit as well.
        """
        waits = False
        for opened in _opened.get():
            transaction = opened()
            session = None if transaction is None else transaction.session
            if session is None or not self._watches(session):
                continue
            if session.get_transaction() is transaction:
                self._held(session).add(engine, tags)
                waits |= self._has_written(session)
        return waits

    def _has_written(self, session: Session) -> bool:
        if session.new or session.deleted or session.dirty:
            return True
        return any(held.wrote for held in self._all(session).values())

    # What waits for what.

    def _watches(self, session: Session) -> bool:
        watched = self._sessions
        return isinstance(session, watched) if isinstance(watched, type) else session is watched

    def _all(self, session: Session) -> dict[SessionTransaction | None, _Held]:
        """What waits for each transaction of a session; under None, for the one that is next."""
        # A session belongs to one thread at a time, and so does what it carries.
        return session.info.setdefault(self, {})

    def _held(self, session: Session, transaction: SessionTransaction | None = None) -> _Held:
        """What waits for a transaction; if none is given, for the innermost one of the session."""
        if transaction is None:
            transaction = session.get_nested_transaction() or session.get_transaction()
        return self._all(session).setdefault(transaction, _Held())

    def _purge(self, held: _Held) -> None:
        for engine, tags in held.tags.items():
            self._cache._bump_after_write(engine, list(tags))

    def _settle(self, session: Session, transaction: SessionTransaction) -> None:
        """Purges for a transaction that was committed; hands on what waits for a savepoint."""
        held = self._all(session).pop(transaction, None)
        if held is None:
            return
        if transaction.nested and transaction.parent is not None:
            self._held(session, _boundary(transaction.parent)).take(held)
        else:
            self._purge(held)

    # What SQLAlchemy tells.

    def _after_transaction_create(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        early = self._all(session).pop(None, None)
        if early is not None:
            self._held(session, transaction).take(early)
        known = [one for one in _opened.get() if one() not in (None, transaction)]
        _opened.set((*known, weakref.ref(transaction)))

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        held = self._all(session).get(transaction)
        if held is not None and held.committing:
            # The commit did not return. The database may have carried it out all the same.
            self._settle(session, transaction)
        self._all(session).pop(transaction, None)
        if transaction.parent is None:
            _opened.set(tuple(one for one in _opened.get() if one() not in (None, transaction)))

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        # A connection that was handed to the session is committed by whoever handed it over.
        if transaction.parent is None and connection is not session.bind:
            held = self._held(session, transaction)

            def committing(_connection: Connection) -> None:
                held.committing = True

            event.listen(connection, "commit", committing)

    def _after_commit(self, session: Session) -> None:
        transaction = session.get_nested_transaction() or session.get_transaction()
        if transaction is not None:
            self._settle(session, transaction)

    def _after_flush(self, session: Session, _context: Any) -> None:
        self._held(session).wrote = True

    def _do_orm_execute(self, state: ORMExecuteState) -> None:
        if not (state.is_insert or state.is_update or state.is_delete):
            return
        held = self._held(state.session)
        held.wrote = True
        tags = [tag for one in self._trackers for tag in one.tags.of_statement(state)]
        if tags:
            held.add(self._cache._tagging_engine(), tags)

    def _collect(self, target: Any, tags_of: Callable[[Any], list[str]]) -> None:
        session = object_session(target)
        if session is None or not self._watches(session):
            return
        tags = tags_of(target)
        if tags:
            self._held(session).add(self._cache._tagging_engine(), tags)


class _Tracker:
    """Hears of the objects of one class, and of those derived from it."""

    def __init__(self, invalidations: Invalidations, tags: ModelTags) -> None:
        self._collect = invalidations._collect
        self.tags = tags

    def after_insert(self, _mapper: Any, _connection: Any, target: Any) -> None:
        self._collect(target, self.tags.of)

    def before_update(self, _mapper: Any, _connection: Any, target: Any) -> None:
        self._collect(target, self.tags.of_before)

    def after_update(self, _mapper: Any, _connection: Any, target: Any) -> None:
        self._collect(target, self.tags.of_changed)

    def before_delete(self, _mapper: Any, _connection: Any, target: Any) -> None:
        self._collect(target, self.tags.of_deleted)


def _weakly(method: Any) -> Callable[..., None]:
    """The method, as long as its object is there: SQLAlchemy never forgets who listens."""
    known = weakref.WeakMethod(method)

    def tell(*args: Any) -> None:
        found = known()
        if found is not None:
            found(*args)

    return tell


def _boundary(transaction: SessionTransaction) -> SessionTransaction:
    """The transaction or savepoint that a flush's own marker stands in."""
    while not transaction.nested and transaction.parent is not None:
        transaction = transaction.parent
    return transaction


def _session_of(session: Any) -> Session:
    """The plain session that does the work of this one."""
    if isinstance(session, scoped_session | async_scoped_session):
        session = cast("Any", session)()
    return session.sync_session if isinstance(session, AsyncSession) else session


def _sessions_of(given: object) -> type[Session] | Session:
    """The class whose sessions are meant, or the one session."""
    if given is None:
        return Session
    if isinstance(given, scoped_session | async_scoped_session):
        return _sessions_of(cast("Any", given).session_factory)
    if isinstance(given, sessionmaker):
        return cast("Any", given).class_
    if isinstance(given, async_sessionmaker):
        maker = cast("Any", given)
        return _sessions_of(maker.kw.get("sync_session_class") or maker.class_.sync_session_class)
    if isinstance(given, AsyncSession):
        return given.sync_session
    if isinstance(given, type) and issubclass(given, AsyncSession):
        return _sessions_of(given.sync_session_class)
    if isinstance(given, Session) or (isinstance(given, type) and issubclass(given, Session)):
        return cast("Any", given)
    raise TypeError(
        f"{given!r} makes no sessions (use a sessionmaker, a scoped_session or db.session)"
    )
