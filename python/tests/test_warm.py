"""`cache.warm`: entries that are there before anybody asks."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Calls, for_dialect, text_of
from flask import Blueprint, Flask, Response, abort, g, redirect, request, session
from flask.views import MethodView
from werkzeug.datastructures import MultiDict

from flask_larder import Cache, cookie
from flask_larder.compat import Cache as CompatCache
from flask_larder.testing import HandClock, assert_calls, assert_hit

PATIENCE = 60


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def either(app: Flask, store: dict[str, Any], request: pytest.FixtureRequest) -> Cache:
    """A cache of each dialect on each store."""
    made: Cache = request.param(app, config=for_dialect(request.param, store))
    return made


def test_a_view_is_there_when_the_first_one_asks(app: Flask, either: Cache, calls: Calls) -> None:
    @app.get("/product/<int:number>")
    @either.cached(60)
    def product(number: int) -> str:
        return f"{number} {calls()}"

    warmed = either.warm(product, number=7)
    assert warmed
    assert (warmed.stored, warmed.reason, warmed.key) == (True, None, "view//product/7")
    client = app.test_client()
    with assert_hit(product):
        assert text_of(client, "/product/7") == "7 1"
    assert text_of(client, "/product/8") == "8 2"


def test_what_is_stored_is_replaced(app: Flask, either: Cache, calls: Calls) -> None:
    @app.get("/")
    @either.cached(60)
    def view() -> str:
        return str(calls())

    @either.memoize(60)
    def function(number: int, *, unit: str = "m") -> str:
        return f"{number}{unit} {calls()}"

    client = app.test_client()
    # Answered natively by the third call.
    assert [text_of(client) for _ in range(3)] == ["1"] * 3
    assert either.warm(view)
    assert [text_of(client) for _ in range(3)] == ["2"] * 3
    with app.app_context():
        assert [function(1) for _ in range(3)] == ["1m 3"] * 3
    assert either.warm(function, 1)
    assert either.warm(function, 2, unit="km")
    with app.app_context():
        assert [function(1) for _ in range(3)] == ["1m 4"] * 3
        assert function(2, unit="km") == "2km 5"
    assert either.warm(function, 1).key


def test_the_caller_alone_is_forced(app: Flask, either: Cache, calls: Calls) -> None:
    waits = threading.Event()
    begun, go_on = threading.Event(), threading.Event()

    @either.memoize(60)
    def inner() -> int:
        return calls()

    @either.memoize(60)
    def outer() -> int:
        if waits.is_set():
            begun.set()
            assert go_on.wait(PATIENCE)
        return inner() + calls()

    def ask() -> int:
        with app.app_context():
            return outer()

    assert ask() == 1 + 2
    waits.set()
    with ThreadPoolExecutor(1) as pool:
        warming = pool.submit(either.warm, outer)
        assert begun.wait(PATIENCE)
        # Others are served what is stored while it is warmed.
        assert ask() == 1 + 2
        go_on.set()
        assert warming.result(PATIENCE)
    # What it called was taken from the cache.
    assert ask() == 1 + 3
    assert calls.count == 3


def test_many_may_warm_at_once(app: Flask, either: Cache, calls: Calls) -> None:
    barrier = threading.Barrier(4, timeout=PATIENCE)

    @either.memoize(60)
    def function(number: int) -> int:
        barrier.wait()
        return calls()

    with ThreadPoolExecutor(4) as pool:
        warmed = list(pool.map(lambda number: either.warm(function, number), range(4)))
    assert all(warmed)
    with app.app_context():
        assert sorted(function(number) for number in range(4)) == [1, 2, 3, 4]
    # Nothing stays behind: hits are plain again.
    decorated = function._larder_decorated  # type: ignore[attr-defined]
    assert decorated.options.forced_update is None


def test_forced_update_of_the_application_is_asked_meanwhile(
    app: Flask, cache: Cache, calls: Calls
) -> None:
    forced = [False]
    begun, go_on = threading.Event(), threading.Event()

    @cache.memoize(60, forced_update=lambda: forced[0])
    def function(waits: bool) -> int:
        if waits:
            begun.set()
            assert go_on.wait(PATIENCE)
        return calls()

    with ThreadPoolExecutor(1) as pool, app.app_context():
        assert [function(False), function(False)] == [1, 1]
        warming = pool.submit(cache.warm, function, True)
        assert begun.wait(PATIENCE)
        assert function(False) == 1
        forced[0] = True
        assert function(False) == 2
        go_on.set()
        assert warming.result(PATIENCE)


def test_the_query_the_headers_and_the_host(app: Flask, cache: Cache, calls: Calls) -> None:
    @app.get("/list")
    @cache.cached(60, vary=["Accept-Language", cookie("theme")], query_string=True)
    def listing() -> str:
        parts = [request.host, *request.args.getlist("page"), request.accept_languages.to_header()]
        return " ".join([*parts, request.cookies.get("theme", ""), str(calls())])

    assert cache.warm(
        listing,
        query={"page": ["2", "3"]},
        headers={"Accept-Language": "de", "Cookie": "theme=dark"},
        base_url="https://shop.example/",
    )
    headers = {"Accept-Language": "de", "Cookie": "theme=dark; other=1"}
    asked = {"headers": headers, "base_url": "https://shop.example/"}
    client = app.test_client(use_cookies=False)
    assert text_of(client, "/list?page=2&page=3", **asked) == "shop.example 2 3 de dark 1"
    assert text_of(app.test_client(), "/list?page=2&page=3").endswith(" 2")


@pytest.mark.parametrize(
    "query", ["a=1&b=2", {"b": 2, "a": 1}, [("a", 1), ("b", 2)], MultiDict([("b", 2), ("a", 1)])]
)
def test_ways_to_say_a_query(app: Flask, cache: Cache, calls: Calls, query: Any) -> None:
    @app.get("/<path:name>")
    @cache.cached(60)
    def view(name: str) -> str:
        return f"{name} {calls()}"

    assert cache.warm(view, name="a b/ü", query=query)
    assert text_of(app.test_client(), "/a b/ü?b=2&a=1") == "a b/ü 1"
    # What the rule has no place for is in the query as well.
    assert cache.warm(view, name="x", page=2)
    assert text_of(app.test_client(), "/x?page=2") == "x 2"


def test_applications_below_a_path_and_on_a_domain(cache: Cache, app: Flask, calls: Calls) -> None:
    app.config["APPLICATION_ROOT"] = "/below"
    app.config["SERVER_NAME"] = "shop.example"

    @app.get("/product/<number>")
    @cache.cached(60)
    def product(number: str) -> str:
        return f"{request.url} {calls()}"

    assert cache.warm(product, number="7")
    assert text_of(app.test_client(), "/product/7") == "http://shop.example/below/product/7 1"


def test_hooks_run(app: Flask, cache: Cache) -> None:
    seen: list[str] = []

    @app.before_request
    def before() -> None:
        g.tenant = "acme"

    @app.after_request
    def after(response: Response) -> Response:
        seen.append(response.get_data(as_text=True))
        return response

    @app.get("/")
    @cache.cached(60)
    def view() -> str:
        return str(g.tenant)

    assert cache.warm(view)
    assert seen == ["acme"]


def test_why_nothing_was_stored(app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    def failing(status: int) -> Any:
        if status == 500:
            raise LookupError
        if status == 403:
            return "no", 403
        return abort(404)

    app.get("/session")(cache.cached(60)(in_session))
    app.get("/unless")(cache.cached(60, unless=lambda: True)(lambda: "x"))
    app.get("/status/<int:status>")(view := cache.cached(60)(failing))
    reasons: dict[str, str | None] = {}
    for endpoint, function in app.view_functions.items():
        if endpoint in ("in_session", "<lambda>"):
            reasons[endpoint] = cache.warm(function).reason
    for status in (403, 404, 500):
        reasons[str(status)] = cache.warm(view, status=status).reason
    assert reasons == {
        "in_session": "session",
        "<lambda>": "bypass",
        "403": "status: 403",
        "404": "status: 404",
        "500": "not loaded: status 500",
    }
    assert caplog.records


def in_session() -> str:
    """A view of one user."""
    return str(session.get("user"))


def test_a_hook_that_answers_for_the_view(app: Flask, cache: Cache) -> None:
    @app.before_request
    def gate() -> Any:
        return redirect("/login")

    @app.get("/")
    @cache.cached(60)
    def view() -> str:
        return "x"

    with assert_calls(view, 0):
        warmed = cache.warm(view)
    assert not warmed
    assert warmed.reason == "not loaded: status 302"
    assert warmed.key is None


def test_a_failure_leaves_what_is_there(app: Flask, either: Cache, clock: HandClock) -> None:
    down = [False]

    @either.memoize(60)
    def function() -> str:
        if down[0]:
            raise LookupError
        return "old"

    assert either.warm(function)
    down[0] = True
    # What is there stands in for the load that failed.
    assert either.warm(function).reason == "failed"
    with app.app_context():
        assert function() == "old"
    clock.advance(61)
    with pytest.raises(LookupError):
        either.warm(function)
    down[0] = False
    assert either.warm(function)


def test_blueprints_classes_and_wrappers(app: Flask, either: Cache, calls: Calls) -> None:
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")

    def logged_in(function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @blueprint.get("/<name>")
    @logged_in
    @either.cached(60)
    def page(name: str) -> str:
        return f"{name} {calls()}"

    class Products(MethodView):
        @either.cached(60)
        def get(self, number: int) -> str:
            return f"{number} {calls()}"

    app.register_blueprint(blueprint)
    app.add_url_rule("/products/<int:number>", view_func=Products.as_view("products"))
    assert either.warm(page, name="a")
    assert either.warm(Products.get, number=7)
    client = app.test_client()
    assert [text_of(client, "/shop/a"), text_of(client, "/products/7")] == ["a 1", "7 2"]
    with app.test_request_context("/"):
        # The same way leads from a method to what is to be removed.
        assert either.delete_cached(Products.get, number=7)
    assert text_of(client, "/products/7") == "7 3"


def test_what_views_call(app: Flask, either: Cache, calls: Calls) -> None:
    @either.cached(60, key_prefix="menu")
    def menu() -> str:
        return str(calls())

    app.get("/")(lambda: menu())
    assert either.warm(menu)
    assert text_of(app.test_client()) == "1"


def test_methods_and_coroutine_functions(app: Flask, either: Cache, calls: Calls) -> None:
    class Shop:
        def __caching_id__(self) -> str:
            return "shop"

        @either.memoize(60)
        def price(self, number: int) -> int:
            return calls()

    @either.memoize(60)
    async def stock(number: int) -> int:
        return calls()

    app.get("/")(page := either.cached(60)(later))
    assert either.warm(Shop().price, 7)
    assert either.warm(Shop().price, 7)
    with app.app_context():
        assert Shop().price(7) == 2
    if either.dialect.awaitable:

        async def scenario() -> None:
            warming = either.warm(stock, 7)
            assert inspect.isawaitable(warming)
            assert await warming
            assert await either.warm(stock, 7)
            with app.app_context():
                assert await stock(7) == 4

        asyncio.run(scenario())
    else:
        assert either.warm(stock, 7)
    assert either.warm(page)
    with assert_hit(page):
        assert text_of(app.test_client()) == "later"


async def later() -> str:
    """An asynchronous view."""
    await asyncio.sleep(0)
    return "later"


def test_which_application(cache: Cache, app: Flask) -> None:
    other = Flask("other")
    other.secret_key = "x"
    cache.init_app(other, {"CACHE_TYPE": "SimpleCache"})
    function = cache.memoize(60)(lambda: app.name)
    with pytest.raises(RuntimeError, match="serves several applications"):
        cache.warm(function)
    with app.app_context():
        assert cache.warm(function)
        assert cache.stats()["entries"] == 1
    with other.app_context():
        assert cache.stats()["entries"] == 0


def test_what_cannot_be_warmed(app: Flask, cache: Cache) -> None:
    @cache.cached(60)
    def nowhere() -> str:
        return "x"

    @app.get("/<int:number>")
    @cache.cached(60)
    def somewhere(number: int) -> str:
        return "x"

    with pytest.raises(ValueError, match="no URL leads to it"):
        cache.warm(nowhere)
    with pytest.raises(ValueError, match="no URL is made of"):
        cache.warm(somewhere)
    with pytest.raises(TypeError, match="name the argument"):
        cache.warm(somewhere, 7)
    with pytest.raises(TypeError, match="is not cached by this cache"):
        cache.warm(len)
    with pytest.raises(TypeError, match="is not cached by this cache"):
        Cache(app, config={"CACHE_TYPE": "SimpleCache"}).warm(somewhere, number=7)


def test_a_store_that_keeps_nothing(app: Flask, calls: Calls) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache"})
    function = cache.memoize(60)(lambda: calls())
    logging.getLogger("flask_larder").info("two of these")
    assert not cache.warm(function)
    assert cache.warm(function).reason
