"""Rows of SharedCache: processor time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from beside import Bare, Peer, calls, hits, never_missed, wanted
from rounds import CPU, FC, OURS, Contestant, Effort, Row, measure, report
from sites import MAKERS, Site

MEMORY = "Larder's SimpleCache"


def sites_in(folder: Path) -> dict[str, Site]:
    """SharedCache, the same without entries near by, Larder in one process, and Flask-Caching's files."""
    make = MAKERS[OURS]
    config = {"CACHE_TYPE": "SharedCache"}
    return {
        "near": Site(make, CACHE_DIR=str(folder / "near"), **config),
        "far": Site(make, CACHE_DIR=str(folder / "far"), CACHE_NEAR_SIZE=0, **config),
        "memory": Site(make),
        # What workers of one machine share with Flask-Caching, where there is no server.
        "files": Site(MAKERS[FC], CACHE_TYPE="FileSystemCache", CACHE_DIR=str(folder / "files")),
    }


def rows_in(sites: dict[str, Site], folder: Path) -> list[Row]:
    """The store of all processes, beside those who have no more than files to share."""
    peers = {
        "diskcache": Peer(str(folder / "diskcache")),
        "py-lmdb": Bare(str(folder / "lmdb")),
    }

    def beside(statement: str, site: str) -> list[Contestant]:
        ours, files = sites[site], sites["files"]
        others = [calls(name, cache, statement) for name, cache in peers.items()]
        both = [(OURS, ours), (FC, files)]
        return [*(calls(name, one.cache, statement, one) for name, one in both), *others]

    both = {OURS: sites["near"], MEMORY: sites["memory"]}
    gets = [calls(name, site.cache, "get('text')", site) for name, site in both.items()]
    named = {
        "`get` of a str of 1 KiB": beside("get('text')", "near"),
        "`get` of a str of 1 KiB, nothing kept near by": beside("get('text')", "far"),
        "`set` of a str of 1 KiB": beside("put('text', body)", "near"),
        "`get`, read before by this process": gets,
        "`@cached` hit": hits(both, "f()", "views", "text"),
        "memoize hit, 1 argument": hits(both, "f(7)", "functions", "one"),
    }
    return [Row("shared", f"SharedCache: {name}", row) for name, row in named.items()]


def main() -> None:
    """Measures in a directory that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as name:
        folder = Path(name)
        sites = sites_in(folder)
        rows = wanted(rows_in(sites, folder), sys.argv[1:])
        measure(rows, Effort.chosen(sys.argv), CPU)
        never_missed(sites.values())
        report(rows)


if __name__ == "__main__":
    main()
