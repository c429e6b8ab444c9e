"""The habits that no ready-made tool checks: file and function length, unsafe code, names."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from project import ROOT

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
TEST_FOLDERS = {"tests", "benches", "fixtures"}
# The binding crate may hold unsafe code where a measured gain needs it, and the shared store because
# a memory map and the locks of open files cannot be had without it; no other place may.
UNSAFE_ALLOWED = ("python/", "crates/larder-shared/")
UNSAFE = re.compile(r"\bunsafe\s*(\{|fn\b|impl\b|trait\b|extern\b|\()")
# Paths of one machine and hosts of package registries mean nothing in another checkout.
FOREIGN = re.compile(
    r"(?<![\w.])/(?:work|farm|root)/"
    r"|[.]library\b"
    r"|\b(?:pypi|npmjs|crates|pythonhosted)[.](?:org|io)/"
    r"|\bdeb[.]debian[.]"
)
TEXT = {".rs", ".py", ".pyi", ".toml", ".md", ".txt", ".sh", ".html", ".sql", ".yml", ".json", ""}


def check_house_rules() -> list[str]:
    """Every finding, each with its file."""
    findings: list[str] = []
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(errors="replace")
        findings += [f"{name}: {what}" for what in check_text(name, text)]
    return findings + list(crates_without_lints())


def tracked_files() -> Iterator[Path]:
    """The text files that belong to the project: committed, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in sorted(filter(None, listed.split("\0"))):
        path = ROOT / name
        if path.suffix in TEXT and path.is_file():
            yield path


def check_text(name: str, text: str) -> Iterator[str]:
    """What is wrong with one file."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := FOREIGN.search(line):
            yield f"line {number}: names a machine path or a registry host ({found[0]})"
    if name.endswith((".rs", ".py")) and not is_test(name):
        yield from too_long(text)
    if name.endswith(".py"):
        yield from long_functions(text)
    if name.endswith(".rs") and not name.startswith(UNSAFE_ALLOWED):
        yield from unsafe_code(text)


def is_test(name: str) -> bool:
    """Whether a file holds tests alone; their length is free."""
    path = Path(name)
    return bool(TEST_FOLDERS & set(path.parts)) or path.stem in {"tests", "conftest"}


def too_long(text: str) -> Iterator[str]:
    """A source file over the limit, its inline tests left out."""
    lines = text.partition("\n#[cfg(test)]\nmod ")[0].count("\n") + 1
    if lines > LONGEST_FILE:
        yield f"{lines} lines, more than {LONGEST_FILE}: give its second idea a file of its own"


def long_functions(text: str) -> Iterator[str]:
    """Python functions over the limit, docstrings left out (clippy does this for Rust)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines, over {LONGEST_FUNCTION}"


def unsafe_code(text: str) -> Iterator[str]:
    """Unsafe blocks, functions, traits and impls outside the binding."""
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("//")[0]
        if UNSAFE.search(code):
            yield f"line {number}: unsafe code outside {', '.join(UNSAFE_ALLOWED)}"


def crates_without_lints() -> Iterator[str]:
    """Crates that do not take the workspace's lints, among them the ban on unsafe code."""
    for manifest in [*ROOT.glob("crates/*/Cargo.toml"), *ROOT.glob("examples/*/Cargo.toml")]:
        name = manifest.relative_to(ROOT).as_posix()
        lints = tomllib.loads(manifest.read_text()).get("lints", {})
        if not lints.get("workspace") and not name.startswith(UNSAFE_ALLOWED):
            yield f"{name}: [lints] workspace = true is missing"
