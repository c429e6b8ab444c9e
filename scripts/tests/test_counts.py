"""What `make test` counts is what the runners reported."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from counts import Counts, read_cargo_line, read_junit

CARGO = """
running 3 tests
test entry::tests::fresh_until_its_ttl ... ok
test flight::tests::one_lead ... FAILED
test store::tests::long_run ... ignored, takes an hour

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s

running 2 tests
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s
"""

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5">
<testcase classname="a" name="passes"/>
<testcase classname="a" name="fails"><failure message="assert 1 == 2&#10;more"/></testcase>
<testcase classname="a" name="skips"><skipped message="no server"/></testcase>
<testcase classname="a" name="breaks_late"/>
<testcase classname="a" name="breaks_late"><error message="in teardown"/></testcase>
</testsuite></testsuites>
"""


def test_cargo_lines_are_added_up() -> None:
    counts = Counts()
    for line in CARGO.splitlines():
        read_cargo_line(counts, line)
    assert str(counts) == "3 passed, 1 failed, 1 skipped"
    assert counts.failures == ["flight::tests::one_lead"]
    assert counts.skips == ["store::tests::long_run: takes an hour"]


def test_a_test_broken_in_teardown_is_one_failure(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT)
    counts = read_junit(report)
    assert str(counts) == "1 passed, 2 failed, 1 skipped"
    assert counts.failures == ["a::fails: assert 1 == 2", "a::breaks_late: in teardown"]
    assert counts.skips == ["a::skips: no server"]


def test_what_goes_wrong_outside_a_test_is_a_failure() -> None:
    counts = Counts(passed=2)
    counts.fail("cargo test ran no test")
    assert str(counts) == "2 passed, 1 failed, 0 skipped"
