"""The wheel works where there is no Rust toolchain, on every Python that this machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from installs import ensure_venv, install_wheel, pythons

VERSIONS = pythons([(3, 11), (3, 12), (3, 13)])
CACHED_VIEW = """
import shutil
from flask import Flask
from flask_larder import Cache

assert shutil.which("cargo") is None and shutil.which("rustc") is None
app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
calls = []

@app.get("/")
@cache.cached(timeout=60)
def index():
    calls.append(1)
    return f"call {len(calls)}"

client = app.test_client()
answers = [client.get("/").text for _ in range(3)]
print(answers, len(calls))
assert answers == ["call 1"] * 3 and len(calls) == 1
"""


@pytest.mark.parametrize(
    "version", [pytest.param(version, id=".".join(map(str, version))) for version in VERSIONS]
)
def test_wheel_serves_a_cached_view(version: tuple[int, int], tmp_path: Path) -> None:
    interpreter = ensure_venv(tmp_path / "venv", [], VERSIONS[version])
    install_wheel(interpreter, Path(os.environ["LARDER_TEST_WHEEL"]))
    # Nothing but the venv on the path: an installation that compiled anything would show.
    done = subprocess.run(
        [interpreter, "-c", CACHED_VIEW],
        env={"PATH": str(interpreter.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
