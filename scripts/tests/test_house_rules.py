"""The house rules find what they are for, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from house_rules import check_text

LONG_FUNCTION = "def long():\n" + "    pass\n" * 61
# Put together here, so that this file itself stays clean.
MACHINE_PATH = "see /" + "work/notes.md"
REGISTRY = "https://pypi." + "org/simple"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("crates/a/src/lib.rs", "let x = 1;\n" * 501, "502 lines"),
        ("python/flask_larder/long.py", LONG_FUNCTION, "long has 61 lines"),
        ("crates/a/src/lib.rs", "fn f() { unsafe { g() } }", "unsafe code outside"),
        ("crates/a/src/lib.rs", "unsafe impl Send for A {}", "unsafe code outside"),
        ("README.md", MACHINE_PATH, "line 1: names a machine path"),
        ("scripts/a.txt", REGISTRY, "line 1: names a machine path or a registry host"),
    ],
)
def test_finds(name: str, text: str, expected: str) -> None:
    findings = list(check_text(name, text))
    assert len(findings) == 1
    assert expected in findings[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crates/a/tests/long.rs", "let x = 1;\n" * 900),
        ("crates/a/src/lib.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n" + "\n" * 900),
        ("python/src/lib.rs", "fn f() { unsafe { g() } }"),
        (
            "crates/a/src/lib.rs",
            "// An unsafe method (RFC 9110) invalidates.\n#![forbid(unsafe_code)]",
        ),
        ("README.md", "GET /network/ and https://docs.rs/axum"),
    ],
)
def test_leaves_alone(name: str, text: str) -> None:
    assert list(check_text(name, text)) == []
