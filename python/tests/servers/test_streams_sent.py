"""Streams under the servers that people run the package on: real connections, real clients that leave."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import STORES, configuration, free_port, wait_for_port

PATIENCE = 60.0
BODY = b"0" * 10 + b"1" * 10 + b"2" * 512 * 1024

BIN = Path(sys.executable).parent
GUNICORN = [str(BIN / "gunicorn"), "--timeout", "120", "--no-control-socket", "--bind"]
SERVERS = {
    "sync": ["--workers", "2"],
    "gthread": ["--workers", "2", "--threads", "4"],
    "gevent": ["--workers", "2", "--worker-class", "gevent"],
}
# Each worker on one store, and one worker on each store.
SITES = [(kind, "shared") for kind in SERVERS]
SITES += [("gthread", store) for store in STORES if store not in ("shared", "memory")]


class Site:
    """A running server, and what it notes in files."""

    def __init__(self, kind: str, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.port = free_port()
        env = {**os.environ, "CONFIG": json.dumps(config), "FOLDER": str(folder)}
        env["PYTHONPATH"] = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
        command = [*GUNICORN, f"127.0.0.1:{self.port}", *SERVERS[kind], "streams_app:application"]
        with (folder / "log").open("wb") as sink:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def get(self, name: str) -> http.client.HTTPResponse:
        """An answer whose body is still to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", f"/{name}", headers={"Connection": "close"})
        # The answer alone holds the connection from here on.
        answer = connection.getresponse()
        assert answer.status == 200, (self.folder / "log").read_text(errors="replace")
        return answer

    def go(self, name: str, *pieces: int) -> None:
        """Lets pieces be made."""
        for piece in pieces:
            (self.folder / f"go-{name}-{piece}").touch()

    def made(self, name: str) -> str:
        """Which pieces have been made, by all loads together."""
        return (self.folder / f"made-{name}").read_text()


@pytest.fixture(params=SITES, ids="-".join)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Site]:
    """Each server in turn."""
    kind, store = request.param
    site = Site(kind, tmp_path, configuration(store, request))
    try:
        wait_for_port(site.port, site.process)
        yield site
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(site.process.pid, signal.SIGKILL)
        site.process.wait()


def test_t6_14_the_first_piece_arrives_before_the_third_is_made(site: Site) -> None:
    answer = site.get("page")
    assert answer.read(10) == BODY[:10]
    assert site.made("page") == "0"
    site.go("page", 1)
    assert answer.read(10) == BODY[10:20]
    assert site.made("page") == "01"
    site.go("page", 2)
    assert answer.read() == BODY[20:]
    # What was sent once is sent again, whole, without a call.
    for _ in range(4):
        again = site.get("page")
        assert again.read() == BODY
        assert again.headers["Content-Length"] == str(len(BODY))
    assert site.made("page") == "012."


def leave(answer: http.client.HTTPResponse) -> None:
    """Closes a connection so that its other end is told at once."""
    raw: Any = answer.fp
    connection: socket.socket = raw.raw._sock
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer.close()


def test_t6_14_who_leaves_at_the_second_piece_leaves_nothing_behind(site: Site) -> None:
    answer = site.get("page")
    site.go("page", 1)
    assert answer.read(20) == BODY[:20]
    leave(answer)
    site.go("page", 2)
    # Whoever comes next waits until the server has noticed, and loads.
    assert site.get("page").read() == BODY
    assert site.made("page") == "012012."
    assert site.get("page").read() == BODY
    assert site.made("page") == "012012."


def test_a_crowd_waits_for_one_stream(site: Site) -> None:
    first = site.get("page")
    assert first.read(10) == BODY[:10]
    with ThreadPoolExecutor(3) as crowd:
        others = [crowd.submit(lambda: site.get("page").read()) for _ in range(3)]
        site.go("page", 1, 2)
        assert first.read() == BODY[10:]
        assert [other.result() for other in others] == [BODY] * 3
    assert site.made("page") == "012."
