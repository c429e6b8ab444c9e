"""Rows of the Redis back ends: wall time, with client and server on one processor core.

Across cores the wake-up of the other one costs more than the trip itself, and hides it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import redis as redis_py
import servers
from beside import MANY, calls, deletions, hits, never_missed, wanted
from cachelib import RedisCache
from rounds import WALL, Contestant, Effort, Row, measure, report
from sites import MAKERS, PATIENT, Site

ARGUMENTS = "7, 'seven', 7.5, True, None"


def sites_at(port: int) -> dict[str, Site]:
    """Ours and Flask-Caching's on one server, each with a prefix of its own."""
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    return {
        name: Site(make, CACHE_KEY_PREFIX=f"{name}:", **PATIENT.get(name, {}), **config)
        for name, make in MAKERS.items()
    }


class Bare:
    """The client alone; it gives bytes, as it has them from the server."""

    def __init__(self, port: int) -> None:
        client = redis_py.Redis("127.0.0.1", port)
        self.get = lambda key: client.get(key).decode()
        self.set = client.set


def rows(sites: dict[str, Site], port: int) -> list[Row]:
    """Each operation on ours, Flask-Caching, cachelib and the bare client."""
    peers = {
        "cachelib": RedisCache("127.0.0.1", port, default_timeout=3600, key_prefix="cachelib:"),
        "redis-py, hiredis": Bare(port),
    }

    def beside(statement: str) -> list[Contestant]:
        ours = [calls(name, site.cache, statement, site) for name, site in sites.items()]
        return ours + [calls(name, cache, statement) for name, cache in peers.items()]

    named = {
        "`get` of a str of 1 KiB": beside("get('text')"),
        "`set` of a str of 1 KiB": beside("put('text', body)"),
        "`@cached` hit": hits(sites, "f()", "views", "text"),
        "memoize hit, 0 arguments": hits(sites, "f()", "functions", "none"),
        "memoize hit, 1 argument": hits(sites, "f(7)", "functions", "one"),
        "memoize hit, 5 arguments": hits(sites, f"f({ARGUMENTS})", "functions", "five"),
        f"`delete_many` of {MANY} keys": deletions(sites),
        "`delete_memoized` of a function": forgotten(sites),
    }
    return [Row("redis", f"Redis: {name}", row) for name, row in named.items()]


def forgotten(sites: dict[str, Site]) -> list[Contestant]:
    """A memoized function made to forget everything."""
    made = []
    for name, site in sites.items():
        names = {"forget": site.cache.delete_memoized, "f": site.functions["four"]}
        made.append(Contestant(name, "forget(f)", names, site.inside("/text")))
        made[-1].call(names["f"], 7, "seven", 7.5, True)
    return made


def main() -> None:
    """Starts a server on this process's only core, measures, and stops it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    servers.stop_on_signals()
    port = servers.free_port()
    with servers.redis(port):
        sites = sites_at(port)
        found = wanted(rows(sites, port), sys.argv[1:])
        measure(found, Effort.chosen(sys.argv).by_the_wall(), WALL)
        never_missed(sites.values())
    report(found)


if __name__ == "__main__":
    main()
