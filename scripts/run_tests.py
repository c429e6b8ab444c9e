"""`make test`: every test of the project, Rust and Python, with a real Redis beside them."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import native
import servers
from counts import Counts, read_cargo_line, read_junit
from installs import ensure_venv
from matrix import ALWAYS, PYTEST_RAN, TEST_SECONDS, run_environments
from project import ROOT, VENV, Trouble, environment, main, run, say, timed

CARGO_TEST = ["cargo", "test", "--workspace", "--exclude", "larder-python", "--no-fail-fast"]
# The flight once more, under a model checker that runs its threads in thousands of orders.
MODEL_CHECK = ["cargo", "test", "-p", "larder-core", "--lib", "--features", "shuttle"]
CARGO_SECONDS = 1200.0
PYTEST_FOLDERS = ("python", "demo/tests", "scripts/tests")


def cargo_tests(counts: Counts, env: Mapping[str, str]) -> None:
    """Run the Rust tests, documentation included."""
    cargo_test(counts, CARGO_TEST, env)


def model_check(counts: Counts, env: Mapping[str, str]) -> None:
    """Run the models of the flight, and what larder-core does without its feature zstd; little else of
    the crate works with the checker's locks."""
    cargo_test(counts, [*MODEL_CHECK, "--", "flight::model", "codec::compress"], env)


def cargo_test(counts: Counts, command: list[str], env: Mapping[str, str]) -> None:
    """Run tests by cargo and count them as they are reported."""
    native.require_cargo()
    own = Counts()
    cargo = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    guard = threading.Timer(CARGO_SECONDS, cargo.kill)
    guard.start()
    try:
        for line in cargo.stdout or ():
            print(line, end="", flush=True)
            read_cargo_line(own, line.rstrip())
        code = cargo.wait()
    finally:
        guard.cancel()
        cargo.kill()
    if own.passed == 0:
        own.fail("cargo test ran no test")
    elif code != 0 and own.failed == 0:
        own.fail(f"cargo test ended with exit code {code}: a test did not build, or was killed")
    counts.add(own)


def python_tests(counts: Counts, env: Mapping[str, str]) -> None:
    """Build the package and its wheel, then run the Python tests folder by folder."""
    interpreter = ensure_venv(VENV, ["build", "test-tools", "test", *demo_requirements()])
    native.develop(interpreter)
    env = {**env, "LARDER_TEST_WHEEL": str(native.wheel())}
    for folder in PYTEST_FOLDERS:
        timed(f"pytest {folder}", lambda folder=folder: pytest(counts, interpreter, folder, env))


def demo_requirements() -> list[Path]:
    """The demo's own packages, for its tests."""
    return [ROOT / "demo" / "requirements.txt"]


def pytest(counts: Counts, interpreter: Path, folder: str, env: Mapping[str, str]) -> None:
    """Run one folder's tests and count them from the report they leave."""
    with tempfile.TemporaryDirectory(prefix="larder-junit-") as place:
        junit = Path(place) / "junit.xml"
        command = [interpreter, "-m", "pytest", folder, "-q", "-rs", f"--junitxml={junit}"]
        code = run([*command, f"--timeout={TEST_SECONDS}"], env=env)
        if junit.exists():
            counts.add(read_junit(junit))
        if code not in PYTEST_RAN:
            counts.fail(f"pytest {folder} ended with exit code {code}")


def other_environments(counts: Counts, _env: Mapping[str, str]) -> None:
    """The Python package's tests on its oldest Flask, and on newer Pythons."""
    run_environments(counts, ALWAYS)


def step(counts: Counts, name: str, action: object, env: Mapping[str, str]) -> None:
    """Run a suite; what keeps it from running is one failed test, and the next suite follows."""
    try:
        timed(name, lambda: action(counts, env))  # type: ignore[operator]
    except Trouble as trouble:
        say(str(trouble))
        counts.fail(f"{name}: {str(trouble).splitlines()[0]}")


def body() -> int:
    """Everything in its order; the count is the last line."""
    servers.stop_on_signals()
    counts = Counts()
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    # The workspace's tests build it; the Python tests run it beside an application.
    neighbour = ROOT / "target" / "debug" / "examples" / "flask_neighbour"
    os.environ.setdefault("LARDER_TEST_NEIGHBOUR", str(neighbour))
    with servers.for_tests() as env:
        step(counts, "cargo test", cargo_tests, env)
        step(counts, "model check", model_check, env)
        step(counts, "python", python_tests, env)
        step(counts, "matrix", other_environments, env)
    for line in counts.skips:
        say(f"skipped: {line}")
    for line in counts.failures:
        say(f"FAILED: {line}")
    say(str(counts))
    return int(counts.failed > 0)


if __name__ == "__main__":
    main(body)
