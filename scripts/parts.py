"""The parts of a test run: programs of their own, some at a time, each timed and counted."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import servers
from counts import Counts, read_cargo_line, read_junit
from project import ROOT, environment, say

# pytest's exit codes for "all passed" and "some failed"; any other means that it did not run.
PYTEST_RAN = (0, 1)
REPORT = "report.xml"
TEST_SECONDS = 180
"""What one Python test may take."""


@dataclass(frozen=True)
class Part:
    """A program that runs tests. What it says is kept, and printed in one piece once it has ended.

    It has a Redis and a memcached to itself, because some tests empty a whole database, and a folder,
    whose path is put for `{folder}` in its command.
    """

    name: str
    command: Sequence[str | Path]
    count: Callable[[Ended], Counts]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    limit: float = 1200.0
    """The seconds after which it is ended by force: a failure."""


@dataclass(frozen=True)
class Ended:
    """A part that has ended: its exit code (None where it was ended by force), what it said, and where
    its report lies, if it wrote one."""

    code: int | None
    said: str
    report: Path


def pytest(name: str, interpreter: Path, arguments: Sequence[str | Path], workers: int = 0) -> Part:
    """A part that runs pytest, by as many workers as are told, and is counted from its report."""
    command: list[str | Path] = [interpreter, "-m", "pytest", *arguments, "-q", "-rs"]
    command += [
        "-p",
        "no:cacheprovider",
        f"--timeout={TEST_SECONDS}",
        f"--junitxml={{folder}}/{REPORT}",
    ]
    # Of its own: another run would take the files of this one for left over.
    command += ["--basetemp={folder}/tmp"]
    if workers:
        command += ["-n", str(workers), "--dist", "worksteal"]
    return Part(name, command, count_pytest)


def count_pytest(ended: Ended) -> Counts:
    """What became of each test; a pytest that ended without having run them is a failure."""
    counts = read_junit(ended.report) if ended.report.exists() else Counts()
    if ended.code not in PYTEST_RAN:
        counts.fail(f"pytest ended with exit code {ended.code}")
    return counts


def count_cargo(ended: Ended) -> Counts:
    """What cargo said of each test; tests that did not build are a failure."""
    counts = Counts()
    for line in ended.said.splitlines():
        read_cargo_line(counts, line.rstrip())
    if counts.passed == 0:
        counts.fail("cargo test ran no test")
    elif ended.code != 0 and counts.failed == 0:
        what = "a test did not build, or was killed"
        counts.fail(f"cargo test ended with exit code {ended.code}: {what}")
    return counts


def run_parts(counts: Counts, parts: Sequence[Part], lanes: int) -> dict[str, float]:
    """Run all parts in their order, so many at a time; answers the seconds that each took."""
    took: dict[str, float] = {}
    running = Running()
    with ThreadPoolExecutor(lanes) as crew:
        begun = {crew.submit(running.run, part): part.name for part in parts}
        try:
            for done in as_completed(begun):
                name = begun[done]
                said, found, took[name] = done.result()
                say(f"== {name}\n{said.rstrip()}\n== {name}: {took[name]:.0f} s, {found}")
                found.failures = [f"{name}: {failure}" for failure in found.failures]
                found.skips = [f"{name}: {skip}" for skip in found.skips]
                counts.add(found)
        finally:
            # Where something came between, nothing more begins, and what runs is ended.
            crew.shutdown(wait=False, cancel_futures=True)
            running.stop()
    return took


class Running:
    """The programs of the parts that run at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, part: Part) -> tuple[str, Counts, float]:
        """Run a part to its end: what it said, what became of its tests, and the seconds."""
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            place = tempfile.TemporaryDirectory(prefix="larder-part-")
            folder = Path(stack.enter_context(place))
            variables = stack.enter_context(servers.for_tests())
            with self._program(part, folder, variables) as program:
                try:
                    code = program.wait(part.limit)
                except subprocess.TimeoutExpired:
                    code = None
            # Apart, because a word of a server in the middle of a result would hide it from the count.
            said, errors = (folder / name for name in ("out", "err"))
            ended = Ended(code, said.read_text(errors="replace"), folder / REPORT)
            words = errors.read_text(errors="replace") + ended.said
            return words, part.count(ended), time.monotonic() - began

    @contextlib.contextmanager
    def _program(
        self, part: Part, folder: Path, variables: Mapping[str, str]
    ) -> Generator[subprocess.Popen[bytes]]:
        with self._lock, (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            if self._stopped:
                raise CancelledError
            program = subprocess.Popen(
                [str(word).replace("{folder}", str(folder)) for word in part.command],
                cwd=ROOT,
                env=environment({**variables, **part.variables}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            self._programs.add(program)
        try:
            yield program
        finally:
            servers.stop(program)
            with self._lock:
                self._programs.discard(program)

    def stop(self) -> None:
        """End what still runs, and let nothing begin."""
        with self._lock:
            self._stopped = True
            for program in self._programs:
                program.terminate()
