"""`make lint`: format, lints, types, documentation, the floors and the house rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import native
from behaviour import check_behaviour
from features import check_features
from floors import check_floors
from house_rules import check_house_rules
from installs import ensure_venv
from project import ROOT, VENV, Trouble, main, run, say, timed

PYTHON_FOLDERS = ("python", "demo", "bench", "examples", "scripts", "conformance")
USER_CODE = ROOT / "python" / "tests" / "user_code"
# Examples that are workspaces of their own, and whether clippy reads them: SQLite takes minutes to build.
EXAMPLES = {"edge": True, "purge_on_commit": False}
OWN_DOCS = ["cargo", "doc", "--workspace", "--no-deps", "--document-private-items", "-q"]


def program(*command: str | Path, env: dict[str, str] | None = None) -> Callable[[], list[str]]:
    """A check that is one program: its exit code is the verdict."""

    def check() -> list[str]:
        code = run(command, env=env)
        return [f"exit code {code}"] if code else []

    return check


def rust_checks() -> dict[str, Callable[[], list[str]]]:
    """What the Rust tools say."""
    native.require_cargo()
    clippy = ["cargo", "clippy", "-q", "--workspace", "--all-targets"]
    return {
        "rustfmt": program("cargo", "fmt", "--all", "--check"),
        "clippy": program(*clippy, "--", "-D", "warnings"),
        # The library for one version of Python; the workspace is looked at with the one for all.
        "clippy exact": program(
            *(*clippy[:3], "-p", "larder-python", "--no-default-features", "--", "-D", "warnings")
        ),
        "rustdoc": program(*OWN_DOCS, env={"RUSTDOCFLAGS": "-D warnings"}),
        **example_checks(),
        "floors": check_floors,
        "features": check_features,
    }


def example_checks() -> dict[str, Callable[[], list[str]]]:
    """What the Rust tools say of the examples that are workspaces of their own."""
    checks: dict[str, Callable[[], list[str]]] = {}
    for name, is_read in EXAMPLES.items():
        manifest = ["--manifest-path", f"examples/{name}/Cargo.toml"]
        clippy = ["cargo", "clippy", "-q", "--all-targets", *manifest]
        checks[f"rustfmt {name}"] = program("cargo", "fmt", "--check", *manifest)
        if is_read:
            checks[f"clippy {name}"] = program(
                *clippy, "--target-dir", "target/examples", "--", "-D", "warnings"
            )
    return checks


def python_checks(interpreter: Path) -> dict[str, Callable[[], list[str]]]:
    """What the Python tools say."""
    tools = interpreter.parent
    folders = [folder for folder in PYTHON_FOLDERS if any((ROOT / folder).rglob("*.py"))]
    return {
        "ruff check": program(tools / "ruff", "check", "--quiet", *folders),
        "ruff format": program(tools / "ruff", "format", "--check", "--quiet", *folders),
        # Builds the native module, which pyright looks for beside its stubs.
        "stubtest": stubtest(interpreter),
        "pyright": program(tools / "pyright", "--warnings", "--pythonpath", interpreter),
        **user_code_checks(interpreter),
    }


def user_code_checks(interpreter: Path) -> dict[str, Callable[[], list[str]]]:
    """Whether code of users, written with types, is what the type checkers at their strictest want."""
    tools = interpreter.parent
    strictly = [tools / "mypy", "--strict", "--no-error-summary", USER_CODE]
    return {
        "mypy of user code": program(*strictly),
        "pyright of user code": program(
            tools / "pyright", "--project", USER_CODE, "--pythonpath", interpreter
        ),
    }


def stubtest(interpreter: Path) -> Callable[[], list[str]]:
    """Whether the stubs of the native module say what the compiled module has."""

    def check() -> list[str]:
        native.develop(interpreter)
        module = "flask_larder._native"
        allowed = ["--allowlist", "scripts/stubtest-allow.txt", "--ignore-unused-allowlist"]
        return program(interpreter, "-m", "mypy.stubtest", module, "--concise", *allowed)()

    return check


def report(checks: dict[str, Callable[[], list[str]]]) -> list[str]:
    """Run each check, print its findings, and return the names of those that found something."""
    bad: list[str] = []
    for name, check in checks.items():
        findings: list[str] = []
        try:
            timed(name, lambda check=check, findings=findings: findings.extend(check()))
        except Trouble as trouble:
            findings.append(str(trouble))
        for finding in findings:
            say(f"{name}: {finding}")
        if findings:
            bad.append(name)
    return bad


def body(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Every check runs, also after one has failed; names as arguments choose among them."""
    interpreter = ensure_venv(VENV, ["build", "test-tools", "test", "lint"])
    checks: dict[str, Callable[[], list[str]]] = {
        "house rules": check_house_rules,
        "behaviour": check_behaviour,
        "benchmark": program(sys.executable, ROOT / "bench" / "check.py"),
        **rust_checks(),
        **python_checks(interpreter),
    }
    unknown = set(arguments) - set(checks)
    if unknown:
        raise Trouble(
            f"no such check: {', '.join(sorted(unknown))} (there is: {', '.join(checks)})"
        )
    bad = report(
        {name: check for name, check in checks.items() if not arguments or name in arguments}
    )
    say(f"lint: {'failed: ' + ', '.join(bad) if bad else 'clean'}")
    return int(bool(bad))


if __name__ == "__main__":
    main(body)
