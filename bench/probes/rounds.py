"""Timing: contestants of all rows, shuffled anew in each round, so that noise falls on all alike."""

from __future__ import annotations

import contextvars
import json
import random
import signal
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

OURS = "Larder"
FC = "Flask-Caching"
UNCACHED = "uncached"


@dataclass
class Contestant:
    """One way of doing what a row names: a statement, and the names that it uses."""

    name: str
    statement: str
    names: dict[str, Any]
    # Where the application's context is pushed; None where the statement needs none.
    context: contextvars.Context | None = None
    # What the statement gives; checked before anything is timed.
    expected: Any = None
    # False for a cache that hands the same object to every caller, who may then spoil it.
    isolates: bool = True
    # Called with the number of calls before each batch, outside of the time.
    prepare: Callable[[int], None] | None = None
    seconds: list[float] = field(default_factory=list)
    loops: int = 1

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls in the contestant's context."""
        return function(*args) if self.context is None else self.context.run(function, *args)

    def ready(self, loops: int) -> None:
        """Lays out what so many calls take away."""
        if self.prepare is not None:
            self.call(self.prepare, loops)

    def batch(self, clock: timeit.Timer, loops: int) -> float:
        """How long so many calls take."""
        self.ready(loops)
        return self.call(clock.timeit, loops)

    def check(self) -> None:
        """Runs the statement twice, a miss and a hit, and compares what the hit gives."""
        self.ready(2)
        self.call(exec, self.statement, dict(self.names))
        if self.expected is not None:
            found = self.call(eval, self.statement, dict(self.names))
            found = found.get_data(as_text=True) if hasattr(found, "get_data") else found
            if found != self.expected:
                raise AssertionError(f"{self.name}: {self.statement} gave {found!r:.200}")


@dataclass
class Row:
    """One operation, and all who do it."""

    group: str
    name: str
    contestants: Sequence[Contestant]


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    batch_seconds: float

    @classmethod
    def chosen(cls, arguments: Sequence[str]) -> Effort:
        """Few rounds with `--quick`."""
        return cls(5, 0.004) if "--quick" in arguments else cls(31, 0.010)

    def by_the_wall(self) -> Effort:
        """More and shorter batches: what disturbs one of them then disturbs few others."""
        return Effort(4 * self.rounds, self.batch_seconds / 4)


def measure(rows: Sequence[Row], effort: Effort, timer: Callable[[], float]) -> None:
    """Fills in the contestants' seconds for one call, one number for each round."""
    timed: list[tuple[Contestant, timeit.Timer]] = []
    for row in rows:
        for contestant in row.contestants:
            contestant.check()
            clock = timeit.Timer(contestant.statement, timer=timer, globals=contestant.names)
            contestant.loops = _loops(contestant, clock, effort.batch_seconds)
            timed.append((contestant, clock))
    order = random.Random(1)
    for _ in range(effort.rounds):
        order.shuffle(timed)
        for contestant, clock in timed:
            spent = contestant.batch(clock, contestant.loops)
            contestant.seconds.append(spent / contestant.loops)


def _loops(contestant: Contestant, clock: timeit.Timer, seconds: float) -> int:
    """How many calls take about this long."""
    loops = 1
    while True:
        spent = contestant.batch(clock, loops)
        if spent >= seconds / 4 or loops > 1_000_000:
            return max(1, round(loops * seconds / max(spent, 1e-9)))
        loops *= 4


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """The median and the tenth and ninetieth percentile."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        "median": statistics.median(ordered),
        "p10": ordered[round(last * 0.1)],
        "p90": ordered[round(last * 0.9)],
    }


def report(rows: Sequence[Row]) -> None:
    """Writes the rows to standard output, for whoever makes the tables."""
    json.dump([_plain(row) for row in rows], sys.stdout)


def _plain(row: Row) -> dict[str, Any]:
    return {
        "group": row.group,
        "name": row.name,
        "contestants": [
            {"name": one.name, "isolates": one.isolates, **figures(one.seconds)}
            for one in row.contestants
        ],
    }


CPU = time.process_time
WALL = time.perf_counter


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


# A probe that is told to end leaves no directory behind, and no server.
signal.signal(signal.SIGTERM, _leave)
