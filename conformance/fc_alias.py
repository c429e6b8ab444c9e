"""A pytest plugin that lets Flask-Caching's own test suite meet Larder, unmodified.

Loaded before the suite's conftest, it puts Larder's modules into `sys.modules` under the names
of Flask-Caching: the very same module objects, since the suite compares classes across both
paths. Flask-Caching itself must not be installed.

The suite replaces the clock that cachelib's modules read. Larder's back ends read their own, so
the plugin hands them a source that looks that name up at each reading.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

import cachelib.simple
import pytest

TARGET = os.environ.get("LARDER_CONFORMANCE_TARGET", "flask_larder.compat")
SUBMODULES = [
    "backends",
    "backends.base",
    "backends.filesystemcache",
    "backends.memcache",
    "backends.nullcache",
    "backends.rediscache",
    "backends.simplecache",
    "contrib",
    "jinja2ext",
    "signals",
    "utils",
]


def alias(target: str) -> list[str]:
    """Publish `target` as `flask_caching`; return the submodules that it does not have."""
    if importlib.util.find_spec("flask_caching") is not None:
        raise pytest.UsageError("flask_caching is installed: the suite would test the original")
    sys.modules["flask_caching"] = importlib.import_module(target)
    absent: list[str] = []
    for name in SUBMODULES:
        try:
            module = importlib.import_module(f"{target}.{name}")
        except ModuleNotFoundError as error:
            # Only a module of the target's own may be absent; a broken import inside it may not.
            if not str(error.name).startswith(target):
                raise
            absent.append(name)
        else:
            sys.modules[f"flask_caching.{name}"] = module
    return absent


def follow_cachelib_clock(target: str) -> bool:
    """Let the target's back ends tell the time as cachelib does; False where they offer no way."""
    package = target.partition(".")[0]
    try:
        testing = importlib.import_module(f"{package}.testing")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(package):
            raise
        return False
    testing.follow_clock(lambda: cachelib.simple.time())
    return True


ABSENT = alias(TARGET)
CLOCK_FOLLOWED = follow_cachelib_clock(TARGET)


def pytest_report_header() -> list[str]:
    """Say at the top of the run what is being tested."""
    clock = "hand-driven" if CLOCK_FOLLOWED else "its own"
    return [f"flask_caching is {TARGET}; clock: {clock}; absent: {', '.join(ABSENT) or 'none'}"]
