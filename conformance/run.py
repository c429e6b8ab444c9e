"""`make conformance`: the tests of Flask-Caching and cachelib, unmodified, against Larder."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

import servers  # noqa: E402 (the scripts are reached by the line above)
from counts import Counts, read_junit  # noqa: E402
from installs import ensure_program, install_wheel  # noqa: E402
from native import wheel  # noqa: E402
from project import ROOT, Trouble, environment, main, say  # noqa: E402
from suites import OLDER, SUITES, WORK, Suite, interpreter_for, unpacked  # noqa: E402
from verdict import findings, report  # noqa: E402

REPORT = HERE / "report.txt"
REDIS_PORT = 6360
MEMCACHED_PORT = 11212
# Where a suite that starts its servers itself expects them.
USUAL_PORTS = (6379, 11211)
STOP_SECONDS = 20.0


def interpreters(suites: Sequence[Suite], arguments: argparse.Namespace) -> dict[str, Path]:
    """A venv for each set of needs, with the package under test and without Flask-Caching."""
    found = {needs: interpreter_for(needs) for needs in {suite.needs for suite in suites}}
    if arguments.path is None:
        built = wheel()
        for interpreter in found.values():
            install_wheel(interpreter, built)
    return found


def programs() -> Path:
    """A folder with the servers as a suite starts them: quiet on disk, and not as root."""
    folder = WORK / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    redis = ensure_program("redis-server", "redis-server")
    memcached = ensure_program("memcached", "memcached")
    account = " -u nobody" if os.geteuid() == 0 else ""
    options = f"--bind 127.0.0.1 --save '' --appendonly no --dir '{WORK}'"
    for name, command in (
        ("redis-server", f"{redis} {options}"),
        ("memcached", f"{memcached} -l 127.0.0.1{account}"),
    ):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)
    return folder


def variables(suite: Suite, arguments: argparse.Namespace) -> dict[str, str]:
    """The environment of a suite's run."""
    paths = [str(HERE), *([arguments.path] if arguments.path else [])]
    found = {
        "CI": "true",
        "LARDER_CONFORMANCE_TARGET": arguments.target,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    if suite.own_servers:
        found["PATH"] = os.pathsep.join([str(programs()), os.environ["PATH"]])
    return found


@contextlib.contextmanager
def started(
    suite: Suite, command: Sequence[str | Path], env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a suite's pytest, its words going to a file; end it if it does not end by itself."""
    folder = unpacked(suite)
    suite.junit.unlink(missing_ok=True)
    # Stale state of an earlier run would be taken up by the suite's process fixture.
    shutil.rmtree(folder / ".pytest_cache", ignore_errors=True)
    line = [*map(str, command), "--tb=short", f"--junitxml={suite.junit}", *suite.files]
    with suite.log.open("wb") as sink:
        pytest = subprocess.Popen(
            line,
            cwd=folder,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield pytest
    finally:
        if pytest.poll() is None:
            # As from a keyboard: pytest then stops the servers that the suite started.
            pytest.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.wait(STOP_SECONDS)
            pytest.kill()


def plugged(suite: Suite, interpreter: Path, arguments: argparse.Namespace) -> list[str | Path]:
    """The command that runs a suite against Larder."""
    return [interpreter, "-m", "pytest", "-p", suite.plugin, *arguments.pytest]


def ended(suite: Suite, pytest: subprocess.Popen[bytes]) -> Counts:
    """Wait for a suite's end, and count."""
    pytest.wait()
    if not suite.junit.exists():
        raise Trouble(
            f"conformance: {suite.name} ended without a report; its own words:\n"
            + suite.log.read_text(errors="replace")
        )
    counts = read_junit(suite.junit)
    say(f"{suite.name}: {counts} of {suite.tests}")
    return counts


def ports_free() -> None:
    """Stop where a suite would meet somebody else's servers, which it empties."""
    for port in USUAL_PORTS:
        if servers.listens(port):
            raise Trouble(
                f"port taken: 127.0.0.1:{port} is in use; stop what listens on it, run again "
                f"(or leave that suite out: conformance/run.py --suite with another name)"
            )


def run_all(suites: Sequence[Suite], arguments: argparse.Namespace) -> dict[Suite, Counts]:
    """Run the suites: those with servers of their own beside the others, for they mostly sleep."""
    found = interpreters(suites, arguments)
    counted: dict[Suite, Counts] = {}
    with contextlib.ExitStack() as stack:
        beside: dict[Suite, subprocess.Popen[bytes]] = {}
        for suite in (suite for suite in suites if suite.own_servers):
            ports_free()
            command = plugged(suite, found[suite.needs], arguments)
            run = started(suite, command, variables(suite, arguments))
            beside[suite] = stack.enter_context(run)
        for suite in (suite for suite in suites if not suite.own_servers):
            command = plugged(suite, found[suite.needs], arguments)
            with (
                servers.redis(REDIS_PORT),
                servers.memcached(MEMCACHED_PORT),
                started(suite, command, variables(suite, arguments)) as pytest,
            ):
                counted[suite] = ended(suite, pytest)
        for suite, pytest in beside.items():
            counted[suite] = ended(suite, pytest)
    return counted


def run_itself() -> int:
    """Run the older suite against the version that it came with, to learn what it reaches."""
    ports_free()
    interpreter = interpreter_for("conformance-2.4-itself")
    env = {"PATH": os.pathsep.join([str(programs()), os.environ["PATH"]]), "PYTHONPATH": ""}
    with started(OLDER, [interpreter, "-m", "pytest"], env) as pytest:
        counts = ended(OLDER, pytest)
    for line in sorted(counts.failures):
        say(f"  {line}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Other targets are for checking this harness against the original."""
    names = [suite.name for suite in SUITES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=names, action="append", help="run this one alone")
    parser.add_argument("--target", default="flask_larder.compat", help="module under test")
    parser.add_argument("--path", help="folder of the target, where it is not our wheel")
    parser.add_argument("--itself", action="store_true", help=run_itself.__doc__)
    parser.add_argument("pytest", nargs="*", help="more arguments for pytest, after --")
    return parser.parse_args(arguments)


def body() -> int:
    """Everything in its order."""
    servers.stop_on_signals()
    arguments = parse(sys.argv[1:])
    if arguments.itself:
        return run_itself()
    begun = time.monotonic()
    suites = [s for s in SUITES if arguments.suite is None or s.name in arguments.suite]
    counted = run_all(suites, arguments)
    texts = [report(suite, counts, arguments.target) for suite, counts in counted.items()]
    REPORT.write_text("\n".join(texts))
    said = [(suite, one) for suite, counts in counted.items() for one in findings(suite, counts)]
    for suite, finding in said:
        say(f"{suite.name}: {finding.text}")
    say(f"failed and skipped tests with their reasons: {REPORT.relative_to(ROOT)}")
    for suite, counts in counted.items():
        say(f"conformance: {suite.name}: {counts} of {suite.tests}")
    say(f"conformance: {time.monotonic() - begun:.0f} s")
    return int(any(finding.bad for _, finding in said))


if __name__ == "__main__":
    main(body)
