"""The check of the matrix finds empty, false and overdue cells."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from behaviour import SCENARIOS, check_behaviour, findings, wrong_in

PYTHON = "import x\n\ndef test_a() -> None:\n    pass\n\ndef helper() -> None:\n    pass\n"
RUST = (
    "#[test]\nfn a() {}\n\nfn helper() {}\n\nboth! {\n    fn b;\n}\n// #[test]\n// fn gone() {}\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "t.py").write_text(PYTHON)
    (tmp_path / "t.rs").write_text(RUST)
    (tmp_path / "t.md").write_text("It is not\ndone here.\n")
    return tmp_path


@pytest.mark.parametrize(
    "cell",
    [
        "t.py::test_a",
        "t.rs::a",
        "t.rs::b",
        ["t.rs::a", "t.py::test_a"],
        "later: C",
        "refused: t.md: not done",
    ],
)
def test_cells_that_hold(root: Path, cell: Any) -> None:
    assert list(wrong_in(cell, {"A"}, False, root)) == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, "empty"),
        ("", "empty"),
        ([], "empty"),
        (["t.rs::a", " "], "empty"),
        ("t.py::helper", "no such test"),
        ("t.py::test_b", "no such test"),
        ("t.rs::helper", "no such test"),
        ("t.rs::gone", "no such test"),
        ("absent.rs::a", "no such test"),
        ("later: A", "finished"),
        ("later: some day", "names no issue"),
        ("refused: t.md: elsewhere", "not where it says"),
        ("refused: t.md", "not where it says"),
    ],
)
def test_cells_that_do_not(root: Path, cell: Any, expected: str) -> None:
    (finding,) = wrong_in(cell, {"A"}, False, root)
    assert expected in finding


def test_a_finished_scenario_cannot_wait_in_memory(root: Path) -> None:
    face = {"memory": "later: C", "redis": "later: C"}
    scenario = {"issue": "A", "python-sync": face, "python-async": face, "rust": face}
    found = list(findings({"finished": ["A"], "scenario": {"T1.1": scenario}}, root))
    absent = [line for line in found if line.endswith("is not in the matrix")]
    assert len(absent) == len(SCENARIOS) - 1
    assert len([line for line in found if line.startswith("T1.1 ")]) == 3
    assert all(" memory: " in line for line in found if line.startswith("T1.1 "))


def test_the_matrix_holds() -> None:
    assert check_behaviour() == []
