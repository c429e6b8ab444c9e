"""Rows of FileSystemCache: processor time, that of the kernel included."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from beside import HOUR, Peer, calls, hits, never_missed, wanted
from cachelib import FileSystemCache
from rounds import CPU, Contestant, Effort, Row, measure, report
from sites import BODY, DROP_IN, MAKERS, Site

CAPACITY = 500


Makers = Mapping[str, Callable[..., Any]]


def sites_in(folder: Path, makers: Makers = MAKERS, **config: int) -> dict[str, Site]:
    """Ours and Flask-Caching's on directories of their own."""
    return {
        name: Site(
            make,
            CACHE_TYPE="FileSystemCache",
            CACHE_DIR=tempfile.mkdtemp(prefix=name, dir=folder),
            **config,
        )
        for name, make in makers.items()
    }


def rows_in(sites: dict[str, Site], folder: Path) -> list[Row]:
    """Entries in files of their own."""
    peers = {
        "cachelib": FileSystemCache(str(folder / "cachelib"), default_timeout=HOUR),
        "diskcache": Peer(str(folder / "diskcache")),
    }

    def beside(statement: str) -> list[Contestant]:
        ours = [calls(name, site.cache, statement, site) for name, site in sites.items()]
        return ours + [calls(name, cache, statement) for name, cache in peers.items()]

    named = {
        "`get` of a str of 1 KiB": beside("get('text')"),
        "`set` of a str of 1 KiB": beside("put('text', body)"),
        f"`set` of a new key, store full at {CAPACITY}": full(folder, MAKERS),
        "`@cached` hit": hits(sites, "f()", "views", "text"),
        "memoize hit, 1 argument": hits(sites, "f(7)", "functions", "one"),
    }
    return [Row("files", f"FileSystemCache: {name}", row) for name, row in named.items()]


def drop_in(sites: dict[str, Site], folder: Path) -> list[Row]:
    """The same with `flask_larder.compat`."""

    def of_both(statement: str) -> list[Contestant]:
        return [calls(name, site.cache, statement, site) for name, site in sites.items()]

    named = {
        "`get` of a str of 1 KiB": of_both("get('text')"),
        "`set` of a str of 1 KiB": of_both("put('text', body)"),
        f"`set` of a new key, store full at {CAPACITY}": full(folder, DROP_IN),
        "memoize hit, 1 argument": hits(sites, "f(7)", "functions", "one"),
    }
    return [Row("files", f"compat: FileSystemCache: {name}", row) for name, row in named.items()]


def full(folder: Path, makers: Makers) -> list[Contestant]:
    """A new key into a directory that is full."""
    # Four times the capacity: what comes round again went long ago.
    keys = [f"key {number}" for number in range(4 * CAPACITY)]
    contestants = []
    for name, site in sites_in(folder, makers, CACHE_THRESHOLD=CAPACITY).items():
        context = site.inside("/text")
        for key in keys[-CAPACITY:]:
            context.run(site.cache.set, key, BODY)
        names = {"put": site.cache.set, "keys": itertools.cycle(keys), "body": BODY}
        contestants.append(Contestant(name, "put(next(keys), body)", names, context))
    return contestants


def main() -> None:
    """Measures in a directory that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as name:
        folder = Path(name)
        sites, others = sites_in(folder), sites_in(folder, DROP_IN)
        rows = wanted(rows_in(sites, folder) + drop_in(others, folder), sys.argv[1:])
        measure(rows, Effort.chosen(sys.argv), CPU)
        never_missed([*sites.values(), *others.values()])
        report(rows)


if __name__ == "__main__":
    main()
