"""docs/benchmarks, and the figures that other documents quote: made of results.json, without measuring."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tables
import targets
from targets import OURS, SUBJECTS, Mark, Target

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results.json"
FULL = HERE / "RESULTS.md"
FOLDER = ROOT / "docs" / "benchmarks"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures of make bench -->\n", "<!-- end of the figures -->\n"
# How far a quoted figure may be from the measured one: it is quoted in one or two digits.
ROUNDING = 0.1

# The rows that the README shows, and what they are called there.
SHOWN = {
    "`@cached` hit, view returns a str": "hit of a cached view, within a request",
    "memoize hit, 1 argument": "hit of a memoized function",
    "`get` of a str of 1 KiB": "`cache.get`",
    "`set` of a new key, store full at 5 000": "`cache.set` into a full store of 5 000",
    "request, hit of a view that returns a Response": "whole request, stored response",
    "request, early hit": "whole request, before Flask is asked",
    "Redis: memoize hit, 1 argument": "hit of a memoized function on Redis",
    "near: `@cached` hit": "hit of a cached view, near by in front of Redis",
    "SharedCache: `get` of a str of 1 KiB": "`get`, shared by all processes (beside: files)",
}


def marks_of(wanted: Sequence[Target]) -> tables.Marks:
    """All marks of each row."""
    found: tables.Marks = {}
    for target in wanted:
        for mark in target.marks:
            found.setdefault(mark.row, []).append(mark)
    return found


class Results:
    """What one whole run measured, beside what was to be reached."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.rows: dict[str, tables.Row] = {row["name"]: row for row in held["rows"]}
        self.machine: list[str] = held["machine"]
        self.rounds: int = held["rounds"]
        self.targets = targets.load()
        self.marks = marks_of(self.targets)
        self.reasons = targets.reasons()

    @classmethod
    def kept(cls) -> Results:
        """Those of the last whole run."""
        return cls(json.loads(RESULTS.read_text()))

    def full(self) -> str:
        """RESULTS.md."""
        return tables.page(list(self.rows.values()), self.marks, self.machine, self.rounds)

    def missed(self, row: str) -> list[Mark]:
        """The marks and steps that a row misses."""
        return [
            mark for mark in self.marks.get(row, []) if not tables.reached(self.rows[row], mark)
        ]

    def unexplained(self) -> list[str]:
        """Rows that miss something, and nobody has written why."""
        return [row for row in self.marks if self.missed(row) and row not in self.reasons]

    def page(self) -> str:
        """The page of docs/benchmarks."""
        parts = [HEAD.format(tally=tables.tally(list(self.rows.values()), self.marks)).strip()]
        parts.append("## The machine\n\n" + "\n".join(f"- {line}" for line in self.machine))
        parts.append(METHOD.format(rounds=self.rounds).strip())
        for subject, title in SUBJECTS.items():
            parts += [f"## {title}", self._picture(subject, title), self._table(subject)]
            missed = [row for row in self._rows(subject) if self.missed(row)]
            if missed:
                parts.append("### What is missed, and why")
            parts += [f"**{row}**: {self.reasons.get(row, '…')}" for row in missed]
        absent = [one for one in self.targets if one.absent]
        parts.append("## What is not measured")
        parts.append("\n".join(f"- {one.what}: {one.absent}" for one in absent))
        return "\n\n".join(parts) + "\n"

    def _picture(self, subject: str, title: str) -> str:
        """The plot of a subject, for light pages and dark ones."""
        bars = self._bars(subject)
        good = sum(bar["reached"] for bar in bars)
        bare = title.replace("`", "")
        alt = (
            f"{bare}: a bar for each row of the table below, as long as its ratio, with the mark as a "
            f"line across. {good} of {len(bars)} reach their line."
        )
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{subject}-dark.svg">'
        return f'<picture>\n  {dark}\n  <img alt="{alt}" src="{subject}.svg">\n</picture>'

    def _rows(self, subject: str) -> Iterator[str]:
        for target in self.targets:
            if target.subject == subject:
                yield from target.rows

    def _table(self, subject: str) -> str:
        lines = ["| operation | Larder | beside | its figure | ratio | asked for | |"]
        lines.append("| --- | ---: | --- | ---: | ---: | --- | --- |")
        for row in self._rows(subject):
            _, unit, scale = tables.GROUPS[self.rows[row]["group"]]
            ours = tables.contestant(self.rows[row], OURS)["median"] * scale
            name, figure = row, f"**{tables.short(ours)}** {unit_of(unit, row)}"
            for mark in self.marks[row]:
                theirs = tables.contestant(self.rows[row], mark.against)["median"] * scale
                ratio = tables.ratio(self.rows[row], mark)
                asked = (
                    f"{mark.words.removesuffix(f' {mark.against}')}{' (step)' if mark.step else ''}"
                )
                verdict = "reached" if tables.reached(self.rows[row], mark) else "**missed**"
                cells = [name, figure, mark.against, tables.short(theirs), tables.times(ratio)]
                lines.append(f"| {' | '.join([*cells, asked.removesuffix(' of'), verdict])} |")
                name = figure = ""
        return "\n".join(lines)

    def pictures(self) -> dict[str, Any]:
        """What is to be drawn, by subject."""
        return {
            subject: {"title": title.replace("`", ""), "bars": self._bars(subject)}
            for subject, title in SUBJECTS.items()
        }

    def _bars(self, subject: str) -> list[dict[str, Any]]:
        bars: list[dict[str, Any]] = []
        for row in self._rows(subject):
            of_design = [mark for mark in self.marks[row] if not mark.step]
            for mark in of_design or self.marks[row]:
                short = row.replace("`", "")
                beside = "" if mark.against == tables.FC else f"\nbeside {mark.against}"
                ratio = tables.ratio(self.rows[row], mark)
                bars.append(
                    {
                        "label": short + beside,
                        "ratio": ratio,
                        "mark": mark.ratio,
                        "reached": tables.reached(self.rows[row], mark),
                    }
                )
        return bars

    def shown(self) -> str:
        """The table of the README."""
        lines = ["| | Larder | Flask-Caching | |", "| --- | ---: | ---: | ---: |"]
        for row, title in SHOWN.items():
            ours, theirs = (tables.contestant(self.rows[row], name) for name in (OURS, tables.FC))
            figure, ratio = tables.compared(ours, theirs, 1e6)
            own = tables.short(ours["median"] * 1e6)
            lines.append(f"| {title} | {own} µs | {figure} µs | {ratio} |")
        return "\n".join(lines) + "\n"

    def readme(self) -> str:
        """The README with the figures of this run in the place of the last ones."""
        before, begin, rest = README.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise targets.Wrong(f"README.md: the lines {BEGIN!r} and {END!r} are not there")
        return f"{before}{BEGIN}\n{self.shown()}\n{END}{after}"

    def misquoted(self) -> Iterator[str]:
        """Figures in other documents that this run does not bear out."""
        for quote in tomllib.loads((HERE / "quotes.toml").read_text())["quote"]:
            row = self.rows[quote["row"]]
            one = tables.contestant(row, quote.get("of", OURS))
            _, unit, scale = tables.GROUPS[row["group"]]
            measured = one["median"] * scale
            if quote["text"] not in (ROOT / quote["file"]).read_text():
                yield f"{quote['file']}: {quote['text']!r} is not in it (mend bench/quotes.toml)"
                continue
            said = float(re.findall(r"\d[\d.]*", quote["text"])[0])
            if abs(said - measured) > ROUNDING * measured:
                yield (
                    f"{quote['file']}: {quote['text']!r}, but {quote['row']!r} is at "
                    f"{tables.short(measured)} {unit}"
                )


def unit_of(unit: str, row: str) -> str:
    """The unit of one row in a group that has two."""
    if unit == "runs or seconds":
        return "runs" if "runs" in row else "s"
    return unit


def stale() -> list[str]:
    """Whether the documents are those of results.json; nothing where no run has been kept yet."""
    if not RESULTS.exists():
        return []
    held = Results.kept()
    if sorted(held.rows) != sorted(targets.names()):
        return ["results.json has other rows than rows.txt (run make bench)"]
    found = [f"{row!r} misses a mark, reasons.toml does not say why" for row in held.unexplained()]
    made = {FULL: held.full(), FOLDER / "README.md": held.page(), README: held.readme()}
    for path, text in made.items():
        if not path.exists() or path.read_text() != text:
            found.append(
                f"{path.relative_to(ROOT)}: not as results.json has it (bench/run --pages)"
            )
    drawn = [FOLDER / f"{subject}{suffix}.svg" for subject in SUBJECTS for suffix in ("", "-dark")]
    found += [f"{path.relative_to(ROOT)} is not there" for path in drawn if not path.exists()]
    return found + list(held.misquoted())


HEAD = """\
# Benchmarks

What Larder costs beside Flask-Caching and other caches, measured in one run on one machine by `make bench`.
{tally}

This page is written by the benchmark. [RESULTS.md](../../bench/RESULTS.md) has all rows with their spans, and
[bench](../../bench/README.md) what measures them.

## How to read

- **Ratio**: the other's figure divided by Larder's. Above 1 Larder is ahead.
- **Asked for**: the mark, which is a ratio too, for times belong to one machine. "3 times" wants the other to
  need three times as much as Larder; "at most 0.8" wants Larder to need no more than that part of what the
  other needs. A row with several marks reaches them one by one.
- **Step**: a lower mark on the way, or one beside another cache. It holds as well.
- Marks stand in `bench/targets.toml` and are not lowered to be reached. Each one that is missed is
  explained below its table.
- The plots show the ratio of each row and its mark as a line across. Their axes are logarithmic: a bar twice
  as long is far more than twice the ratio.
"""

METHOD = """\
## The method

- In process: processor time, the median of {rounds} rounds. All caches of a stage take turns within each round, in
  an order that is shuffled each time, so that what else the machine does falls on all alike.
- At a server (Redis, Memcached): wall time, with client and server on one core; across cores the wake-up of
  the other one costs more than the trip. Round trips are counted by a proxy between client and server.
- Behind an HTTP server: the processor time of that server, as the kernel counts it.
- Herds: how often the view ran, the most of three herds; of times the median.
- Memory: how much the process grows, in a process of its own, for each entry of 19 bytes of key and 32 of value.
- Default settings on all sides: entries expire, statistics are counted, values are isolated from callers, and
  a session is opened in every whole request. The sites have a secret key, so that Larder seals what leaves
  the process. A probe that finds a cache calling its function while it is timed stops.
"""
