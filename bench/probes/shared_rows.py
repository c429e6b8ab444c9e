"""Rows of SharedCache: processor time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from beside import Bare, Peer, calls, hits, never_missed, wanted
from rounds import CPU, OURS, Contestant, Effort, Mark, Row, measure, report
from sites import MAKERS, Site

MEMORY = "Larder's SimpleCache"


def sites_in(folder: Path) -> dict[str, Site]:
    """SharedCache, the same without entries near by, and Larder in one process."""
    make = MAKERS[OURS]
    config = {"CACHE_TYPE": "SharedCache"}
    return {
        "near": Site(make, CACHE_DIR=str(folder / "near"), **config),
        "far": Site(make, CACHE_DIR=str(folder / "far"), CACHE_NEAR_SIZE=0, **config),
        "memory": Site(make),
    }


def rows_in(sites: dict[str, Site], folder: Path) -> list[Row]:
    """The store of all processes, beside those who have no more than files to share."""
    peers = {
        "diskcache": Peer(str(folder / "diskcache")),
        "py-lmdb": Bare(str(folder / "lmdb")),
    }

    def beside(statement: str, site: str) -> list[Contestant]:
        ours = sites[site]
        others = [calls(name, cache, statement) for name, cache in peers.items()]
        return [calls(OURS, ours.cache, statement, ours), *others]

    both = {OURS: sites["near"], MEMORY: sites["memory"]}
    gets = [calls(name, site.cache, "get('text')", site) for name, site in both.items()]
    twice = Mark(MEMORY, 2, share=True)
    named = {
        "`get` of a str of 1 KiB": (beside("get('text')", "near"), Mark("diskcache", 17)),
        "`get` of a str of 1 KiB, nothing kept near by": (beside("get('text')", "far"), None),
        "`set` of a str of 1 KiB": (beside("put('text', body)", "near"), Mark("diskcache", 40)),
        "`get`, read before by this process": (gets, twice),
        "`@cached` hit": (hits(both, "f()", "views", "text"), twice),
        "memoize hit, 1 argument": (hits(both, "f(7)", "functions", "one"), twice),
    }
    return [Row("shared", f"SharedCache: {name}", *row) for name, row in named.items()]


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
