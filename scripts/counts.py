"""Counts tests from what the runners report: cargo's `test result:` lines and JUnit files."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

CARGO_RESULT = re.compile(
    r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<ignored>\d+) ignored"
)
CARGO_IGNORED = re.compile(r"^test (?P<name>.+?) \.\.\. ignored(, (?P<why>.+))?$")
CARGO_FAILED = re.compile(r"^test (?P<name>.+?) \.\.\. FAILED$")


@dataclass
class Counts:
    """How many tests passed, failed and were skipped, and their names where they are known."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    passes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def add(self, other: Counts) -> None:
        """Take another runner's tests into this count."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.passes += other.passes
        self.failures += other.failures
        self.skips += other.skips

    def fail(self, what: str) -> None:
        """Count something that went wrong outside any test: a build, a collection, a crash."""
        self.failed += 1
        self.failures.append(what)


def read_cargo_line(counts: Counts, line: str) -> None:
    """Take one line of `cargo test` into the count; lines that report no test change nothing."""
    if found := CARGO_RESULT.match(line):
        counts.passed += int(found["passed"])
        counts.failed += int(found["failed"])
        counts.skipped += int(found["ignored"])
    elif found := CARGO_IGNORED.match(line):
        counts.skips.append(f"{found['name']}: {found['why'] or 'ignored, no reason given'}")
    elif found := CARGO_FAILED.match(line):
        counts.failures.append(found["name"])


def read_junit(report: Path) -> Counts:
    """Count the tests of a JUnit file as pytest writes it.

    A test that passed and then broke in its teardown has two entries under one name: it is one
    failed test.
    """
    worst: dict[str, tuple[int, str]] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case_name(case)
        worst[name] = max(worst.get(name, (0, "")), outcome(case))
    counts = Counts()
    for name, (rank, why) in worst.items():
        if rank == 0:
            counts.passed += 1
            counts.passes.append(name)
        elif rank == 1:
            counts.skipped += 1
            counts.skips.append(f"{name}: {why}")
        else:
            counts.failed += 1
            counts.failures.append(f"{name}: {why}")
    return counts


def case_name(case: ElementTree.Element) -> str:
    """A test case's name, with its module where pytest gives one."""
    module = case.get("classname", "")
    name = case.get("name", "")
    return f"{module}::{name}" if module else name


def outcome(case: ElementTree.Element) -> tuple[int, str]:
    """0 passed, 1 skipped, 2 failed; and the first line of the reason."""
    for tag, rank in (("failure", 2), ("error", 2), ("skipped", 1)):
        child = case.find(tag)
        if child is not None:
            message = (child.get("message") or "no reason given").strip()
            return rank, message.splitlines()[0] if message else "no reason given"
    return 0, ""
