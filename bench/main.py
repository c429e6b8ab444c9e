"""`make bench`: measures Larder beside other caches in one run, and writes RESULTS.md."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import machine
import native
import tables
from installs import apt_install, ensure_program, ensure_venv, install_wheel, pythons
from project import ROOT, Trouble, main, output, say

HERE = ROOT / "bench"
VENV = ROOT / ".venv-bench"
RESULTS = HERE / "RESULTS.md"
STAGES = (
    "in_process",
    "shared_rows",
    "file_rows",
    "redis_rows",
    "memcached_rows",
    "herd_rows",
    "process_rows",
)


def prepare() -> Path:
    """The peers and our own package, as its users get it, in an environment of their own."""
    native.require_cargo()
    ensure_program("redis-server", "redis-server")
    ensure_program("memcached", "memcached")
    # pylibmc has a ready wheel for 3.11 alone; elsewhere pip compiles it against the C library.
    python = pythons([(3, 11)]).get((3, 11))
    if python is None:
        apt_install("libmemcached-dev")
    interpreter = ensure_venv(VENV, [HERE / "requirements.txt"], python or sys.executable)
    install_wheel(interpreter, native.wheel())
    return interpreter


def probe(interpreter: Path, stage: str, flags: list[str]) -> list[dict[str, Any]]:
    """The rows of one stage, measured in a process of its own."""
    say(f"measuring: {stage.replace('_', ' ')}")
    rows: list[dict[str, Any]] = json.loads(
        output([interpreter, HERE / "probes" / f"{stage}.py", *flags])
    )
    return rows


def rust_rows(flags: list[str]) -> list[dict[str, Any]]:
    """The rows of the tower layer."""
    say("building and measuring: the tower layer")
    manifest = HERE / "rust" / "Cargo.toml"
    run = ["cargo", "run", "--release", "-q", "--manifest-path", manifest]
    place = ["--target-dir", ROOT / "target" / "bench"]
    rows: list[dict[str, Any]] = json.loads(output([*run, *place, "--", *flags]))
    return rows


def body() -> int:
    """Everything in one run; the table is kept unless the run was a quick one."""
    flags = sys.argv[1:]
    if set(flags) - {"--quick"}:
        raise Trouble(f"usage: bench/run [--quick], not {' '.join(flags)}")
    # Redis keys of the probes, and what is read from them, must not depend on the caller's settings.
    os.environ.pop("PYTHONPATH", None)
    interpreter = prepare()
    rows = [row for stage in STAGES for row in probe(interpreter, stage, flags)]
    rows += rust_rows(flags)
    text = tables.page(rows, machine.description(interpreter, HERE), quick=bool(flags))
    say(text)
    if not flags:
        RESULTS.write_text(text)
        say(f"written to {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    main(body)
