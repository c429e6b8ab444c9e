"""Rows of early hits behind real servers: what one worker spends on a request.

The processor time is the worker's own, as the kernel counts it; the client's is not in it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers
from rounds import FC, OURS, UNCACHED, Contestant, Effort, Row, report

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
CONNECTIONS = 16
PATIENCE = 60.0
BARE = "a bare WSGI application"
SITES = {OURS: "early", BARE: "bare", FC: "Flask-Caching", UNCACHED: "none"}
SERVERS = {
    "granian": [
        *(str(BIN / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"),
        *("--workers", "1", "--blocking-threads", "1", "--no-ws", "early_site:app"),
    ],
    "gunicorn gthread": [
        *(str(BIN / "gunicorn"), "--bind", "127.0.0.1:{port}", "--worker-class", "gthread"),
        *("--workers", "1", "--threads", "4", "--keep-alive", "60", "--no-control-socket"),
        "early_site:app",
    ],
}
REQUEST = (
    b"GET /text HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: text/html\r\n\r\n"
)


class Client:
    """Open connections, on all of which a request is under way at the same time."""

    def __init__(self, port: int) -> None:
        self.lines = [
            socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(CONNECTIONS)
        ]
        for line in self.lines:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, times: int) -> None:
        """Sends so many requests on each connection, and reads the answers."""
        for _ in range(times):
            for line in self.lines:
                line.sendall(REQUEST)
            for line in self.lines:
                self._read(line)

    def _read(self, line: socket.socket) -> None:
        said = b""
        while b"\r\n\r\n" not in said:
            said += line.recv(65536)
        head, _, body = said.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(head)
        length = next(
            int(one.partition(b":")[2])
            for one in head.split(b"\r\n")
            if one.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += line.recv(65536)

    def close(self) -> None:
        """Hangs up."""
        for line in self.lines:
            line.close()


def family(process: int) -> list[int]:
    """A process and all that it has started."""
    found = [process]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def processor_seconds(process: int) -> float:
    """What all threads of a server and its workers have spent."""
    spent = 0
    for one in family(process):
        for task in Path(f"/proc/{one}/task").iterdir():
            with contextlib.suppress(OSError):
                spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


@contextlib.contextmanager
def site(server: str, name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A server of this sort with this application: its port and its process."""
    port = servers.free_port()
    command = [part.format(port=port) for part in SERVERS[server]]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "BENCH_CACHE": SITES[name], "PYTHONPATH": path}
    with servers.running(command, port, folder / f"log-{port}", cwd=folder, env=env) as process:
        yield port, process.pid


def row(server: str, effort: Effort) -> Row:
    """The applications on one server; one batch of each in every round."""
    times = 20 if effort.rounds < 10 else 100
    contestants: list[Contestant] = []
    with (
        tempfile.TemporaryDirectory(prefix="larder-early-") as folder,
        contextlib.ExitStack() as stack,
    ):
        for name in SITES:
            port, process = stack.enter_context(site(server, name, Path(folder)))
            client = Client(port)
            stack.callback(client.close)

            def batch(client: Client = client, process: int = process) -> float:
                before = processor_seconds(process)
                client.ask(times)
                return (processor_seconds(process) - before) / (times * CONNECTIONS)

            client.ask(5)
            contestants.append(Contestant(name, "", {"batch": batch}))
        for _ in range(effort.rounds):
            for contestant in contestants:
                measured: Callable[[], float] = contestant.names["batch"]
                contestant.seconds.append(measured())
    return Row("early", f"an early hit of 1 KiB under {server}", contestants)


def main() -> None:
    """Measures, and stops all servers."""
    servers.stop_on_signals()
    effort = Effort.chosen(sys.argv)
    report([row(server, effort) for server in SERVERS])


if __name__ == "__main__":
    main()
