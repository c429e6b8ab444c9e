"""Greenlets: a follower lets the leader of its own thread run. In processes that gevent has patched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import STORES, configuration

HEAD = """
from gevent import monkey
monkey.patch_all()
import json, os, sys, threading
import gevent
from gevent.event import Event
from flask import Flask
from flask_larder import Cache
from flask_larder.testing import hand_clock

app = Flask("shop")
app.secret_key = "a key for tests"
cache = Cache(app, config=json.loads(os.environ["CONFIG"]))
context = app.app_context()
context.push()
calls = []

def ask(*args):
    with app.app_context():
        return answer(*args)
"""


def in_gevent(code: str, config: dict[str, object], folder: Path) -> str:
    """What a process prints that gevent has patched before anything else."""
    python_path = ":".join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", HEAD + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": python_path, "CONFIG": json.dumps(config)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HUNDRED = """
gate = Event()

@cache.memoize(60)
def answer():
    calls.append(1)
    gate.wait()
    return len(calls)

crowd = [gevent.spawn(ask) for _ in range(100)]
while not calls:
    gevent.sleep(0)
for _ in range(10):
    gevent.sleep(0)
gate.set()
gevent.joinall(crowd, raise_error=True, timeout=60)
print([one.value for one in crowd] == [1] * 100, len(calls))
"""

ERRORS = """
gate = Event()

@cache.memoize(60)
def answer():
    calls.append(1)
    gate.wait()
    raise LookupError("mine")

crowd = [gevent.spawn(ask) for _ in range(10)]
while not calls:
    gevent.sleep(0)
gate.set()
gevent.joinall(crowd, timeout=60)
print({str(one.exception) for one in crowd}, cache.stats()["events"])
"""

KILLED = """
gate = Event()

@cache.memoize(60)
def answer():
    calls.append(1)
    gate.wait()
    return len(calls)

leader = gevent.spawn(ask)
while not calls:
    gevent.sleep(0)
crowd = [gevent.spawn(ask) for _ in range(10)]
for _ in range(10):
    gevent.sleep(0)
crowd[3].kill()
leader.kill()
gate.set()
rest = [one for one in crowd if one is not crowd[3]]
gevent.joinall(rest, raise_error=True, timeout=60)
print([one.value for one in rest] == [2] * 9, len(calls))
"""

RECURSION = """
@cache.memoize(60)
def answer(n):
    calls.append(n)
    gevent.sleep(0)
    return n if n < 2 else answer(n - 1) + answer(n - 2)

print(answer(20), len(calls))
"""

STALE = """
@cache.memoize(60, stale=3600)
def answer():
    calls.append(1)
    return len(calls)

with hand_clock() as clock:
    first = answer()
    clock.advance(61)
    crowd = [gevent.spawn(ask) for _ in range(20)]
    gevent.joinall(crowd, raise_error=True, timeout=60)
    stale = {one.value for one in crowd}
    cache._background.join()
    print(first, sorted(stale)[0], answer(), len(calls))
"""

OTHERS_RUN = """
gate = Event()
ticks = []

@cache.memoize(60)
def answer():
    calls.append(1)
    gate.wait()
    return 7

def tick():
    while not gate.is_set():
        ticks.append(1)
        if len(ticks) == 100:
            gate.set()
        gevent.sleep(0)

crowd = [gevent.spawn(ask) for _ in range(5)] + [gevent.spawn(tick)]
gevent.joinall(crowd, raise_error=True, timeout=60)
print([one.value for one in crowd[:5]], len(ticks))
"""


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(HUNDRED, "True 1", id="one call"),
        pytest.param(ERRORS, "{'mine'} {}", id="errors"),
        pytest.param(KILLED, "True 2", id="killed"),
        pytest.param(RECURSION, "6765 21", id="recursion"),
        pytest.param(STALE, "1 1 2 2", id="stale"),
        pytest.param(OTHERS_RUN, "[7, 7, 7, 7, 7] 100", id="others run"),
    ],
)
def test_greenlets(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, code: str, expected: str
) -> None:
    pytest.importorskip("gevent", reason="gevent is not installed: greenlets are not tested")
    assert in_gevent(code, configuration(name, request), tmp_path) == expected
