"""`make conformance`: one application on Larder and on Flask-Caching itself, answer by answer.

The application has a module for each kind of code that people write against Flask-Caching. Each side
runs it in an interpreter of its own, with the same requests and calls in the same order and a clock
moved by hand; what both saw is compared.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]

import servers  # noqa: E402 (the scripts are reached by the line above)
from compare import Observations, Verdict, compare, load  # noqa: E402
from installs import ensure_venv, install_wheel, pythons  # noqa: E402
from native import wheel  # noqa: E402
from project import ROOT, Trouble, environment, in_ci, main, say  # noqa: E402

WORK = HERE.parent / ".work"
EXPECTED = HERE / "expected.toml"


@dataclass(frozen=True)
class Pair:
    """A version of Flask-Caching, the Flask it runs on, and an interpreter."""

    name: str
    contract: str
    python: tuple[int, int]

    @property
    def title(self) -> str:
        """The pair in the report."""
        return (
            f"{self.name} (Flask-Caching {self.contract}, Python {self.python[0]}.{self.python[1]})"
        )

    def venv(self, side: str) -> Path:
        """Where one side is installed."""
        return ROOT / f".venv-differential-{self.name}-{self.python[0]}{self.python[1]}-{side}"


PAIRS = (
    Pair("newest", "2.5.1", (3, 11)),
    Pair("newest", "2.5.1", (3, 13)),
    Pair("oldest", "2.4.1", (3, 11)),
)


def runnable() -> Iterator[tuple[Pair, str]]:
    """The pairs whose interpreter is here; in CI all of them have to be."""
    known = pythons(sorted({pair.python for pair in PAIRS}))
    for pair in PAIRS:
        if pair.python in known:
            yield pair, known[pair.python]
        elif in_ci():
            raise Trouble(f"missing: Python for {pair.title} (install it, or pyenv install it)")
        else:
            say(f"differential: {pair.title} is not run: there is no such Python here")


def interpreters(pair: Pair, python: str, path: str | None) -> dict[str, Path]:
    """Both sides' interpreters: the one has Flask-Caching and not Larder, the other one the reverse."""
    needs = f"differential-{pair.name}"
    pin = HERE / f"original-{pair.name}.txt"
    found = {
        "original": ensure_venv(pair.venv("original"), [needs, pin], python),
        "larder": ensure_venv(pair.venv("larder"), [needs], python),
    }
    if path is None:
        install_wheel(found["larder"], wheel())
    return found


def observed(pair: Pair, side: str, interpreter: Path, path: str | None) -> Observations:
    """Run one side with a Redis of its own, and read what it saw."""
    seen = WORK / f"differential-{pair.name}-{side}.json"
    log = seen.with_suffix(".log")
    port, memcached = servers.free_port(), servers.free_port()
    seen.unlink(missing_ok=True)
    # The order of sets, in an Allow header for one, differs from process to process otherwise.
    variables = {"PYTHONHASHSEED": "0", "PYTHONPATH": path or "", "PYTHONDONTWRITEBYTECODE": "1"}
    ports = [str(port), str(memcached)]
    command = [interpreter, HERE / "side.py", side, pair.contract, *ports, seen]
    with (
        servers.redis(port),
        servers.memcached(memcached),
        tempfile.TemporaryDirectory(prefix="larder-differential-") as files,
        log.open("wb") as sink,
    ):
        variables["LARDER_DIFFERENTIAL_FILES"] = files
        subprocess.run(
            [str(part) for part in command],
            cwd=HERE,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            check=False,
        )
    if not seen.exists():
        raise Trouble(f"differential: {side} of {pair.title} broke off:\n{log.read_text()}")
    # Both sides are told the same; the port alone is another in each run. Its digits may stand in the
    # middle of a longer number or of a digest too, and mean nothing there.
    found: Observations = json.loads(re.sub(rf"\b{port}\b", "PORT", seen.read_text()))
    return found


def report(pair: Pair, verdict: Verdict) -> None:
    """Print every difference that is not expected, and the counts."""
    for difference in verdict.differences:
        say(str(difference))
    for each in verdict.unmet:
        say(f"  expected and not met: {each.at} | {each.field} ({EXPECTED.relative_to(ROOT)})")
    for line in verdict.broken:
        say(f"  broke off: {line}")
    met = len(verdict.met)
    say(
        f"differential: {pair.title}: {verdict.equal} observations equal, {met} expected "
        f"differences in {verdict.expected}, {len(verdict.differences)} others"
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", choices=["newest", "oldest"], help="only this one")
    parser.add_argument("--path", help="folder of flask_larder, where it is not our wheel")
    return parser.parse_args(arguments)


def body() -> int:
    """Every pair in turn; 1 where one differs otherwise than expected."""
    servers.stop_on_signals()
    arguments = parse(sys.argv[1:])
    WORK.mkdir(exist_ok=True)
    compatibility = (ROOT / "COMPATIBILITY.md").read_text()
    good = True
    for pair, python in runnable():
        if arguments.pair not in (None, pair.name):
            continue
        expected, wrong = load(EXPECTED, pair.name, compatibility)
        for line in wrong:
            say(f"  {EXPECTED.relative_to(ROOT)}: {line} in COMPATIBILITY.md")
        sides = interpreters(pair, python, arguments.path)
        original = observed(pair, "original", sides["original"], None)
        larder = observed(pair, "larder", sides["larder"], arguments.path)
        verdict = compare(original, larder, expected)
        report(pair, verdict)
        good = good and verdict.holds and not wrong
    return 0 if good else 1


if __name__ == "__main__":
    main(body)
