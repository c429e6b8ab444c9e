"""`make test`: every test of the project, Rust and Python, with real servers beside them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import native
import parts
import servers
from counts import Counts
from installs import ensure_venv
from matrix import ALWAYS, environment_parts
from parts import Part, count_cargo, run_parts
from project import ROOT, VENV, Trouble, main, run, say

CARGO_TEST = ["cargo", "test", "--workspace", "--exclude", "larder-python", "--no-fail-fast"]
# The flight and the tiers once more, under a model checker that runs their threads in thousands of
# orders; and what larder-core does without its feature zstd. Little else of the crate works with the
# checker's locks.
MODEL_CHECK = ["cargo", "test", "-p", "larder-core", "--lib", "--features", "shuttle"]
# Examples that are workspaces of their own, because of what they depend on.
EXAMPLES = {"example of sqlx": "purge_on_commit", "example edge": "edge"}
MODELS = ["--", "flight::model", "tiered::model", "codec::compress"]
# Tests of views, once more with hits that are answered before Flask is asked.
EARLY = {"LARDER_TEST_EARLY": "1", "LARDER_TEST_STORES": "memory"}
EARLY_TESTS = [
    f"python/tests/test_{name}.py"
    for name in (
        *("apps", "bad_input", "context", "http", "http_requests", "http_storing", "isolation"),
        *("pages", "purges", "safety", "stale", "stored_responses", "streams", "two_users"),
        *("two_users_http", "variants", "views"),
    )
]
# Property tests draw the same cases in each run, so that one that passes here passes elsewhere. `make soak`
# draws new ones, and many more.
DRAWN = {"PROPTEST_RNG_SEED": "9111"}
# Tests wait for servers, clocks and one another more than they work.
WORKERS = 3
RUST_THREADS = "4"
# Parts that run at the same time, for the same reason.
LANES = 3


def in_example(name: str, command: str, *options: str) -> list[str]:
    """A command of Cargo for an example that is a workspace of its own; all of them build in one place."""
    manifest = f"examples/{name}/Cargo.toml"
    place = ["--manifest-path", manifest, "--target-dir", "target/examples"]
    return ["cargo", command, *options, *place]


def built_rust(_counts: Counts) -> list[Part]:
    """Build the Rust tests, examples included. What does not build is told by the part that runs it."""
    native.require_cargo()
    examples = {part: in_example(name, "test") for part, name in EXAMPLES.items()}
    for command in (CARGO_TEST, MODEL_CHECK, *examples.values()):
        run([*command, "--no-run"])
    return [
        Part("cargo test", CARGO_TEST, count_cargo, {**DRAWN, "RUST_TEST_THREADS": RUST_THREADS}),
        Part("model check", [*MODEL_CHECK, *MODELS], count_cargo, DRAWN),
        *(Part(part, command, count_cargo, DRAWN) for part, command in examples.items()),
    ]


def built_python(counts: Counts) -> list[Part]:
    """Build the package and its wheel, and install them in every environment."""
    requirements = ["build", "test-tools", "test", ROOT / "demo" / "requirements.txt"]
    interpreter = ensure_venv(VENV, requirements)
    native.develop(interpreter)
    # The workspace's tests build the neighbour; the Python tests run it beside an application.
    neighbour = os.environ.get("LARDER_TEST_NEIGHBOUR", str(native.NEIGHBOUR))
    built = {"LARDER_TEST_NEIGHBOUR": neighbour}
    given = {
        **built,
        "LARDER_TEST_WHEEL": str(native.wheel()),
        # Hundreds of servers are started that import the package from the checkout: compiled once, elsewhere.
        "PYTHONPYCACHEPREFIX": str(ROOT / "target" / "pycache"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    early = parts.pytest("pytest python, early hits", interpreter, EARLY_TESTS, WORKERS)
    own = [
        parts.pytest("pytest python", interpreter, ["python"], WORKERS),
        parts.pytest("pytest demo", interpreter, ["demo/tests"]),
        parts.pytest("pytest scripts", interpreter, ["scripts/tests"]),
    ]
    own = [replace(part, variables=given) for part in own]
    own.append(replace(early, variables={**given, **EARLY}))
    return own + environment_parts(counts, ALWAYS, built)


class Building(threading.Thread):
    """Makes parts ready; what keeps it from that is one failed test."""

    def __init__(self, name: str, build: Callable[[Counts], list[Part]]) -> None:
        super().__init__(name=name, daemon=True)
        self.build = build
        self.counts = Counts()
        self.parts: list[Part] = []
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        """Build, and note how long it took."""
        began = time.monotonic()
        try:
            self.parts = self.build(self.counts)
        except Trouble as trouble:
            say(str(trouble))
            self.counts.fail(f"{self.name}: {str(trouble).splitlines()[0]}")
        self.seconds = time.monotonic() - began


def body() -> int:
    """Everything, side by side where it can be; the count is the last line."""
    servers.stop_on_signals()
    counts = Counts()
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    building = [Building("build Rust tests", built_rust), Building("build Python", built_python)]
    for each in building:
        each.join()
        counts.add(each.counts)
    ready = [part for each in building for part in each.parts]
    took = {each.name: each.seconds for each in building}
    took |= run_parts(counts, longest_first(ready), LANES)
    for name, seconds in took.items():
        say(f"took {seconds:4.0f} s: {name}")
    for line in counts.skips:
        say(f"skipped: {line}")
    for line in counts.failures:
        say(f"FAILED: {line}")
    say(str(counts))
    return int(counts.failed > 0)


def longest_first(ready: list[Part]) -> list[Part]:
    """The parts in the order in which they had better begin: the small ones fill the gaps at the end."""
    small = ("model check", *EXAMPLES, "pytest demo", "pytest scripts")
    return sorted(ready, key=lambda part: part.name in small)


if __name__ == "__main__":
    main(body)
