"""Rows that need a fresh process each time: what an import costs, and what an entry weighs."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile

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

# As above, in a directory: the blocks of the disk in which something stands.
WRITE = """
import os, sys
from pathlib import Path
folder = Path(sys.argv[1])
{prepare}
def blocks():
    found, empty = 0, bytes(4096)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while block := file.read(4096):
                    found += block != empty[: len(block)]
    return 4096 * found
for number in range(1000):
    key, value = f"warm/up/{{number:010}}", f"{{number:032}}"
    {put}
before = blocks()
for number in range({entries}):
    key, value = f"product/{{number:011}}", f"{{number:032}}"
    {put}
print((blocks() - before) / {entries})
"""

SHARED_APP = """
import flask, {module}
app = flask.Flask("bench")
config = {{"CACHE_TYPE": "{store}", "CACHE_DIR": str(folder / "cache"), "CACHE_THRESHOLD": {room}}}
cache = {module}.Cache(app, config=config)
app.app_context().push()
"""

MODULES = {OURS: "flask_larder", FC: "flask_caching"}


def ask(source: str, *arguments: str) -> float:
    """What a program prints, run by this interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=True
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


def footprints(effort: Effort) -> Row:
    """What an entry takes in the files of the stores that processes share, in bytes."""
    entries = 2_000 if effort.rounds < 10 else 10_000
    room = 2 * entries + 1_000

    def site(module: str, store: str) -> tuple[str, str]:
        app = SHARED_APP.format(module=module, store=store, room=room)
        return (app, "cache.set(key, value)")

    programs = {
        OURS: site("flask_larder", "SharedCache"),
        FC: site("flask_caching", "FileSystemCache"),
        "diskcache": (
            'import diskcache; held = diskcache.Cache(str(folder / "cache"))',
            "held.set(key, value, 3600)",
        ),
        "py-lmdb": (
            'import lmdb; held = lmdb.open(str(folder / "cache"), map_size=1 << 28, sync=False)',
            "with held.begin(write=True) as now: now.put(key.encode(), value.encode())",
        ),
    }
    contestants = []
    for name, (prepare, put) in programs.items():
        source = WRITE.format(prepare=prepare, put=put, entries=entries)
        with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
            contestants.append(Contestant(name, "", {}, seconds=[ask(source, folder)]))
    return Row(
        "disk", "SharedCache beside FileSystemCache: bytes for each small entry", contestants
    )


def main() -> None:
    """Runs the programs one after the other."""
    effort = Effort.chosen(sys.argv)
    report([imports(effort), weights(effort), footprints(effort)])


if __name__ == "__main__":
    main()
