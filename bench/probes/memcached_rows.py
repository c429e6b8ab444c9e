"""Rows of the Memcached back ends: wall time, with client and server on one processor core.

Across cores the wake-up of the other one costs more than the trip itself, and hides it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import pylibmc
import servers
from beside import MANY, calls, deletions, hits, never_missed, stocked, wanted
from cachelib import MemcachedCache
from rounds import WALL, Contestant, Effort, Row, measure, report
from sites import DROP_IN, MAKERS, PATIENT, Site


def sites_at(address: str, label: str, makers: Mapping[str, Callable[..., Any]]) -> dict[str, Site]:
    """Ours and Flask-Caching's on one server, each with a prefix of its own."""
    return {
        name: Site(
            make,
            CACHE_TYPE="MemcachedCache",
            CACHE_MEMCACHED_SERVERS=[address],
            CACHE_KEY_PREFIX=f"{label}-{name}:",
            **PATIENT.get(name, {}),
        )
        for name, make in makers.items()
    }


def rows_at(sites: dict[str, Site], address: str) -> list[Row]:
    """Each operation on ours, Flask-Caching, cachelib and the bare client."""
    # As Flask-Caching makes it.
    client = pylibmc.Client([address])
    peers = {
        "cachelib": MemcachedCache([address], default_timeout=3600, key_prefix="cachelib:"),
        "pylibmc": client,
    }

    def beside(statement: str) -> list[Contestant]:
        ours = [calls(name, site.cache, statement, site) for name, site in sites.items()]
        return ours + [calls(name, cache, statement) for name, cache in peers.items()]

    named = {
        "`get` of a str of 1 KiB": beside("get('text')"),
        "`set` of a str of 1 KiB": beside("put('text', body)"),
        "`@cached` hit": hits(sites, "f()", "views", "text"),
        "memoize hit, 0 arguments": hits(sites, "f()", "functions", "none"),
        f"`delete_many` of {MANY} keys": [*deletions(sites), bare_deletions(client)],
    }
    return [Row("memcached", f"Memcached: {name}", row) for name, row in named.items()]


def drop_in(sites: dict[str, Site]) -> list[Row]:
    """The same with `flask_larder.compat`."""

    def of_both(statement: str) -> list[Contestant]:
        return [calls(name, site.cache, statement, site) for name, site in sites.items()]

    named = {
        "`get` of a str of 1 KiB": of_both("get('text')"),
        "`set` of a str of 1 KiB": of_both("put('text', body)"),
        "memoize hit, 0 arguments": hits(sites, "f()", "functions", "none"),
        f"`delete_many` of {MANY} keys": deletions(sites),
    }
    return [Row("memcached", f"compat: Memcached: {name}", row) for name, row in named.items()]


def bare_deletions(client: Any) -> Contestant:
    """The same with the client alone."""
    bare = Contestant("pylibmc", "drop(next(lots))", {"drop": client.delete_multi})
    bare.prepare = stocked(bare, client.set_multi)
    return bare


def main() -> None:
    """Starts a server on this process's only core, measures, and stops it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    servers.stop_on_signals()
    port = servers.free_port()
    with servers.memcached(port):
        address = f"127.0.0.1:{port}"
        sites = sites_at(address, "safe", MAKERS)
        others = sites_at(address, "compat", DROP_IN)
        rows = wanted(rows_at(sites, address) + drop_in(others), sys.argv[1:])
        measure(rows, Effort.chosen(sys.argv).by_the_wall(), WALL)
        never_missed([*sites.values(), *others.values()])
    report(rows)


if __name__ == "__main__":
    main()
