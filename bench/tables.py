"""The rows as tables that people can read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

OURS, FC, UNCACHED = "Larder", "Flask-Caching", "uncached"
# Those with columns of their own; the fastest of all others is the best peer.
FIXED = (UNCACHED, FC, "diskcache", "axum-response-cache")

# Title, the unit, what a second is in it, and the digits that mean something.
GROUPS = {
    "decorator": ("A decorated view, called inside a request context", "µs", 1e6),
    "request": ("A whole request through the application (WSGI)", "µs", 1e6),
    "memoize": ("Memoized functions", "µs", 1e6),
    "compat": ("The drop-in dialect, `flask_larder.compat`", "µs", 1e6),
    "direct": ("Direct use", "µs", 1e6),
    "full": ("A new key into a full store", "µs", 1e6),
    "fragment": ("Template fragments", "µs", 1e6),
    "redis": ("Redis", "µs", 1e6),
    "shared": ("All processes of a machine: SharedCache", "µs", 1e6),
    "files": ("Entries in files: FileSystemCache", "µs", 1e6),
    "memcached": ("Memcached", "µs", 1e6),
    "herd": (
        "A herd: 200 requests at once for a view of one second that nobody has asked for yet, "
        "gunicorn with four workers",
        "runs or seconds",
        1.0,
    ),
    "import": ("Import", "ms", 1e3),
    "memory": ("Memory", "bytes", 1.0),
    "disk": ("Files", "bytes", 1.0),
    "stores": ("Rust: stores that answer within the process, 1 KiB", "ns", 1e9),
    "tower": ("Rust: one hit through the tower layer, in process", "ns", 1e9),
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


def page(rows: list[dict[str, Any]], machine: list[str], *, quick: bool) -> str:
    """The whole of RESULTS.md."""
    parts = ["# Results of `make bench`", "\n".join(f"- {line}" for line in machine)]
    parts.append(HOW.format(rounds=5 if quick else 31).strip())
    marked = [row for row in rows if row["mark"]]
    reached = sum(verdict(row)[1] for row in marked)
    parts.append(f"**{reached} of {len(marked)} marks reached.**")
    for group, (title, unit, scale) in GROUPS.items():
        chosen = [row for row in rows if row["group"] == group]
        if chosen:
            parts.append(f"## {title}\n\n{table(chosen, unit, scale)}")
    return "\n\n".join(parts) + "\n"


def table(rows: list[dict[str, Any]], unit: str, scale: float) -> str:
    """One group: a row for each operation."""
    fixed = [name for name in FIXED if any(contestant(row, name) for row in rows)]
    peers = any(list(others(row)) for row in rows)
    head = ["operation", f"Larder, {unit}"]
    for name in fixed:
        head += [f"{name}, {unit}", "ratio"]
    head += [f"best peer, {unit}", "ratio"] if peers else []
    head += ["mark"] if any(row["mark"] for row in rows) else []
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in rows:
        lines.append(cells(row, fixed, scale, peers=peers, marked="mark" in head))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(
    row: dict[str, Any], fixed: list[str], scale: float, *, peers: bool, marked: bool
) -> list[str]:
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
    if marked:
        line.append(verdict(row)[0] if row["mark"] else "")
    return line


def compared(ours: dict[str, Any], other: dict[str, Any], scale: float) -> tuple[str, str]:
    """The other's figure, and how many times ours it is."""
    return short(other["median"] * scale), times(other["median"] / ours["median"])


def verdict(row: dict[str, Any]) -> tuple[str, bool]:
    """What is asked for, and whether it is reached."""
    mark, ours = row["mark"], contestant(row, OURS)["median"]
    other = contestant(row, mark["against"])["median"]
    if mark["share"]:
        reached = ours / other <= mark["ratio"]
        wanted = f"at most {mark['ratio']:g} of {mark['against']} (is {ours / other:.2f})"
    else:
        reached = other / ours >= mark["ratio"]
        wanted = f"{mark['ratio']:g} times {mark['against']}"
    return f"{wanted}: {'reached' if reached else '**missed**'}", reached


def contestant(row: dict[str, Any], name: str) -> dict[str, Any]:
    """The one of this name, or an empty dict."""
    return next((one for one in row["contestants"] if one["name"] == name), {})


def others(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
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
