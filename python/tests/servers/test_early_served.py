"""Early hits under the servers that people run: real processes, real ports, one store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from conftest import configuration, free_port, wait_for_port
from test_servers import SERVERS

PATIENCE = 60.0
KINDS = ["gthread", "gevent", "preload", "granian"]


@dataclass(frozen=True)
class Told:
    """An answer, and who sent it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    worker: str
    early: bool


class Site:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", **headers: str) -> Told:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            # Some servers write the names of headers in lower case.
            found = [(name.title(), value) for name, value in answer.getheaders()]
            told = dict(found)
            kept = [pair for pair in found if pair[0] not in ("Worker", "Early", "Connection")]
            early = told["Early"] == "1"
            return Told(answer.status, kept, answer.read(), told["Worker"], early)
        finally:
            connection.close()

    def early(self, path: str, workers: int = 2, **headers: str) -> list[Told]:
        """Asks until that many workers have answered early, and answers all that they said."""
        heard: list[Told] = []
        deadline = time.monotonic() + PATIENCE
        with ThreadPoolExecutor(8) as crowd:
            while len({told.worker for told in heard if told.early}) < workers:
                assert time.monotonic() < deadline, heard[-8:]
                heard += crowd.map(lambda _: self.ask(path, **headers), range(8))
        return heard


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Site]:
    """Each server in turn, with two workers and one store."""
    port = free_port()
    # Redis is asked over the network, so that a hit is no early one.
    config = configuration("shared", request)
    env = {**os.environ, "CONFIG": json.dumps(config), "PYTHONUNBUFFERED": "1"}
    env["PYTHONPATH"] = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [str(part).format(port=port) for part in SERVERS[request.param]]
    command = [part.replace("server_app", "early_app") for part in command]
    with (tmp_path / "log").open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        wait_for_port(port, process)
        yield Site(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_all_workers_answer_early_and_none_after_a_purge(site: Site) -> None:
    for _ in range(5):
        # After the first answer it is there for all of them.
        site.ask("/page/1")
        before = {told.body for told in site.early("/page/1")}
        assert len(before) == 1
        assert site.ask("/purge", "POST").body == b"purged"
        with ThreadPoolExecutor(8) as crowd:
            after = {told.body for told in crowd.map(site.ask, ["/page/1"] * 24)}
        assert after.isdisjoint(before)


def test_conditions_and_heads_are_answered_as_by_flask(site: Site) -> None:
    tag = dict(site.ask("/dated").headers)["Etag"]
    for headers, method in ({}, "GET"), ({}, "HEAD"), ({"If-None-Match": tag}, "GET"):
        heard: list[Told] = []
        deadline = time.monotonic() + PATIENCE
        while {told.early for told in heard} != {True, False}:
            assert time.monotonic() < deadline, heard[-4:]
            heard.append(site.ask("/dated", method, **headers))
            # What may be a web socket is Flask's to answer.
            heard.append(site.ask("/dated", method, Upgrade="none", **headers))
        said = {
            (told.status, told.body, tuple(p for p in told.headers if p[0] not in _DATED))
            for told in heard
            if told.early or ("Age" in dict(told.headers))
        }
        assert len(said) == 1, said


_DATED = ("Date", "Age", "Cache-Status")


def test_two_users_get_their_own(site: Site) -> None:
    users = ["anna-51f0c2b7", "bert-9e84d316"] * 100
    for user in users[:2]:
        site.early("/of", Cookie=f"user={user}")
    with ThreadPoolExecutor(8) as crowd:
        heard = list(crowd.map(lambda user: site.ask("/of", Cookie=f"user={user}"), users))
    assert [told.body.decode() for told in heard] == [
        f"this is the page of {user}" for user in users
    ]
    assert sum(told.early for told in heard) > len(users) // 2
