"""Runs the parts of the benchmark, each in a process of its own that stops its servers when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from project import ROOT, Trouble

# For a part that is told to end: its servers get five seconds each.
PATIENCE = 60.0


def words(command: Sequence[str | Path]) -> str:
    """What a program prints. Where this one is interrupted, the program is told so and waited for.

    It has a session of its own, so that Ctrl-C in the terminal is for this process alone: the program
    would otherwise be killed a moment after it, in the middle of stopping its servers.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        shown = " ".join(str(part) for part in command)
        raise Trouble(f"command failed: exit code {process.returncode} ({shown})")
    return said


def _end(process: subprocess.Popen[str]) -> None:
    # What it has started itself in its session gets no signal before it: it may still be needed.
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
