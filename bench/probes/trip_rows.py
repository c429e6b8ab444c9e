"""Rows of round trips: how often a call waits for Redis, counted by a proxy between the two.

A trip begins when something goes to the server after something came from it: what a client sends in one
piece, or in several without waiting, is one trip.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import statistics
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import servers
from beside import MANY, wanted
from rounds import Contestant, Row, report
from sites import BODY, MAKERS, PATIENT, Site

ONE, TWO = "one trip", "two trips"
TIMES = 9
# How long nothing has to come after a call before its trips are counted: what a thread of the client
# does behind the call is none of its trips, but must not be counted with the next one.
QUIET = 0.02


class Proxy:
    """Hands on what client and server say, and counts how often the server is asked."""

    def __init__(self, port: int) -> None:
        self.trips = 0
        self.passed = 0
        self._server = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        while True:
            client, _ = self._door.accept()
            server = socket.create_connection(("127.0.0.1", self._server))
            for line in (client, server):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._hand_on, args=(client, server), daemon=True).start()

    def _hand_on(self, client: socket.socket, server: socket.socket) -> None:
        asked = False
        with selectors.DefaultSelector() as waiting:
            waiting.register(client, selectors.EVENT_READ, server)
            waiting.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _events in waiting.select():
                    line, other = key.fileobj, key.data
                    assert isinstance(line, socket.socket)
                    part = line.recv(1 << 20)
                    if not part:
                        client.close()
                        server.close()
                        return
                    self.trips += line is client and not asked
                    self.passed += 1
                    asked = line is client
                    other.sendall(part)

    def trips_of(self, call: Callable[[], object]) -> int:
        """How often the server is asked by one call, before it returns."""
        self._settle()
        before = self.trips
        call()
        return self.trips - before

    def _settle(self) -> None:
        pause = threading.Event()
        before = -1
        while before != self.passed:
            before = self.passed
            pause.wait(QUIET)


def operations(name: str, site: Site) -> dict[str, Callable[[], object]]:
    """What is counted, by the name of its row; each can be called again and again."""
    cache, functions = site.cache, site.functions
    lots = [[f"{name}-{number}-{part}" for part in range(MANY)] for number in range(TIMES + 2)]
    for lot in lots:
        cache.set_many(dict.fromkeys(lot, BODY))
    ready, fresh, added = iter(lots), itertools.count(100), itertools.count()
    ten = lots[-1]
    return {
        "`get`": lambda: cache.get(ten[0]),
        "`set`": lambda: cache.set("text", BODY),
        "`add`": lambda: cache.add(f"added {next(added)}", BODY),
        f"`get_many` of {MANY} keys": lambda: cache.get_many(*ten),
        f"`set_many` of {MANY} keys": lambda: cache.set_many(dict.fromkeys(ten, BODY)),
        "a `@cached` hit": site.views["text"],
        "a memoize hit": lambda: functions["one"](7),
        "a memoize miss": lambda: functions["one"](next(fresh)),
        f"`delete_many` of {MANY} keys": lambda: cache.delete_many(*next(ready)),
        "`delete_memoized` of one call, 4 arguments": lambda: cache.delete_memoized(
            functions["four"], 7, "seven", 7.5, True
        ),
        "`delete_memoized` of a function": lambda: cache.delete_memoized(functions["four"]),
    }


def counted(name: str, port: int) -> dict[str, list[float]]:
    """The trips of each operation, each time it was called but the first."""
    proxy = Proxy(port)
    url = f"redis://127.0.0.1:{proxy.port}/0"
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "CACHE_KEY_PREFIX": f"{name}:"}
    site = Site(MAKERS[name], **PATIENT.get(name, {}), **config)

    def inside() -> dict[str, list[float]]:
        found = {}
        for row, call in operations(name, site).items():
            # Scripts and connections are new to the server once.
            call()
            found[row] = [float(proxy.trips_of(call)) for _ in range(TIMES)]
        return found

    found: dict[str, list[float]] = site.inside("/text").run(inside)
    return found


def rows(port: int) -> list[Row]:
    """One for each operation."""
    both = {name: counted(name, port) for name in MAKERS}
    made = []
    for operation in next(iter(both.values())):
        contestants = [
            Contestant(name, "", {}, seconds=[statistics.median(found[operation])])
            for name, found in both.items()
        ]
        contestants += [
            Contestant(name, "", {}, seconds=[figure]) for name, figure in ((ONE, 1.0), (TWO, 2.0))
        ]
        made.append(Row("trips", f"Redis: round trips of {operation}", contestants))
    return made


def main() -> None:
    """Starts a server, counts, and stops it."""
    servers.stop_on_signals()
    port = servers.free_port()
    with servers.redis(port):
        report(wanted(rows(port), sys.argv[1:]))


if __name__ == "__main__":
    main()
