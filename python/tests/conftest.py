"""What every test may use: a clock moved by hand, applications, and a real Redis."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from http_support import Site
from redis_servers import cluster, guarded, sentinels
from server_support import RedisServer, free_port, missing, missing_redis, wait_for_port

from flask_larder import Cache, config
from flask_larder.dialect import Dialect
from flask_larder.testing import HandClock, hand_clock

__all__ = [
    "RedisServer",
    "cluster",
    "free_port",
    "guarded",
    "missing",
    "missing_redis",
    "sentinels",
    "wait_for_port",
]

SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
"""Whether other tests run at the same time (pytest-xdist): then each worker starts servers of its own,
because some tests empty a whole database, or count what a server has been asked."""


EARLY = bool(os.environ.get("LARDER_TEST_EARLY"))
"""Whether hits of the safe dialect are answered early wherever nothing forbids it: then all tests say
that it makes no difference."""


def pytest_configure() -> None:
    """Switches early hits on for every cache of this run."""
    said = config.early

    def early(options: Mapping[str, Any], dialect: Dialect) -> bool | str:
        return said(options, dialect) or (dialect.careful and EARLY)

    config.early = early


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that fork hundreds of times go first: a fork copies the tables of all memory, of which a
    process has five times as much when it has run the others."""
    items.sort(key=lambda item: item.path.name != "test_forks.py")


def pytest_collection_finish() -> None:
    """What is there by now stays for the whole run: the collector need not look at it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def redis_url() -> Generator[str]:
    """The address of a Redis for all tests; each test has a key prefix of its own."""
    given = os.environ.get("LARDER_TEST_REDIS")
    if given and not SIDE_BY_SIDE:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="larder-redis-") as folder:
        server = RedisServer(free_port(), folder)
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def memcached_server() -> Generator[str]:
    """A memcached for all tests; each test has a key prefix of its own."""
    given = os.environ.get("LARDER_TEST_MEMCACHED")
    if given and not SIDE_BY_SIDE:
        yield given
        return
    program = shutil.which("memcached")
    if program is None:
        missing("memcached", "memcached")
    with memcached(program) as server:
        yield server


@contextlib.contextmanager
def memcached(program: str, *options: str) -> Generator[str]:
    """An empty memcached."""
    port = free_port()
    command = [program, "-l", "127.0.0.1", "-p", str(port), "-m", "256", *options]
    # As root it has to be told an account to run as.
    command += ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for_port(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def own_redis(tmp_path: Path) -> Generator[RedisServer]:
    """A Redis for one test alone, which it may treat badly."""
    server = RedisServer(free_port(), str(tmp_path))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def clock() -> Generator[HandClock]:
    """A clock that stands still until the test moves it."""
    with hand_clock() as clock:
        yield clock


STORES = os.environ.get("LARDER_TEST_STORES", "memory,redis,shared,file,memcached").split(",")
"""The stores that people can choose by name, NullCache aside. A run that is about something else than
stores names fewer of them; one may also name `sentinels` and `cluster`."""


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of a store: the test is run on each."""
    return configuration(request.param, request)


@pytest.fixture(params=STORES[1:])
def common(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of a store that several caches share, each of them in turn."""
    return configuration(request.param, request)


def refuses_patterns(cache: Cache, app: Flask) -> bool:
    """Whether the store of a cache cannot list its keys; then it says so, and names the cure."""
    with app.app_context():
        if cache.stats()["store"] != "memcached":
            return False
        for purge in (cache.delete_prefix, cache.delete_many):
            with pytest.raises(NotImplementedError, match="tag the entries and bump the tag"):
                purge("view//*")
    return True


def configuration(
    store: str, request: pytest.FixtureRequest, folder: Path | None = None
) -> dict[str, Any]:
    """The configuration of a store by its name, with nothing in it; a store of files lies in `folder`,
    or in that of the test."""
    if store == "memory":
        return {"CACHE_TYPE": "SimpleCache"}
    if store == "redis":
        return redis_config(request.getfixturevalue("redis_url"))
    if store == "memcached":
        return {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [request.getfixturevalue("memcached_server")],
            "CACHE_KEY_PREFIX": f"test-{uuid.uuid4().hex}-",
            "CACHE_OPTIONS": {"deadline": 30},
        }
    if store in ("sentinels", "cluster"):
        own = {"CACHE_KEY_PREFIX": f"test-{uuid.uuid4().hex}-", "CACHE_OPTIONS": {"deadline": 30}}
        return {**request.getfixturevalue(store).config, **own}
    name = {"shared": "SharedCache", "file": "FileSystemCache"}[store]
    directory = (folder or request.getfixturevalue("tmp_path")) / "cache"
    return {"CACHE_TYPE": name, "CACHE_DIR": str(directory), "CACHE_SIZE": "16MB"}


def for_dialect(dialect: Any, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in which the compat dialect too finds the engine's own store."""
    name = config["CACHE_TYPE"]
    if dialect.dialect.careful or name == "SimpleCache":
        return config
    return {**config, "CACHE_TYPE": f"flask_larder.backends.{name}"}


def redis_config(url: str) -> dict[str, Any]:
    """A configuration of Redis with keys that no other test has."""
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": url,
        "CACHE_KEY_PREFIX": f"test-{uuid.uuid4().hex}-",
        # A frozen machine must not fail a test that is not about time.
        "CACHE_OPTIONS": {"deadline": 30},
    }


@pytest.fixture
def app() -> Flask:
    """An application with a secret key and no cache."""
    app = Flask("shop")
    app.secret_key = "a key for tests"
    return app


@pytest.fixture
def cache(app: Flask) -> Cache:
    """A cache in memory for `app`."""
    return Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def stored(app: Flask, store: dict[str, Any]) -> Cache:
    """A cache for `app` on each store in turn."""
    return Cache(app, config=store)


def sample_name(value: Any) -> str:
    """A test's name by its sample: the same in every process, whatever addresses and hashes are."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return type(value).__name__ if isinstance(value, set) or "frozenset" in text else text[:40]


@pytest.fixture(params=["sync", "async"])
def site(
    request: pytest.FixtureRequest, app: Flask, stored: Cache, clock: HandClock
) -> Generator[Site]:
    """A site on each store with views of each sort, served as HTTP wants it; the time stands still."""
    del clock
    site = Site(app, stored, request.param)
    yield site
    # What it still does behind its answers would be counted in the test after it.
    site.settle()


class Calls:
    """Counts calls, and answers how many there were."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_args: Any, **_kwargs: Any) -> int:
        self.count += 1
        return self.count


@pytest.fixture
def calls() -> Calls:
    """A function that answers 1, 2, 3 …"""
    return Calls()


def text_of(client: Any, path: str = "/", **how: Any) -> str:
    """The body of a page."""
    answer: Callable[..., Any] = client.get
    return str(answer(path, **how).get_data(as_text=True))


def passes(cache: Cache, app: Flask, name: str = "index") -> dict[str, int]:
    """Why answers of the function that ends in `name` were not stored, and how often."""
    with app.app_context():
        functions = cache.stats()["functions"]
    [found] = [one for full, one in functions.items() if full.split("#")[0].endswith(name)]
    counted: dict[str, int] = found["passes"]
    return counted
