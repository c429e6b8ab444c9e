"""`make demo`: the catalogue site on Flask, with nothing installed outside the checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable

import native
from installs import ensure_venv
from project import ROOT, VENV, Trouble, main


def wanted_rust() -> tuple[int, int]:
    """The oldest compiler that the workspace promises to build with."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    major, minor = manifest["workspace"]["package"]["rust-version"].split(".")[:2]
    return int(major), int(minor)


def rust_version() -> tuple[int, int] | None:
    """The compiler's version, or None where there is none that runs."""
    try:
        text = subprocess.run(
            ["rustc", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor = text.split()[1].split(".")[:2]
    return int(major), int(minor)


def lacks_rust() -> str | None:
    """What to do about Rust, or None."""
    found, oldest = rust_version(), wanted_rust()
    wanted = ".".join(map(str, oldest))
    if found is None or shutil.which("cargo") is None:
        return f"Rust {wanted} or newer: install it with rustup, then open a new shell"
    if found < oldest:
        return f"Rust {wanted} or newer (found {found[0]}.{found[1]}): rustup update stable"
    return None


def lacks_venv() -> str | None:
    """What to do about Python's venv module, or None. Debian packs half of it apart."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return None
    name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    return f"Python's venv module: sudo apt-get install {name}"


def lacks_linker() -> str | None:
    """What to do about the C linker that rustc calls, or None."""
    if any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        return None
    return "a C linker: sudo apt-get install gcc"


def check_prerequisites() -> None:
    """Name everything that lacks, and its cure, before anything is installed."""
    checks: list[Callable[[], str | None]] = [lacks_rust, lacks_venv, lacks_linker]
    lacking = [cure for cure in (check() for check in checks) if cure]
    if lacking:
        raise Trouble("make demo needs:\n" + "\n".join(f"  - {cure}" for cure in lacking))


def body() -> int:
    """Prepare what is not ready yet, then become the demo."""
    check_prerequisites()
    interpreter = ensure_venv(VENV, ["build", ROOT / "demo" / "requirements.txt"])
    native.develop(interpreter)
    os.chdir(ROOT)
    # The demo takes this process's place: Ctrl-C and exit code are its own.
    os.execv(interpreter, [str(interpreter), "demo/flask/run.py", *sys.argv[1:]])


if __name__ == "__main__":
    main(body)
