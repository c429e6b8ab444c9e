"""An application whose page comes in three pieces, the last two of them when a file says so."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response

from flask_larder import Cache

FOLDER = Path(os.environ["FOLDER"])
PATIENCE = 60.0
# Less than every store takes.
LARGE = 512 * 1024

application = Flask("streams")
application.secret_key = "a key for tests"
cache = Cache(application, config=json.loads(os.environ["CONFIG"]))


def pieces(name: str) -> Iterator[bytes]:
    """Notes each piece as it is made."""
    notes = FOLDER / f"made-{name}"
    for at in range(3):
        until = time.monotonic() + PATIENCE
        while at and not (FOLDER / f"go-{name}-{at}").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        with notes.open("a") as made:
            made.write(f"{at}")
        yield b"%d" % at * (LARGE if at == 2 else 10)
    with notes.open("a") as made:
        made.write(".")


@application.get("/<name>")
@cache.cached(3600, wait=PATIENCE)
def page(name: str) -> Response:
    """The page."""
    return Response(pieces(name), mimetype="text/plain")
