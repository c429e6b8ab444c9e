"""How many forms of one page are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Calls
from flask import Flask, request

from flask_larder import Cache

MOST = 1000


@pytest.fixture
def roomy(app: Flask, store: dict[str, Any]) -> Cache:
    """A cache with room for more than that; Flask-Caching's bound on entries is lower."""
    return Cache(app, config={**store, "CACHE_THRESHOLD": 2 * MOST})


def asked(app: Flask, number: int) -> Any:
    """A request with one of many values of the header that the page varies by."""
    return app.test_request_context("/", headers={"X-Number": str(number)})


def test_t4_9_the_oldest_of_too_many_variants_goes(app: Flask, roomy: Cache, calls: Calls) -> None:
    @roomy.cached(3600, vary=["X-Number"])
    def page() -> str:
        return f"{request.headers['X-Number']} {calls()}"

    def get(number: int) -> str:
        with asked(app, number):
            return page()

    for number in range(MOST):
        get(number)
    assert "variants-capped" not in roomy.stats()["events"]
    assert get(MOST) == f"{MOST} {MOST + 1}"
    assert roomy.stats()["events"]["variants-capped"] == 1
    assert get(1) == "1 2"
    assert get(0) == f"0 {MOST + 2}"


def test_t4_9_of_coroutine_views_too(app: Flask, roomy: Cache, calls: Calls) -> None:
    @roomy.cached(3600, vary=["X-Number"])
    async def page() -> str:
        return f"{request.headers['X-Number']} {calls()}"

    async def get(number: int) -> str:
        with asked(app, number):
            return await page()

    async def main() -> list[str]:
        for number in range(MOST + 1):
            await get(number)
        return [await get(1), await get(0)]

    assert asyncio.run(main()) == ["1 2", f"0 {MOST + 2}"]
    assert roomy.stats()["events"]["variants-capped"] == 2
