"""Coroutine functions: awaited in a running loop, and called by way of Flask's bridge."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, request, session
from flask.views import MethodView

from flask_larder import Cache
from flask_larder.testing import HandClock


def test_a_view_by_way_of_flasks_bridge(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @stored.cached(60)
    async def index() -> str:
        await asyncio.sleep(0)
        return f"{request.args.get('page')} {calls()}"

    client = app.test_client()
    assert [text_of(client, "/?page=2"), text_of(client, "/?page=2")] == ["2 1", "2 1"]
    assert text_of(client, "/?page=3") == "3 2"
    clock.advance(61)
    assert text_of(client, "/?page=2") == "2 3"


def test_a_function_in_a_running_loop(app: Flask, stored: Cache, calls: Calls) -> None:
    @stored.memoize(60)
    async def price(product: str) -> str:
        await asyncio.sleep(0)
        return f"{product} {calls()}"

    async def main() -> list[str]:
        return [await price("a"), await price("a"), await price("b"), await price(product="a")]

    with app.app_context():
        assert asyncio.run(main()) == ["a 1", "a 1", "b 2", "a 1"]
        # A second loop finds what the first one stored.
        assert asyncio.run(main()) == ["a 1", "a 1", "b 2", "a 1"]


def test_an_async_view_that_awaits_an_async_function(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.memoize(60)
    async def price() -> int:
        await asyncio.sleep(0)
        return calls()

    @app.get("/")
    async def index() -> str:
        found = await asyncio.gather(price(), price(), price())
        return f"{found} {calls()}"

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["[1, 1, 1] 2", "[1, 1, 1] 3"]


def test_coroutine_functions_stay_what_they_are(cache: Cache) -> None:
    @cache.memoize(60)
    async def price(product: str, *, country: str = "at") -> int:
        """What it costs."""
        return 1

    assert inspect.iscoroutinefunction(price)
    assert str(inspect.signature(price)) == "(product: 'str', *, country: 'str' = 'at') -> 'int'"
    assert price.__doc__ == "What it costs."
    assert inspect.iscoroutinefunction(price.uncached)  # type: ignore[attr-defined]


def test_methods_and_invalidation(app: Flask, stored: Cache, calls: Calls) -> None:
    class Shop:
        def __caching_id__(self) -> str:
            return "the shop"

        def __repr__(self) -> str:
            return "Shop()"

        @stored.memoize(60)
        async def price(self, product: str) -> int:
            return calls()

    async def main() -> list[int]:
        shop, found = Shop(), []
        found += [await shop.price("a"), await shop.price("a"), await shop.price("b")]
        stored.delete_memoized(shop.price, "a")
        found += [await shop.price("a"), await shop.price("b")]
        stored.delete_memoized(shop.price)
        return [*found, await shop.price("b")]

    with app.app_context():
        assert asyncio.run(main()) == [1, 1, 2, 3, 2, 4]


def test_class_based_views(app: Flask, stored: Cache, calls: Calls) -> None:
    class Shown(MethodView):
        @stored.cached(60)
        async def get(self, name: str) -> str:
            return f"{name} {calls()}"

    app.add_url_rule("/<name>", view_func=Shown.as_view("shown"))
    client = app.test_client()
    assert [text_of(client, "/a"), text_of(client, "/b"), text_of(client, "/a")] == [
        "a 1",
        "b 2",
        "a 1",
    ]


def test_async_views_are_as_careful(app: Flask, stored: Cache) -> None:
    app.testing = True

    @app.get("/profile")
    @stored.cached(60)
    async def profile() -> str:
        return f"profile of {session['user']}"

    for _ in range(2):
        for name in ("anna", "bert"):
            client = app.test_client()
            with client.session_transaction() as data:
                data["user"] = name
            assert text_of(client, "/profile") == f"profile of {name}"


def test_the_users_exceptions_pass(app: Flask, stored: Cache, calls: Calls) -> None:
    error = LookupError("mine")

    @stored.memoize(60)
    async def price() -> int:
        calls()
        raise error

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(LookupError) as caught:
                await price()
            assert caught.value is error

    with app.app_context():
        asyncio.run(main())
    assert calls.count == 2


def test_async_generators_are_served_and_not_stored(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.memoize(60)
    async def numbers() -> Any:
        calls()

        async def produce() -> Any:
            yield 1

        return produce()

    async def main() -> list[list[int]]:
        return [[n async for n in await numbers()] for _ in range(2)]

    with app.app_context():
        assert asyncio.run(main()) == [[1], [1]]
    assert calls.count == 2


def test_t5_1_a_bump_concerns_the_entries_with_that_tag(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.memoize(60, tags=["a", "b"])
    async def both() -> int:
        return calls()

    @stored.memoize(60, tags=["b"])
    async def one() -> int:
        return calls()

    async def ask() -> list[int]:
        return [await both(), await one()]

    async def main() -> None:
        assert await ask() == [1, 2]
        stored.invalidate_tags("a")
        assert await ask() == [3, 2]
        stored.invalidate_tags("b")
        assert await ask() == [4, 5]

    with app.app_context():
        asyncio.run(main())


def test_t8_2_a_purge_of_another_cache_fences_a_task(common: dict[str, Any]) -> None:
    apps = [Flask("one"), Flask("two")]
    one, two = (Cache(app, config=common) for app in apps)
    row = ["old"]

    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        @one.memoize(60, tags=["products"])
        async def product() -> str:
            found = row[0]
            begun.set()
            await go_on.wait()
            return found

        with apps[0].app_context():
            load = asyncio.create_task(product())
            await begun.wait()
        row[0] = "new"
        with apps[1].app_context():
            two.invalidate_tags("products")
        go_on.set()
        assert await load == "old"
        with apps[0].app_context():
            assert await product() == "new"

    asyncio.run(main())
