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
from cachelib import RedisCache
from rounds import FC, WALL, Contestant, Effort, Mark, Row, measure, report
from sites import BODY, MAKERS, Site

ARGUMENTS = "7, 'seven', 7.5, True, None"


def rows(port: int) -> list[Row]:
    """Each operation on ours, Flask-Caching, cachelib and the bare client."""
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    sites = {
        name: Site(make, CACHE_KEY_PREFIX=f"{name}:", **config) for name, make in MAKERS.items()
    }
    inside = {name: site.inside("/text") for name, site in sites.items()}
    bare = RedisCache("127.0.0.1", port, default_timeout=3600, key_prefix="cachelib:")
    client = redis_py.Redis("127.0.0.1", port)
    direct = [
        Contestant(
            name, "get('text')", {"get": site.cache.get, "put": site.cache.set}, inside[name], BODY
        )
        for name, site in sites.items()
    ]
    direct.append(
        Contestant("cachelib", "get('text')", {"get": bare.get, "put": bare.set}, None, BODY)
    )
    direct.append(
        Contestant("redis-py, hiredis", "get('text')", {"get": client.get, "put": client.set})
    )
    for contestant in direct:
        contestant.call(contestant.names["put"], "text", BODY)
    writes = [
        Contestant(one.name, "put('text', body)", {**one.names, "body": BODY}, one.context)
        for one in direct
    ]

    def called(statement: str, function: str) -> list[Contestant]:
        return [
            Contestant(name, statement, {"f": site.functions[function]}, inside[name])
            for name, site in sites.items()
        ]

    views = [
        Contestant(name, "view()", {"view": site.views["text"]}, inside[name], BODY)
        for name, site in sites.items()
    ]
    return [
        Row("redis", "Redis: `get` of a str of 1 KiB", direct, Mark(FC, 1.5)),
        Row("redis", "Redis: `set` of a str of 1 KiB", writes),
        Row("redis", "Redis: `@cached` hit", views),
        Row("redis", "Redis: memoize hit, 0 arguments", called("f()", "none")),
        Row("redis", "Redis: memoize hit, 5 arguments", called(f"f({ARGUMENTS})", "five")),
    ]


def main() -> None:
    """Starts a server on this process's only core, measures, and stops it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    servers.stop_on_signals()
    port = servers.free_port()
    with servers.redis(port):
        found = rows(port)
        measure(found, Effort.chosen(sys.argv).by_the_wall(), WALL)
    report(found)


if __name__ == "__main__":
    main()
