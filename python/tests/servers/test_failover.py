"""A master is killed under load: sentinels, or its cluster, put a replica in its place. Every answer is a
page, none is wrong, and the cache is used again without a restart."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from histories import AFTER, DEADLINE, NEAR, History, Site, until
from redis_servers import Cluster, Sentinels, kill, started
from test_shared_pages import program

from flask_larder.backends.addresses import Access, cluster_url, sentinel_url

__all__ = ["program"]

PROBES = [f"q{number}" for number in range(12)]
"""Pages that nobody forgets: when all of them are stored again, the cache works as before."""


@pytest.fixture(params=["sentinels", "cluster"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Sentinels | Cluster]:
    """Servers of this test's own, for one of them will not come back."""
    kind: Any = {"sentinels": Sentinels, "cluster": Cluster}[request.param]
    with started(kind(tmp_path / "servers")) as servers:
        yield servers


def url_of(servers: Sentinels | Cluster) -> str:
    """The URL by which the service in Rust finds the servers."""
    given = servers.config
    if isinstance(servers, Cluster):
        return cluster_url(given["CACHE_REDIS_CLUSTER"], Access())
    access = Access(password=given["CACHE_REDIS_PASSWORD"])
    login = (None, given["CACHE_REDIS_SENTINEL_PASSWORD"])
    return sentinel_url(servers.pairs, given["CACHE_REDIS_SENTINEL_MASTER"], access, login)


@pytest.fixture(params=[False, True], ids=["far", "near"])
def fleet(
    request: pytest.FixtureRequest,
    servers: Sentinels | Cluster,
    tmp_path: Path,
    program: Path,
) -> Generator[History]:
    """An application of two workers and the service, with near tiers or without."""
    prefix = f"fleet-{uuid.uuid4().hex[:8]}-"
    near = {"CACHE_NEAR": True} if request.param else {}
    config = {**servers.config, "CACHE_KEY_PREFIX": prefix, **near}
    config["CACHE_OPTIONS"] = {"deadline": DEADLINE}
    (tmp_path / "pages").mkdir()
    for name in PROBES:
        (tmp_path / "pages" / name).write_text(f"{name} 1")
    url = url_of(servers)
    url += f"{'&' if '?' in url else '?'}deadline={DEADLINE * 1000:.0f}ms"
    sites = [
        Site.of_flask("one", config, tmp_path),
        Site.of_rust(program, f"memory:// + {url}" if near else url, prefix, tmp_path),
    ]
    try:
        for site in sites:
            site.wait()
        yield History(tmp_path, sites)
    finally:
        for site in sites:
            site.stop()


def test_a_master_is_killed_under_load(fleet: History, servers: Sentinels | Cluster) -> None:
    one = fleet.sites[0]

    def stored() -> bool:
        """Whether all of these pages lie in the servers, whichever they are now."""
        for name in PROBES:
            assert one.ask(f"/pages/{name}")[:2] == (200, f"{name} 1")
        return all(one.ask(f"/far/{name}")[1] for name in PROBES)

    def failed_over() -> None:
        began = time.monotonic()
        killed = servers.master() if isinstance(servers, Sentinels) else servers.masters()[0]
        kill(killed)
        _until_replaced(servers, killed)
        replaced = time.monotonic() - began
        until(stored)
        took = time.monotonic() - began
        print(f"another server after {replaced:.1f} s, cached again {took - replaced:.1f} s later")

    if isinstance(servers, Cluster):
        # Nobody tells a near tier of changes there: its lifetime is the bound, in quiet times as well.
        fleet.troubles.append((0.0, math.inf))
    until(stored)
    fleet.begin()
    try:
        time.sleep(1.0)
        fleet.during(failed_over)
        time.sleep(2.0)
    finally:
        fleet.end()
    print(fleet.summary())
    assert len(fleet.reads) > 50, [site.said for site in fleet.sites]
    fleet.check(NEAR, AFTER)


def _until_replaced(servers: Sentinels | Cluster, killed: Any) -> None:
    replaced: Callable[[], bool]
    if isinstance(servers, Sentinels):
        other = servers.other(killed)

        def replaced() -> bool:
            return servers._role(other)[0] == b"master"

    else:

        def replaced() -> bool:
            return len(servers.masters()) == 3

    until(replaced)
