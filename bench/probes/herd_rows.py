"""Rows of a herd: 200 requests at once for a view that nobody has asked for yet, on four workers."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers
from rounds import FC, OURS, Contestant, Effort, Row, report
from sites import PATIENT

HERE = Path(__file__).resolve().parent
VISITORS, WORKERS, THREADS = 200, 4, 50
# How long the view takes: a page that is worth a cache.
SECONDS = 1.0
PATIENCE = 60.0
ALONE, ONCE, EACH = "the view alone", "one run", "one run for each worker"
MODULES = {OURS: "flask_larder", FC: "flask_caching"}


def gunicorn(port: int) -> list[str]:
    """The server: threads for all visitors, for each of them waits in a worker."""
    binary = str(Path(sys.executable).parent / "gunicorn")
    options = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--timeout", "120"]
    options += ["--workers", str(WORKERS), "--threads", str(THREADS), "--no-control-socket"]
    return [binary, *options, "--chdir", str(HERE), "herd_site:app"]


@contextlib.contextmanager
def site(name: str, config: dict[str, Any], folder: Path) -> Iterator[tuple[int, Path]]:
    """A server with this cache; its port, and the file in which each run leaves a line."""
    port, log = servers.free_port(), folder / "runs"
    about = {"module": MODULES[name], "config": config, "log": str(log), "seconds": SECONDS}
    os.environ["HERD"] = json.dumps(about)
    with servers.running(gunicorn(port), port, folder / "log"):
        yield port, log


def connected(port: int) -> list[socket.socket]:
    """As many connections as visitors."""
    lines = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(VISITORS)]
    for line in lines:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return lines


def crowd(port: int, path: str) -> tuple[float, list[bytes]]:
    """Sends one request on each connection; seconds until the last answer, and the answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    lines = connected(port)
    answers = dict.fromkeys(lines, b"")
    with selectors.DefaultSelector() as waiting:
        started = time.perf_counter()
        for line in lines:
            line.sendall(request)
            waiting.register(line, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            if not ready:
                raise AssertionError(f"{len(waiting.get_map())} requests are not answered")
            for key, _events in ready:
                line = key.fileobj
                assert isinstance(line, socket.socket)
                part = line.recv(65536)
                answers[line] += part
                if not part:
                    waiting.unregister(line)
                    line.close()
        return time.perf_counter() - started, list(answers.values())


def await_workers(port: int) -> None:
    """Until every worker has answered."""
    deadline = time.monotonic() + PATIENCE
    workers: set[bytes] = set()
    while len(workers) < WORKERS:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(workers)} of {WORKERS} workers are up")
        _, answers = crowd(port, "/ready")
        workers |= {answer.rpartition(b"\n")[2] for answer in answers}


def stampede(port: int, number: int) -> float:
    """Seconds from the first request to the last answer; each of them is looked at."""
    spent, answers = crowd(port, f"/slow/{number}")
    good = f"answer {number}".encode()
    wrong = [answer for answer in answers if not answer.endswith(good)]
    if wrong:
        raise AssertionError(f"{len(wrong)} of {VISITORS} answers are wrong: {wrong[0]!r:.200}")
    return spent


def herd(name: str, config: dict[str, Any], rounds: int) -> tuple[Contestant, Contestant]:
    """How often the view ran for one herd, and how long that took."""
    runs, spent = Contestant(name, "", {}), Contestant(name, "", {})
    with tempfile.TemporaryDirectory(prefix="larder-herd-") as folder:
        if "CACHE_DIR" in config:
            config = {**config, "CACHE_DIR": f"{folder}/cache"}
        with site(name, config, Path(folder)) as (port, log):
            await_workers(port)
            for number in range(rounds):
                spent.seconds.append(stampede(port, number) / SECONDS)
                runs.seconds.append(float(log.read_text().split().count(str(number))))
    return runs, spent


def fixed(name: str, figure: float = 1.0) -> Contestant:
    """What a mark is measured against."""
    return Contestant(name, "", {}, seconds=[figure])


def stores(redis: int, memcached: int) -> dict[str, dict[str, Any]]:
    """The stores, and how both libraries are told of them; SimpleCache is not shared by the workers."""
    return {
        "SimpleCache": {"CACHE_TYPE": "SimpleCache"},
        "SharedCache": {"CACHE_TYPE": "SharedCache", "CACHE_DIR": "in a temporary directory"},
        "RedisCache": {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        },
        "MemcachedCache": {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{memcached}"],
        },
        "FileSystemCache": {
            "CACHE_TYPE": "FileSystemCache",
            "CACHE_DIR": "in a temporary directory",
        },
    }


def rows_of(store: str, config: dict[str, Any], rounds: int) -> list[Row]:
    """Two rows of a store: runs, and time."""
    config = {**config, "CACHE_DEFAULT_TIMEOUT": 3600}
    # The other stores have no such option.
    patience = PATIENT[OURS] if store in ("RedisCache", "MemcachedCache") else {}
    ours = herd(OURS, {**config, **patience, "CACHE_KEY_PREFIX": "larder:"}, rounds)
    others: list[tuple[Contestant, Contestant]] = []
    if store != "SharedCache":
        others = [herd(FC, {**config, "CACHE_KEY_PREFIX": "fc:"}, rounds)]
    # Not once in the middle, but each time.
    ours[0].seconds = [max(ours[0].seconds)]
    least = fixed(EACH, WORKERS) if store == "SimpleCache" else fixed(ONCE)
    runs = [ours[0], *(other[0] for other in others), least]
    spent = [ours[1], *(other[1] for other in others), fixed(ALONE)]
    return [
        Row("herd", f"{store}: runs of the view", runs),
        Row("herd", f"{store}: time until all have their answer", spent),
    ]


def main() -> None:
    """Starts the servers, sends herds, and stops everything."""
    servers.stop_on_signals()
    rounds = 2 if Effort.chosen(sys.argv).rounds < 10 else 3
    redis, memcached = servers.free_port(), servers.free_port()
    wanted = [text for text in sys.argv[1:] if not text.startswith("-")]
    rows: list[Row] = []
    with servers.redis(redis), servers.memcached(memcached):
        for store, config in stores(redis, memcached).items():
            if not wanted or store in wanted:
                rows += rows_of(store, config, rounds)
    report(rows)


if __name__ == "__main__":
    main()
