"""The environments that the Python package is tested in besides its own, with one wheel for all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import native
import servers
from counts import Counts, read_junit
from installs import ensure_venv, install_wheel, pythons
from project import ROOT, Trouble, environment, in_ci, say

TEST_SECONDS = 180
"""What one test may take."""
RUN_SECONDS = 1200
"""What all tests of one environment may take."""
# pytest's exit codes for "all passed" and "some failed"; any other means that it did not run.
PYTEST_RAN = (0, 1)
# What differs between Pythons and Flasks is the face: the stores are the same library in all of them,
# and have had their tests in its own environment.
FEWER = {"LARDER_TEST_STORES": "memory,redis"}
OF_STORES = "python/tests/servers/test_workers.py"
LANES = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Environment:
    """A Python, and the Flask of one of the files in `scripts/requirements`."""

    name: str
    python: tuple[int, int]
    flask: str = "test"

    @property
    def venv(self) -> Path:
        """Where it is installed."""
        return ROOT / f".venv-matrix-{self.name}"


ALWAYS = (
    Environment("oldest", (3, 11), "oldest"),
    Environment("python-3.12", (3, 12)),
    Environment("python-3.13", (3, 13)),
)
"""What `make test` runs besides the newest Flask on its own Python."""
IN_BETWEEN = (
    Environment("newest", (3, 11)),
    Environment("flask-2.2", (3, 11), "flask-2.2"),
    Environment("flask-2.3", (3, 11), "flask-2.3"),
    Environment("flask-3.0", (3, 11), "flask-3.0"),
)
"""What `make matrix` runs as well."""


def run_environments(counts: Counts, environments: Sequence[Environment]) -> None:
    """Run the Python tests in every environment whose Python is here, some at a time."""
    known = pythons(sorted({each.python for each in environments}))
    ready: list[Run] = []
    for each in environments:
        if each.python in known:
            ready.append(Run(each, prepared(each, known[each.python])))
        else:
            miss(counts, each)
    for first in range(0, len(ready), LANES):
        with contextlib.ExitStack() as stack:
            side_by_side = ready[first : first + LANES]
            for run in side_by_side:
                run.start(stack)
            for run in side_by_side:
                counts.add(run.finish())


def miss(counts: Counts, missing: Environment) -> None:
    """Count an environment without its Python: in CI all of them have to be there."""
    version = ".".join(map(str, missing.python))
    what = f"{missing.name}: there is no Python {version} here (pyenv install {version})"
    if in_ci():
        counts.fail(what)
    else:
        counts.skipped += 1
        counts.skips.append(what)


def prepared(wanted: Environment, python: str) -> Path:
    """The environment's interpreter, with the wheel of the sources as they are."""
    # Flask first: what the tools depend on is then taken in a version that goes with it.
    interpreter = ensure_venv(wanted.venv, [wanted.flask, "test-tools"], python)
    install_wheel(interpreter, native.wheel())
    return interpreter


@dataclass
class Run:
    """The tests of one environment, in a process of their own."""

    environment: Environment
    interpreter: Path
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    folder: Path = field(init=False)
    started: float = field(init=False)

    def start(self, stack: contextlib.ExitStack) -> None:
        """Begin; `stack` ends the process and removes what it wrote, whatever happens."""
        place = tempfile.TemporaryDirectory(prefix="larder-matrix-")
        self.folder = Path(stack.enter_context(place))
        self.started = time.monotonic()
        # A Redis of its own: some tests empty a whole database.
        variables = stack.enter_context(servers.for_tests())
        command = [self.interpreter, "-m", "pytest", "python/tests", "-q", "-rs", "-p"]
        command += ["no:cacheprovider", f"--timeout={TEST_SECONDS}", f"--junitxml={self.report}"]
        command += [f"--ignore={OF_STORES}"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env=environment({**variables, **FEWER, "PYTHONDONTWRITEBYTECODE": "1"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        stack.callback(servers.stop, self.process)

    @property
    def report(self) -> Path:
        """Where pytest writes what became of each test."""
        return self.folder / "junit.xml"

    def finish(self) -> Counts:
        """Wait for the end, print what was said, and count."""
        name = self.environment.name
        if self.process is None:
            raise Trouble(f"matrix: {name} was not started")
        try:
            code = self.process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        say(f"== {name}: {time.monotonic() - self.started:.0f} s")
        say((self.folder / "log").read_text(errors="replace"))
        counts = read_junit(self.report) if self.report.exists() else Counts()
        counts.failures = [f"{name}: {failure}" for failure in counts.failures]
        counts.skips = [f"{name}: {skip}" for skip in counts.skips]
        if code not in PYTEST_RAN:
            counts.fail(f"{name}: pytest ended with exit code {code}")
        return counts
