"""Compares what both sides saw, observation by observation, with what is expected to differ."""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Observations = dict[str, dict[str, Any]]
ABSENT = "absent"


@dataclass
class Expected:
    """A difference that is wanted, or belongs to the original's other version.

    `at` is a pattern of steps, `field` one of fields. `row` is the row of COMPATIBILITY.md that tells
    users of it. Where only one answer is meant, `original` and `larder` say what each side has, as
    JSON. `pairs` names the pairs of versions in which it occurs: all, unless said.
    """

    at: str
    field: str
    why: str
    row: str
    original: str | None = None
    larder: str | None = None
    pairs: list[str] = field(default_factory=list)
    met: bool = False

    def covers(self, found: Difference) -> bool:
        """Whether this is the difference that was found."""
        return (
            fnmatch.fnmatchcase(found.step, escaped(self.at))
            and fnmatch.fnmatchcase(found.field, self.field)
            and self.original in (None, found.original)
            and self.larder in (None, found.larder)
        )


@dataclass
class Difference:
    """One field of one observation that is not the same on both sides; values as JSON."""

    step: str
    field: str
    original: str
    larder: str

    def __str__(self) -> str:
        lines = [f"  {self.step} | {self.field}"]
        return "\n".join([*lines, f"    original: {self.original}", f"    larder:   {self.larder}"])


@dataclass
class Verdict:
    """What the comparison of one pair came to."""

    equal: int = 0
    expected: int = 0
    differences: list[Difference] = field(default_factory=list)
    met: list[Expected] = field(default_factory=list)
    unmet: list[Expected] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether both sides did the same, apart from what is expected."""
        return self.equal > 0 and not (self.differences or self.unmet or self.broken)


def compare(original: Observations, larder: Observations, expected: list[Expected]) -> Verdict:
    """Goes through every step of either side."""
    verdict = Verdict()
    for step in {**original, **larder}:
        found = list(differences(step, original.get(step), larder.get(step)))
        left = [each for each in found if not is_expected(each, expected)]
        verdict.differences += left
        verdict.expected += bool(found) and not left
        verdict.equal += not found
        for side, seen in (("original", original), ("larder", larder)):
            end = seen.get(step, {}).get("end", "complete")
            if end != "complete":
                verdict.broken.append(f"{side}: {step}: {end}")
    verdict.met = [each for each in expected if each.met]
    verdict.unmet = [each for each in expected if not each.met]
    return verdict


def differences(step: str, original: Any, larder: Any) -> Iterator[Difference]:
    """The fields of a step that differ; a step that one side lacks is a difference by itself."""
    if original is None or larder is None:
        yield Difference(step, "step", text(original is not None), text(larder is not None))
        return
    for name in {**original, **larder}:
        ours, theirs = larder.get(name, ABSENT), original.get(name, ABSENT)
        if ours != theirs:
            yield Difference(step, name, text(theirs), text(ours))


def is_expected(found: Difference, expected: list[Expected]) -> bool:
    """Whether one of the expectations covers it; that one has been met then."""
    covering = [each for each in expected if each.covers(found)]
    for each in covering:
        each.met = True
    return bool(covering)


def load(file: Path, pair: str, compatibility: str) -> tuple[list[Expected], list[str]]:
    """The differences that are expected of a pair, and what is wrong with the list itself."""
    rows = {
        line.split("|")[1].strip() for line in compatibility.splitlines() if line.startswith("| ")
    }
    listed = [Expected(**each) for each in tomllib.loads(file.read_text())["difference"]]
    wrong = [f"{each.at}: no row {each.row!r}" for each in listed if each.row not in rows]
    return [each for each in listed if not each.pairs or pair in each.pairs], wrong


def text(value: Any) -> str:
    """A value as the list of expected differences has it."""
    return json.dumps(value, ensure_ascii=False)


def escaped(pattern: str) -> str:
    """A pattern in which brackets mean themselves: the names of steps have them."""
    return pattern.replace("[", "[[]")
