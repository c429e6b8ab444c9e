"""An application of which several processes go by one clock, which the test moves by hand in a file."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

from flask import Flask, Response

from flask_larder import Cache
from flask_larder.testing import follow_clock

PLACE = Path(os.environ["PLACE"])
PATIENCE = 60.0

_clock = os.open(PLACE / "clock", os.O_RDONLY)


def seconds() -> float:
    """The time in the file: milliseconds since the Unix epoch, as 8 bytes."""
    return struct.unpack(">Q", os.pread(_clock, 8, 0))[0] / 1000


follow_clock(seconds)
app = application = Flask("clock_app")
cache = Cache(app, config=json.loads(os.environ["CACHE"]))


@app.get("/trend")
@cache.cached(60, stale=3600)
def trend() -> str:
    """Notes each call in a file, and waits until the test lets it go on."""
    calls = os.open(PLACE / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(calls, b".")
    number = os.fstat(calls).st_size
    os.close(calls)
    deadline = time.monotonic() + PATIENCE
    while not (PLACE / f"open {number}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return f"version {number}"


@app.after_request
def sign(response: Response) -> Response:
    """Says which process answered."""
    response.headers["Worker"] = str(os.getpid())
    return response
