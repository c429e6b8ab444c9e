"""Rows of a near tier in front of Redis: hits, and how soon another process sees a change."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers
from cashews import Cache as Cashews
from flask import Flask
from rounds import OURS, WALL, Contestant, Effort, Row, measure, report
from sites import BODY, MAKERS, PATIENT, Site

import flask_larder

ARGUMENTS = "7, 'seven', 7.5, True, None"
CASHEWS, PROMISE = "cashews, client side", "5 ms"
PATIENCE = 60.0


class Loop:
    """cashews and the event loop that it listens on, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.cache = cashews(port)
        for _ in range(2):
            self.wait(self.cache.set("text", BODY, expire=3600))
            self.wait(self.cache.get("text"))

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Does it on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def get(self, key: str) -> Any:
        """A hit, which waits for nothing."""
        return at_once(self.cache.get(key))


def cashews(port: int) -> Cashews:
    """A cache with copies in the process, kept right by client tracking."""
    cache = Cashews()
    cache.setup(f"redis://127.0.0.1:{port}/0", client_side=True)
    return cache


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that does not wait."""
    try:
        work.send(None)
    except StopIteration as returned:
        return returned.value
    raise AssertionError("cashews went to the server: not a hit near by")


def near(port: int) -> dict[str, Any]:
    """The settings of a near tier."""
    url = f"redis://127.0.0.1:{port}/0"
    return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "CACHE_NEAR": True}


def hits(port: int) -> list[Row]:
    """Hits near by, beside Flask-Caching's at the server and cashews' near by."""
    far = {name: value for name, value in near(port).items() if name != "CACHE_NEAR"}
    sites = {
        name: Site(
            make,
            CACHE_KEY_PREFIX=f"{name}:",
            **(near(port) if name == OURS else far),
            **PATIENT.get(name, {}),
        )
        for name, make in MAKERS.items()
    }
    inside = {name: site.inside("/text") for name, site in sites.items()}
    other = Loop(port)
    gets = [
        Contestant(name, "get('text')", {"get": site.cache.get}, inside[name], BODY)
        for name, site in sites.items()
    ]
    for one, site in zip(gets, sites.values(), strict=True):
        one.call(site.cache.set, "text", BODY)
    gets.append(Contestant(CASHEWS, "get('text')", {"get": other.get}, None, BODY))
    views = [
        Contestant(name, "view()", {"view": site.views["text"]}, inside[name], BODY)
        for name, site in sites.items()
    ]
    functions = [
        Contestant(name, f"f({ARGUMENTS})", {"f": site.functions["five"]}, inside[name], 7)
        for name, site in sites.items()
    ]
    for one in [*gets, *views, *functions]:
        settle(one)
    return [
        Row("near", "near: `get` of a str of 1 KiB", gets),
        Row("near", "near: `@cached` hit", views),
        Row("near", "near: memoize hit, 5 arguments", functions),
    ]


def settle(one: Contestant) -> None:
    """Calls until the copy lies near and its channel is open, or a second is over."""
    end = time.perf_counter() + 1.0
    while time.perf_counter() < end:
        one.call(eval, one.statement, dict(one.names))


def watch_ours(port: int, line: Connection) -> None:
    """Reads one key over and over, and says when it has each next value."""
    cache = flask_larder.Cache(Flask("bench"), config={**near(port), **PATIENT[OURS]})
    line.send("ready")
    while (value := line.recv()) is not None:
        while cache.get("seen") != value:
            pass
        line.send(time.perf_counter())


def seen(
    port: int, watch: Callable[[int, Connection], None], write: Callable[[int], Any], rounds: int
) -> list[float]:
    """Seconds from the end of a write in this process until another one reads it near by."""
    own, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=watch, args=(port, theirs), daemon=True)
    process.start()
    if own.recv() != "ready":
        raise AssertionError("the other process does not start")
    spent = []
    for number in range(rounds + 20):
        # The other one has read the last value for a while, and has it near by.
        own.send(number)
        time.sleep(0.02)
        write(number)
        written = time.perf_counter()
        if not own.poll(PATIENCE):
            raise AssertionError("the other process never saw the write")
        spent.append(max(0.0, own.recv() - written))
    own.send(None)
    process.join(PATIENCE)
    # While a channel opens, reads go to the server.
    return spent[20:]


def changes(port: int, rounds: int) -> Row:
    """How soon a write is seen by a process that has the old value near by."""
    cache = flask_larder.Cache(Flask("bench"), config={**near(port), **PATIENT[OURS]})
    ours = seen(port, watch_ours, lambda number: cache.set("seen", number), rounds)
    contestants = [
        Contestant(OURS, "", {}, seconds=ours),
        Contestant(PROMISE, "", {}, seconds=[0.005]),
    ]
    return Row("seen", "Redis: a `set`, until another process reads it", contestants)


def main() -> None:
    """Starts a server, measures, and stops it."""
    cores = sorted(os.sched_getaffinity(0))
    servers.stop_on_signals()
    port = servers.free_port()
    effort = Effort.chosen(sys.argv)
    with servers.redis(port):
        row = changes(port, 50 if effort.rounds < 10 else 500)
        os.sched_setaffinity(0, {cores[-1]})
        found = hits(port)
        measure(found, effort.by_the_wall(), WALL)
    report([*found, row])


if __name__ == "__main__":
    main()
