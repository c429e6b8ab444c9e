"""One side of the comparison: runs every group in this interpreter and writes what it saw.

    python side.py larder|original CONTRACT REDIS_PORT FILE

On Larder's side the only difference is that its package takes the place of Flask-Caching before the
first group is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import logging
import sys
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
SIMPLE = {"CACHE_TYPE": "SimpleCache"}


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
        from flask_larder.testing import follow_clock

        flask_larder.compat.install()
        follow_clock(clock)


def settings(contract: str, port: int) -> dict[str, dict[str, Any]]:
    """Under what a group runs unless it says otherwise."""
    url = f"redis://127.0.0.1:{port}/1"
    # A busy machine must not make a difference.
    patient = {"CACHE_OPTIONS": {"socket_timeout": 60}}
    far = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "SECRET_KEY": "secret", **patient}
    # Who comes from 2.4 keeps his keys by this option, which 2.4 itself does not know.
    keys: dict[str, Any] = {} if contract >= "2.5" else {"CACHE_HASH_METHOD": hashlib.md5}
    found: dict[str, dict[str, Any]] = {
        "simple": SIMPLE,
        "simple debug": {**SIMPLE, "DEBUG": True},
        "redis": far,
        "redis client": {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": redis.Redis.from_url(url)},
        "null": {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True},
    }
    return {name: {**config, **keys} for name, config in found.items()}


def notebooks(contract: str, port: int) -> dict[str, dict[str, Any]]:
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
    client = redis.Redis(port=port, db=1)
    written: dict[str, dict[str, Any]] = {}
    for file in sorted((HERE / "groups").glob("g*.py")):
        module = importlib.import_module(f"groups.{file.stem}")
        known = settings(contract, port)
        for name in getattr(module, "SETTINGS", known):
            client.flushall()
            journal.forget()
            clock.seconds = START
            where = file.stem.removeprefix("g").replace("_", " ")
            used = client if known[name]["CACHE_TYPE"] == "RedisCache" else None
            see = Notebook(where, name, known[name], contract, listener, clock, used, port)
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
    found = notebooks(sys.argv[2], int(sys.argv[3]))
    Path(sys.argv[4]).write_text(json.dumps(found))
