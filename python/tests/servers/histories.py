"""What was written, what was forgotten and what was read, by whom and when: and whether that may be.

A writer writes a higher version into a file and then has the fleet forget what was made of it. Once
that is acknowledged, nobody may read an older version from the store itself, and from a near tier only
for as long as is promised. All times are those of the monotonic clock, which the processes of a machine
have in common; so nothing is assumed but that a request is answered between its beginning and its end.
"""

from __future__ import annotations

import bisect
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from server_support import free_port, wait_for_port

PATIENCE = 120.0

PROMISED = 0.1
"""How long after an acknowledged removal a near tier may answer with what was there, in seconds, while
it hears of changes."""

SCHEDULER = 0.6
"""What a busy machine may add: programs that are ready to run and do not. What the promise is there to
keep out lasts longer: a near tier that hears of nothing answers for as long as its lifetime, and a
process that was stopped for as long as it was."""

NEAR = 5.0
"""How long a near tier keeps a copy where nobody says it, in seconds."""

DEADLINE = 2.0
"""How long a server may take for an answer: a busy machine is no reason to go on without it."""

AFTER = 6.0
"""How long after trouble a process may not have found back to its server: one that waited for an answer
when the trouble ended, and the breaker, which asks once in a second."""

HOST = {"Host": "shop.example"}


class Site:
    """A server with workers: an application, or the service in Rust."""

    def __init__(self, name: str, command: list[Any], folder: Path, **env: str) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        path = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(part).replace("{port}", str(self.port)) for part in command],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, **env},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    @classmethod
    def of_flask(cls, name: str, config: dict[str, Any], folder: Path, *more: str) -> Site:
        """Workers of gunicorn with a cache of this configuration."""
        command = [Path(sys.executable).parent / "gunicorn", "--bind", "127.0.0.1:{port}"]
        command += ["--workers", "2", "--threads", "12", "--timeout", "600"]
        command += ["--no-control-socket", *more, "fleet_app:application"]
        env = {"CONFIG": json.dumps(config), "FOLDER": str(folder)}
        return cls(name, command, folder, **env)

    @classmethod
    def of_rust(cls, program: Path, store: str, prefix: str, folder: Path) -> Site:
        """The service on one store with the applications."""
        env = {"LARDER_SECRET": "a key for tests", "LARDER_NAMESPACE": prefix}
        command = [program, "127.0.0.1:{port}", store]
        return cls("rust", command, folder, **env, LARDER_PAGES=str(folder / "pages"))

    def wait(self) -> None:
        """Returns once it answers."""
        try:
            wait_for_port(self.port, self.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.said}") from error

    def ask(self, path: str, method: str = "GET", body: str | None = None) -> tuple[int, str, int]:
        """The status of an answer, its body, and the process that sent it."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as link:
            link.request(method, path, body, HOST)
            answer = link.getresponse()
            worker = answer.getheader("Worker") or self.process.pid
            return answer.status, answer.read().decode(), int(worker)

    def forget(self, name: str) -> bool:
        """Has a page and a value forgotten. Whether that was acknowledged."""
        if self.name == "rust":
            return self.ask("/forget", "POST", f"/pages/{name}")[1] in ("true", "false")
        return self.ask(f"/forget/{name}", "POST")[0] == 200

    def workers(self) -> list[int]:
        """The processes that answer."""
        if self.name == "rust":
            return [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self) -> None:
        """Ends it, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")[-4000:]


@dataclass(frozen=True)
class Read:
    """One answer: of what, by whom, from when to when, and the version in it."""

    way: str
    name: str
    worker: int
    began: float
    ended: float
    version: int


@dataclass
class History:
    """Everything that was done and read."""

    folder: Path
    sites: list[Site]
    reads: list[Read] = field(default_factory=list[Read])
    refused: list[str] = field(default_factory=list[str])
    cut: int = 0
    # By file: when versions were acknowledged as the oldest that there are, in order.
    acknowledged: dict[str, list[tuple[float, int]]] = field(default_factory=dict[str, Any])
    # The same for the values, which have a tag of their own.
    of_values: dict[str, list[tuple[float, int]]] = field(default_factory=dict[str, Any])
    # When servers were away, or connections cut: from, until.
    troubles: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._written = {f"p{number}": 0 for number in range(6)}
        (self.folder / "pages").mkdir(exist_ok=True)
        for name in self._written:
            self._write(name)
            self.acknowledged[name] = [(time.monotonic(), 1)]
            self.of_values[name] = list(self.acknowledged[name])

    def _write(self, name: str) -> int:
        """A higher version in a file, all of it at once."""
        version = self._written[name] = self._written[name] + 1
        new = self.folder / f"{name}.new"
        new.write_text(f"{name} {version}")
        new.rename(self.folder / "pages" / name)
        return version

    # Who reads and writes.

    def begin(self) -> None:
        """Starts the readers and the writer."""
        ways = [(site, way) for site in self.sites for way in _WAYS[site.name == "rust"]]
        works: list[Callable[[], None]] = [self._writing]
        works += [lambda pair=pair: self._reading(*pair) for pair in ways]
        self._threads = [threading.Thread(target=self._until_over, args=(one,)) for one in works]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stops them."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _until_over(self, work: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                work()
            except (OSError, http.client.HTTPException):
                # The worker was killed before it had answered.
                self.cut += 1
                time.sleep(0.05)

    def _writing(self) -> None:
        name = random.choice(list(self._written))
        version = self._write(name)
        site = random.choice(self.sites)
        if site.forget(name):
            told = (time.monotonic(), version)
            self.acknowledged[name].append(told)
            # The service knows of the page alone.
            if site.name != "rust":
                self.of_values[name].append(told)
        time.sleep(0.03)

    def _reading(self, site: Site, way: str) -> None:
        name = random.choice(list(self._written))
        began = time.monotonic()
        status, body, worker = site.ask(f"/{way}/{name}")
        ended = time.monotonic()
        if status != 200:
            self.refused.append(f"{site.name} /{way}/{name}: {status} {body[:200]}")
        elif body:
            found, _, version = body.partition(" ")
            assert found == name
            self.reads.append(Read(way, name, worker, began, ended, int(version)))

    # Trouble.

    def during(self, trouble: Callable[[], Any]) -> None:
        """Makes trouble that keeps tidings from the near tiers, and notes for how long."""
        began = time.monotonic()
        trouble()
        self.troubles.append((began, time.monotonic()))

    # What may be.

    def age(self, read: Read) -> float:
        """How long before a read something newer than it found had been acknowledged; 0 if nothing."""
        told = (self.of_values if read.way == "values" else self.acknowledged)[read.name]
        first = bisect.bisect_right([version for _, version in told], read.version)
        return max(read.began - told[first][0], 0.0) if first < len(told) else 0.0

    def troubled(self, read: Read, after: float) -> bool:
        """Whether a read began while there was trouble, or so long after it."""
        return any(
            began <= read.ended and read.began <= ended + after for began, ended in self.troubles
        )

    def check(self, near: float, after: float) -> None:
        """Compares all reads with what is promised; `near` is how long a near tier keeps a copy, and
        `after` how long trouble lasts when its cause is gone."""
        assert not self.refused, self.refused[:10]
        wrong = [read for read in self.reads if self.age(read) > self._allowed(read, near, after)]
        shown = [f"{self.age(read):.3f} s: {read}" for read in wrong[:10]]
        assert not wrong, f"{len(wrong)} of {len(self.reads)} reads were too old: {shown}"

    def _allowed(self, read: Read, near: float, after: float) -> float:
        if read.way == "far":
            return 0.0
        return (near if self.troubled(read, after) else PROMISED) + SCHEDULER

    def summary(self) -> str:
        """In numbers."""
        quiet = [read for read in self.reads if not self.troubled(read, 2.0)]
        ages = sorted(self.age(read) for read in quiet if read.way != "far")
        versions = sum(len(told) for told in self.acknowledged.values())
        late = sum(age > PROMISED for age in ages)
        latest = max(ages, default=0.0) * 1000
        return (
            f"{len(self.reads)} reads by {len({read.worker for read in self.reads})} processes, "
            f"{versions} removals, {self.cut} connections cut; of {len(ages)} near reads in quiet times "
            f"{sum(age > 0 for age in ages)} were behind, the latest by {latest:.0f} ms, "
            f"{late} by more than {PROMISED * 1000:.0f} ms"
        )


_WAYS = (("pages", "values", "far"), ("pages",))
"""What is read of an application, and of the service."""


def stopped(pids: list[int], seconds: float) -> None:
    """Lets processes stand still for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def until(condition: Callable[[], object]) -> None:
    """Asks again and again until something holds; what cannot be asked yet does not hold."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError, http.client.HTTPException, redis.RedisError):
            if condition():
                return
        assert time.monotonic() < deadline, "this never came"
        time.sleep(0.02)
