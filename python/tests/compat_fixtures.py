"""Fixtures of the tests of the compat dialect."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_larder.compat import Cache


@pytest.fixture
def compat(app: Flask) -> Cache:
    """A cache on the engine."""
    return Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture(params=["engine", "files", "redis", "memcached"])
def each(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Cache:
    """A cache on each of the engine's stores: the test is run on each."""
    config: dict[str, Any] = {"CACHE_TYPE": "SimpleCache"}
    if request.param == "files":
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": tmp_path}
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        prefix = f"compat-{uuid.uuid4().hex}-"
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url, "CACHE_KEY_PREFIX": prefix}
    if request.param == "memcached":
        config = {"CACHE_TYPE": "MemcachedCache", "CACHE_KEY_PREFIX": f"compat-{uuid.uuid4().hex}-"}
        config["CACHE_MEMCACHED_SERVERS"] = [request.getfixturevalue("memcached_server")]
    if request.param in ("redis", "memcached"):
        # A frozen machine must not fail a test that is not about time.
        config["CACHE_OPTIONS"] = {"deadline": 30}
    return Cache(app, config=config)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture]:
    """What is logged under Flask-Caching's name."""
    with caplog.at_level(logging.INFO, logger="flask_caching"):
        yield caplog
