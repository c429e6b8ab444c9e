"""`make wheel`: builds the wheels into `dist/` and says how to install them."""

from __future__ import annotations

import native
from installs import ensure_venv
from project import ROOT, VENV, main, say


def body() -> int:
    """Build the one for this Python and the one for all, and name the files."""
    interpreter = ensure_venv(VENV, ["build"])
    for path, what in (
        (native.exact_wheel(interpreter), "for this version of Python"),
        (native.wheel(), "for every Python, with slower hits"),
    ):
        shown = path.relative_to(ROOT)
        say(f"{shown} ({what}): install it with pip install {shown}")
    return 0


if __name__ == "__main__":
    main(body)
