"""Four workers and one cache: one load for all of them, and one truth."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import configuration, free_port, wait_for_port

# Nothing here takes this long on a quiet machine; a test fails where something takes for ever.
PATIENCE = 120.0
CROWD = 200
STORES = ["shared", "redis", "file", "memcached"]


class Site:
    """Four workers of gunicorn, each with as many threads as there are visitors."""

    def __init__(self, folder: Path, config: dict[str, Any], preload: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "log"
        env = {**os.environ, "CONFIG": json.dumps(config), "FOLDER": str(folder)}
        env["PYTHONPATH"] = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
        command = [Path(sys.executable).parent / "gunicorn", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--workers", "4", "--threads", str(CROWD), "--timeout", "120"]
        command += ["--no-control-socket", "workers_app:application"]
        if preload:
            env["WARM"] = "yes"
            command.append(preload)
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def ask(self, path: str, method: str = "GET") -> tuple[str, int]:
        """The body of a page, and the worker that sent it."""
        url = f"http://127.0.0.1:{self.port}/{path}"
        request = urllib.request.Request(url, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE)
        except HTTPError as error:
            raise AssertionError(f"{error}: {path}\n{self.said}") from error
        with answer:
            return answer.read().decode(), int(answer.headers["Worker"])

    def ask_at_once(self, path: str, visitors: int) -> list[tuple[str, int] | None]:
        """What many visitors hear who ask at the same time; None where the worker died."""
        together = threading.Barrier(visitors)

        def visit(_number: int) -> tuple[str, int] | None:
            together.wait(PATIENCE)
            try:
                return self.ask(path)
            except OSError:
                return None

        with ThreadPoolExecutor(visitors) as crowd:
            return list(crowd.map(visit, range(visitors)))

    def ask_all_workers(self, path: str) -> dict[int, set[str]]:
        """What each of the four workers answers."""
        heard: dict[int, set[str]] = {}
        deadline = time.monotonic() + PATIENCE
        with ThreadPoolExecutor(8) as crowd:
            while len(heard) < 4:
                assert time.monotonic() < deadline, f"{heard}\n{self.said}"
                for body, worker in crowd.map(self.ask, [path] * 16):
                    heard.setdefault(worker, set()).add(body)
        return heard

    def loads(self, name: str) -> list[str]:
        """The processes that loaded something, in their order."""
        return self.noted(f"loads-{name}")

    def asks(self, name: str) -> list[str]:
        """The processes that were asked for something held, in their order."""
        return self.noted(f"asks-{name}")

    def noted(self, what: str) -> list[str]:
        """The processes that noted something, in their order."""
        file = self.folder / what
        if not file.exists():
            return []
        return [line.partition(" ")[0] for line in file.read_text().splitlines()]

    @property
    def said(self) -> str:
        """The log."""
        return self.log.read_text(errors="replace")


@pytest.fixture(scope="module", params=STORES)
def store_name(request: pytest.FixtureRequest) -> str:
    """Each store that workers can share."""
    return str(request.param)


@pytest.fixture(scope="module", params=["", "--preload"], ids=["forked", "preload"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store_name: str
) -> Generator[Site]:
    """Four workers, also such that have inherited a cache that was used before.

    All tests ask the same ones, each for keys of its own; a worker that one of them kills is replaced.
    """
    folder = tmp_path_factory.mktemp("site")
    site = Site(folder, configuration(store_name, request, folder), request.param)
    try:
        try:
            wait_for_port(site.port, site.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{site.said}") from error
        yield site
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(site.process.pid, signal.SIGKILL)
        site.process.wait()
        shutil.rmtree(folder)


def until(condition: Callable[[], bool]) -> None:
    """Looks again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("view", ["slow", "slow-async"])
def test_t1_2_one_load_for_all_workers(site: Site, store_name: str, view: str) -> None:
    site.ask_all_workers("visits")
    for number in range(20):
        name = f"{view}-{number}"
        started = time.monotonic()
        heard = [one for one in site.ask_at_once(f"{view}/{name}", CROWD) if one is not None]
        took = time.monotonic() - started
        workers = {worker for _, worker in heard}
        print(f"{store_name}: {len(heard)} answers of {len(workers)} workers in {took:.2f} s")
        assert len(heard) == CROWD, site.said
        assert len({body for body, _ in heard}) == 1, (heard, site.said)
        assert len(site.loads(name)) == 1, site.said
        if len(workers) > 1:
            return
    pytest.fail("one worker alone answered each of twenty crowds")


def test_a_delete_in_one_worker_is_seen_by_all(site: Site) -> None:
    for _ in range(3):
        old = {body for bodies in site.ask_all_workers("quick/page").values() for body in bodies}
        assert len(old) == 1
        assert site.ask("delete/quick/page", "POST")[0] == "True"
        site.ask("quick/page")
        new = {body for bodies in site.ask_all_workers("quick/page").values() for body in bodies}
        assert len(new) == 1
        assert not new & old
    assert len(site.loads("page")) == 4, site.said


@pytest.mark.parametrize("view", ["held", "held-async"])
def test_t1_4_a_leading_worker_that_is_killed_is_followed_by_another(site: Site, view: str) -> None:
    site.ask_all_workers("visits")
    with ThreadPoolExecutor(20) as crowd:
        asked = []
        while len(set(site.asks(view))) < 2:
            # One worker alone may answer a whole crowd; then nobody would be left to follow it.
            asked.append(crowd.submit(site.ask_at_once, f"{view}/{view}", 40))
            until(lambda: len(site.asks(view)) == 40 * len(asked))
        (leader,) = site.loads(view)
        os.kill(int(leader), signal.SIGKILL)
        until(lambda: len(site.loads(view)) == 2)
        (site.folder / f"go-{view}").touch()
        heard = [one for each in asked for one in each.result() if one is not None]
    first, second = site.loads(view)
    assert first != second
    assert len({body for body, _ in heard}) == 1, heard
    assert heard[0][0] == site.ask(f"{view}/{view}")[0]


def test_counts_of_all_workers_add_up(site: Site) -> None:
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(site.ask, ["add/100"] * 40, ["POST"] * 40))
    assert site.ask("visits")[0] == "4000"
