"""`@cache.invalidates`: a write that purges, in both dialects and on each store."""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Calls, RedisServer, for_dialect, redis_config
from flask import Flask, abort
from werkzeug.exceptions import NotFound

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache

PATIENCE = 60


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def either(app: Flask, store: dict[str, Any], request: pytest.FixtureRequest) -> Cache:
    """A cache of each dialect on each store."""
    made: Cache = request.param(app, config=for_dialect(request.param, store))
    return made


def cached_row(cache: Cache, calls: Calls) -> Callable[[int], int]:
    """A memoized function with tags of its argument."""

    @cache.memoize(60, tags=["rows", "row:{number}"])
    def row(number: int) -> int:
        return calls()

    return row


class Account:
    """Something with attributes."""

    def __init__(self, number: int) -> None:
        self.number = number


def test_a_write_purges_the_tags_of_its_arguments(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)

    @either.invalidates("row:{number}")
    def write(number: int, text: str = "") -> str:
        """Writes."""
        return f"{number} {text}"

    with app.app_context():
        assert [row(1), row(2)] == [1, 2]
        assert write(1, text="x") == "1 x"
        assert [row(1), row(2)] == [3, 2]
        assert write(number=2) == "2 "
        assert [row(1), row(2)] == [3, 4]
    assert write.__name__ == "write"
    assert write.__doc__ == "Writes."
    assert list(inspect.signature(write).parameters) == ["number", "text"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("row:{number}", "row:7"),
        ("row:{other}", "row:default"),
        ("row:{account.number}", "row:9"),
        ("row:{names[0]}", "row:ann"),
        ("row:{extra}", "row:given"),
        ("row:{number:03d}", "row:007"),
    ],
)
def test_what_fills_a_tag(app: Flask, cache: Cache, calls: Calls, tag: str, expected: str) -> None:
    entry = cache.memoize(60, tags=[expected])(lambda: calls())

    @cache.memoize(60, tags=[tag])
    def read(number: Any, account: Any, *names: Any, other: str = "default", **more: Any) -> int:
        return calls()

    @cache.invalidates(tag)
    def write(number: Any, account: Any, *names: Any, other: str = "default", **more: Any) -> int:
        return 0

    arguments: tuple[Any, ...] = (7, Account(9), "ann")
    with app.app_context():
        assert entry() == 1
        write(*arguments, extra="given")
        assert entry() == 2
        # What a reading function declares with the same text is the same tag.
        if tag != "row:{account.number}":
            read(7, "no address", "ann", extra="given")
            assert calls.count == 3
            cache.invalidate_tags(expected)
            read(7, "no address", "ann", extra="given")
            assert calls.count == 4


def test_tags_of_attributes_on_a_cached_view(app: Flask, either: Cache, calls: Calls) -> None:
    @either.cached(60, key_prefix="account", tags=["account:{account.number}"])
    def page(account: Account) -> str:
        return str(calls())

    with app.test_request_context("/"):
        assert [page(Account(1)), page(Account(1))] == ["1", "1"]
        either.invalidate_tags("account:2")
        assert page(Account(1)) == "1"
        either.invalidate_tags("account:1")
        assert page(Account(1)) == "2"


@pytest.mark.parametrize("error", [LookupError, NotFound, KeyboardInterrupt, SystemExit])
def test_t8_3_a_write_that_raises_purges_nothing(
    app: Flask, either: Cache, calls: Calls, error: type[BaseException]
) -> None:
    row = cached_row(either, calls)

    @either.invalidates("rows", lambda result: ["rows"])
    def write() -> None:
        raise error

    with app.app_context():
        assert row(1) == 1
        with pytest.raises(error):
            write()
        assert row(1) == 1


def test_under_a_route(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)

    @app.post("/row/<int:number>")
    @either.invalidates("row:{number}")
    def write(number: int) -> str:
        if number == 2:
            abort(404)
        return "written"

    client = app.test_client()
    with app.app_context():
        assert [row(1), row(2)] == [1, 2]
        assert client.post("/row/1").get_data(as_text=True) == "written"
        assert client.post("/row/2").status_code == 404
        assert [row(1), row(2)] == [3, 2]


def test_what_only_the_result_knows(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)

    def of_result_and_arguments(result: Account, number: int) -> Iterable[str]:
        yield f"row:{number + 1}"

    @either.invalidates(lambda account: [f"row:{account.number}"], of_result_and_arguments)
    def create(number: int) -> Account:
        return Account(number)

    with app.app_context():
        assert [row(1), row(2), row(3)] == [1, 2, 3]
        create(1)
        assert [row(1), row(2), row(3)] == [4, 5, 3]


@pytest.mark.parametrize("answer", [1.5, "row:1", None])
def test_a_write_succeeds_also_where_its_tags_cannot_be_computed(
    app: Flask, either: Cache, calls: Calls, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    row = cached_row(either, calls)

    @either.invalidates(lambda result: answer, "row:1")
    def write() -> str:
        return "written"

    with app.app_context():
        assert [row(1), row(2)] == [1, 2]
        assert write() == "written"
        # The other tags are purged all the same.
        assert [row(1), row(2)] == [3, 2]
    record = next(record for record in caplog.records if "could not be computed" in record.message)
    assert record.levelno == logging.ERROR
    assert "write" in record.message


def test_methods(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)

    class Rows:
        prefix = "row"

        @either.invalidates("{self.prefix}:{number}")
        def write(self, number: int) -> int:
            return number

        @classmethod
        @either.invalidates("{cls.prefix}:{number}")
        def write_of_class(cls, number: int) -> int:
            return number

        @staticmethod
        @either.invalidates("row:{number}")
        def write_of_none(number: int) -> int:
            return number

    with app.app_context():
        for write in (Rows().write, Rows.write_of_class, Rows.write_of_none):
            before = row(1)
            assert write(1) == 1
            assert row(1) == before + 1


def test_coroutine_functions(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)
    go_on = asyncio.Event()

    @either.invalidates("row:{number}")
    async def write(number: int) -> int:
        if number == 2:
            raise LookupError
        if number == 3:
            await go_on.wait()
        await asyncio.sleep(0)
        return number

    async def scenario() -> None:
        assert await write(1) == 1
        with pytest.raises(LookupError):
            await write(2)
        cancelled = asyncio.create_task(write(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    assert inspect.iscoroutinefunction(write)
    app.post("/<int:number>")(write)
    with app.app_context():
        assert [row(1), row(2), row(3)] == [1, 2, 3]
        asyncio.run(scenario())
        assert [row(1), row(2), row(3)] == [4, 2, 3]
        # An int is no response: Flask fails, and the function has returned.
        app.config["PROPAGATE_EXCEPTIONS"] = False
        assert app.test_client().post("/1").status_code == 500
        assert [row(1), row(2), row(3)] == [5, 2, 3]


def test_the_purge_comes_before_the_result(app: Flask, either: Cache) -> None:
    rows = {1: "old"}
    begun, go_on = threading.Event(), threading.Event()

    @either.memoize(60, tags=["row:{number}"])
    def row(number: int) -> str:
        found = rows[number]
        begun.set()
        assert go_on.wait(PATIENCE)
        return found

    @either.invalidates("row:{number}")
    def write(number: int, text: str) -> None:
        rows[number] = text

    def ask() -> str:
        with app.app_context():
            return row(1)

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(ask)
        assert begun.wait(PATIENCE)
        with app.app_context():
            write(1, "new")
        go_on.set()
        # Who asked before the write gets what it saw; the write's caller sees what it wrote.
        assert load.result(PATIENCE) == "old"
    assert ask() == "new"


def test_a_store_that_is_away_does_not_fail_the_write(
    own_redis: RedisServer, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("shop")
    config = redis_config(own_redis.url)
    config["CACHE_OPTIONS"] = {"deadline": 1}
    cache = Cache(app, config=config)
    row = cached_row(cache, calls)

    @cache.invalidates("row:{number}")
    def write(number: int) -> str:
        return "written"

    with app.app_context():
        assert [row(1), row(2)] == [1, 2]
        own_redis.signal(signal.SIGSTOP)
        assert write(1) == "written"
        assert "row:1 will be purged when it is back" in caplog.text
        own_redis.signal(signal.SIGCONT)
        until_it_answers(cache)
        assert [row(1), row(2)] == [3, 2]


def until_it_answers(cache: Cache) -> None:
    """Waits for the end of the pause that an outage makes."""
    stop = threading.Event()
    for _ in range(600):
        try:
            cache.delete("nothing")
            return
        except OSError:
            stop.wait(0.05)
    raise AssertionError("the store did not come back")


def decorate_generator(cache: Cache) -> None:
    @cache.invalidates("rows")
    def write() -> Any:
        yield 1

    del write


def decorate_async_generator(cache: Cache) -> None:
    @cache.invalidates("rows")
    async def write() -> Any:
        yield 1

    del write


def decorate_classmethod(cache: Cache) -> None:
    cache.invalidates("rows")(classmethod(lambda cls: None))  # type: ignore[arg-type]


def decorate_without_parentheses(cache: Cache) -> None:
    @cache.invalidates
    def write(number: int) -> int:
        return number

    write(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decorate", "error", "words"),
    [
        (decorate_generator, TypeError, "is a generator"),
        (decorate_async_generator, TypeError, "is a generator"),
        (decorate_classmethod, TypeError, "put @classmethod above"),
        (decorate_without_parentheses, TypeError, "decorates a function, not int"),
        (lambda cache: cache.invalidates(), TypeError, "names no tag"),
        (lambda cache: cache.invalidates(["a"]), TypeError, "got a list"),
        (
            lambda cache: cache.invalidates("row:{nope}")(lambda number: None),
            ValueError,
            r"'nope' is no argument of the function \(it has number\)",
        ),
    ],
)
def test_what_cannot_be_decorated_is_refused_at_once(
    cache: Cache, decorate: Callable[[Cache], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        decorate(cache)


def test_a_tag_that_a_call_cannot_fill_stops_the_write(app: Flask, cache: Cache) -> None:
    written: list[int] = []

    @cache.invalidates("row:{account.number}")
    def write(account: Any) -> None:
        written.append(1)

    with app.app_context(), pytest.raises(AttributeError, match="number"):
        write("no account")
    assert written == []


def test_a_store_without_tags_is_said_before_the_write(app: Flask, tmp_path: Any) -> None:
    config = {"CACHE_TYPE": "cachelib.FileSystemCache", "CACHE_ARGS": [str(tmp_path)]}
    cache = CompatCache(app, config=config)
    written: list[int] = []
    write = cache.invalidates("rows")(lambda: written.append(1))
    with app.app_context(), pytest.raises(RuntimeError, match="knows no tags"):
        write()
    assert written == []


def test_above_a_cached_function(app: Flask, either: Cache, calls: Calls) -> None:
    row = cached_row(either, calls)

    @either.invalidates("row:{number}")
    @either.memoize(60)
    def import_row(number: int) -> int:
        return number

    with app.app_context():
        assert row(1) == 1
        assert [import_row(1), import_row(1)] == [1, 1]
        assert row(1) == 2
        either.delete_memoized(import_row)
