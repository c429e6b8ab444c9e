"""`make soak`: the long tests, a hundred times as long as `make test` runs them. Takes hours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from project import Trouble, main, run, say, timed

# Each name is a test of crates/<crate>/tests that multiplies its work by LARDER_EFFORT.
SOAKS = {
    "shared": ["-p", "larder-shared", "--test", "shared"],
    "file": ["-p", "larder-file", "--test", "file"],
}
EFFORT = "100"


def body(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """All soaks, or those that are named; one that fails does not keep the others from running."""
    unknown = set(arguments) - set(SOAKS)
    if unknown:
        raise Trouble(f"no such soak: {', '.join(sorted(unknown))} (there is: {', '.join(SOAKS)})")
    env = {"LARDER_EFFORT": os.environ.get("LARDER_EFFORT", EFFORT)}
    failed = []

    def soak(name: str) -> None:
        command = ["cargo", "test", "--release", *SOAKS[name], "--", "--nocapture"]
        if run(command, env=env) != 0:
            failed.append(name)

    for name in arguments or SOAKS:
        timed(f"soak {name}, effort {env['LARDER_EFFORT']}", lambda name=name: soak(name))
    for name in failed:
        say(f"FAILED: {name}")
    return int(bool(failed))


if __name__ == "__main__":
    main(body)
