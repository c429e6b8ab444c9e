"""The check of the benchmark finds targets that nothing measures, and documents that say something else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import pages
import tables
import targets
from targets import Mark, Wrong

WANTED = """
[[target]]
number = 1
subject = "views"
what = "a hit"
[[target.row]]
name = "hit"
marks = ["60 times Flask-Caching"]
steps = ["at most 0.5 of uncached"]

[[target]]
number = 2
subject = "views"
what = "what nobody offers"
absent = "There is no such thing."

[[further]]
subject = "views"
[[further.row]]
name = "beyond"
steps = ["2 times X"]
"""


def found(
    tmp_path: Path, text: str, rows: tuple[str, ...] = ("hit", "beyond"), **reasons: str
) -> list[str]:
    path = tmp_path / "targets.toml"
    path.write_text(text)
    return list(targets.problems(targets.load(path), rows, reasons))


def test_a_list_in_order_is_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, WANTED, hit="since") == []


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("number = 2", "number = 3", "not numbered 1 to 2"),
        ('absent = "There is no such thing."', "", "name the rows that measure it"),
        ('name = "hit"', 'name = "hits"', "no row is called 'hits'"),
        ('marks = ["60 times Flask-Caching"]', "", "no row has a mark"),
        ('steps = ["2 times X"]', "", "'beyond' has neither mark nor step"),
        ('name = "beyond"', 'name = "hit"', "'hit' belongs to 2 targets"),
        ('subject = "views"', 'subject = "cooking"', "no subject is called 'cooking'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, finding: str) -> None:
    changed = WANTED.replace(before, after)
    assert changed != WANTED
    assert any(finding in one for one in found(tmp_path, changed))


def test_a_row_that_is_measured_no_more_is_missed(tmp_path: Path) -> None:
    assert any("no row is called 'hit'" in one for one in found(tmp_path, WANTED, ("beyond",)))


def test_two_rows_of_one_name_are_a_finding(tmp_path: Path) -> None:
    twice = ("hit", "hit", "beyond")
    assert found(tmp_path, WANTED, twice) == ["2 measured rows are called 'hit'"]


def test_a_reason_for_a_row_that_no_target_names_is_a_finding(tmp_path: Path) -> None:
    assert "explains 'other'" in found(tmp_path, WANTED, other="because")[0]


@pytest.mark.parametrize("words", ["60 Flask-Caching", "at least 3 of X", "times X", "3 times "])
def test_words_that_are_no_mark_are_refused(words: str) -> None:
    with pytest.raises(Wrong, match="no mark"):
        Mark.read("hit", words, step=False)


def row(**medians: float) -> tables.Row:
    contestants = [
        {"name": name.replace("_", "-"), "isolates": True, "median": one, "p10": one, "p90": one}
        for name, one in medians.items()
    ]
    return {"group": "decorator", "name": "hit", "contestants": contestants}


@pytest.mark.parametrize(
    ("words", "other", "good"),
    [
        ("3 times X", 3.0, True),
        ("3 times X", 2.9, False),
        ("at most 0.8 of X", 1.25, True),
        ("at most 0.8 of X", 1.2, False),
        ("at most 1 of X", 1.0, True),
    ],
)
def test_a_mark_is_a_ratio_of_one_run(words: str, other: float, good: bool) -> None:
    mark = Mark.read("hit", words, step=False)
    assert tables.reached(row(Larder=1.0, X=other), mark) is good


def test_a_mark_beside_nobody_is_refused() -> None:
    with pytest.raises(Wrong, match="is measured beside Larder, Y"):
        tables.ratio(row(Larder=1.0, Y=2.0), Mark.read("hit", "3 times X", step=False))


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pages.Results:
    path = tmp_path / "targets.toml"
    path.write_text(WANTED)
    wanted, reasons = targets.load(path), dict[str, str]()
    monkeypatch.setattr(targets, "load", lambda: wanted)
    monkeypatch.setattr(targets, "reasons", lambda: reasons)
    beyond: dict[str, Any] = {**row(Larder=1e-6, X=3e-6), "name": "beyond"}
    hit = {**row(Larder=1e-6, Flask_Caching=50e-6, uncached=4e-6)}
    return pages.Results({"machine": ["one"], "rounds": 5, "rows": [hit, beyond]})


def test_a_miss_needs_a_reason_and_the_page_has_it(results: pages.Results) -> None:
    assert results.unexplained() == ["hit"]
    results.reasons["hit"] = "It does more."
    assert results.unexplained() == []
    page = results.page()
    assert "**hit**: It does more." in page
    assert "| hit | **1** µs | Flask-Caching | 50.0 | 50x | 60 times | **missed** |" in page
    assert "0 of 1 marks reached, and 2 of the 2 steps" in page
    assert "what nobody offers: There is no such thing." in page


@pytest.mark.parametrize(
    ("text", "said", "finding"),
    [
        ("it costs 1 µs", "1 µs", None),
        ("it costs 1.05 µs", "1.05 µs", None),
        ("it costs 2 µs", "2 µs", "but 'hit' is at 1 µs"),
        ("it is quick", "1 µs", "is not in it"),
    ],
)
def test_a_quote_is_what_was_measured(
    results: pages.Results,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    said: str,
    finding: str | None,
) -> None:
    (tmp_path / "page.md").write_text(text)
    quote = f'[[quote]]\nfile = "page.md"\ntext = "{said}"\nrow = "hit"\n'
    (tmp_path / "quotes.toml").write_text(quote)
    monkeypatch.setattr(pages, "HERE", tmp_path)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    found = list(results.misquoted())
    assert found == [] if finding is None else finding in found[0]
