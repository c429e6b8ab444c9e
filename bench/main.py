"""`make bench`: measures Larder beside other caches in one run, and writes the results and their pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import machine
import native
import pages
import servers
import targets
from installs import apt_install, ensure_program, ensure_venv, install_wheel, pythons
from project import ROOT, Trouble, main, say
from stages import words

HERE = ROOT / "bench"
VENV = ROOT / ".venv-bench"
STAGES = (
    "in_process",
    "direct_rows",
    "shared_rows",
    "file_rows",
    "redis_rows",
    "trip_rows",
    "near_rows",
    "memcached_rows",
    "herd_rows",
    "early_rows",
    "process_rows",
    "ratio_rows",
)
USAGE = "usage: bench/run [--quick | --pages]"


def environment() -> Path:
    """The peers and what draws the plots, in an environment of their own."""
    # pylibmc has a ready wheel for 3.11 alone; elsewhere pip compiles it against the C library.
    python = pythons([(3, 11)]).get((3, 11))
    if python is None:
        apt_install("libmemcached-dev")
    return ensure_venv(VENV, [HERE / "requirements.txt"], python or sys.executable)


def prepare() -> Path:
    """The servers, the peers, and our own package as its users get it."""
    native.require_cargo()
    ensure_program("redis-server", "redis-server")
    ensure_program("memcached", "memcached")
    ensure_program("nginx", "nginx-light")
    ensure_program("varnishd", "varnish")
    interpreter = environment()
    install_wheel(interpreter, native.exact_wheel(interpreter))
    return interpreter


def probe(interpreter: Path, stage: str, flags: list[str]) -> list[dict[str, Any]]:
    """The rows of one stage, measured in a process of its own."""
    say(f"measuring: {stage.replace('_', ' ')}")
    rows: list[dict[str, Any]] = json.loads(
        words([interpreter, HERE / "probes" / f"{stage}.py", *flags])
    )
    return rows


def rust_rows(interpreter: Path, flags: list[str]) -> list[dict[str, Any]]:
    """The rows of the tower layer, in one process and over HTTP."""
    say("building and measuring: the tower layer")
    manifest, target = HERE / "rust" / "Cargo.toml", ROOT / "target" / "bench"
    words(
        ["cargo", "build", "--release", "-q", "--manifest-path", manifest, "--target-dir", target]
    )
    binary = target / "release" / "larder-bench"
    rows: list[dict[str, Any]] = json.loads(words([binary, *flags]))
    return rows + probe(interpreter, "http_rows", [str(binary), *flags])


def measured(flags: list[str]) -> dict[str, Any]:
    """Everything in one run."""
    # Redis keys of the probes, and what is read from them, must not depend on the caller's settings.
    os.environ.pop("PYTHONPATH", None)
    interpreter = prepare()
    rows = [row for stage in STAGES for row in probe(interpreter, stage, flags)]
    rows += rust_rows(interpreter, flags)
    described = machine.description(interpreter, HERE)
    return {"machine": described, "rounds": 5 if flags else 31, "rows": rows}


def write(results: pages.Results, interpreter: Path) -> list[str]:
    """RESULTS.md, the page, its plots and the README's table; what has still to be mended by hand."""
    pages.FOLDER.mkdir(parents=True, exist_ok=True)
    pages.FULL.write_text(results.full())
    (pages.FOLDER / "README.md").write_text(results.page())
    pages.README.write_text(results.readme())
    subprocess.run(
        [str(interpreter), str(HERE / "plots.py"), str(pages.FOLDER)],
        input=json.dumps(results.pictures()),
        text=True,
        check=True,
    )
    found = [f"bench/reasons.toml: say why {row!r} is missed" for row in results.unexplained()]
    return found + list(results.misquoted())


def body() -> int:
    """A whole run keeps what it measured; a quick one prints it, and is no basis for figures."""
    flags = sys.argv[1:]
    if flags not in ([], ["--quick"], ["--pages"]):
        raise Trouble(f"{USAGE}, not {' '.join(flags)}")
    servers.stop_on_signals()
    if flags == ["--pages"]:
        results, interpreter = pages.Results.kept(), environment()
    else:
        held = measured(flags)
        results, interpreter = pages.Results(held), VENV / "bin" / "python"
        names = [row["name"] for row in held["rows"]]
        targets.ROWS.write_text("".join(f"{name}\n" for name in names))
        if not flags:
            pages.RESULTS.write_text(json.dumps(held, indent=1) + "\n")
        wrong = list(targets.problems(results.targets, names, results.reasons))
        if wrong:
            raise Trouble("\n".join(wrong))
    say(results.full())
    if flags == ["--quick"]:
        return 0
    todo = write(results, interpreter)
    say(f"written: {pages.FULL.relative_to(ROOT)}, {pages.FOLDER.relative_to(ROOT)}, README.md")
    if todo:
        raise Trouble("\n".join([*todo, "(then: bench/run --pages)"]))
    return 0


def guarded() -> int:
    """What is wrong with the lists of this folder is trouble like any other."""
    try:
        return body()
    except targets.Wrong as wrong:
        raise Trouble(str(wrong)) from wrong


if __name__ == "__main__":
    main(guarded)
