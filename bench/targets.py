"""What is to be reached: the targets of targets.toml, their rows and marks, and the reasons for misses."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROWS = HERE / "rows.txt"
OURS = "Larder"
WORDS = re.compile(r"(?:(?P<times>[\d.]+) times|at most (?P<part>[\d.]+) of) (?P<against>.+)")

SUBJECTS = {
    "views": "Views and fragments",
    "functions": "Memoized functions",
    "values": "`get` and `set` in memory",
    "requests": "Whole requests, and hits before Flask is asked",
    "redis": "Redis",
    "shared": "Stores that processes share",
    "memory": "Memory and hit ratio",
    "rust": "The Rust face",
}


class Wrong(Exception):
    """Something in the lists of this folder that has to be mended."""


@dataclass(frozen=True)
class Mark:
    """One ratio to reach; `step` for one that was set on the way to the design's."""

    row: str
    words: str
    against: str
    # How many times Larder's figure the other's has to be.
    ratio: float
    step: bool

    @classmethod
    def read(cls, row: str, words: str, *, step: bool) -> Mark:
        """From its words in targets.toml."""
        found = WORDS.fullmatch(words)
        if found is None:
            raise Wrong(f"no mark: {words!r} of {row!r} (like '3 times X', or 'at most 0.5 of X')")
        part = found["part"]
        ratio = float(found["times"]) if part is None else 1 / float(part)
        return cls(row, words, found["against"], ratio, step)


@dataclass(frozen=True)
class Target:
    """One thing to reach; its rows measure it, or `absent` says why none can."""

    number: int | None
    subject: str
    what: str
    rows: tuple[str, ...]
    marks: tuple[Mark, ...]
    absent: str


def load(path: Path = HERE / "targets.toml") -> list[Target]:
    """All targets, and behind them what else was promised."""
    held = tomllib.loads(path.read_text())
    return [_target(one) for one in (*held["target"], *held["further"])]


def _target(one: dict[str, Any]) -> Target:
    marks: list[Mark] = []
    rows: list[dict[str, Any]] = one.get("row", [])
    for row in rows:
        for kind in ("marks", "steps"):
            marks += [
                Mark.read(row["name"], words, step=kind == "steps") for words in row.get(kind, [])
            ]
    names = tuple(row["name"] for row in rows)
    number, what = one.get("number"), one.get("what", "")
    return Target(number, one["subject"], what, names, tuple(marks), one.get("absent", ""))


def reasons(path: Path = HERE / "reasons.toml") -> dict[str, str]:
    """Why rows miss their marks, by the names of the rows."""
    held: dict[str, str] = tomllib.loads(path.read_text())
    return {row: text.strip() for row, text in held.items()}


def names() -> list[str]:
    """The rows that the last whole run measured."""
    return ROWS.read_text().splitlines()


def problems(
    targets: Sequence[Target], measured: Sequence[str], reasons: dict[str, str]
) -> Iterator[str]:
    """What is wrong with the lists: a target that nothing measures, a row or reason of no use."""
    numbers = [one.number for one in targets if one.number is not None]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"targets are not numbered 1 to {len(numbers)}: {numbers}"
    for name, often in Counter(measured).items():
        if often > 1:
            yield f"{often} measured rows are called {name!r}"
    known = set(measured)
    for one in targets:
        title = f"target {one.number} ({one.what})" if one.number else "a further row"
        if one.subject not in SUBJECTS:
            yield f"{title}: no subject is called {one.subject!r} (there is: {', '.join(SUBJECTS)})"
        if bool(one.rows) == bool(one.absent):
            yield f"{title}: name the rows that measure it, or in absent why there are none"
        if one.number and one.rows and not any(not mark.step for mark in one.marks):
            yield f"{title}: no row has a mark"
        yield from (f"{title}: no row is called {row!r}" for row in one.rows if row not in known)
        bare = set(one.rows) - {mark.row for mark in one.marks}
        yield from (f"{title}: {row!r} has neither mark nor step" for row in sorted(bare))
    listed = Counter(row for one in targets for row in one.rows)
    yield from (f"{row!r} belongs to {often} targets" for row, often in listed.items() if often > 1)
    for row in reasons:
        if row not in listed:
            yield f"reasons.toml explains {row!r}, which no target names"
