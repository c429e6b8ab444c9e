"""A server that hangs: the keyboard still works, and what does not use the cache does not wait."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from conftest import RedisServer
from flask import Flask
from fleet_support import made

from flask_larder import Cache

PATIENCE = 60.0
LONG = 600
"""How long a server may take here, in seconds: longer than any test."""

NEAR = pytest.mark.parametrize("near", [None, True], ids=["far", "near"])

ASKING = """
import contextlib
import signal
from flask import Flask
from flask_larder import Cache
# A program that was started in the background of a shell does not listen to the keyboard by itself.
signal.signal(signal.SIGINT, signal.default_int_handler)
app = Flask("shop")
config = {{"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": {url!r}, "CACHE_OPTIONS": {{"deadline": 1}}}}
cache = Cache(app, config={{**config, "CACHE_NEAR": {near}}})
with app.app_context():
    cache.set("k", 1)
    print("used", flush=True)
    input()
    print("asking", flush=True)
    while True:
        with contextlib.suppress(OSError):
            {what}
"""


@contextlib.contextmanager
def frozen(server: RedisServer) -> Generator[None]:
    """The server takes connections, and nobody answers."""
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


@NEAR
@pytest.mark.parametrize("what", ["cache.get('other')", "cache.set('k', 2)", "cache.delete('k')"])
def test_ctrl_c_ends_a_program_that_asks_a_server_again_and_again(
    own_redis: RedisServer, near: bool | None, what: str
) -> None:
    """An operation hears of it when its deadline is over: in 90 ms, unless set."""
    code = ASKING.format(url=own_redis.url, near=near, what=what)
    path = ":".join(filter(None, sys.path))
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "used\n"
        with frozen(own_redis):
            program.stdin.write("\n")
            program.stdin.flush()
            assert program.stdout.readline() == "asking\n"
            program.send_signal(signal.SIGINT)
            _, error = program.communicate(timeout=PATIENCE)
    finally:
        program.kill()
        program.wait()
    assert "KeyboardInterrupt" in error


@NEAR
def test_what_does_not_use_the_cache_does_not_wait_for_it(
    own_redis: RedisServer, near: bool | None
) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": own_redis.url, "CACHE_NEAR": near}
    app, cache = made(config, CACHE_OPTIONS={"deadline": LONG})
    app.add_url_rule("/plain", "plain", lambda: "plain")
    app.add_url_rule("/<name>", "page", cache.cached(60)(lambda name: name))
    assert app.test_client().get("/a").text == "a"
    waiting = [threading.Thread(target=_ask, args=(app, f"/p{number}")) for number in range(8)]
    with frozen(own_redis):
        for thread in waiting:
            thread.start()
        began = time.monotonic()
        for _ in range(200):
            assert app.test_client().get("/plain").text == "plain"
        # Were the lock of the interpreter held by those who wait, this would never have come so far.
        assert all(thread.is_alive() for thread in waiting), time.monotonic() - began
    for thread in waiting:
        thread.join()


def _ask(app: Flask, path: str) -> None:
    assert app.test_client().get(path).status_code == 200


def test_who_waits_for_the_lock_of_files_lets_everybody_else_go_on(
    app: Flask, tmp_path: Path
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)})
    asking = threading.Event()
    stored: list[bool | None] = []

    def store() -> None:
        with app.app_context():
            asking.set()
            stored.append(cache.set("k", "new"))

    with app.app_context():
        assert cache.set("k", "old")
    with (tmp_path / "larder-1" / "lock").open() as lock:
        # As another process does that was stopped in its turn.
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=store)
        thread.start()
        assert asking.wait(PATIENCE)
        # Each of these wants the interpreter back. Who kept it would wait for the lock in vain.
        for _ in range(50):
            time.sleep(0.001)
        fcntl.flock(lock, fcntl.LOCK_UN)
    thread.join(PATIENCE)
    assert stored == [True]
    with app.app_context():
        assert cache.get("k") == "new"
