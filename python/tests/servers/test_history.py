"""Two applications and a service on one Redis, all with near tiers, in all kinds of trouble: nobody reads
what had been forgotten, but for as long as is promised."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from conftest import RedisServer
from fleet_support import asked
from histories import AFTER, DEADLINE, NEAR, History, Site, stopped, until
from redis_servers import Node
from test_shared_pages import program

__all__ = ["program"]

SECONDS = 20.0 * float(os.environ.get("LARDER_EFFORT", "1")) ** 0.5
"""How long the fleet is in trouble: 20 s, and in the soak, whose effort is a hundred, 200 s."""


@pytest.fixture
def fleet(own_redis: RedisServer, tmp_path: Path, program: Path) -> Generator[History]:
    """Two applications of two workers each, and the service."""
    prefix = f"fleet-{uuid.uuid4().hex[:8]}-"
    config: dict[str, Any] = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": own_redis.url,
        "CACHE_KEY_PREFIX": prefix,
        "CACHE_NEAR": True,
        "CACHE_OPTIONS": {"deadline": DEADLINE},
    }
    (tmp_path / "pages").mkdir()
    sites = [
        Site.of_flask("one", config, tmp_path),
        Site.of_flask("two", config, tmp_path, "--preload"),
        Site.of_rust(
            program,
            f"memory:// + {own_redis.url}?deadline={DEADLINE * 1000:.0f}ms",
            prefix,
            tmp_path,
        ),
    ]
    try:
        for site in sites:
            site.wait()
        yield History(tmp_path, sites)
    finally:
        for site in sites:
            site.stop()


def test_nobody_reads_what_was_forgotten(fleet: History, own_redis: RedisServer) -> None:
    one, two, rust = fleet.sites
    server = Node(own_redis.port, Path(own_redis.folder)).client()
    assert own_redis.process is not None
    redis = own_redis.process.pid

    def cut() -> None:
        """Closes every connection to the server, those that tell of changes included."""
        for kind in ("normal", "pubsub"):
            server.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    # A process that stands still hears nothing, and its server goes on: that is no excuse for it.
    silently: list[Callable[[], Any]] = [
        lambda: stopped([random.choice(one.workers())], 2.0),
        lambda: stopped(two.workers(), 2.0),
        lambda: stopped(rust.workers(), 2.0),
        lambda: os.kill(random.choice(one.workers()), signal.SIGKILL),
        lambda: os.kill(random.choice(two.workers()), signal.SIGKILL),
    ]
    openly: list[Callable[[], Any]] = [lambda: stopped([redis], DEADLINE + 1), cut]
    fleet.begin()
    try:
        end, number = time.monotonic() + SECONDS, 0
        time.sleep(1.0)
        while time.monotonic() < end:
            silently[number % len(silently)]()
            time.sleep(1.0)
            if number % 3 == 1:
                fleet.during(openly[number // 3 % len(openly)])
                time.sleep(2.0)
            number += 1
    finally:
        fleet.end()
    print(fleet.summary())
    assert len(fleet.reads) > 100, [site.said for site in fleet.sites]
    fleet.check(NEAR, AFTER)
    until(lambda: _answers_near(fleet, server))


def _answers_near(fleet: History, server: Any) -> bool:
    """Whether the fleet answers without a word to the server: else it would be right too easily."""
    before = asked(server)
    for site in fleet.sites:
        for name in fleet.acknowledged:
            site.ask(f"/pages/{name}")
    return asked(server) == before
