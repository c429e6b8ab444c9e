"""T2 across processes: four workers of gunicorn and one clock, which the test moves by hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import free_port, redis_config, wait_for_port

PATIENCE = 60.0
START = 1_700_000_000_000
WORKERS = 4


class Shop:
    """The application under gunicorn, with its clock and its calls."""

    def __init__(self, place: Path, redis_url: str) -> None:
        self.place = place
        self.now = START
        self.advance(0)
        self.port = free_port()
        env = {**os.environ, "PLACE": str(place), "CACHE": json.dumps(redis_config(redis_url))}
        env["PYTHONPATH"] = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
        command = [Path(sys.executable).parent / "gunicorn", "--workers", str(WORKERS)]
        command += ["--bind", f"127.0.0.1:{self.port}", "--timeout", "120", "--no-control-socket"]
        with (place / "log").open("wb") as sink:
            self.process = subprocess.Popen(
                [*command, "clock_app:application"],
                cwd=place,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def advance(self, seconds: int) -> None:
        """Lets time pass, in all workers."""
        self.now += 1000 * seconds
        with (self.place / "clock").open("r+b" if seconds else "wb") as file:
            file.write(struct.pack(">Q", self.now))

    def let(self, number: int) -> None:
        """Lets this call of the view end."""
        (self.place / f"open {number}").touch()

    @property
    def calls(self) -> int:
        """How often the view was called, in all workers."""
        return (self.place / "calls").stat().st_size

    def ask(self) -> tuple[str, str]:
        """What the page says, and which worker."""
        url = f"http://127.0.0.1:{self.port}/trend"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.read().decode(), answer.headers["Worker"]

    def ask_all(self) -> set[str]:
        """What all workers say, of which each is asked at least once by a crowd."""
        said: dict[str, set[str]] = {}
        deadline = time.monotonic() + PATIENCE
        with ThreadPoolExecutor(8) as crowd:
            while len(said) < WORKERS:
                assert time.monotonic() < deadline, said
                for body, worker in crowd.map(lambda _: self.ask(), range(50)):
                    said.setdefault(worker, set()).add(body)
        return set().union(*said.values())


@pytest.fixture
def shop(tmp_path: Path, redis_url: str) -> Generator[Shop]:
    """The application on Redis."""
    shop = Shop(tmp_path, redis_url)
    try:
        wait_for_port(shop.port, shop.process)
        yield shop
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shop.process.pid, signal.SIGKILL)
        shop.process.wait()


def test_t2_all_workers_serve_what_is_stale_while_one_refreshes(shop: Shop) -> None:
    shop.let(1)
    assert shop.ask_all() == {"version 1"}
    # T2.1: fresh to the last second.
    shop.advance(59)
    assert shop.ask_all() == {"version 1"}
    assert shop.calls == 1
    # T2.2: all go on with what is stale, and one of them refreshes.
    shop.advance(2)
    assert shop.ask_all() == {"version 1"}
    deadline = time.monotonic() + PATIENCE
    while shop.calls < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert shop.ask_all() == {"version 1"}
    assert shop.calls == 2
    shop.let(2)
    deadline = time.monotonic() + PATIENCE
    while shop.ask()[0] != "version 2":
        assert time.monotonic() < deadline
    assert shop.ask_all() == {"version 2"}
    # With a full minute to go.
    shop.advance(59)
    assert shop.ask_all() == {"version 2"}
    assert shop.calls == 2
