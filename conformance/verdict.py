"""What the counts of a suite mean: which tests may fail, and how many have to pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from project import Trouble

if TYPE_CHECKING:
    from counts import Counts
    from suites import Suite

BASELINE = Path(__file__).resolve().parent / "baseline.txt"


@dataclass(frozen=True)
class Finding:
    """Something to be said about a suite's counts; `bad` fails the run."""

    text: str
    bad: bool = True


def excepted(suite: Suite) -> dict[str, str]:
    """The tests that are known not to pass, each with its reason."""
    if not suite.exceptions.exists():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(suite.exceptions.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        # Names of tests have colons, but none with a blank after it.
        test, _, reason = line.partition(": ")
        if not reason.strip():
            raise Trouble(f"{suite.exceptions.name}: line {number} gives no reason after ': '")
        found[test] = reason.strip()
    return found


def baseline(suite: Suite) -> int:
    """The committed number of gated tests that have to pass."""
    found = re.search(rf"^{re.escape(suite.name)} (\d+)$", BASELINE.read_text(), re.MULTILINE)
    if found is None:
        raise Trouble(f"conformance: {BASELINE.name} has no number for {suite.name}")
    return int(found[1])


def gated(suite: Suite, counts: Counts) -> int:
    """How many tests passed of those that the baseline is about."""
    return sum(not suite.is_ungated(test) for test in counts.passes)


def findings(suite: Suite, counts: Counts) -> Iterator[Finding]:
    """Everything that is to be said, the bad things first."""
    known = excepted(suite)
    failures = {test_of(line): line for line in counts.failures}
    for test, line in sorted(failures.items()):
        if test not in known and not suite.is_ungated(test):
            yield Finding(f"fails: {line}")
    ran = {*counts.passes, *failures, *map(test_of, counts.skips)}
    for test in sorted(known.keys() - ran):
        yield Finding(f"{suite.exceptions.name} names no test of the suite: {test}")
    reached, wanted = gated(suite, counts), baseline(suite)
    if reached < wanted:
        yield Finding(f"only {reached} gated tests pass, {wanted} did before")
    if len(ran) != suite.tests:
        yield Finding(f"{len(ran)} tests ran, and the suite has {suite.tests}")
    for test in sorted(known.keys() & set(counts.passes)):
        yield Finding(f"passes after all, so take it out of {suite.exceptions.name}: {test}", False)
    if reached > wanted:
        text = f"{reached} gated tests pass: raise {BASELINE.name} from {wanted}"
        yield Finding(text, False)


def test_of(line: str) -> str:
    """The name of the test in a line of a report, which is `name: reason`."""
    return line.partition(": ")[0]


def report(suite: Suite, counts: Counts, target: str) -> str:
    """Every failed and skipped test with its reason."""
    known = excepted(suite)
    lines = [f"{suite.name} against {target}: {counts} of {suite.tests}", "", "failed:"]
    for line in sorted(counts.failures):
        lines.append(f"  {line}")
        if test_of(line) in known:
            lines.append(f"    known: {known[test_of(line)]}")
    lines += ["", "skipped:", *(f"  {line}" for line in sorted(counts.skips))]
    return "\n".join(lines) + "\n"
