"""The rows as tables that people can read: all of them, in RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from targets import OURS, Mark, Wrong

FC, UNCACHED = "Flask-Caching", "uncached"
# Those with columns of their own; the fastest of all others is the best peer.
FIXED = (UNCACHED, FC, "diskcache", "axum-response-cache", "nginx proxy_cache")

Row = dict[str, Any]
Marks = dict[str, list[Mark]]

# Title, the unit, what a second is in it.
GROUPS = {
    "decorator": ("A decorated view, called inside a request context", "µs", 1e6),
    "request": ("A whole request through the application (WSGI)", "µs", 1e6),
    "memoize": ("Memoized functions", "µs", 1e6),
    "compat": ("The drop-in dialect, `flask_larder.compat`", "µs", 1e6),
    "direct": ("Direct use", "µs", 1e6),
    "full": ("A new key into a full store", "µs", 1e6),
    "fragment": ("Template fragments", "µs", 1e6),
    "redis": ("Redis", "µs", 1e6),
    "trips": ("Round trips to Redis", "trips", 1.0),
    "near": ("Redis with a near tier: hits near by, Flask-Caching's at the server", "µs", 1e6),
    "seen": ("Until another process sees a change, with the old value near by", "ms", 1e3),
    "shared": ("All processes of a machine: SharedCache", "µs", 1e6),
    "files": ("Entries in files: FileSystemCache", "µs", 1e6),
    "memcached": ("Memcached", "µs", 1e6),
    "herd": (
        "A herd: 200 requests at once for a view of one second that nobody has asked for yet, "
        "gunicorn with four workers",
        "runs or seconds",
        1.0,
    ),
    "early": (
        "Hits before Flask is asked, behind a server with one worker: its processor time",
        "µs",
        1e6,
    ),
    "import": ("Import", "ms", 1e3),
    "memory": ("Memory", "bytes", 1.0),
    "misses": ("Misses of a store that is too small", "%", 100.0),
    "disk": ("Files", "bytes", 1.0),
    "stores": ("Rust: stores that answer within the process, 1 KiB", "ns", 1e9),
    "tower": ("Rust: one hit through the tower layer, in process", "ns", 1e9),
    "http": ("Rust: one request over HTTP, processor time of the server", "µs", 1e6),
}

HOW = """\
CPU time of the process; the median of {rounds} shuffled, interleaved rounds, the 10th to 90th
percentile in brackets. For Redis and Memcached wall time, with client and server on one core, and four
times as many rounds: what else the machine does shows there first. What a store waits for the disk is in
no figure. The time of the loop (5 ns) is in all figures. A ratio is the other's figure divided by Larder's: above 1 Larder is ahead.
Hits of views and functions run with default settings in both libraries: entries expire, statistics are
counted, and a session is opened in every whole request. "Best peer" is the fastest other cache that
can do the same; one marked with * hands the same object to all callers, who can spoil it for each other.
The sites have a secret key, so that Larder seals every entry that leaves the process; the others do not.
The keys of the safe dialect hold the host and the sorted query, which those of Flask-Caching do not
unless they are asked to (`query_string=True`).
"""


def page(rows: Sequence[Row], marks: Marks, machine: Sequence[str], rounds: int) -> str:
    """The whole of RESULTS.md."""
    parts = ["# Results of `make bench`", "\n".join(f"- {line}" for line in machine)]
    parts.append(HOW.format(rounds=rounds).strip())
    parts.append(
        f"{tally(rows, marks)} The [page on them](../docs/benchmarks/README.md) has the plots, and says why "
        "those that are missed are."
    )
    for group, (title, unit, scale) in GROUPS.items():
        chosen = [row for row in rows if row["group"] == group]
        if chosen:
            parts.append(f"## {title}\n\n{table(chosen, marks, unit, scale)}")
    return "\n\n".join(parts) + "\n"


def tally(rows: Sequence[Row], marks: Marks) -> str:
    """How many marks are reached."""
    verdicts = [(mark, reached(row, mark)) for row in rows for mark in marks.get(row["name"], [])]
    aims = [good for mark, good in verdicts if not mark.step]
    steps = [good for mark, good in verdicts if mark.step]
    return f"**{sum(aims)} of {len(aims)} marks reached, and {sum(steps)} of the {len(steps)} steps to them.**"


def table(rows: Sequence[Row], marks: Marks, unit: str, scale: float) -> str:
    """One group: a row for each operation."""
    fixed = [name for name in FIXED if any(contestant(row, name) for row in rows)]
    peers = any(list(others(row)) for row in rows)
    marked = any(marks.get(row["name"]) for row in rows)
    head = ["operation", f"Larder, {unit}"]
    for name in fixed:
        head += [f"{name}, {unit}", "ratio"]
    head += [f"best peer, {unit}", "ratio"] if peers else []
    lines = [[*head, *(["marks"] if marked else [])]]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    for row in rows:
        line = cells(row, fixed, scale, peers=peers)
        lines.append([*line, *([judged(row, marks.get(row["name"], []))] if marked else [])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Row, fixed: list[str], scale: float, *, peers: bool) -> list[str]:
    """One operation."""
    ours = contestant(row, OURS)
    span = f"{short(ours['p10'] * scale)}..{short(ours['p90'] * scale)}"
    line = [row["name"], f"**{short(ours['median'] * scale)}** ({span})"]
    for name in fixed:
        other = contestant(row, name)
        line += compared(ours, other, scale) if other else ["", ""]
    if peers:
        best = min(others(row), key=lambda one: one["median"], default=None)
        figure, ratio = compared(ours, best, scale) if best else ("", "")
        name = f"{best['name']}{'' if best['isolates'] else ' *'} " if best else ""
        line += [f"{name}{figure}", ratio]
    return line


def compared(ours: Row, other: Row, scale: float) -> tuple[str, str]:
    """The other's figure, and how many times ours it is."""
    return short(other["median"] * scale), times(other["median"] / ours["median"])


def judged(row: Row, marks: Sequence[Mark]) -> str:
    """What is asked for, and whether it is reached."""
    return "; ".join(
        f"{mark.words}{' (step)' if mark.step else ''}: "
        f"{'reached' if reached(row, mark) else '**missed**'}"
        for mark in marks
    )


def ratio(row: Row, mark: Mark) -> float:
    """How many times ours the other's figure is."""
    other = contestant(row, mark.against)
    if not other:
        there = ", ".join(one["name"] for one in row["contestants"])
        raise Wrong(f"{row['name']!r} is to be {mark.words!r}, but is measured beside {there}")
    # A cache that misses nothing at all, or runs nothing, is as far ahead as one can be.
    ours: float = contestant(row, OURS)["median"]
    theirs: float = other["median"]
    return theirs / ours if ours else float("inf")


def reached(row: Row, mark: Mark) -> bool:
    """Whether the mark is."""
    # What is counted, as runs are, comes out even; a division may leave the last digit off.
    return ratio(row, mark) >= mark.ratio * (1 - 1e-9)


def contestant(row: Row, name: str) -> Row:
    """The one of this name, or an empty dict."""
    return next((one for one in row["contestants"] if one["name"] == name), {})


def others(row: Row) -> Iterable[Row]:
    """The peers without a column of their own."""
    return (one for one in row["contestants"] if one["name"] not in (OURS, *FIXED))


def short(number: float) -> str:
    """Three digits that count, thousands apart."""
    if abs(number) >= 100:
        return f"{number:,.0f}".replace(",", " ")
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.3g}"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{ratio:,.0f}x".replace(",", " ") if ratio >= 100 else f"{ratio:.3g}x"
