"""The environments that the Python package is tested in besides its own, with one wheel for all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import native
from counts import Counts
from installs import ensure_venv, install_wheel, pythons
from parts import Part, pytest, run_parts
from project import ROOT, in_ci

# What differs between Pythons and Flasks is the face: the stores are the same library in all of them,
# and have had their tests in its own environment. The oldest Flask has them with a store elsewhere as well.
FEWER = {"LARDER_TEST_STORES": "memory", "PYTHONDONTWRITEBYTECODE": "1"}
ELSEWHERE = {"LARDER_TEST_STORES": "memory,redis"}
OF_STORES = [
    f"--ignore=python/tests/{name}.py"
    for name in (
        *("servers/test_failover", "servers/test_history", "servers/test_workers"),
        *("test_two_users", "test_two_users_http"),
    )
]
OF_SERVERS = ["--ignore=python/tests/servers"]
# The tests of what the native library does with the interpreter's objects: what a version in between of
# Python may do otherwise than the one before it and the one after it.
OF_OBJECTS = [
    f"python/tests/test_{name}.py"
    for name in (
        *("arguments", "at_hand", "compat_memoize", "compat_native_keys", "early", "early_hooks"),
        *("early_inputs", "forks", "functions", "processes", "recent", "seed", "single_flight"),
        *("values", "views"),
    )
]
LANES = min(4, os.cpu_count() or 1)
WORKERS = 2
"""How many tests of an environment run at a time: they wait more than they work."""


@dataclass(frozen=True)
class Environment:
    """A Python, and the Flask of one of the files in `scripts/requirements`."""

    name: str
    python: tuple[int, int]
    flask: str = "test"
    servers: bool = True
    """Whether application servers are started too: with one Python it is enough."""
    fewer: bool = False
    """Whether `make test` has only the tests of what the library does with the interpreter's objects."""

    @property
    def venv(self) -> Path:
        """Where it is installed."""
        return ROOT / f".venv-matrix-{self.name}"


ALWAYS = (
    Environment("oldest", (3, 11), "oldest"),
    Environment("python-3.12", (3, 12), servers=False, fewer=True),
    Environment("python-3.13", (3, 13), servers=False),
)
"""What `make test` runs besides the newest Flask on its own Python."""
IN_BETWEEN = (
    Environment("newest", (3, 11)),
    Environment("flask-2.2", (3, 11), "flask-2.2"),
    Environment("flask-2.3", (3, 11), "flask-2.3"),
    Environment("flask-3.0", (3, 11), "flask-3.0"),
)
"""What `make matrix` runs as well."""


def run_environments(
    counts: Counts, environments: Sequence[Environment], given: Mapping[str, str]
) -> dict[str, float]:
    """Run all the Python tests in every environment whose Python is here, some at a time, with the variables
    `given`; answers the seconds that each took."""
    whole = [replace(each, fewer=False) for each in environments]
    return run_parts(counts, environment_parts(counts, whole, given), LANES)


def environment_parts(
    counts: Counts, environments: Sequence[Environment], given: Mapping[str, str]
) -> list[Part]:
    """The Python tests in every environment whose Python is here, installed; `counts` gets the others.
    `given` are variables for all of them: what is built in one of them by itself takes the time of a test."""
    known = pythons(sorted({each.python for each in environments}))
    ready: list[Part] = []
    for each in environments:
        if each.python in known:
            interpreter = prepared(each, known[each.python])
            without = OF_STORES if each.servers else [*OF_STORES, *OF_SERVERS]
            which = OF_OBJECTS if each.fewer else ["python/tests", *without]
            tests = pytest(each.name, interpreter, which, WORKERS)
            more = ELSEWHERE if each.name == "oldest" else {}
            ready.append(replace(tests, variables={**FEWER, **more, **given}))
        else:
            miss(counts, each)
    return ready


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
