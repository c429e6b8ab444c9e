"""What Larder adds, in the compat dialect: inputs, tags, stale windows, defaults."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, abort, request

from flask_larder import cookie, query
from flask_larder.compat import Cache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def test_inputs_that_an_answer_depends_on(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/")
    @each.cached(vary=["Accept-Language", cookie("theme"), query("page")])
    def index() -> str:
        return f"{request.headers.get('Accept-Language')} {calls()}"

    client = app.test_client(use_cookies=False)

    def ask(language: str, path: str = "/", **more: str) -> str:
        return text_of(client, path, headers={"Accept-Language": language, **more})

    assert [ask("de"), ask("en"), ask("de")] == ["de 1", "en 2", "de 1"]
    assert [ask("de", "/?page=2"), ask("de", "/?other=2")] == ["de 3", "de 1"]
    assert [ask("de", Cookie="theme=dark") for _ in range(2)] == ["de 4", "de 4"]


def test_a_base_key_removes_every_input(app: Flask, compat: Cache, calls: Calls) -> None:
    @app.get("/")
    @compat.cached(vary=["Accept-Language"])
    def index() -> str:
        return str(calls())

    client = app.test_client()
    ask = [text_of(client, headers={"Accept-Language": name}) for name in ("de", "en")]
    assert ask == ["1", "2"]
    assert compat.delete("view//")
    ask = [text_of(client, headers={"Accept-Language": name}) for name in ("de", "en")]
    assert ask == ["3", "4"]


def test_values_that_memoized_calls_depend_on(app: Flask, each: Cache, calls: Calls) -> None:
    tenant = "north"

    @each.memoize(vary=[lambda: tenant])
    def price(product: str) -> int:
        return calls()

    with app.app_context():
        assert [price("bread"), price("bread")] == [1, 1]
        tenant = "south"
        assert [price("bread"), price("bread")] == [2, 2]


def test_tags(app: Flask, compat: Cache, calls: Calls) -> None:
    @compat.memoize(tags=["product:{number}"])
    def price(number: int) -> int:
        return calls()

    with app.app_context():
        assert [price(1), price(2)] == [1, 2]
        compat.invalidate_tags("product:1")
        assert [price(1), price(2)] == [3, 2]


def test_something_stale_stands_in_for_an_error(
    app: Flask, compat: Cache, clock: HandClock
) -> None:
    broken = False

    @app.get("/")
    @compat.cached(10, stale_on_error=60)
    def index() -> str:
        if broken:
            abort(503)
        return "page"

    client = app.test_client()
    assert text_of(client) == "page"
    broken = True
    clock.advance(30)
    assert text_of(client) == "page"
    clock.advance(60)
    assert client.get("/").status_code == 503


def test_memoized_answers_outlive_their_timeout_where_that_is_asked_for(
    app: Flask, compat: Cache, clock: HandClock
) -> None:
    broken = False

    @compat.memoize(10, stale_on_error=60)
    def price(product: str) -> str:
        if broken:
            raise LookupError
        return product

    with app.app_context():
        assert price("bread") == "bread"
        broken = True
        clock.advance(30)
        assert price("bread") == "bread"
        clock.advance(60)
        with pytest.raises(LookupError):
            price("bread")


def test_counters(app: Flask, each: Cache) -> None:
    @each.memoize()
    def f(a: int) -> int:
        return a

    with app.app_context():
        for _ in range(3):
            f(1)
    found: dict[str, Any] = each.stats()["functions"]
    [counters] = found.values()
    assert (counters["hits"], counters["misses"]) == (2, 1)
