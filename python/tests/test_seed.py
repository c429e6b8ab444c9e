"""The scenario that Larder began with: a page is cached, expires, and is cached anew.

With a timeout of 10 s the first request is a miss and stored, the second a hit without running the
view, after 10 s a miss and a new value; with a timeout of 20 s that third request is a hit.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest
from conftest import Calls, redis_config, text_of
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock

NOON = 1_700_000_000.0


@pytest.mark.parametrize(("timeout", "third"), [(10, "2"), (20, "1")])
def test_seed(
    stored: Cache, app: Flask, clock: HandClock, calls: Calls, timeout: int, third: str
) -> None:
    @app.get("/")
    @stored.cached(timeout=timeout)
    def index() -> str:
        return str(calls())

    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(9)
    assert text_of(client) == "1"
    assert calls.count == 1
    clock.advance(2)
    assert text_of(client) == third
    assert text_of(client) == third
    assert calls.count == int(third)


@pytest.mark.parametrize(("timeout", "third"), [(10, 2), (20, 1)])
def test_seed_of_a_function(
    stored: Cache, app: Flask, clock: HandClock, calls: Calls, timeout: int, third: int
) -> None:
    @stored.memoize(timeout)
    def price(product: str) -> tuple[str, int]:
        return product, calls()

    assert price("bread") == ("bread", 1)
    clock.advance(9)
    assert price("bread") == ("bread", 1)
    clock.advance(2)
    assert price("bread") == ("bread", third)
    assert price("bread") == ("bread", third)


def test_seed_says_what_happened(stored: Cache, app: Flask, clock: HandClock) -> None:
    app.debug = True

    @app.get("/")
    @stored.cached(timeout=10)
    def index() -> str:
        return "a page"

    client = app.test_client()
    statuses = []
    for _ in range(2):
        statuses.append(client.get("/").headers["Cache-Status"])
        clock.advance(4)
    clock.advance(2)
    statuses.append(client.get("/").headers["Cache-Status"])
    assert statuses == [
        "Larder; fwd=miss; stored",
        "Larder; hit; ttl=6",
        "Larder; fwd=miss; stored",
    ]


APPLICATION = """
import os
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from flask import Flask
from flask_larder import Cache
from flask_larder.testing import follow_clock

folder = Path.cwd()
follow_clock(lambda: float((folder / "clock").read_text()))
app = Flask("shop")
cache = Cache(app, config={
    "CACHE_TYPE": "RedisCache",
    "CACHE_REDIS_URL": os.environ["REDIS_URL"],
    "CACHE_KEY_PREFIX": os.environ["PREFIX"],
    "CACHE_OPTIONS": {"deadline": 30},
})

@app.get("/")
@cache.cached(timeout=int(os.environ["TIMEOUT"]))
def index():
    with (folder / "calls").open("a") as calls:
        calls.write("x")
    return str((folder / "calls").stat().st_size)

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def process(folder: Path, environment: dict[str, str]) -> Generator[str]:
    """A process that serves the application; yields its address."""
    python_path = ":".join(path for path in sys.path if path)
    server = subprocess.Popen(
        [sys.executable, "-c", APPLICATION],
        env={**os.environ, **environment, "PYTHONPATH": python_path},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, "the process did not start"
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.communicate()


def set_clock(folder: Path, seconds: float) -> None:
    """Moves the clock of all processes at once: none of them ever reads half a number."""
    (folder / "clock.new").write_text(str(NOON + seconds))
    (folder / "clock.new").replace(folder / "clock")


def fetch(url: str) -> str:
    """The body at an address, as the one host that the shop has: the host is in the key."""
    request = urllib.request.Request(url, headers={"Host": "shop.example"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        body: bytes = answer.read()
        return body.decode()


@pytest.mark.parametrize(("timeout", "third"), [(10, "2"), (20, "1")])
def test_seed_with_two_processes(redis_url: str, tmp_path: Path, timeout: int, third: str) -> None:
    config = redis_config(redis_url)
    environment = {
        "TIMEOUT": str(timeout),
        "REDIS_URL": redis_url,
        "PREFIX": config["CACHE_KEY_PREFIX"],
    }
    set_clock(tmp_path, 0)
    with process(tmp_path, environment) as one, process(tmp_path, environment) as two:
        assert fetch(one) == "1"
        set_clock(tmp_path, 9)
        assert [fetch(two), fetch(one)] == ["1", "1"]
        set_clock(tmp_path, 11)
        assert [fetch(two), fetch(one), fetch(two)] == [third] * 3
    assert (tmp_path / "calls").read_text() == "x" * int(third)
