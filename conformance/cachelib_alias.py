"""A pytest plugin that lets cachelib's own test suite meet Larder's back ends, unmodified.

Loaded before the suite's conftest, it publishes the classes of `flask_larder.compat.backends` under
cachelib's names, for these tests only: whatever imports them from `cachelib` gets ours.
"""

from __future__ import annotations

import importlib
import os

import cachelib
import pytest

TARGET = os.environ.get("LARDER_CONFORMANCE_TARGET", "flask_larder.compat")
NAMES = (
    "BaseCache",
    "FileSystemCache",
    "MemcachedCache",
    "NullCache",
    "RedisCache",
    "SimpleCache",
)


def publish(target: str) -> None:
    """Put the target's classes in the places of cachelib's."""
    backends = importlib.import_module(f"{target}.backends")
    for name in NAMES:
        if getattr(backends, name) is getattr(cachelib, name):
            raise pytest.UsageError(
                f"{name} of {target} is cachelib's own: nothing would be tested"
            )
        setattr(cachelib, name, getattr(backends, name))


publish(TARGET)


def pytest_report_header() -> list[str]:
    """Say at the top of the run what is being tested."""
    return [f"cachelib's classes are those of {TARGET}.backends: {', '.join(NAMES)}"]
