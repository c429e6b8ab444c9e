"""`cache.explain`: the parts of a key, what is stored under it, and why."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from conftest import Calls, RedisServer, for_dialect, redis_config, text_of
from flask import Flask, Response, g, redirect, request, session
from flask.views import MethodView

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache
from flask_larder.explaining import Explanation, Part
from flask_larder.testing import HandClock
from flask_larder.trail import MOST
from flask_larder.vary import cookie, query


@pytest.fixture
def shop(app: Flask, stored: Cache, calls: Calls, clock: HandClock) -> Cache:
    """An application with a page in several languages."""

    @app.get("/products/<kind>")
    @stored.cached(60, vary=["Accept-Language"], query_string=True, tags=["kind:{kind}"], stale=40)
    def products(kind: str) -> Response:
        calls()
        return Response(f"{kind} {request.headers.get('Accept-Language')}")

    return stored


def parts(found: Explanation) -> dict[str, str | None]:
    return {part.name: part.value for part in found.parts}


GERMAN = {"Accept-Language": "de"}
PAGE = "/products/saws?page=2&b=1"


def test_before_anybody_has_asked(shop: Cache, calls: Calls) -> None:
    found = shop.explain(PAGE, headers=GERMAN)
    assert found.key == "view//products/saws"
    assert found.view.endswith("products")
    assert (found.endpoint, found.method) == ("products", "GET")
    assert found.url == f"http://localhost{PAGE}"
    assert parts(found) == {
        "key": "view//products/saws",
        "function": found.view,
        "host": "http://localhost",
        "query": "b=1&page=2",
        "header accept-language": "de",
    }
    assert found.variants == []
    assert (found.now, found.why) == (
        "miss",
        "nothing is stored for this request: the view is called",
    )
    assert (found.last, found.last_why, found.last_age) == (None, None, None)
    assert found.process == os.getpid()
    assert calls.count == 0


def test_a_page_through_its_life(app: Flask, shop: Cache, calls: Calls, clock: HandClock) -> None:
    client = app.test_client()
    client.get(PAGE, headers=GERMAN)
    clock.advance(10)
    found = shop.explain(PAGE, headers=GERMAN)
    assert (found.now, found.why) == ("hit", "fresh for 50 s")
    assert (found.last, found.last_why, found.last_age) == ("miss", "stored", 10)
    assert found.variants is not None
    (one,) = found.variants
    assert (one.asked, one.freshness, one.age, one.ttl, one.kept) == (True, "fresh", 10, 50, 90)
    assert (one.status, one.kind, one.tags) == (200, "Page", ["kind:saws"])
    assert len("saws de") < one.size < 2000
    assert '"page=2"' in one.variant
    assert '"de"' in one.variant
    # The same URL with its query in another order is the same page; another language is not.
    assert shop.explain("/products/saws?b=1&page=2", headers=GERMAN).now == "hit"
    other = shop.explain(PAGE)
    assert other.now == "miss"
    assert "1 for others are under its key" in other.why
    assert other.variants is not None
    assert [one.asked for one in other.variants] == [False]
    clock.advance(55)
    assert shop.explain(PAGE, headers=GERMAN).why.startswith("stale: it is served, and refreshed")
    assert calls.count == 1
    clock.advance(36)
    found = shop.explain(PAGE, headers=GERMAN)
    assert found.now == "miss"
    assert calls.count == 1


def test_two_variants_newest_first(app: Flask, shop: Cache, clock: HandClock) -> None:
    client = app.test_client()
    for language in ("en", "de"):
        client.get("/products/saws", headers={"Accept-Language": language})
        clock.advance(5)
    found = shop.explain("/products/saws", headers={"Accept-Language": "en"})
    assert found.variants is not None
    assert [(one.asked, one.age) for one in found.variants] == [(False, 5), (True, 10)]
    with app.app_context():
        assert shop.delete(str(found.key))
    assert shop.explain("/products/saws").variants == []


def test_a_failed_refresh_and_what_is_left_for_errors(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    broken: list[bool] = []

    @app.get("/")
    @stored.cached(60, stale_on_error=600, throttle=5)
    def index() -> str:
        if broken:
            raise ValueError("broken")
        return "text"

    client = app.test_client()
    assert text_of(client) == "text"
    clock.advance(61)
    assert "served only if it fails" in stored.explain("/").why
    broken.append(True)
    assert text_of(client) == "text"
    found = stored.explain("/")
    assert (found.now, "a refresh failed" in found.why) == ("hit", True)


def test_what_is_stored_for_everyone(app: Flask, shop: Cache) -> None:
    with app.app_context():
        shop.set("view//products/saws", "for everyone", timeout=50)
    found = shop.explain("/products/saws", headers=GERMAN)
    assert (found.now, found.why) == ("hit", "fresh for 50 s")
    assert found.variants is not None
    assert [one.variant for one in found.variants] == ["(serves every variant)"]


# Why the last answer came about.


def test_why_the_last_answer_was_what_it_was(app: Flask, stored: Cache, clock: HandClock) -> None:
    @app.get("/<what>")
    @stored.cached(60)
    def index(what: str) -> Any:
        if what == "session":
            return str(session.get("user"))
        return ("gone", 404) if what == "gone" else (what, {"Cache-Control": what})

    client = app.test_client()
    for what, reason in [
        ("session", "session"),
        ("gone", "status: 404"),
        ("private", "private"),
        ("no-store", "no-store"),
    ]:
        client.get(f"/{what}")
        clock.advance(3)
        found = stored.explain(f"/{what}")
        assert (found.last, found.last_why, found.last_age) == ("miss", reason, 3)
        assert f"miss 3 s ago: {reason}" in str(found)
    client.get("/session", headers={"Authorization": "x"})
    found = stored.explain("/session", headers={"Authorization": "x"})
    assert (found.last, found.last_why) == ("pass", "authorization")
    assert (found.now, found.why, found.key) == ("pass", "authorization", None)
    assert "name them in vary=" in str(found)
    # One view, many pages: each has its own.
    assert stored.explain("/gone").last_why == "status: 404"
    assert stored.explain("/never").last is None


def test_hits_that_are_noted(app: Flask, stored: Cache) -> None:
    app.debug = True

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return "text"

    client = app.test_client()
    client.get("/")
    client.get("/")
    found = stored.explain("/")
    assert (found.last, found.last_why) == ("hit", "fresh")
    assert (found.counted["hits"], found.counted["misses"]) == (1, 1)


def test_a_stream_that_was_cut_off(app: Flask, stored: Cache) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        return Response(iter(["a", "b"]))

    app.test_client().get("/").close()
    found = stored.explain("/")
    assert (found.last, found.last_why) == ("miss", "cut-off")
    assert "the client left" in str(found)


def test_what_is_remembered_is_bounded(app: Flask, cache: Cache) -> None:
    @app.get("/<int:number>")
    @cache.cached(60, unless=lambda: True)
    def index(number: int) -> str:
        return "text"

    client = app.test_client()
    for number in range(MOST + 10):
        client.get(f"/{number}")
    assert len(cache._trail._last) == MOST  # pyright: ignore[reportPrivateUsage]
    assert cache.explain("/9").last is None
    found = cache.explain("/10")
    assert (found.last, found.last_why) == ("pass", "bypass")
    assert (found.now, found.why) == ("pass", "bypass: unless= says so")


# Keys.


def test_inputs_of_every_kind(app: Flask, stored: Cache) -> None:
    @app.get("/")
    @stored.cached(
        60, vary=["X-Tenant", "Authorization", cookie("theme"), query("page"), lambda: ["a", 1]]
    )
    def index() -> str:
        return "text"

    headers = {"Authorization": "Bearer secret", "Cookie": "theme=secret; sid=secret"}
    client = app.test_client(use_cookies=False)
    assert client.get("/?page=2&utm=x", headers=headers).status_code == 200
    found = stored.explain("/?page=2&utm=y", headers=headers, base_url="http://localhost")
    assert found.now == "hit"
    assert {
        name: value for name, value in parts(found).items() if name not in ("key", "function")
    } == {
        "host": "http://localhost",
        "header x-tenant": None,
        "header authorization": "(given, 13 characters)",
        "cookie theme": "(given, 6 characters)",
        "query page": "2",
        "value 1": "['a', 1]",
    }
    # Neither what this request has, nor what those have who are stored.
    assert "secret" not in str(found)
    assert "secret" not in json.dumps(found.as_dict())


def test_another_host_is_another_page(app: Flask, shop: Cache) -> None:
    app.test_client().get("/products/saws", base_url="https://shop.example")
    assert shop.explain("/products/saws").now == "miss"
    for found in (
        shop.explain("https://shop.example/products/saws"),
        shop.explain("/products/saws", base_url="https://shop.example"),
    ):
        assert found.now == "hit"
        assert parts(found)["host"] == "https://shop.example"
    assert shop.explain("https://shop.example/products/saws", query={"page": 1}).now == "miss"


@pytest.mark.parametrize(
    "options",
    [{"key_prefix": "mine"}, {"key_prefix": lambda: "mine"}, {"make_cache_key": lambda: "mine"}],
    ids=["prefix", "prefix-function", "key-function"],
)
def test_keys_of_the_developers_own(app: Flask, stored: Cache, options: dict[str, Any]) -> None:
    @app.get("/")
    @stored.cached(60, **options)
    def index() -> str:
        return "text"

    app.test_client().get("/")
    found = stored.explain("/")
    assert (found.key, found.now, found.last_why) == ("mine", "hit", "stored")
    assert found.parts[0] == Part("key", "mine")


def test_a_key_that_cannot_be_made(app: Flask, stored: Cache) -> None:
    app.before_request(lambda: setattr(g, "user", "anna"))

    @app.get("/")
    @stored.cached(60, vary=[lambda: g.user])
    def index() -> str:
        return "text"

    found = stored.explain("/")
    assert (found.key, found.variants, found.now) == (None, None, "pass")
    assert found.why.startswith("no key could be made: AttributeError")
    assert any("hooks of the application are not run" in note for note in found.notes)
    assert parts(found)["value 1"].startswith("(raised AttributeError")  # type: ignore[union-attr]


def test_options_that_have_a_say(app: Flask, stored: Cache) -> None:
    @app.get("/")
    @stored.cached(60, is_stale=lambda value: True, forced_update=lambda: True)
    def index() -> str:
        return "text"

    notes = stored.explain("/").notes
    assert [note.partition("=")[0] for note in notes[:2]] == ["forced_update", "is_stale"]


def test_views_of_classes_and_pages(app: Flask, stored: Cache) -> None:
    class Index(MethodView):
        @stored.cached(60)
        def get(self) -> str:
            return "text"

    @app.get("/page")
    @stored.cached(60, as_page=True)
    def page() -> str:
        return "text"

    app.add_url_rule("/", view_func=Index.as_view("index"))
    client = app.test_client()
    for path in ("/", "/page"):
        assert stored.explain(path).now == "miss"
        client.get(path)
        assert stored.explain(path).now == "hit"
        assert stored.explain(path, method="HEAD").now == "hit"


# What cannot be explained.


def test_what_is_no_page_of_this_cache(app: Flask, stored: Cache, calls: Calls) -> None:
    other = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/plain")
    def plain() -> str:
        return "text"

    @app.get("/other/")
    @other.cached(60)
    def others() -> str:
        return "text"

    @app.get("/away")
    @stored.cached(60)
    def away() -> Any:
        return redirect("/plain")

    @stored.memoize(60)
    def price() -> int:
        return calls()

    for path, wrong in [
        ("/plain", "is answered by 'plain', which this cache does not cache"),
        ("/other/", "is answered by 'others', which this cache does not cache"),
        ("/other", "is redirected to http://localhost/other/"),
        ("/nothing", "no view answers /nothing"),
        ("plain", "'plain' is no path of a view"),
        ("memoize/price", "is no path of a view"),
        ("", "'' is no path of a view"),
    ]:
        with pytest.raises(ValueError, match=wrong):
            stored.explain(path)
    with pytest.raises(ValueError, match="no view answers POST at /away"):
        stored.explain("/away", method="POST")
    with pytest.raises(TypeError, match="price is no path"):
        stored.explain(price)  # type: ignore[arg-type]
    assert other.explain("/other/").now == "miss"
    assert calls.count == 0


def test_a_store_that_keeps_nothing(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return "text"

    found = cache.explain("/")
    assert (found.now, found.variants) == ("miss", [])
    assert "NullCache keeps nothing" in found.notes


def test_a_store_that_is_away(app: Flask, own_redis: RedisServer) -> None:
    cache = Cache(app, config=redis_config(own_redis.url))

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return "text"

    own_redis.stop()
    with pytest.raises(OSError, match="no answer from"):
        cache.explain("/")


def test_the_memory_of_a_process_is_its_own(app: Flask, cache: Cache) -> None:
    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return "text"

    (note,) = cache.explain("/").notes
    assert (
        note
        == f"SimpleCache is in the memory of this process ({os.getpid()}): each worker has its own"
    )


def test_the_compat_dialect(app: Flask, store: dict[str, Any], calls: Calls) -> None:
    cache = CompatCache(app, config=for_dialect(CompatCache, store))

    @app.get("/products")
    @cache.cached(60, query_string=True)
    def products() -> str:
        return str(calls())

    client = app.test_client()
    client.get("/products?b=1&a=2")
    found = cache.explain("/products?a=2&b=1")
    assert found.now == "hit"
    assert found.key is not None
    assert found.key.startswith("view//products")
    assert found.last_why == "stored"
    assert cache.explain("/products").now == "miss"
    assert calls.count == 1


def test_a_store_that_is_not_larders_own(app: Flask, tmp_path: Any) -> None:
    config = {"CACHE_TYPE": "cachelib.FileSystemCache", "CACHE_ARGS": [str(tmp_path)]}
    cache = CompatCache(app, config=config)

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return "text"

    app.test_client().get("/")
    found = cache.explain("/")
    assert (found.key, found.variants, found.now) == ("view//", None, "unknown")
    assert found.notes[0].startswith("FileSystemCache is not Larder's own")
