"""Purges that wait for commits: on SQLite files, with a connection for each session."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import Calls, RedisServer, for_dialect, redis_config
from flask import Flask
from sqlalchemy import (
    Engine,
    ForeignKey,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache
from flask_larder.sqlalchemy import Invalidations

PATIENCE = 60


class Base(DeclarativeBase):
    """What the tables of these tests have in common."""


class Category(Base):
    __tablename__ = "category"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    products: Mapped[list[Product]] = relationship(
        back_populates="category", cascade="all, delete-orphan"
    )


class Product(Base):
    __tablename__ = "product"
    __cache_tags__ = ("products", "product:{id}", "category:{category_id}")
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    category: Mapped[Category | None] = relationship(back_populates="products")


class Tags:
    """What a cache purged: it keeps an entry for each tag, and looks which of them are gone."""

    NAMES = (
        "products",
        "product:1",
        "product:2",
        "product:3",
        "category:1",
        "category:2",
        "category:None",
        "a",
        "b",
        "c",
    )

    def __init__(self, cache: Cache) -> None:
        self.calls = Calls()
        self.entries = {
            name: cache.memoize(600, tags=[name])(self.counting(name)) for name in self.NAMES
        }
        self.purged()

    def counting(self, name: str) -> Callable[[], int]:
        def entry() -> int:
            return self.calls()

        entry.__qualname__ = f"entry_{name}"
        return entry

    def purged(self) -> set[str]:
        """The tags that were purged since this was asked last."""
        found: set[str] = set()
        for name, entry in self.entries.items():
            before = self.calls.count
            entry()
            if self.calls.count > before:
                found.add(name)
        return found


@pytest.fixture
def cache(stored: Cache) -> Cache:
    """A cache on each store in turn."""
    return stored


@pytest.fixture
def database(tmp_path: Path) -> Generator[Engine]:
    """A database in a file: two products in two categories."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    let_sqlalchemy_begin(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Category(id=1, name="tools"), Category(id=2, name="toys")])
        session.add(Product(id=1, name="saw", category_id=1))
        session.add(Product(id=2, name="top", category_id=2))
        session.commit()
    yield engine
    engine.dispose()


def let_sqlalchemy_begin(engine: Engine) -> None:
    """Lets SQLite begin transactions when it is told to, so that savepoints work."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@pytest.fixture
def sessions(database: Engine) -> sessionmaker[Session]:
    """Makes sessions that are watched."""
    return sessionmaker(database)


@pytest.fixture
def watched(app: Flask, cache: Cache, sessions: sessionmaker[Session]) -> Invalidations:
    """The invalidations of `cache` for `sessions`, with products tracked."""
    invalidations = Invalidations(cache, sessions)
    invalidations.track(Base)
    return invalidations


@pytest.fixture
def tags(cache: Cache, watched: Invalidations) -> Tags:
    """What `cache` purged."""
    return Tags(cache)


# On commit, and not before; not on rollback.


def test_t8_3_tags_are_purged_by_the_commit(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        watched.on_commit(session, "a", "b")
        session.execute(select(Product)).all()
        assert tags.purged() == set()
        session.commit()
        assert tags.purged() == {"a", "b"}
        session.commit()
        assert tags.purged() == set()


def test_t8_3_a_rollback_drops_them(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        session.get_one(Product, 1).name = "plane"
        watched.on_commit(session, "a")
        session.flush()
        session.rollback()
        watched.on_commit(session, "b")
        session.get_one(Product, 1)
        session.commit()
    assert tags.purged() == {"b"}


@pytest.mark.parametrize("how", ["close", "exception", "lost"])
def test_t8_3_what_is_not_committed_is_dropped(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session], how: str
) -> None:
    session = sessions()
    session.get_one(Product, 1).name = "plane"
    session.flush()
    watched.on_commit(session, "a")
    if how == "close":
        session.close()
    elif how == "exception":
        with pytest.raises(LookupError), session:
            raise LookupError
    else:
        del session
        gc.collect()
    assert tags.purged() == set()
    with sessions() as session:
        session.get_one(Product, 1)
        session.commit()
    assert tags.purged() == set()


def test_t8_3_savepoints(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        watched.on_commit(session, "a")
        savepoint = session.begin_nested()
        session.get_one(Product, 1).name = "plane"
        session.flush()
        watched.on_commit(session, "b")
        savepoint.rollback()
        with session.begin_nested():
            session.get_one(Product, 2).name = "kite"
            inner = session.begin_nested()
            watched.on_commit(session, "c")
            inner.commit()
        assert tags.purged() == set()
    # The first savepoint took what it had with it, and nothing else.
    assert tags.purged() == {"a", "c", "products", "product:2", "category:2"}


def test_t8_3_a_rollback_drops_what_its_savepoints_kept(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        with session.begin_nested():
            session.get_one(Product, 1).name = "plane"
            watched.on_commit(session, "a")
        session.rollback()
        session.get_one(Product, 1)
        session.commit()
    assert tags.purged() == set()


def test_a_commit_that_leaves_savepoints_open(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        session.begin_nested()
        watched.on_commit(session, "a")
        session.begin_nested()
        session.get_one(Product, 1).name = "plane"
        session.commit()
        assert tags.purged() == {"a", "products", "product:1", "category:1"}


def test_a_session_goes_on_after_a_failure(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        session.add(Product(id=3, name="saw"))
        watched.on_commit(session, "a")
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        assert tags.purged() == set()
        savepoint = session.begin_nested()
        watched.on_commit(session, "b")
        session.add(Product(id=3, name="saw"))
        with pytest.raises(IntegrityError):
            savepoint.commit()
        savepoint.rollback()
        session.add(Product(id=3, name="plane"))
        session.commit()
    assert tags.purged() == {"products", "product:3", "category:None"}


def test_a_commit_whose_answer_is_lost_purges(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session], database: Engine
) -> None:
    """The database may have carried it out: nobody knows."""

    def lose(_connection: Any) -> None:
        raise OperationalError("COMMIT", {}, OSError("the connection was lost"))

    with sessions() as session:
        session.get_one(Product, 1).name = "plane"
        session.flush()
        event.listen(database, "commit", lose)
        with pytest.raises(OperationalError):
            session.commit()
        event.remove(database, "commit", lose)
        session.rollback()
    assert tags.purged() == {"products", "product:1", "category:1"}


def test_tags_before_the_first_statement(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    with sessions() as session:
        watched.on_commit(session, "a")
        with session.begin():
            watched.on_commit(session, "b")
        assert tags.purged() == {"a", "b"}


def test_a_session_within_the_transaction_of_a_test(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session], database: Engine
) -> None:
    """The usual way to undo what a test writes: the commits of the code under test are savepoints."""
    with database.connect() as connection:
        outer = connection.begin()
        for name, expected in (("plane", True), ("chisel", False)):
            mode = "create_savepoint"
            with sessions(bind=connection, join_transaction_mode=mode) as session:
                session.get_one(Product, 1).name = name
                if expected:
                    session.commit()
                else:
                    session.rollback()
            assert ("product:1" in tags.purged()) is expected
        outer.rollback()
    assert tags.purged() == set()


# What a change of an object purges.


def test_objects_that_are_added_changed_and_deleted(
    tags: Tags, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.add(Product(name="plane"))
        session.flush()
        assert tags.purged() == set()
    # The key is the database's.
    assert tags.purged() == {"products", "product:3", "category:None"}
    with sessions.begin() as session:
        session.get_one(Product, 3).name = "chisel"
    assert tags.purged() == {"products", "product:3", "category:None"}
    with sessions.begin() as session:
        session.delete(session.get_one(Product, 3))
    assert tags.purged() == {"products", "product:3", "category:None"}
    with sessions.begin() as session:
        # No change to speak of.
        session.get_one(Product, 1).name = "saw"
    assert tags.purged() == set()


@pytest.mark.parametrize("loaded", [True, False])
def test_an_object_that_moves_purges_where_it_was(
    tags: Tags, sessions: sessionmaker[Session], loaded: bool
) -> None:
    with sessions() as session:
        product = session.get_one(Product, 1)
        if not loaded:
            session.expire(product)
        product.category_id = 2
        session.commit()
    assert tags.purged() == {"products", "product:1", "category:1", "category:2"}


def test_what_goes_with_its_parent(tags: Tags, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        session.delete(session.get_one(Category, 1))
    assert tags.purged() == {"products", "product:1", "category:1"}
    with sessions.begin() as session:
        category = session.get_one(Category, 2)
        category.products.clear()
    assert {"products", "product:2", "category:2"} <= tags.purged()


def test_an_object_that_moves_by_its_relationship(
    tags: Tags, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.get_one(Product, 1).category = session.get_one(Category, 2)
    assert tags.purged() == {"products", "product:1", "category:1", "category:2"}
    with sessions.begin() as session:
        category = session.get_one(Category, 1)
        category.products.append(Product(name="plane"))
    assert tags.purged() == {"products", "product:3", "category:1"}


@pytest.mark.parametrize(
    "statement",
    [
        update(Product).where(Product.id == 1).values(name="plane"),
        delete(Product).where(Product.id == 1),
        insert(Product).values(name="plane"),
        update(Product.__table__).values(category_id=None),  # type: ignore[arg-type]
    ],
)
def test_statements_purge_the_tags_without_a_field(
    tags: Tags, sessions: sessionmaker[Session], statement: Any
) -> None:
    with sessions() as session:
        session.execute(statement)
        session.rollback()
        assert tags.purged() == set()
        session.execute(statement)
        session.commit()
        assert tags.purged() == {"products"}
        session.execute(update(Category).values(name="x"))
        session.commit()
        assert tags.purged() == set()


def test_bulk_updates_by_key_and_the_older_query(
    tags: Tags, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.execute(update(Product), [{"id": 1, "name": "plane"}])
    assert tags.purged() == {"products"}
    with sessions.begin() as session:
        session.query(Product).filter_by(id=1).update({"name": "chisel"})
    assert tags.purged() == {"products"}


def test_tags_that_are_given_or_computed(
    app: Flask, cache: Cache, sessions: sessionmaker[Session]
) -> None:
    invalidations = Invalidations(cache, sessions)
    invalidations.track(Product, ["a"])
    invalidations.track(Category, lambda category: [{"tools": "b", "kites": "c"}[category.name]])
    tags = Tags(cache)
    with sessions.begin() as session:
        session.get_one(Product, 1).name = "plane"
    assert tags.purged() == {"a"}
    with sessions.begin() as session:
        session.get_one(Category, 1).name = "kites"
    assert tags.purged() == {"b", "c"}


def test_classes_that_come_later_and_classes_that_are_derived(
    cache: Cache, database: Engine, sessions: sessionmaker[Session]
) -> None:
    class Later(DeclarativeBase):
        pass

    invalidations = Invalidations(cache, sessions)
    invalidations.track(Later)

    class Animal(Later):
        __tablename__ = "animal"
        __cache_tags__ = ("a",)
        __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Bear(Animal):
        __cache_tags__ = ("b", "product:{id}")
        __mapper_args__: ClassVar = {"polymorphic_identity": "bear"}

    Later.metadata.create_all(database)
    tags = Tags(cache)
    with sessions.begin() as session:
        session.add(Animal(id=1))
    assert tags.purged() == {"a"}
    with sessions.begin() as session:
        session.add(Bear(id=2))
    assert tags.purged() == {"b", "product:2"}
    with sessions.begin() as session:
        session.execute(update(Animal).values(kind="bear"))
    assert tags.purged() == {"a", "b"}
    with sessions.begin() as session:
        session.execute(update(Bear).values(kind="bear"))
    assert tags.purged() == {"a", "b"}


def test_tags_that_a_method_answers(
    cache: Cache, database: Engine, sessions: sessionmaker[Session]
) -> None:
    class Shelves(DeclarativeBase):
        pass

    invalidations = Invalidations(cache, sessions)

    @invalidations.track
    class Shelf(Shelves):
        __tablename__ = "shelf"
        id: Mapped[int] = mapped_column(primary_key=True)
        room: Mapped[str]

        def __cache_tags__(self) -> list[str]:
            return [self.room, self.floor()]

        def floor(self) -> str:
            return "c"

    Shelves.metadata.create_all(database)
    with sessions.begin() as session:
        session.add(Shelf(id=1, room="a"))
    tags = Tags(cache)
    with sessions.begin() as session:
        session.get_one(Shelf, 1).room = "b"
    # Where it was, and where it is.
    assert tags.purged() == {"a", "b", "c"}


def test_wrong_tags_are_refused_where_they_are_declared(watched: Invalidations) -> None:
    with pytest.raises(ValueError, match="Product has no attribute 'nope'"):
        watched.track(Product, ["product:{nope}"])
    with pytest.raises(ValueError, match="is no format"):
        watched.track(Product, ["product:{id"])
    with pytest.raises(TypeError, match=r"\['products'\]"):
        watched.track(Product, "products")

    class Wrong(DeclarativeBase):
        __cache_tags__ = "products"

    class Row(Wrong):
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(TypeError, match=r"Row\.__cache_tags__ is a str"):
        watched.track(Row)


def test_a_tag_that_cannot_be_computed_stops_the_flush(
    cache: Cache, sessions: sessionmaker[Session]
) -> None:
    invalidations = Invalidations(cache, sessions)
    invalidations.track(Category, lambda category: [category.nope])
    with sessions() as session:
        session.add(Category(name="x"))
        with pytest.raises(AttributeError, match="nope"):
            session.commit()
        session.rollback()
        assert len(session.scalars(select(Category)).all()) == 2


# `@cache.invalidates` within a transaction.


@pytest.fixture
def rename(cache: Cache, watched: Invalidations) -> Callable[[Session, str], None]:
    """A function that writes in the transaction of its caller."""

    @cache.invalidates("a")
    def rename(session: Session, name: str) -> None:
        session.get_one(Product, 1).name = name

    return rename


def test_t8_3_invalidates_waits_for_the_commit(
    tags: Tags, sessions: sessionmaker[Session], rename: Callable[[Session, str], None]
) -> None:
    with sessions() as session:
        rename(session, "plane")
        assert tags.purged() == set()
        session.commit()
        assert "a" in tags.purged()
        rename(session, "chisel")
        session.rollback()
        assert tags.purged() == set()
        session.get_one(Product, 1)
        session.commit()
        assert tags.purged() == set()


def test_t8_3_invalidates_in_a_savepoint(
    tags: Tags, sessions: sessionmaker[Session], rename: Callable[[Session, str], None]
) -> None:
    with sessions.begin() as session:
        session.get_one(Product, 2).name = "kite"
        savepoint = session.begin_nested()
        rename(session, "plane")
        savepoint.rollback()
    assert tags.purged() == {"products", "product:2", "category:2"}
    with sessions.begin() as session, session.begin_nested():
        rename(session, "plane")
    assert "a" in tags.purged()


def test_a_transaction_that_only_reads_keeps_no_purge_back(
    tags: Tags, cache: Cache, sessions: sessionmaker[Session]
) -> None:
    @cache.invalidates("a")
    def write_elsewhere() -> None:
        pass

    @cache.invalidates("b")
    def write_and_commit(session: Session) -> str:
        product = session.get_one(Product, 1)
        product.name = "plane"
        session.commit()
        # Reading what the commit expired begins another transaction.
        return product.name

    @cache.invalidates("c")
    def write_as_text(session: Session) -> None:
        session.execute(text("UPDATE product SET name = 'x' WHERE id = 1"))

    with sessions() as session:
        session.get_one(Product, 1)
        write_elsewhere()
        assert tags.purged() == {"a"}
        assert write_and_commit(session) == "plane"
        assert "b" in tags.purged()
        session.rollback()
        tags.purged()
        # Whether a text writes nobody knows: it is purged at once, and with the commit.
        write_as_text(session)
        assert tags.purged() == {"c"}
        session.commit()
        assert tags.purged() == {"c"}


def test_another_threads_transaction_keeps_no_purge_back(
    tags: Tags, cache: Cache, sessions: sessionmaker[Session]
) -> None:
    write = cache.invalidates("a")(lambda: None)
    with sessions() as session, ThreadPoolExecutor(1) as pool:
        session.get_one(Product, 1).name = "plane"
        session.flush()
        pool.submit(write).result(PATIENCE)
        assert tags.purged() == {"a"}
        session.rollback()
    write()
    assert tags.purged() == {"a"}


def test_each_thread_has_a_session_of_its_own(
    tags: Tags, watched: Invalidations, sessions: sessionmaker[Session]
) -> None:
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def work(tag: str, commits: bool) -> None:
        with sessions() as session:
            watched.on_commit(session, tag)
            session.get_one(Product, 1)
            barrier.wait()
            if commits:
                session.commit()
            else:
                session.rollback()

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(work, "a", True), pool.submit(work, "b", False)]
        assert [one.result(PATIENCE) for one in done] == [None, None]
    assert tags.purged() == {"a"}


# The race.


@pytest.mark.parametrize("dialect", [Cache, CompatCache])
def test_t8_1_what_was_read_before_the_commit_is_not_stored_after_it(
    app: Flask, store: dict[str, Any], database: Engine, dialect: type[Cache]
) -> None:
    cache = dialect(app, config=for_dialect(dialect, store))
    sessions = sessionmaker(database)
    Invalidations(cache, sessions).track(Base)
    read, go_on = threading.Event(), threading.Event()

    @cache.memoize(600, tags=["product:{number}"])
    def name_of(number: int) -> str:
        with sessions() as session:
            name = session.get_one(Product, number).name
        read.set()
        assert go_on.wait(PATIENCE)
        return name

    def ask() -> str:
        with app.app_context():
            return name_of(1)

    with ThreadPoolExecutor(1) as pool, app.app_context(), sessions() as session:
        session.get_one(Product, 1).name = "plane"
        session.flush()
        # Written and not committed: the reader, on a connection of its own, sees the old name.
        reader = pool.submit(ask)
        assert read.wait(PATIENCE)
        session.commit()
        go_on.set()
        assert reader.result(PATIENCE) == "saw"
    assert ask() == "plane"


def test_t8_4_a_store_that_is_away_does_not_fail_the_commit(
    own_redis: RedisServer, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("shop")
    config = redis_config(own_redis.url)
    config["CACHE_OPTIONS"] = {"deadline": 1}
    cache = Cache(app, config=config)
    Invalidations(cache, sessions).track(Base)

    @cache.memoize(600, tags=["product:{number}"])
    def name_of(number: int) -> str:
        with sessions() as session:
            return session.get_one(Product, number).name

    with app.app_context():
        assert name_of(1) == "saw"
        own_redis.signal(signal.SIGSTOP)
        with sessions.begin() as session:
            session.get_one(Product, 1).name = "plane"
        assert "product:1" in caplog.text
        # It can be read as the write left it, by way of the database.
        assert name_of(1) == "plane"
        own_redis.signal(signal.SIGCONT)
        pause = threading.Event()
        while not cache.set("there", 1):
            pause.wait(0.05)
        assert name_of(1) == "plane"
    assert [record.levelno for record in caplog.records if "product:1" in record.message] == [
        logging.WARNING
    ]


# Which sessions.


def test_every_session_of_the_process(cache: Cache, database: Engine) -> None:
    invalidations = Invalidations(cache)
    tags = Tags(cache)
    with Session(database) as session:
        invalidations.on_commit(session, "a")
        session.commit()
    assert tags.purged() == {"a"}


def test_one_session_and_no_other(cache: Cache, sessions: sessionmaker[Session]) -> None:
    with sessions() as session, sessions() as other:
        invalidations = Invalidations(cache, session)
        invalidations.track(Product)
        tags = Tags(cache)
        session.get_one(Product, 1).name = "plane"
        session.commit()
        assert tags.purged() == {"products", "product:1", "category:1"}
        other.get_one(Product, 1).name = "chisel"
        other.commit()
        assert tags.purged() == set()
        with pytest.raises(ValueError, match="is not among the sessions"):
            invalidations.on_commit(other, "a")


def test_scoped_sessions(cache: Cache, sessions: sessionmaker[Session]) -> None:
    scoped = scoped_session(sessions)
    invalidations = Invalidations(cache, scoped)
    tags = Tags(cache)
    invalidations.on_commit(scoped, "a")
    scoped.commit()
    assert tags.purged() == {"a"}
    invalidations.on_commit(scoped, "b")
    scoped.get_one(Product, 1)
    scoped.remove()
    scoped.commit()
    assert tags.purged() == set()


@pytest.mark.parametrize("given", [Product, 7, "session", create_engine("sqlite://")])
def test_what_makes_no_sessions_is_refused(cache: Cache, given: Any) -> None:
    with pytest.raises(TypeError, match="makes no sessions"):
        Invalidations(cache, given)


def test_flask_sqlalchemy(tmp_path: Path, calls: Calls) -> None:
    flask_sqlalchemy = pytest.importorskip(
        "flask_sqlalchemy", reason="Flask-SQLAlchemy with SQLAlchemy 2 needs Flask 2.2.5"
    )
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'flask.db'}"
    db = flask_sqlalchemy.SQLAlchemy()
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    invalidations = Invalidations(cache, db.session)

    class User(db.Model):  # type: ignore[name-defined, misc]
        __cache_tags__ = ("user:{id}",)
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    invalidations.track(db.Model)
    db.init_app(app)
    cache.init_app(app)

    @app.get("/user/<int:user_id>")
    @cache.cached(600, tags=["user:{user_id}"])
    def show(user_id: int) -> str:
        return f"{db.session.get_one(User, user_id).name} {calls()}"

    @app.post("/user/<int:user_id>/<name>")
    def rename(user_id: int, name: str) -> str:
        db.session.get_one(User, user_id).name = name
        if name != "never":
            db.session.commit()
        return name

    with app.app_context():
        db.create_all()
        db.session.add(User(id=7, name="ann"))
        db.session.commit()
    client = app.test_client()
    texts = [client.get("/user/7").get_data(as_text=True) for _ in range(2)]
    assert texts == ["ann 1", "ann 1"]
    assert client.post("/user/7/never").status_code == 200
    assert client.get("/user/7").get_data(as_text=True) == "ann 1"
    assert client.post("/user/7/bob").status_code == 200
    assert client.get("/user/7").get_data(as_text=True) == "bob 2"
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("given", ["maker", "scoped", "sync", "nothing"])
def test_t8_3_asynchronous_sessions(cache: Cache, database: Engine, given: str) -> None:
    path = database.url.database

    async def scenario() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        plain = sessionmaker()
        maker = async_sessionmaker(engine, sync_session_class=plain)
        scoped = async_scoped_session(maker, asyncio.current_task)
        watched = {"maker": maker, "scoped": scoped, "sync": plain, "nothing": None}
        invalidations = Invalidations(cache, watched[given])
        invalidations.track(Product)
        tags = Tags(cache)

        @cache.invalidates("a")
        async def rename(session: AsyncSession, name: str) -> None:
            (await session.get_one(Product, 1)).name = name

        async with maker() as session:
            await rename(session, "plane")
            invalidations.on_commit(session, "b")
            assert tags.purged() == set()
            await session.commit()
            assert tags.purged() == {"a", "b", "products", "product:1", "category:1"}
            await rename(session, "chisel")
            await session.rollback()
            assert tags.purged() == set()
        await scoped.remove()
        await engine.dispose()

    asyncio.run(scenario())


def test_a_cache_that_is_gone_is_not_kept(
    sessions: sessionmaker[Session],
) -> None:
    cache = Cache(Flask("gone"), config={"CACHE_TYPE": "SimpleCache"})
    Invalidations(cache, sessions).track(Product)
    known = weakref.ref(cache)
    with sessions.begin() as session:
        session.get_one(Product, 1).name = "plane"
    del cache, session
    gc.collect()
    assert known() is None
    with sessions.begin() as session:
        session.get_one(Product, 1).name = "chisel"
