"""Where the project's parts lie, and how its scripts run a program and speak to the reader."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "scripts" / "requirements"
VENV = ROOT / ".venv"
DIST = ROOT / "dist"


class Trouble(Exception):
    """Something that the reader has to mend. The message says what and how."""


def in_ci() -> bool:
    """Whether the run has to be complete: a missing server is then a failure and no choice."""
    return os.environ.get("CI", "").lower() == "true"


def say(text: str) -> None:
    """Print one line at once, in its place between the lines of the programs that are run."""
    print(text, flush=True)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with `extra` on top of it."""
    return {**os.environ, **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a program to its end with its output passed on, and return its exit code."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def must(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
    """Run a program that has to succeed."""
    code = run(command, env=env)
    if code != 0:
        shown = " ".join(str(part) for part in command)
        raise Trouble(f"command failed: exit code {code} ({shown})")


def output(command: Sequence[str | Path], *, quiet: bool = False) -> str:
    """What a program that has to succeed writes to its standard output.

    `quiet` drops what it says on standard error, for a program that may well fail.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise Trouble(f"command failed: exit code {done.returncode} ({shown})")
    return done.stdout


def timed(name: str, step: Callable[[], object]) -> None:
    """Run one step of a script and say how long it took."""
    say(f"== {name}")
    start = time.monotonic()
    step()
    say(f"== {name}: {time.monotonic() - start:.0f} s")


def main(body: Callable[[], int]) -> None:
    """Run a script's body: trouble is one message and exit code 1, Ctrl-C is exit code 130."""
    try:
        code = body()
    except Trouble as trouble:
        print(trouble, file=sys.stderr, flush=True)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
