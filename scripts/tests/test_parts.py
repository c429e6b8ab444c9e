"""The parts of a run: side by side, each counted, and none lost without a word."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from counts import Counts
from parts import Part, count_cargo, count_pytest, pytest, run_parts

PASSED = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
MEET = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
while not other.exists():
    time.sleep(0.01)
"""


def python(name: str, program: str, *arguments: str | Path, limit: float = 60.0) -> Part:
    """A part that runs a program of Python's and is counted as cargo's are."""
    return Part(name, [sys.executable, "-c", program, *arguments], count_cargo, limit=limit)


def test_parts_run_side_by_side(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    said = f"{MEET}print({PASSED!r})"
    counts = Counts()
    took = run_parts(counts, [python("a", said, here, there), python("b", said, there, here)], 2)
    assert str(counts) == "4 passed, 0 failed, 0 skipped"
    assert sorted(took) == ["a", "b"]


def test_a_word_in_the_middle_of_a_result_hides_nothing() -> None:
    half = len(PASSED) // 2
    program = (
        "import sys\n"
        f"print({PASSED[:half]!r}, end='', flush=True)\n"
        "print('a server says something', file=sys.stderr, flush=True)\n"
        f"print({PASSED[half:]!r})"
    )
    counts = Counts()
    run_parts(counts, [python("a", program)], 1)
    assert str(counts) == "2 passed, 0 failed, 0 skipped"


def test_what_ends_without_a_result_is_a_failure() -> None:
    counts = Counts()
    broken = Part("broken", [sys.executable, "-c", "import sys; sys.exit(4)"], count_pytest)
    built = python("built", f"import sys; print({PASSED!r}); sys.exit(101)")
    run_parts(counts, [broken, built, python("silent", "")], 1)
    assert counts.failed == 3
    assert counts.failures[0] == "broken: pytest ended with exit code 4"
    assert counts.failures[1].startswith("built: cargo test ended with exit code 101")
    assert counts.failures[2] == "silent: cargo test ran no test"


def test_what_hangs_is_ended_and_a_failure() -> None:
    counts = Counts()
    run_parts(counts, [python("hangs", "import time; time.sleep(600)", limit=0.1)], 1)
    assert counts.failures == ["hangs: cargo test ran no test"]


def test_tests_are_counted_from_what_pytest_reports(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def test_one(tmp_path): (tmp_path / 'a').touch()\n"
        "def test_two(): pytest.skip('no server')\n"
    )
    for workers in (0, 2):
        counts = Counts()
        run_parts(counts, [pytest("two", Path(sys.executable), [tmp_path], workers)], 1)
        assert str(counts) == "1 passed, 0 failed, 1 skipped"
        (skip,) = counts.skips
        assert skip.startswith("two: ")
        assert skip.endswith("test_two::test_two: no server")
