"""The package under the servers that people run it on: real processes, real ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import free_port, redis_config, wait_for_port

# Nothing here takes a second on a quiet machine; a test fails where something takes for ever.
PATIENCE = 60.0
SHOPS = ("safe-memory", "compat-memory", "safe-redis", "compat-redis")
SHARED = [shop for shop in SHOPS if shop.endswith("redis")]
PATHS = ("page/1", "price", "box")

BIN = Path(sys.executable).parent
GUNICORN = [BIN / "gunicorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "120"]
GUNICORN += ["--timeout", "120", "--no-control-socket", "server_app:application"]
GRANIAN = [BIN / "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"]
GRANIAN += ["--respawn-failed-workers", "--respawn-interval", "0.1", "server_app:application"]
SERVERS: dict[str, list[str | Path]] = {
    "sync": [*GUNICORN, "--workers", "4"],
    "gthread": [*GUNICORN, "--workers", "2", "--worker-class", "gthread", "--threads", "4"],
    "gevent": [*GUNICORN, "--workers", "2", "--worker-class", "gevent"],
    "preload": [*GUNICORN, "--workers", "2", "--threads", "4", "--preload"],
    "granian": [*GRANIAN, "--workers", "2", "--blocking-threads", "4"],
}


# What was heard from which process.
Heard = dict[int, list[str]]


class Server:
    """A running server."""

    def __init__(self, kind: str, folder: Path, redis_url: str) -> None:
        self.kind = kind
        self.port = free_port()
        self.at = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        stores = {"memory": {"CACHE_TYPE": "SimpleCache"}}
        shops: dict[str, Any] = {}
        for shop in SHOPS:
            redis = {**redis_config(redis_url)}
            if shop.startswith("compat"):
                # Its client is redis-py's.
                redis["CACHE_OPTIONS"] = {"socket_timeout": 30}
            shops[shop] = {**stores, "redis": redis}[shop.partition("-")[2]]
        env = {**os.environ, "SHOPS": json.dumps(shops), "PYTHONUNBUFFERED": "1"}
        env["PYTHONPATH"] = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
        if kind == "preload":
            env["WARM_AT"] = self.at
        command = [str(part).format(port=self.port) for part in SERVERS[kind]]
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def ask(self, path: str, method: str = "GET") -> tuple[str, int]:
        """The body of a page, and the process that sent it. A connection of its own each time."""
        request = urllib.request.Request(f"{self.at}/{path}", method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE)
        except HTTPError as error:
            raise AssertionError(f"{error}: {path}\n{self.said}") from error
        with answer:
            return answer.read().decode(), int(answer.headers["Worker"])

    def ask_if_alive(self, path: str) -> set[int]:
        """The process that answers; none if it was killed with the connection in its hands."""
        try:
            return {self.ask(path)[1]}
        except OSError:
            return set()

    def ask_until(self, enough: Callable[[Heard], bool], path: str, method: str = "GET") -> Heard:
        """Asks again and again, eight at a time, and answers what each process said."""
        heard: Heard = {}
        deadline = time.monotonic() + PATIENCE
        with ThreadPoolExecutor(8) as crowd:
            while not enough(heard):
                assert time.monotonic() < deadline, f"{path}: {heard}\n{self.said}"
                for body, worker in crowd.map(self.ask, [path] * 8, [method] * 8):
                    heard.setdefault(worker, []).append(body)
        return heard

    def ask_workers(self, path: str) -> Heard:
        """At least two answers of each of at least two processes."""
        return self.ask_until(
            lambda heard: sum(len(bodies) > 1 for bodies in heard.values()) > 1, path
        )

    def ask_worker(self, worker: int, path: str, method: str = "GET") -> str:
        """The last answer of one process."""
        return self.ask_until(lambda heard: worker in heard, path, method)[worker][-1]

    @property
    def said(self) -> str:
        """The log."""
        return self.log.read_text(errors="replace")


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Generator[Server]:
    """Each server in turn."""
    server = Server(request.param, tmp_path, redis_url)
    try:
        try:
            wait_for_port(server.port, server.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{server.said}") from error
        yield server
    finally:
        # Also the workers that a server left behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def entries(server: Server, shop: str) -> dict[str, dict[int, str]]:
    """What each process answers to each path: always the same."""
    found: dict[str, dict[int, str]] = {}
    for path in PATHS:
        # Two processes may load one key at the same time; after the first answer it is there.
        server.ask(f"{shop}/{path}")
        heard = server.ask_workers(f"{shop}/{path}")
        assert all(len(set(bodies)) == 1 for bodies in heard.values()), (shop, path, heard)
        found[path] = {worker: bodies[0] for worker, bodies in heard.items()}
    return found


def check_hits(server: Server) -> None:
    """In memory each process has entries of its own; on Redis all have the same ones."""
    for shop in SHOPS:
        for path, answers in entries(server, shop).items():
            bodies = set(answers.values())
            makers = {int(body.split()[-2]) for body in bodies}
            if server.kind == "preload":
                # Made before the fork, by the server's own process, and there in every child.
                assert makers == {server.process.pid}, (shop, path, answers)
            elif shop not in SHARED:
                assert makers == set(answers), (shop, path, answers)
            if shop in SHARED or server.kind == "preload":
                assert len(bodies) == 1, (shop, path, answers)


def check_purges(server: Server) -> None:
    """A purge is seen by all processes on Redis, and by the one that purged in memory."""
    for shop in SHOPS:
        _, worker = server.ask(f"{shop}/price")
        before = {path: server.ask_worker(worker, f"{shop}/{path}") for path in PATHS}
        server.ask_worker(worker, f"{shop}/purge", "POST")
        for path in PATHS:
            if shop in SHARED:
                server.ask(f"{shop}/{path}")
                heard = server.ask_workers(f"{shop}/{path}")
                bodies = {body for said in heard.values() for body in said}
                assert before[path] not in bodies
                assert len(bodies) == 1, (shop, path, heard)
            else:
                assert server.ask_worker(worker, f"{shop}/{path}") != before[path]


def check_refreshes(server: Server) -> None:
    """What is stale is answered at once and made anew behind the answer, in any sort of worker."""
    for shop in ("safe-memory", "compat-memory"):
        _, worker = server.ask(f"{shop}/trend")
        old = server.ask_worker(worker, f"{shop}/trend")
        server.ask_worker(worker, f"{shop}/age", "POST")

        def is_newer(heard: Heard, worker: int = worker, old: str = old) -> bool:
            return {*heard.get(worker, ())} > {old}

        server.ask_until(is_newer, f"{shop}/trend")


def check_http(server: Server) -> None:
    """A page that is served as HTTP wants it says once when it was made, and is not sent to who has it."""

    def ask(method: str, **headers: str) -> tuple[int, dict[str, list[str]], bytes]:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request(method, "/safe-redis/dated", headers=headers)
        answer = connection.getresponse()
        fields: dict[str, list[str]] = {}
        for name, value in answer.getheaders():
            fields.setdefault(name.lower(), []).append(value)
        body = answer.read()
        connection.close()
        return answer.status, fields, body

    (etag,) = ask("GET")[1]["etag"]
    for method, headers, expected in [
        ("GET", {}, (200, b"dated")),
        ("HEAD", {}, (200, b"")),
        ("GET", {"If-None-Match": etag}, (304, b"")),
        ("GET", {"Range": "bytes=1-2"}, (206, b"at")),
        ("GET", {"Range": "bytes=9-"}, (416, b"")),
    ]:
        status, fields, body = ask(method, **headers)
        assert (status, body) == expected, server.said
        assert len(fields["date"]) == 1, fields
        assert fields["cache-status"][0].startswith("Larder; hit; ttl="), fields
    ask("POST")
    assert ask("GET")[1]["cache-status"] == ["Larder; fwd=miss; stored"]


def check_replacement(server: Server) -> None:
    """A worker that is killed is replaced; what is on Redis is still there, and all go on."""
    kept = {shop: server.ask(f"{shop}/page/1")[0] for shop in SHARED}
    known = server.ask_workers("safe-memory/price")
    os.kill(next(iter(known)), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while not server.ask_if_alive("safe-memory/price") - {*known}:
        assert time.monotonic() < deadline, server.said
    for shop in SHARED:
        assert server.ask(f"{shop}/page/1")[0] == kept[shop]
    for shop in SHOPS:
        entries(server, shop)


def is_there(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def check_exit(server: Server) -> None:
    """SIGTERM ends the server while threads of the cache are there, and nothing goes wrong."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0, server.said
    # No worker outlives it; what a server has beside its workers may end a moment after it.
    deadline = time.monotonic() + PATIENCE
    while is_there(server.process.pid):
        assert time.monotonic() < deadline, server.said
        time.sleep(0.02)
    assert not [word for word in ("Traceback", "Error", "panicked") if word in server.said], (
        server.said
    )


def test_server(server: Server) -> None:
    """One server has to stand all of it, in this order: starting one for each check takes longer."""
    check_hits(server)
    check_purges(server)
    check_refreshes(server)
    check_http(server)
    check_replacement(server)
    check_exit(server)
