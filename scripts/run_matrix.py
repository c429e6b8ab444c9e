"""`make matrix`: the Python package's tests on every Python and Flask that it is promised for."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import native
import servers
from counts import Counts
from matrix import ALWAYS, IN_BETWEEN, run_environments
from project import Trouble, main, say


def body(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """All environments, or those that are named; the count is the last line."""
    servers.stop_on_signals()
    every = {each.name: each for each in (*ALWAYS, *IN_BETWEEN)}
    unknown = set(arguments) - set(every)
    if unknown:
        raise Trouble(
            f"no such environment: {', '.join(sorted(unknown))} (there is: {', '.join(every)})"
        )
    counts = Counts()
    given = {"LARDER_TEST_NEIGHBOUR": str(native.neighbour())}
    took = run_environments(counts, [every[name] for name in arguments or every], given)
    for name, seconds in took.items():
        say(f"took {seconds:4.0f} s: {name}")
    for line in counts.skips:
        say(f"skipped: {line}")
    for line in counts.failures:
        say(f"FAILED: {line}")
    say(str(counts))
    return int(counts.failed > 0)


if __name__ == "__main__":
    main(body)
