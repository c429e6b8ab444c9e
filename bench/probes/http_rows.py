"""Rows of a page over HTTP: what the server spends on a request, asked over 32 open connections.

The processor time is the server's own, as the kernel counts it; the client's is not in it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers
from installs import ensure_program
from rounds import OURS, Contestant, Effort, Row, report

HANDLER, NGINX, VARNISH, HIT = "the handler alone", "nginx proxy_cache", "varnish", "a hit"

NGINX_CONFIG = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors warn; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=pages:8m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{origin}; proxy_set_header Host $host; proxy_cache pages;
    }}
  }}
}}
"""


@contextlib.contextmanager
def server(command: list[str], port: int, folder: Path) -> Iterator[int]:
    """A server that answers on this port; the number of its process."""
    with servers.running(command, port, folder / f"log-{port}"):
        yield process_on(port)


def process_on(port: int) -> int:
    """The process that listens on a port."""
    listening = f"{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    places = {
        fields[9]
        for fields in map(str.split, lines)
        if fields[1].endswith(f":{listening}") and fields[3] == "0A"
    }
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for one in Path(f"/proc/{process}/fd").iterdir():
                if os.readlink(one).removeprefix("socket:[").removesuffix("]") in places:
                    return int(process)
    raise AssertionError(f"nobody listens on {port}")


def processor_seconds(process: int) -> float:
    """What all threads of a process have spent."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def nginx(origin: int, folder: Path) -> Iterator[tuple[int, int]]:
    """nginx with a cache in front of `origin`: its port and its process."""
    port = servers.free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(folder=folder, port=port, origin=origin, user=user))
    binary = ensure_program("nginx", "nginx-light")
    with server([binary, "-c", str(config), "-p", str(folder)], port, folder) as process:
        yield port, process


@contextlib.contextmanager
def varnish(origin: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Varnish in front of `origin`, as it comes: its port and the process that answers."""
    port = servers.free_port()
    binary = ensure_program("varnishd", "varnish")
    command = [binary, "-F", "-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{origin}"]
    command += [
        "-n",
        str(folder / "varnish"),
        "-s",
        "malloc,64m",
        "-T",
        "none",
        "-p",
        "thread_pools=1",
    ]
    with servers.running(command, port, folder / f"log-{port}") as manager:
        yield port, worker_of(manager.pid)


def worker_of(manager: int) -> int:
    """The child of a process that only looks after it; both hold the port open."""
    children = Path(f"/proc/{manager}/task/{manager}/children").read_text().split()
    if len(children) != 1:
        raise AssertionError(f"varnishd has {len(children)} workers")
    return int(children[0])


def rows(binary: str, effort: Effort) -> list[Row]:
    """The servers side by side; one batch of each in every round."""
    requests = 32 * (50 if effort.rounds < 10 else 400)
    with (
        tempfile.TemporaryDirectory(prefix="larder-http-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)

        def started(kind: str) -> tuple[int, int]:
            port = servers.free_port()
            command = [binary, "serve", kind, str(port)]
            return port, stack.enter_context(server(command, port, folder))

        handler, larder = started("handler"), started("larder")
        proxy = stack.enter_context(nginx(handler[0], folder))
        other = stack.enter_context(varnish(handler[0], folder))

        def spent(place: tuple[int, int], *flags: str) -> Callable[[], float]:
            def batch() -> float:
                before = processor_seconds(place[1])
                subprocess.run([binary, "load", str(place[0]), str(requests), *flags], check=True)
                return (processor_seconds(place[1]) - before) / requests

            return batch

        def one(name: str, place: tuple[int, int], *flags: str) -> Contestant:
            return Contestant(name, "", {"batch": spent(place, *flags)})

        found = [
            Row(
                "http",
                "a hit of 1 KiB",
                [
                    one(OURS, larder),
                    one(HANDLER, handler),
                    one(NGINX, proxy),
                    one(VARNISH, other),
                ],
            ),
            Row(
                "http",
                "a 304",
                [
                    one(OURS, larder, "--conditional"),
                    one(HIT, larder),
                    one(NGINX, proxy, "--conditional"),
                ],
            ),
        ]
        everyone = [contestant for row in found for contestant in row.contestants]
        for contestant in everyone:
            contestant.names["batch"]()
        for _ in range(effort.rounds):
            for contestant in everyone:
                contestant.seconds.append(contestant.names["batch"]())
    return found


def main() -> None:
    """Measures the binary that is named, and stops all servers."""
    servers.stop_on_signals()
    report(rows(sys.argv[1], Effort.chosen(sys.argv)))


if __name__ == "__main__":
    main()
