"""The matrix: what it is made of, and that nothing of it goes missing without a word."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from counts import Counts
from matrix import ALWAYS, IN_BETWEEN, Environment, run_environments
from project import REQUIREMENTS, ROOT

FUTURE = Environment("future", (3, 99))


def pins(name: str) -> dict[str, str]:
    """What a requirements file pins; anything in it that is no pin fails."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    found = [
        re.fullmatch(r"([\w-]+)(?:\[\w+\])?==([\w.]+)", line) for line in lines if line[:1] != "#"
    ]
    assert all(found), name
    return {match[1]: match[2] for match in found if match}


def test_without_its_python_an_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    counts = Counts()
    run_environments(counts, [FUTURE], {})
    assert str(counts) == "0 passed, 0 failed, 1 skipped"
    assert counts.skips == ["future: there is no Python 3.99 here (pyenv install 3.99)"]


def test_in_ci_it_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    counts = Counts()
    run_environments(counts, [FUTURE], {})
    assert str(counts) == "0 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("name", sorted({each.flask for each in (*ALWAYS, *IN_BETWEEN)}))
def test_every_environment_pins_its_packages(name: str) -> None:
    assert "flask" in pins(name)
    assert not pins(name).keys() & pins("test-tools").keys()


def test_the_oldest_is_what_the_package_asks_for_at_least() -> None:
    project = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    oldest = pins("oldest")
    for asked in project["dependencies"]:
        name, least = asked.split(">=")
        assert f"{oldest[name]}.".startswith(f"{least}."), asked
    least_python = project["requires-python"].removeprefix(">=")
    assert least_python == ".".join(map(str, min(each.python for each in ALWAYS)))


def test_every_python_that_is_named_is_run() -> None:
    project = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3" in line}
    assert named == {".".join(map(str, each.python)) for each in ALWAYS}
