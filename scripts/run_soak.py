"""`make soak`: the long tests, a hundred times as long as `make test` runs them. Takes hours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import native
from installs import ensure_venv
from project import VENV, Trouble, main, run, say, timed

# Each multiplies its work by LARDER_EFFORT: what `cargo test` is told of it,
SOAKS = {
    "codec": ["-p", "larder-core", "--features", "zstd", "--test", "codec"],
    "shared": ["-p", "larder-shared", "--test", "shared"],
    "file": ["-p", "larder-file", "--test", "file"],
    "two-users-rust": ["-p", "larder-tower", "--test", "tower", "two_users"],
    "http": ["-p", "larder-http", "--test", "fuzz", "--test", "freshness"],
}
# or which file of the Python tests it is.
PYTHON_SOAKS = {
    "forks": "python/tests/test_forks.py",
    "history": "python/tests/servers/test_history.py",
    "mutations": "python/tests/test_mutations.py",
    "two-users": "python/tests/test_two_users.py",
}
EFFORT = "100"


def body(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """All soaks, or those that are named; one that fails does not keep the others from running."""
    known = [*SOAKS, *PYTHON_SOAKS]
    unknown = set(arguments) - set(known)
    if unknown:
        raise Trouble(f"no such soak: {', '.join(sorted(unknown))} (there is: {', '.join(known)})")
    env = {"LARDER_EFFORT": os.environ.get("LARDER_EFFORT", EFFORT)}
    failed = []

    def soak(name: str) -> None:
        if run(command_of(name), env=env) != 0:
            failed.append(name)

    for name in arguments or known:
        timed(f"soak {name}, effort {env['LARDER_EFFORT']}", lambda name=name: soak(name))
    for name in failed:
        say(f"FAILED: {name}")
    return int(bool(failed))


def command_of(name: str) -> list[str | Path]:
    """The command of a soak; what it needs is installed and built."""
    if name in SOAKS:
        return ["cargo", "test", "--release", *SOAKS[name], "--", "--nocapture"]
    interpreter = ensure_venv(VENV, ["build", "test-tools", "test"])
    native.develop(interpreter)
    return [interpreter, "-m", "pytest", "-q", PYTHON_SOAKS[name]]


if __name__ == "__main__":
    main(body)
