"""What every test may use: a clock moved by hand, applications, and a real Redis."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock, hand_clock

# A server has this long to start, and gets it once for all tests.
START_SECONDS = 20.0


def free_port() -> int:
    """A port of the loopback address on which nobody listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[Any] | None = None) -> None:
    """Returns once something accepts connections on the port."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on port {port} after {START_SECONDS} s")
        time.sleep(0.01)


class RedisServer:
    """A real Redis that keeps nothing on disk; a test may kill, freeze and restart its own."""

    def __init__(self, port: int, folder: str) -> None:
        self.port = port
        self.folder = folder
        self.url = f"redis://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            missing_redis()
        command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", self.folder]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_port(self.port, self.process)

    def signal(self, number: int) -> None:
        """Sends the server a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ends the server at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def missing_redis() -> None:
    """Without a server the tests on Redis fail in CI, and are skipped elsewhere."""
    missing("redis-server", "Redis")


def missing(program: str, store: str) -> None:
    """Without a server the tests on its store fail in CI, and are skipped elsewhere."""
    message = f"{program} is not on the path: what is promised on {store} is not tested"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def redis_url() -> Generator[str]:
    """The address of a Redis for all tests; each test has a key prefix of its own."""
    given = os.environ.get("LARDER_TEST_REDIS")
    if given:
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
    if given:
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
stores names fewer of them."""


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


def configuration(store: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of a store by its name, with nothing in it."""
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
    name = {"shared": "SharedCache", "file": "FileSystemCache"}[store]
    directory = request.getfixturevalue("tmp_path") / "cache"
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
