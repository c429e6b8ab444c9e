"""Programs that the tests start and stop: ports, patience, and a real Redis."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections import deque
from typing import Any

import pytest

# On a busy machine ten programs may start at the same time, each of which imports a framework first.
START_SECONDS = 120.0
PORTS = (12_000, 32_000)
MOST_HELD = 128
"""More ports than one test and the servers of all tests have together."""

_held: deque[int] = deque()


def free_port() -> int:
    """A port of the loopback address on which nobody listens at the moment, that the system gives to no
    connection by itself, and that nobody else is given who asks for one here."""
    while True:
        # Not by the seed of a test, which another worker may have as well.
        port = random.SystemRandom().randrange(*PORTS)
        if hold(port):
            return port


def hold(port: int) -> bool:
    """Takes a port for a server that is still to come, or comes back: False where it is taken.

    Until then nobody listens there who would show it to other processes, so this one holds the port of
    UDP that has the same number.
    """
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", port))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        _held.append(held.detach())
        if len(_held) > MOST_HELD:
            os.close(_held.popleft())
        return True
    return False


def wait_for_port(port: int, process: subprocess.Popen[Any] | None = None) -> None:
    """Returns once something accepts connections on the port."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on port {port} after {START_SECONDS} s")
        time.sleep(0.01)


class RedisServer:
    """A real Redis that keeps nothing on disk; a test may kill, freeze and restart its own."""

    def __init__(self, port: int, folder: str) -> None:
        self.port = port
        self.folder = folder
        self.url = f"redis://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        self.launch("--save", "", "--appendonly", "no")

    def launch(self, *options: str, file: str | None = None) -> None:
        """Starts the program with these options, and a file of settings before them if there is one."""
        program = shutil.which("redis-server")
        if program is None:
            missing_redis()
        command = [str(program), *([file] if file else ()), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--dir", self.folder, *options]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_port(self.port, self.process)
        # It takes connections before it listens on everything that it is to listen on.
        with socket.create_connection(("127.0.0.1", self.port), START_SECONDS) as probe:
            probe.sendall(b"PING\r\n")
            assert probe.recv(1), f"{command!r} does not answer"

    def signal(self, number: int) -> None:
        """Sends the server a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ends the server at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def missing_redis() -> None:
    """Without a server the tests on Redis fail in CI, and are skipped elsewhere."""
    missing("redis-server", "Redis")


def missing(program: str, store: str) -> None:
    """Without a server the tests on its store fail in CI, and are skipped elsewhere."""
    message = f"{program} is not on the path: what is promised on {store} is not tested"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
