"""`make wheel`: builds the wheel into `dist/` and says how to install it."""

from __future__ import annotations

import native
from project import ROOT, main, say


def body() -> int:
    """Build, and name the file."""
    path = native.wheel().relative_to(ROOT)
    say(f"{path}: install it with pip install {path}")
    return 0


if __name__ == "__main__":
    main(body)
