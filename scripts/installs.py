"""Brings in what a machine lacks: system packages by apt, Python packages into a venv."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from project import REQUIREMENTS, Trouble, must, output, run, say

_INSTALLING = threading.Lock()


def ensure_program(program: str, package: str) -> str:
    """The path of `program`, after installing the Debian package it comes in where it lacks. Threads that
    lack it at the same time install it once: apt turns away whoever comes second."""
    with _INSTALLING:
        found = shutil.which(program)
        if found is None:
            apt_install(package)
            found = shutil.which(program)
    if found is None:
        raise Trouble(f"missing: {program} is not on the path after installing {package}")
    return found


def apt_install(package: str) -> None:
    """Install a Debian package as root; anyone else is told the line to run."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Trouble(f"missing: {package} (install it: sudo apt-get install {package})")
    say(f"installing {package} with apt-get")
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # Other programs install things too: a machine that has just started, for one.
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    install = ["apt-get", *wait, "install", "-y", "-qq", "--no-install-recommends", package]
    # A fresh image has no package lists at all, and an old list names versions that are gone.
    if run(["apt-get", "update", "-qq"], env=quiet) != 0:
        say("apt-get update failed; trying with the lists at hand")
    must(install, env=quiet)


def ensure_venv(
    venv: Path, requirements: Sequence[str | Path], python: str = sys.executable
) -> Path:
    """Make or update a virtual environment and return its interpreter.

    A requirement is a file's path, or the name of one in `scripts/requirements`. What has been
    installed is remembered in the environment by the file's content, so that a second run with
    nothing new asks no registry.
    """
    interpreter = venv / "bin" / "python"
    if not works(interpreter, python):
        shutil.rmtree(venv, ignore_errors=True)
        must([python, "-m", "venv", venv])
    for requirement in requirements:
        named = isinstance(requirement, str)
        install_once(interpreter, REQUIREMENTS / f"{requirement}.txt" if named else requirement)
    return interpreter


def works(interpreter: Path, python: str) -> bool:
    """Whether a venv's interpreter runs and is of the version that is asked for."""
    if not interpreter.exists():
        return False
    version = ["-c", "import sys; print(sys.version)"]
    try:
        output([interpreter, "-c", "import pip"], quiet=True)
        return output([interpreter, *version], quiet=True) == output([python, *version])
    except (Trouble, OSError):
        return False


def install_once(interpreter: Path, requirement: Path) -> None:
    """Install a requirements file unless the same content has been installed before."""
    stamp = interpreter.parent.parent / f".installed-{requirement.parent.name}-{requirement.stem}"
    digest = hashlib.sha256(requirement.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"installing the Python packages of {requirement.parent.name}/{requirement.name}")
    pip = [interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    must([*pip, "-r", requirement])
    stamp.write_text(digest)


def install_wheel(interpreter: Path, wheel: Path) -> None:
    """Put a wheel that was built here into a venv, in place of an earlier one."""
    pip = [interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    must([*pip, str(wheel)])
    # The version number does not change from build to build; the files do.
    must([*pip, "--force-reinstall", "--no-deps", str(wheel)])


def pyenv_pythons() -> list[str]:
    """Interpreters that pyenv keeps, whichever of them is on the path."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(path) for path in sorted(root.glob("versions/3.*/bin/python3"))]


def pythons(wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """One interpreter for each of the wanted versions that this machine has."""
    names = [sys.executable, *(f"python{major}.{minor}" for major, minor in wanted)]
    found: dict[tuple[int, int], str] = {}
    for name in [*names, *pyenv_pythons()]:
        path = shutil.which(name)
        version = version_of(path) if path else None
        if path and version in wanted:
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def version_of(python: str) -> tuple[int, int] | None:
    """An interpreter's version, or None for one that does not run (a pyenv shim unset)."""
    try:
        text = output(
            [python, "-c", "import sys, ensurepip; print(*sys.version_info[:2])"], quiet=True
        )
    except (Trouble, OSError):
        return None
    major, minor = text.split()
    return int(major), int(minor)
