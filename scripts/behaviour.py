"""The matrix of promised behaviour: each scenario has its test in each face and on each store."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from project import ROOT

MATRIX = "docs/behaviour.toml"
FACES = ("python-sync", "python-async", "rust")
STORES = ("memory", "redis")
# Stores whose cells are those of Redis, as far as the same tests run on them too.
ALIKE = ("shared", "file", "memcached")
# The fixtures by which a test in Python is run on each store, or on each that can be shared.
FIXTURES = {"store", "common", "store_name"}
# Of the test kit: each makes a test of every scenario in its list, on the store it is given.
MACROS = ("scenarios", "process_scenarios", "minute_scenarios", "store_conformance")
# How many scenarios each group has: one that vanishes from the matrix is noticed.
GROUPS = {1: 9, 2: 10, 3: 9, 4: 11, 5: 10, 6: 14, 7: 11, 8: 9}
SCENARIOS = [f"T{group}.{n}" for group, count in GROUPS.items() for n in range(1, count + 1)]


def check_behaviour(root: Path = ROOT) -> list[str]:
    """What the matrix lacks, or claims without a test that bears it out."""
    matrix = tomllib.loads((root / MATRIX).read_text())
    return [f"{MATRIX}: {finding}" for finding in findings(matrix, root)]


def findings(matrix: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Every scenario that is absent or unknown, and every cell that does not hold."""
    present = matrix.get("scenario", {})
    for name in sorted(set(SCENARIOS) ^ set(present)):
        yield f"{name}: {'is not in the matrix' if name in SCENARIOS else 'is no scenario'}"
    finished = set(matrix["finished"])
    for name, scenario in present.items():
        due = scenario["issue"] in finished
        for face in FACES:
            for store in STORES:
                cell = scenario.get(face, {}).get(store)
                strict = due and store == "memory"
                for what in wrong_in(cell, finished, strict, root):
                    yield f"{name} {face} {store}: {what}"
            for store in ALIKE:
                cell = scenario.get(face, {}).get(store)
                if cell is None:
                    cells = scenario.get(face, {})
                    cell = carried_over(cells.get("each", cells.get("redis")), store, root)
                for what in wrong_in(cell, finished, False, root):
                    yield f"{name} {face} {store}: {what}"


def carried_over(cell: Any, store: str, root: Path) -> list[Any]:
    """What of a cell of Redis holds for another store: what waits or is refused, and the tests that
    are run on that store as well."""
    entries = cell if isinstance(cell, list) else [cell]
    kept: list[Any] = []
    for entry in entries:
        name, _, test = str(entry).rpartition("::")
        if name.endswith(".rs") or (test.isidentifier() and not name):
            kept += scenarios_of(store, test, root)
        elif not name or goes_by_fixture(root / name, test):
            kept.append(entry)
    return kept


@cache
def fixtures(path: Path) -> dict[str, set[str]]:
    """The functions of a file of tests, and what each of them asks for."""
    asks: dict[str, set[str]] = {}
    if path.is_file():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                asks[node.name] = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    return asks


def goes_by_fixture(path: Path, test: str) -> bool:
    """Whether a test asks for the fixture that runs it on each store, by whatever way."""
    known = fixtures(path.parent / "conftest.py") | fixtures(path)
    seen, waiting = {test}, [test]
    while waiting:
        asked = known.get(waiting.pop(), set())
        if FIXTURES & asked:
            return True
        waiting += asked - seen
        seen |= asked
    return False


def scenarios_of(store: str, test: str, root: Path) -> list[str]:
    """A scenario or a case of the test kit among the tests of a store."""
    tests = root / f"crates/larder-{store}/tests"
    files = sorted([*tests.rglob("scenarios.rs"), *tests.rglob("conformance.rs")])
    entries = [f"{file.relative_to(root).as_posix()}::{test}" for file in files]
    return [entry for entry in entries if is_test(entry, root)]


def wrong_in(cell: Any, finished: set[str], strict: bool, root: Path) -> Iterator[str]:
    """What is wrong with one cell; a strict one belongs to a finished issue and cannot wait."""
    entries = cell if isinstance(cell, list) else [cell]
    if not entries or not all(isinstance(entry, str) and entry.strip() for entry in entries):
        yield "empty: name a test, or where it is refused, or the issue it waits for"
        return
    for entry in entries:
        kind, _, rest = entry.partition(": ")
        if kind == "later":
            if strict or rest in finished:
                yield f"waits for an issue, and its own is finished ({entry})"
            elif not re.fullmatch("[A-Z]", rest):
                yield f"names no issue ({entry})"
        elif kind == "refused":
            yield from undocumented(rest, root)
        elif not is_test(entry, root):
            yield f"there is no such test ({entry})"


def undocumented(place: str, root: Path) -> Iterator[str]:
    """A refusal is `file: words`, and the words stand in the file."""
    name, _, words = place.partition(": ")
    path = root / name
    if not words or not path.is_file() or words not in " ".join(path.read_text().split()):
        yield f"refused, but not where it says ({place})"


def is_test(entry: str, root: Path) -> bool:
    """Whether `file::name` is a test of that file and not just a function."""
    name, _, test = entry.partition("::")
    path = root / name
    if not test.isidentifier() or not path.is_file():
        return False
    text = path.read_text()
    if path.suffix == ".py":
        found = re.search(rf"^ *(?:async )?def {test}\(", text, re.MULTILINE)
        return test.startswith("test_") and found is not None
    attributed = rf"^ *#\[(?:tokio::)?test\b.*\]\n(?: *#\[.*\]\n)* *(?:async )?fn {test}\("
    # `both!` makes a test of each name for each transport.
    listed = rf"^    fn {test};$"
    # Where not all of its cases hold, a store lists those that do.
    some = rf"scenarios!\(@each (?s:.*?)^ *{test}$"
    if re.search(f"{attributed}|{listed}|{some}", text, re.MULTILINE):
        return True
    return any(f"{macro}!(" in text and test in scenarios(macro) for macro in MACROS)


@cache
def scenarios(macro: str) -> list[str]:
    """The tests that a macro of the test kit makes."""
    for room in ("scenarios", "conformance"):
        text = (ROOT / f"crates/larder-testkit/src/{room}/mod.rs").read_text()
        body = re.search(rf"macro_rules! {macro} {{.*?@each \$\w+;(.*?)\);", text, re.DOTALL)
        if body:
            return body[1].split()
    return []


if __name__ == "__main__":
    raise SystemExit("\n".join(check_behaviour()) or 0)
