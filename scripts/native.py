"""Builds the Python package: in place for work on it, and as a wheel for installing it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from installs import ensure_venv
from project import DIST, ROOT, VENV, Trouble, must, output, say

# Everything is built with this one profile: the demo, the tests, the wheel and the benchmark
# share one set of compiled crates.
PROFILE = "--release"
# A Rust service that shares its pages with an application, as Cargo builds it.
NEIGHBOUR = ROOT / "target" / "debug" / "examples" / "flask_neighbour"
SOURCES = ("*.rs", "Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml")
PYTHON_SOURCES = ("*.py", "*.pyi", "py.typed")


def require_cargo() -> None:
    """Stop with the cure where there is no Rust toolchain."""
    if shutil.which("cargo") is None:
        raise Trouble(
            "missing: cargo is not on the path (install Rust with rustup, then open a new shell)"
        )


def sources(patterns: tuple[str, ...]) -> Iterator[Path]:
    """The files of the package and of the crates it is built from."""
    yield from (ROOT / name for name in ("Cargo.toml", "Cargo.lock") if (ROOT / name).exists())
    for folder in (ROOT / "crates", ROOT / "python"):
        for pattern in patterns:
            # The crates' tests are no part of the package.
            yield from (path for path in folder.rglob(pattern) if "tests" not in path.parts)


def digest(patterns: tuple[str, ...], *more: str) -> str:
    """A digest of the sources' names and contents: equal digests need no new build."""
    state = hashlib.sha256("\0".join(more).encode())
    for path in sorted(set(sources(patterns))):
        state.update(str(path.relative_to(ROOT)).encode() + b"\0")
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def develop(interpreter: Path) -> None:
    """Install the package into a venv, in place: Python files are read from the checkout."""
    stamp = interpreter.parent.parent / ".developed"
    native = list((ROOT / "python" / "flask_larder").glob("_native*.so"))
    wanted = digest(SOURCES, str(interpreter), *(path.name for path in native))
    if native and stamp.exists() and stamp.read_text() == wanted:
        return
    require_cargo()
    # One that is left of another build might be the one that is imported.
    for old in native:
        old.unlink()
    say("building the Python package (the first time takes one to three minutes)")
    maturin = interpreter.parent / "maturin"
    # maturin finds the venv by this variable, and would take an outer one before it.
    must(
        [maturin, "develop", PROFILE, "--locked", "-q", "-m", "python/Cargo.toml"],
        env={"VIRTUAL_ENV": str(interpreter.parent.parent)},
    )
    native = list((ROOT / "python" / "flask_larder").glob("_native*.so"))
    stamp.write_text(digest(SOURCES, str(interpreter), *(path.name for path in native)))


def neighbour() -> Path:
    """The Rust service that runs beside an application in tests, built."""
    require_cargo()
    must(["cargo", "build", "-q", "-p", "larder-tower", "--example", NEIGHBOUR.name])
    return NEIGHBOUR


def wheel() -> Path:
    """The wheel of the sources as they are for every Python, in `dist/`; built where it is not there yet."""
    return _built("abi3", ensure_venv(VENV, ["build"]), "--features", "abi3")


def exact_wheel(interpreter: Path) -> Path:
    """The faster wheel for the version of `interpreter` alone."""
    version = ["-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]
    tag = output([interpreter, *version], quiet=True).strip()
    # Twice, because the wheel for all begins with the oldest Python that it is for.
    return _built(f"{tag}-{tag}", interpreter)


def _built(tag: str, interpreter: Path, *options: str) -> Path:
    """The wheel with this tag of an interface."""
    stamp = DIST / f".built-{tag}"
    wanted = digest(SOURCES + PYTHON_SOURCES)
    pattern = f"flask_larder-*-{tag}-*.whl"
    built = sorted(DIST.glob(pattern))
    if len(built) == 1 and stamp.exists() and stamp.read_text() == wanted:
        return built[0]
    require_cargo()
    for old in built:
        old.unlink()
    maturin = ensure_venv(VENV, ["build"]).parent / "maturin"
    build = [maturin, "build", PROFILE, "--locked", "-q", "-m", "python/Cargo.toml", *options]
    must([*build, "-i", interpreter, "--out", DIST])
    built = sorted(DIST.glob(pattern))
    if len(built) != 1:
        raise Trouble(f"wheel: one {tag} was expected in dist/, found {len(built)}")
    stamp.write_text(wanted)
    return built[0]
