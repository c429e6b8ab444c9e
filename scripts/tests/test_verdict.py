"""What `make conformance` says about counts: known failures, new ones, and those that are over."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "conformance")]

import suites
import verdict
from counts import Counts
from project import Trouble


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> suites.Suite:
    """A suite of four tests, of which two have to pass and one may fail by chance."""
    monkeypatch.setattr(suites, "HERE", tmp_path)
    monkeypatch.setattr(verdict, "BASELINE", tmp_path / "baseline.txt")
    (tmp_path / "baseline.txt").write_text("# Numbers.\nother 9\nsmall 2\n")
    (tmp_path / "exceptions").mkdir()
    (tmp_path / "exceptions" / "small.txt").write_text("# Known.\nt.A::known: as agreed\n")
    return replace(suites.BACKENDS, name="small", tests=4, ungated=("::chance",))


def counts(passes: list[str], failures: list[str]) -> Counts:
    return Counts(len(passes), len(failures), 0, passes, [f"{name}: because" for name in failures])


def said(suite: suites.Suite, found: Counts) -> tuple[list[str], list[str]]:
    """What fails the run, and what is only said."""
    everything = list(verdict.findings(suite, found))
    bad = [one.text for one in everything if one.bad]
    return bad, [one.text for one in everything if not one.bad]


def test_known_failures_and_chance_are_no_news(suite: suites.Suite) -> None:
    found = counts(["t::a", "t::b"], ["t.A::known", "t::chance"])
    assert said(suite, found) == ([], [])
    assert "known: as agreed" in verdict.report(suite, found, "ours")


def test_a_new_failure_fails_the_run(suite: suites.Suite) -> None:
    bad, _ = said(suite, counts(["t::a", "t::chance"], ["t.A::known", "t::b"]))
    assert bad == ["fails: t::b: because", "only 1 gated tests pass, 2 did before"]


def test_an_exception_that_is_over_is_said(suite: suites.Suite) -> None:
    bad, told = said(suite, counts(["t::a", "t::b", "t.A::known", "t::chance"], []))
    assert bad == []
    assert [text.split(",")[0].split(":")[0] for text in told] == [
        "passes after all",
        "3 gated tests pass",
    ]


def test_an_exception_for_no_test_fails_the_run(suite: suites.Suite) -> None:
    bad, _ = said(suite, counts(["t::a", "t::b", "t::c", "t::chance"], []))
    assert bad == ["small.txt names no test of the suite: t.A::known"]


def test_tests_that_vanish_fail_the_run(suite: suites.Suite) -> None:
    bad, _ = said(suite, counts(["t::a", "t::b"], ["t.A::known"]))
    assert bad == ["3 tests ran, and the suite has 4"]


@pytest.mark.parametrize("line", ["t::a", "t::a:", "t::a:  "])
def test_an_exception_needs_a_reason(suite: suites.Suite, line: str) -> None:
    suite.exceptions.write_text(line + "\n")
    with pytest.raises(Trouble, match="gives no reason"):
        verdict.excepted(suite)


def test_a_suite_needs_a_number(suite: suites.Suite) -> None:
    with pytest.raises(Trouble, match="no number"):
        verdict.baseline(replace(suite, name="smaller"))
