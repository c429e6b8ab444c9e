"""Every arrangement of servers under one cache, and what a server has been asked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import redis
from conftest import configuration
from flask import Flask
from redis_servers import PASSWORD, PATIENCE, USER, Guarded

from flask_larder import Cache

SECRET = "a key for tests"
PLACES = ("redis", "tls", "account", "socket", "client", "memcached", "file", "foreign")
"""Where a store may be besides sentinels and clusters, by the name of the fixture's parameter."""


def config_of(place: str, request: Any) -> dict[str, Any]:
    """The configuration of a store with nothing in it. `near-` before a name puts a tier in front."""
    near = place.startswith("near-")
    config = _far(place.removeprefix("near-"), request)
    return {**config, "CACHE_NEAR": "1MB", "CACHE_NEAR_TIMEOUT": 30} if near else config


def _far(place: str, request: Any) -> dict[str, Any]:
    if place == "foreign":
        url = urlsplit(request.getfixturevalue("redis_url"))
        options = {"host": url.hostname, "port": url.port, "key_prefix": f"t{uuid.uuid4().hex}"}
        return {"CACHE_TYPE": "cachelib.RedisCache", "CACHE_OPTIONS": options}
    if place not in ("tls", "account", "socket", "client"):
        return configuration(place, request)
    server: Guarded = request.getfixturevalue("guarded")
    own = {"CACHE_TYPE": "RedisCache", "CACHE_KEY_PREFIX": f"test-{uuid.uuid4().hex}-"}
    return {**own, **_guarded(place, server)}


def _guarded(place: str, server: Guarded) -> dict[str, Any]:
    options: dict[str, Any] = {"deadline": 30}
    authority, (made, key) = server.certificates.authority[0], server.certificates.client
    if place == "tls":
        login = f"{USER}:{PASSWORD.replace('@', '%40').replace(':', '%3A').replace('/', '%2F')}"
        asked = f"ca={authority}&cert={made}&key={key}&deadline=30s"
        return {"CACHE_REDIS_URL": f"rediss://{login}@localhost:{server.tls_port}/1?{asked}"}
    if place == "account":
        port = {"CACHE_REDIS_PORT": server.port, "CACHE_REDIS_PASSWORD": PASSWORD}
        return {**port, "CACHE_REDIS_DB": 2, "CACHE_OPTIONS": {"username": USER, **options}}
    if place == "socket":
        return {"CACHE_REDIS_URL": f"unix://{server.socket}?db=3", "CACHE_OPTIONS": options}
    client = redis.Redis(
        "localhost",
        server.tls_port,
        ssl=True,
        ssl_ca_certs=str(authority),
        username=USER,
        password=PASSWORD,
        socket_timeout=30,
    )
    return {"CACHE_REDIS_HOST": client}


def made(config: dict[str, Any], **more: Any) -> tuple[Flask, Cache]:
    """An application with a cache of its own: another process, as far as the store can tell."""
    app = Flask("shop")
    app.secret_key = SECRET
    return app, Cache(app, config={**config, **more})


_TALK = [
    "auth",
    "client",
    "cluster",
    "command",
    "config",
    "hello",
    "info",
    "ping",
    "psync",
    "publish",
    "replconf",
    "role",
    "select",
    "subscribe",
    "psubscribe",
    "script",
]


def asked(*clients: Any) -> dict[str, int]:
    """How often servers were asked for anything that reads or writes, by command."""
    counted: dict[str, int] = {}
    for client in clients:
        for name, said in client.info("commandstats").items():
            command = name.removeprefix("cmdstat_").partition("|")[0]
            if command not in _TALK:
                counted[command] = counted.get(command, 0) + said["calls"]
    return counted


def until(condition: Callable[[], bool]) -> None:
    """Asks again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this never came"
        time.sleep(0.01)
