"""An application for several workers: every load leaves a line behind, and may be held up by a file."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from flask import Flask, Response, request

from flask_larder import Cache

FOLDER = Path(os.environ["FOLDER"])
PATIENCE = 60.0

application = Flask("workers")
application.secret_key = "a key for tests"
cache = Cache(application, config=json.loads(os.environ["CONFIG"]))


def note(name: str, what: str = "loads") -> str:
    """Says in a file that something is loaded here, and answers what makes this load its own."""
    number = os.urandom(4).hex()
    with (FOLDER / f"{what}-{name}").open("a") as notes:
        notes.write(f"{os.getpid()} {number}\n")
    return number


@application.before_request
def note_who_asks() -> None:
    """Says in a file who is asked for what may be held up: those who load, and those who follow."""
    if request.path.startswith("/held"):
        note((request.view_args or {})["name"], "asks")


@application.get("/quick/<name>")
@cache.cached(3600, wait=PATIENCE)
def quick(name: str) -> str:
    """Takes no time at all."""
    return f"{name} {note(name)}"


@application.get("/slow/<name>")
@cache.cached(3600, wait=PATIENCE)
def slow(name: str) -> str:
    """Takes a second, as a slow view does."""
    number = note(name)
    time.sleep(1)
    return f"{name} {number}"


@application.get("/held/<name>")
@cache.cached(3600, wait=PATIENCE)
def held(name: str) -> str:
    """Takes until somebody says to go on."""
    number = note(name)
    deadline = time.monotonic() + PATIENCE
    while not (FOLDER / f"go-{name}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return f"{name} {number}"


@application.get("/slow-async/<name>")
@cache.cached(3600, wait=PATIENCE)
async def slow_async(name: str) -> str:
    """As `slow`, in a coroutine."""
    number = note(name)
    await asyncio.sleep(1)
    return f"{name} {number}"


@application.get("/held-async/<name>")
@cache.cached(3600, wait=PATIENCE)
async def held_async(name: str) -> str:
    """As `held`, in a coroutine."""
    number = note(name)
    deadline = time.monotonic() + PATIENCE
    while not (FOLDER / f"go-{name}").exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return f"{name} {number}"


@application.post("/delete/<path:key>")
def delete(key: str) -> str:
    """Removes what is cached of a page."""
    return str(cache.delete(f"view//{key}"))


@application.post("/add/<int:times>")
def add(times: int) -> str:
    """Counts, each time by one."""
    for _ in range(times):
        cache.cache.inc("visits")
    return "done"


@application.get("/visits")
def visits() -> str:
    """What was counted so far."""
    return str(cache.get("visits"))


@application.after_request
def sign(response: Response) -> Response:
    """Says which worker answers."""
    response.headers["Worker"] = str(os.getpid())
    return response


if os.environ.get("WARM"):
    # What a server that preloads asks before it forks: connections, maps and threads are there then.
    application.test_client().get("/slow/warm")
    cache.set("visits", 0)
