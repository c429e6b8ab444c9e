"""Real servers for the tests: started on this machine's loopback address, stopped afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from installs import ensure_program
from project import Trouble

START_SECONDS = 60.0
# Below those of connections that ask for none (32,768 to 60,999 on Linux).
PORTS = (12_000, 32_000)
STOP_SECONDS = 5.0

_held: list[int] = []


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on at the moment, that the system gives to no
    connection by itself, and that no test is given: the port of UDP with its number is held by this process,
    as tests hold those of their servers."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as held:
            held.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            _held.append(held.detach())
            return port


@contextlib.contextmanager
def for_tests() -> Iterator[dict[str, str]]:
    """Start what the tests talk to; yields the variables by which they find it."""
    port, other = free_port(), free_port()
    with redis(port) as socket_path, memcached(other):
        yield {
            "LARDER_TEST_REDIS": f"redis://127.0.0.1:{port}",
            "LARDER_TEST_REDIS_SOCKET": str(socket_path),
            "LARDER_TEST_REDIS_SERVER": str(shutil.which("redis-server")),
            "LARDER_TEST_MEMCACHED": f"127.0.0.1:{other}",
            "LARDER_TEST_MEMCACHED_SERVER": str(shutil.which("memcached")),
        }


@contextlib.contextmanager
def redis(port: int) -> Iterator[Path]:
    """An empty Redis that keeps nothing on disk; yields the path of its unix socket."""
    binary = ensure_program("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="larder-redis-") as folder:
        socket_path = Path(folder) / "redis.sock"
        command = [binary, "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--unixsocket", str(socket_path), "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        with running(command, port, Path(folder) / "log"):
            yield socket_path


@contextlib.contextmanager
def memcached(port: int) -> Iterator[None]:
    """An empty memcached. As root it has to be told an account to run as."""
    binary = ensure_program("memcached", "memcached")
    command = [binary, "-l", "127.0.0.1", "-p", str(port)]
    if os.geteuid() == 0:
        command += ["-u", "nobody"]
    with (
        tempfile.TemporaryDirectory(prefix="larder-memcached-") as folder,
        running(command, port, Path(folder) / "log"),
    ):
        yield


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it answers on `port`, and stop it whatever happens.

    The server gets a session of its own: Ctrl-C in the terminal is for the script, which then
    stops the server itself.
    """
    if listens(port):
        raise Trouble(f"port taken: 127.0.0.1:{port} is in use; stop what listens on it, run again")
    with log.open("wb") as sink:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd=cwd,
            env=env,
        )
    try:
        wait_until_up(server, port, log)
        yield server
    finally:
        stop(server)


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_up(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once the server accepts connections; show its log where it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not listens(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise Trouble(f"server did not start: {server.args!r}\n{log.read_text()}")
        time.sleep(0.02)


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and end it and its workers by force where it does not listen."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def stop_on_signals() -> None:
    """Turn a request to end this script into an exception, so that its servers are stopped."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
