"""Rows that need a fresh process each time: what an import costs, and what an entry weighs."""

from __future__ import annotations

import random
import subprocess
import sys

from rounds import FC, OURS, Contestant, Effort, Row, report

IMPORT = """
import time, flask
started = time.process_time()
import {module}
print(time.process_time() - started)
"""

# Keys of about 19 characters, values of 32: fresh texts, as they come from a database.
FILL = """
import gc, os
from pathlib import Path
{prepare}
def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
for number in range(1000):
    key, value = f"warm/up/{{number:010}}", f"{{number:032}}"
    {put}
before = resident()
for number in range({entries}):
    key, value = f"product/{{number:011}}", f"{{number:032}}"
    {put}
print((resident() - before) / {entries})
"""

APP = """
import flask, {module}
app = flask.Flask("bench")
config = {{"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": {room}, "CACHE_MAX_BYTES": 2 << 30}}
cache = {module}.Cache(app, config=config)
app.app_context().push()
"""

MODULES = {OURS: "flask_larder", FC: "flask_caching"}


def ask(source: str) -> float:
    """What a program prints, run by this interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def imports(effort: Effort) -> Row:
    """The import behind an import of Flask, in milliseconds of processor time."""
    contestants = [Contestant(name, "", {"module": module}) for name, module in MODULES.items()]
    for round_number in range(effort.rounds + 1):
        for one in random.Random(round_number).sample(contestants, len(contestants)):
            spent = ask(IMPORT.format(module=one.names["module"]))
            # The first import writes the compiled files.
            if round_number:
                one.seconds.append(spent)
    return Row("import", "import, after Flask itself", contestants)


def weights(effort: Effort) -> Row:
    """Resident memory for each entry, in bytes."""
    entries = 20_000 if effort.rounds < 10 else 200_000
    room = 2 * entries
    proxies = {
        name: (APP.format(module=module, room=room), "cache.set(key, value)")
        for name, module in MODULES.items()
    }
    peers = {
        "dict": ("held = {}", "held[key] = value"),
        "cachebox TTLCache": (
            f"import cachebox; held = cachebox.TTLCache({room}, 3600)",
            "held[key] = value",
        ),
        "cachetools TTLCache": (
            f"import cachetools; held = cachetools.TTLCache({room}, 3600)",
            "held[key] = value",
        ),
    }
    contestants = []
    for name, (prepare, put) in {**proxies, **peers}.items():
        source = FILL.format(prepare=prepare, put=put, entries=entries)
        one = Contestant(name, "", {})
        one.seconds = [ask(source) for _ in range(1 if effort.rounds < 10 else 3)]
        contestants.append(one)
    return Row("memory", "resident bytes for each small entry", contestants)


def main() -> None:
    """Runs the programs one after the other."""
    effort = Effort.chosen(sys.argv)
    report([imports(effort), weights(effort)])


if __name__ == "__main__":
    main()
