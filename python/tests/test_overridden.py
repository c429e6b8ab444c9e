"""Subclasses that override `get` and `set`: decorated functions go by way of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from conftest import Calls, text_of
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock

PATIENCE = 60


class Traced(Cache):
    """Counts, and leaves the rest to `Cache`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: list[tuple[str, str]] = []
        super().__init__(*args, **kwargs)

    def get(self, key: str) -> Any:
        self.seen.append(("get", key))
        return super().get(key)

    def set(self, key: str, value: Any, timeout: object = None) -> Any:
        self.seen.append(("set", key))
        return super().set(key, value, timeout)


@pytest.fixture
def traced(app: Flask, store: dict[str, Any]) -> Traced:
    return Traced(app, config=store)


def test_calls_are_seen(app: Flask, traced: Traced, calls: Calls) -> None:
    double = traced.memoize(60)(lambda number: (number, calls()))
    app.add_url_rule("/page", "page", traced.cached(60)(lambda: "page"))
    with app.app_context():
        assert double(1) == double(1) == double(1) == (1, 1)
        assert double(2) == (2, 2)
    keys = [key for _, key in traced.seen]
    assert [name for name, _ in traced.seen] == ["get", "set", "get", "get", "get", "set"]
    assert len(set(keys)) == 2
    assert all(key.startswith("memoize/") for key in keys)
    traced.seen.clear()
    client = app.test_client()
    assert text_of(client, "/page") == text_of(client, "/page") == "page"
    assert text_of(client, "/page?a=1") == "page"
    assert [name for name, _ in traced.seen] == ["get", "set", "get", "get", "set"]
    assert all(key.startswith("view//page") for _, key in traced.seen)
    assert len({key for _, key in traced.seen}) == 2


def test_the_promises_hold(app: Flask, traced: Traced, calls: Calls, clock: HandClock) -> None:
    cached = traced.memoize(60, tags=["t"], stale_on_error=600)(lambda: calls())
    failing = [False]

    @traced.memoize(60, stale_on_error=600)
    def fragile() -> str:
        if failing[0]:
            raise LookupError
        return "v"

    with app.app_context():
        assert [cached(), cached()] == [1, 1]
        traced.invalidate_tags("t")
        assert [cached(), cached()] == [2, 2]
        traced.delete_memoized(cached)
        assert cached() == 3
        clock.advance(61)
        assert cached() == 4
        assert fragile() == "v"
        clock.advance(61)
        failing[0] = True
        assert fragile() == "v"


def test_one_loads_and_the_others_wait(app: Flask, traced: Traced) -> None:
    calls, begun, go_on = Calls(), threading.Event(), threading.Event()

    @traced.memoize(60)
    def answer() -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        return calls()

    def ask() -> int:
        with app.app_context():
            return answer()

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask) for _ in range(20)]
        assert begun.wait(PATIENCE)
        go_on.set()
        assert {one.result(PATIENCE) for one in asked} == {1}


def test_one_that_makes_other_keys(app: Flask, store: dict[str, Any], calls: Calls) -> None:
    tenant = ["a"]

    class Tenants(Cache):
        def get(self, key: str) -> Any:
            return super().get(f"{tenant[0]}:{key}")

        def set(self, key: str, value: Any, timeout: object = None) -> Any:
            return super().set(f"{tenant[0]}:{key}", value, timeout)

    cache = Tenants(app, config=store)
    view = cache.cached(60)(lambda: f"call {calls()}")
    app.add_url_rule("/", "index", view)
    client = app.test_client()
    assert text_of(client, "/") == text_of(client, "/") == "call 1"
    assert text_of(client, "/?page=2") == text_of(client, "/?page=2") == "call 2"
    tenant[0] = "b"
    assert text_of(client, "/") == text_of(client, "/") == "call 3"
    tenant[0] = "a"
    assert text_of(client, "/") == "call 1"


def test_one_that_decides_for_itself(app: Flask, store: dict[str, Any], calls: Calls) -> None:
    class Own(Cache):
        off = False
        timeouts: ClassVar[list[object]] = []

        def get(self, key: str) -> Any:
            found = super().get(key)
            return None if self.off or found is None else ("seen", found)

        def set(self, key: str, value: Any, timeout: object = None) -> Any:
            self.timeouts.append(timeout)
            return None if value == 2 else super().set(key, value, 5)

    cache = Own(app, config=store)
    cached = cache.memoize(60)(lambda: calls())
    with app.app_context():
        assert cached() == 1
        assert cached() == ("seen", 1)
        Own.off = True
        assert cached() == 2
        Own.off = False
        # The answer that it did not keep has not replaced the one before.
        assert cached() == ("seen", 1)
    assert Own.timeouts == [60, 60]


def test_the_timeout_that_it_gives_counts(
    app: Flask, store: dict[str, Any], calls: Calls, clock: HandClock
) -> None:
    class Short(Cache):
        def set(self, key: str, value: Any, timeout: object = None) -> Any:
            return super().set(key, value, 5)

    cached = Short(app, config=store).memoize(60)(lambda: calls())
    with app.app_context():
        assert [cached(), cached()] == [1, 1]
        clock.advance(6)
        assert cached() == 2


def test_one_that_fails(app: Flask, store: dict[str, Any], calls: Calls) -> None:
    class Broken(Cache):
        def set(self, key: str, value: Any, timeout: object = None) -> Any:
            raise LookupError("broken")

    cached = Broken(app, config=store).memoize(60, wait=0.01)(lambda: calls())
    with app.app_context():
        for _ in range(2):
            with pytest.raises(LookupError, match="broken"):
                cached()


def test_a_method_put_on_the_object(app: Flask, cache: Cache, calls: Calls) -> None:
    cached = cache.memoize(60)(lambda: calls())
    seen: list[str] = []
    own = cache.get
    with app.app_context():
        assert [cached(), cached(), cached()] == [1, 1, 1]

        def get(key: str) -> Any:
            seen.append(key)
            return own(key)

        cache.get = get  # type: ignore[method-assign]
        assert [cached(), cached()] == [1, 1]
        assert len(seen) == 2


def test_fragments_and_coroutines(app: Flask, traced: Traced) -> None:
    template = "{% cache 60, 'part' %}{{ value }}{% endcache %}"

    @traced.memoize(60)
    async def answer() -> str:
        return "v"

    @app.get("/")
    async def index() -> str:
        rendered = app.jinja_env.from_string(template)
        return rendered.render(value=await answer() + await answer())

    assert text_of(app.test_client()) == "vv"
    names = [name for name, key in traced.seen if key.startswith("memoize/")]
    assert names == ["get", "set", "get"]
    assert [name for name, key in traced.seen if "part" in key] == ["get", "set"]
