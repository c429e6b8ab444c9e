"""Whether every target has a measured row, and what the documents quote is what was measured."""

from __future__ import annotations

import sys

import pages
import targets


def findings() -> list[str]:
    """Everything that is wrong; quick, because nothing is measured."""
    found = list(targets.problems(targets.load(), targets.names(), targets.reasons()))
    return found or pages.stale()


if __name__ == "__main__":
    wrong = findings()
    for finding in wrong:
        print(finding)
    sys.exit(bool(wrong))
