"""`flask_larder.testing` and the pytest plugin, as a project that uses them has them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import threading
import time
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls
from flask import Flask, abort

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache
from flask_larder.decorated import DECORATED
from flask_larder.testing import (
    HandClock,
    assert_calls,
    assert_hit,
    assert_miss,
    hand_clock,
    now,
)

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

SHOP = """
from flask import Flask
from flask_larder import Cache

app = Flask("shop")
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@app.get("/products")
@cache.cached(60)
def products():
    return "saws"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project in a folder of its own, where the plugin is installed as the wheel installs it."""
    declared = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["pytest11"]
    installed = pytester.mkdir("installed")
    info = installed / "plugin_of_larder-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-larder\nVersion: 1\n")
    lines = [f"{name} = {module}" for name, module in declared.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    found = importlib.metadata.distributions(path=[str(installed)])
    assert [len(one.entry_points) for one in found] == [1]
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=":")
    pytester.makepyfile(shop=SHOP)
    return pytester


def test_a_project_of_somebody_else(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import time

        import pytest

        from flask_larder.testing import assert_calls, assert_hit, assert_miss, now
        from shop import app, cache, products

        @pytest.fixture
        def client():
            cache.clear()
            return app.test_client()

        def test_clock(client, cache_clock):
            assert abs(cache_clock.now - time.time()) < 600
            with assert_miss(products):
                client.get("/products")
            cache_clock.advance(59)
            with assert_hit(products):
                client.get("/products")
            cache_clock.advance(2)
            with assert_calls(products, 1):
                client.get("/products")

        def test_the_clock_is_back():
            assert abs(now() - time.time()) < 30

        def test_that_fails(client):
            with assert_hit(products):
                client.get("/products?page=1")
        """
    )
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*AssertionError: shop.products was to be a hit: 0 hits, 1 calls*"]
    )


def test_who_does_not_use_it_does_not_pay(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_plain(request):
            assert request.config.pluginmanager.has_plugin("flask-larder")
            assert "pytest_flask_larder" in sys.modules
            assert "flask_larder" not in sys.modules
            assert "flask" not in sys.modules
        """
    )
    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def either(app: Flask, request: pytest.FixtureRequest) -> Cache:
    """A cache of each dialect."""
    made: Cache = request.param(app, config={"CACHE_TYPE": "SimpleCache"})
    return made


def test_hits_and_misses(app: Flask, either: Cache, calls: Calls, clock: HandClock) -> None:
    @app.get("/")
    @either.cached(60)
    def view() -> str:
        return str(calls())

    @either.memoize(60)
    def function(number: int) -> int:
        return calls()

    client = app.test_client()

    def get() -> None:
        client.get("/")

    def call() -> None:
        with app.app_context():
            function(1)

    for decorated, ask in ((view, get), (function, call)):
        with assert_miss(decorated) as seen:
            ask()
        assert (seen.hits, seen.misses, seen.calls) == (0, 1, 1)
        # The second of these is answered natively.
        for _ in range(3):
            with assert_hit(decorated) as seen:
                ask()
                ask()
            assert (seen.hits, seen.misses, seen.calls) == (2, 0, 0)
        fails(assert_miss(decorated), "was to be a miss: 1 hits, 0 calls", ask)
        fails(assert_hit(decorated), "was to be a hit: 0 hits, 0 calls")
        fails(assert_miss(decorated), "was to be a miss: 0 hits, 0 calls")
        clock.advance(61)
        fails(assert_hit(decorated), "was to be a hit: 1 hits, 1 calls", ask, ask)
        clock.advance(61)
        with assert_calls(decorated, 1):
            ask()
            ask()
        fails(assert_calls(decorated, 2), "was to be called 2 times: 1 hits, 0 calls", ask)
        # Nothing stays behind.
        assert not {"steps", "refresher"} & vars(getattr(decorated, DECORATED)).keys()


def fails(check: AbstractContextManager[Any], words: str, *asks: Callable[[], Any]) -> None:
    """The check does not hold when this is asked, and says so in these words."""

    def asked() -> None:
        with check:
            for ask in asks:
                ask()

    with pytest.raises(AssertionError, match=words):
        asked()


def test_what_is_never_stored_says_why(app: Flask, cache: Cache) -> None:
    @app.get("/<int:status>")
    @cache.cached(60)
    def view(status: int) -> Any:
        if status == 404:
            abort(404)
        return "x", status

    @app.get("/unless")
    @cache.cached(60, unless=lambda: True)
    def never() -> str:
        return "x"

    client = app.test_client()
    with assert_miss(view):
        client.get("/500")
    words = "2 calls; not stored or not asked for: status: 404"
    fails(assert_hit(view), words, *[lambda: client.get("/404")] * 2)
    with assert_calls(never, 2):
        client.get("/unless")
        client.get("/unless")


def test_a_stale_answer_is_a_hit_and_its_refresh_a_call(
    app: Flask, either: Cache, calls: Calls, clock: HandClock
) -> None:
    function = either.memoize(60, stale=600)(lambda: calls())
    with app.app_context():
        function()
        clock.advance(61)
        with assert_hit(function), assert_calls(function, 1):
            assert function() == 1
        with assert_hit(function), assert_calls(function, 0):
            assert function() == 2


def test_a_call_that_raises_is_a_call(app: Flask, either: Cache) -> None:
    @either.memoize(60)
    def function() -> int:
        raise LookupError

    check = assert_calls(function, 1)
    with app.app_context(), assert_miss(function), check, pytest.raises(LookupError):
        function()


def test_who_waits_for_a_load_is_a_hit(app: Flask, cache: Cache, calls: Calls) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @cache.memoize(60)
    def function() -> int:
        begun.set()
        assert go_on.wait(60)
        return calls()

    def ask() -> None:
        with app.app_context():
            function()

    with assert_calls(function, 1) as seen:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        threads[0].start()
        assert begun.wait(60)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join(60)
    assert (seen.hits, seen.misses) == (1, 1)


def test_coroutine_functions_and_methods(app: Flask, cache: Cache, calls: Calls) -> None:
    @cache.memoize(60)
    async def function() -> int:
        return calls()

    class Thing:
        @cache.memoize(60)
        def method(self) -> int:
            return calls()

        def __caching_id__(self) -> int:
            return 1

    with app.app_context():
        with assert_calls(function, 1):
            asyncio.run(function())
            asyncio.run(function())
        with assert_miss(Thing().method):
            Thing().method()
        with assert_hit(Thing.method):
            Thing().method()


def test_what_is_not_cached_is_refused() -> None:
    for plain in (len, test_what_is_not_cached_is_refused, 7):
        for check in (assert_hit, assert_miss, lambda f: assert_calls(f, 0)):
            with pytest.raises(TypeError, match="is not cached"), check(plain):
                pass


def test_the_clock() -> None:
    with hand_clock(1000.0) as clock:
        assert now() == clock.now == 1000.0
        clock.advance(2.5)
        assert now() == clock.now == 1002.5
    assert abs(now() - time.time()) < 30
