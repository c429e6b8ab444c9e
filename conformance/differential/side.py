"""One side of the comparison: runs every group in this interpreter and writes what it saw.

    python side.py larder|original CONTRACT REDIS_PORT MEMCACHED_PORT FILE

On Larder's side the only difference is that its package takes the place of Flask-Caching before the
first group is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import logging
import os
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import cachelib.file
import cachelib.simple
import journal
import redis
from flask import Flask
from notebook import Listener, Notebook, class_of
from werkzeug.datastructures import ImmutableDict

HERE = Path(__file__).resolve().parent
START = 1_700_000_000.0
PATIENCE = 60
SIMPLE = {"CACHE_TYPE": "SimpleCache"}
# Under what a group runs unless it says otherwise.
EVERYWHERE = ("simple", "simple debug", "redis", "redis client", "null")


class Clock:
    """A clock that stands still until it is moved."""

    seconds = START

    def __call__(self) -> float:
        return self.seconds


def take_place(side: str, clock: Clock) -> None:
    """Gives this process its `flask_caching`, and lets it go by `clock`."""
    there = importlib.util.find_spec("flask_caching") is not None
    if there is not (side == "original"):
        raise SystemExit(f"flask_caching is {'' if there else 'not '}installed on {side}'s side")
    cachelib.simple.time = clock  # type: ignore[assignment]
    cachelib.file.time = clock  # type: ignore[assignment]
    if side == "larder":
        import flask_larder.compat
        from flask_larder.compat.backends import memcachelink
        from flask_larder.testing import follow_clock

        flask_larder.compat.install()
        follow_clock(clock)
        # A busy machine must not make a difference; no setting that both sides know says so.
        memcachelink._DEADLINE = PATIENCE


def settings(contract: str, ports: tuple[int, int], folder: str) -> dict[str, dict[str, Any]]:
    """What a group may run under."""
    port, memcached = ports
    url = f"redis://127.0.0.1:{port}/1"
    # A busy machine must not make a difference.
    patient = {"CACHE_OPTIONS": {"socket_timeout": PATIENCE}}
    far = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "SECRET_KEY": "secret", **patient}
    # Who comes from 2.4 keeps his keys by this option, which 2.4 itself does not know.
    keys: dict[str, Any] = {} if contract >= "2.5" else {"CACHE_HASH_METHOD": hashlib.md5}
    found: dict[str, dict[str, Any]] = {
        "simple": SIMPLE,
        "simple debug": {**SIMPLE, "DEBUG": True},
        "redis": far,
        "redis client": {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": redis.Redis.from_url(url)},
        "null": {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True},
        "files": {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": folder, "CACHE_SECRET": "secret"},
        "memcached": {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{memcached}"],
            "CACHE_SECRET": "secret",
        },
    }
    return {name: {**config, **keys} for name, config in found.items()}


def flush_memcached(port: int) -> None:
    """Empties the server."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(b"flush_all\r\n")
        server.recv(16)


def notebooks(contract: str, ports: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Runs every group under each of its settings."""
    clock = Clock()
    take_place(sys.argv[1], clock)
    # Up to Flask 2.1 a request that failed in debug stays the current one, for a debugger to look at.
    if "PRESERVE_CONTEXT_ON_EXCEPTION" in Flask.default_config:
        kept = {**Flask.default_config, "PRESERVE_CONTEXT_ON_EXCEPTION": False}
        Flask.default_config = ImmutableDict(kept)
    listener = Listener()
    logging.getLogger().addHandler(listener)
    logging.getLogger().setLevel(logging.INFO)
    logging.lastResort = None
    client = redis.Redis(port=ports[0], db=1)
    written: dict[str, dict[str, Any]] = {}
    for file in sorted((HERE / "groups").glob("g*.py")):
        module = importlib.import_module(f"groups.{file.stem}")
        for name in getattr(module, "SETTINGS", EVERYWHERE):
            folder = tempfile.mkdtemp(dir=os.environ["LARDER_DIFFERENTIAL_FILES"])
            known = settings(contract, ports, folder)
            client.flushall()
            flush_memcached(ports[1])
            journal.forget()
            clock.seconds = START
            where = file.stem.removeprefix("g").replace("_", " ")
            used = client if known[name]["CACHE_TYPE"] == "RedisCache" else None
            see = Notebook(where, name, known[name], contract, listener, clock, used, ports[0])
            written |= observed(module, see)
    return written


def observed(module: Any, see: Notebook) -> dict[str, dict[str, Any]]:
    """What one group wrote. One that breaks off says so: the comparison fails on either side."""
    try:
        module.observe(see)
        end = "complete"
    except Exception as error:
        traceback.print_exc()
        end = f"broke off: {class_of(error)}: {error}"
    return {**see.written, f"{see.group} [{see.setting}] end": {"end": end}}


if __name__ == "__main__":
    found = notebooks(sys.argv[2], (int(sys.argv[3]), int(sys.argv[4])))
    Path(sys.argv[5]).write_text(json.dumps(found))
