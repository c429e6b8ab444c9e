"""What the tests of files under the compat dialect share."""

from __future__ import annotations

import shutil
from pathlib import Path


def break_down(folder: Path) -> None:
    """Puts something in the place of the entries that no store can work with."""
    shutil.rmtree(folder / "larder-1")
    (folder / "larder-1").touch()
