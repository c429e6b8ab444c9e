"""Views in the compat dialect: what Flask-Caching's users write, on the engine and on cachelib."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from conftest import Calls, redis_config, text_of
from flask import Blueprint, Flask, Response, abort, jsonify, make_response, request
from flask.views import MethodView, View
from werkzeug.exceptions import NotFound
from werkzeug.routing import RequestRedirect

from flask_larder.compat import Cache, CachedResponse, cache_view_hit, cache_view_miss
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def test_plain_views(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/")
    @each.cached(timeout=50)
    def index() -> str:
        return f"index {calls()}"

    @app.get("/short")
    @each.cached(50)
    def short() -> str:
        return f"short {calls()}"

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["index 1", "index 1"]
    assert [text_of(client, "/short"), text_of(client, "/short")] == ["short 2", "short 2"]
    with app.test_request_context("/"):
        assert each.get(index.make_cache_key()) == "index 1"  # type: ignore[attr-defined]
        assert index.uncached() == "index 3"  # type: ignore[attr-defined]


def test_class_based_views(app: Flask, each: Cache, calls: Calls) -> None:
    class Page(View):
        @each.cached(50)
        def dispatch_request(self) -> str:
            return f"page {calls()}"

    class Item(MethodView):
        @each.cached(50)
        def get(self, number: int) -> str:
            return f"item {number} {calls()}"

        def post(self, number: int) -> str:
            with_path = each.delete_cached(Item.get, f"/item/{number}")
            return f"deleted {with_path}"

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/item/<int:number>", view_func=Item.as_view("item"))
    client = app.test_client()
    assert [text_of(client, "/page") for _ in range(2)] == ["page 1"] * 2
    assert [text_of(client, "/item/7") for _ in range(2)] == ["item 7 2"] * 2
    assert client.post("/item/7").data == b"deleted True"
    assert text_of(client, "/item/7") == "item 7 3"


def test_functions_with_a_fixed_key(app: Flask, each: Cache, calls: Calls) -> None:
    @each.cached(timeout=50, key_prefix="all_comments")
    def comments() -> list[int]:
        return [calls()]

    with app.test_request_context():
        assert comments() == comments() == [1]
        assert each.get("all_comments") == [1]
        assert each.delete("all_comments")
        assert comments() == [2]


def test_one_path_is_one_entry_whatever_the_method(app: Flask, each: Cache, calls: Calls) -> None:
    @app.route("/", methods=["GET", "POST"])
    @each.cached()
    def index() -> str:
        return str(calls())

    client = app.test_client()
    assert [text_of(client), text_of(client, "/?page=2")] == ["1", "1"]
    assert client.post("/").data == b"1"


def test_query(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/works")
    @each.cached(timeout=50, query_string=True)
    def works() -> str:
        return str(calls())

    client = app.test_client()
    assert text_of(client, "/works?limit=15&mock=true") == "1"
    assert text_of(client, "/works?mock=true&limit=15") == "1"
    assert text_of(client, "/works?tag=a&tag=b") == "2"
    assert text_of(client, "/works?tag=b&tag=a") == "2"
    forms: list[Any] = ["limit=15&mock=true", {"mock": "true", "limit": 15}]
    forms.append([("mock", "true"), ("limit", "15")])
    for count, form in enumerate(forms, 3):
        with app.app_context():
            assert each.delete_cached(works, "/works", form)
        assert text_of(client, "/works?limit=15&mock=true") == str(count)
    assert text_of(client, "/works?tag=a&tag=b") == "2"


def on_the_other_redis(app: Flask, url: str) -> Cache:
    """A cache of this dialect on the native store of the other."""
    config = redis_config(url)
    return Cache(app, config={**config, "CACHE_TYPE": "flask_larder.backends.RedisCache"})


@pytest.mark.parametrize("where", ["memory", "redis", "native redis"])
def test_base_key_removes_every_query(app: Flask, redis_url: str, calls: Calls, where: str) -> None:
    if where == "native redis":
        compat = on_the_other_redis(app, redis_url)
    else:
        config: dict[str, Any] = {"CACHE_TYPE": "SimpleCache"}
        if where == "redis":
            config = redis_config(redis_url)
        compat = Cache(app, config=config)

    @app.get("/api/products")
    @compat.cached(query_string=True)
    def products() -> str:
        return str(calls())

    @app.get("/api/products2")
    @compat.cached(query_string=True)
    def others() -> str:
        return str(calls())

    client = app.test_client()
    pages = ["/api/products?page=1", "/api/products?page=2", "/api/products2?page=1"]
    assert [text_of(client, page) for page in pages] == ["1", "2", "3"]
    assert compat.delete("view//api/products")
    assert [text_of(client, page) for page in pages] == ["4", "5", "3"]
    assert [text_of(client, page) for page in pages] == ["4", "5", "3"]
    if where == "memory":
        assert not compat.delete("view//api/nothing")


def test_the_native_redis_store(app: Flask, redis_url: str, calls: Calls) -> None:
    cache = on_the_other_redis(app, redis_url)
    app.add_url_rule("/", "index", cache.cached(60)(lambda: make_response(f"page {calls()}", 201)))
    double = cache.memoize(60)(lambda number: [calls()])
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["page 1", "page 1"]
    assert cache.get("view//").status_code == 201
    with app.app_context():
        assert [double(1), double(1)] == [[2], [2]]
        cache.delete_memoized(double)
        assert double(1) == [3]


def test_post_by_body(app: Flask, each: Cache, calls: Calls) -> None:
    def body_key(name: str) -> str:
        return f"{name}:{request.get_json()['query']}"

    @app.post("/search/<name>")
    @each.cached(timeout=60, make_cache_key=body_key)
    def search(name: str) -> str:
        return str(calls())

    client = app.test_client()
    bodies = ["a", "b", "a"]
    answers = [client.post("/search/x", json={"query": body}).data for body in bodies]
    assert answers == [b"1", b"2", b"1"]
    assert each.get("x:a") == "1"


@pytest.mark.parametrize(
    ("answer", "bypassed"), [(True, True), (1, False), ("yes", False), (None, False)]
)
def test_unless_wants_true_itself(
    app: Flask, each: Cache, calls: Calls, answer: Any, bypassed: bool
) -> None:
    @each.cached(key_prefix="k", unless=lambda: answer)
    def load() -> int:
        return calls()

    with app.test_request_context():
        load()
        assert load() == (2 if bypassed else 1)


def test_unless_gets_the_function(app: Flask, each: Cache, calls: Calls) -> None:
    seen: list[Any] = []

    def unless(f: Any, *args: Any, **kwargs: Any) -> bool:
        seen.append((f, args, kwargs))
        return False

    @each.cached(key_prefix="k", unless=unless)
    def load(a: int, b: int = 0) -> int:
        return calls()

    with app.test_request_context():
        load(1, b=2)
    assert seen == [(load.__wrapped__, (1,), {"b": 2})]  # type: ignore[attr-defined]


def test_forced_update_stores_anew(app: Flask, each: Cache, calls: Calls) -> None:
    forced = False

    @each.cached(key_prefix="k", forced_update=lambda: forced)
    def load() -> int:
        return calls()

    with app.test_request_context():
        assert [load(), load()] == [1, 1]
        forced = True
        assert load() == 2
        forced = False
        assert load() == 2


def test_is_stale_asks_on_hits_alone(app: Flask, each: Cache, calls: Calls) -> None:
    seen: list[Any] = []

    def is_stale(value: int, name: str) -> bool:
        seen.append((value, name))
        return value == 1

    @each.cached(key_prefix="k", is_stale=is_stale)
    def load(name: str) -> int:
        return calls()

    with app.test_request_context():
        assert [load("a"), load("a"), load("a")] == [1, 2, 2]
    assert seen == [(1, "a"), (2, "a")]


def test_response_filter(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/tuple/<int:status>")
    @each.cached(response_filter=lambda value: value[1] < 400)
    def by_tuple(status: int) -> tuple[str, int]:
        return str(calls()), status

    @app.get("/response/<int:status>")
    @each.cached(response_filter=lambda response: response.status_code == 200)
    def by_response(status: int) -> Response:
        return make_response(str(calls()), status)

    client = app.test_client()
    kept = [text_of(client, path) for path in ["/tuple/200"] * 2 + ["/response/200"] * 2]
    assert kept == ["1", "1", "2", "2"]
    lost = [text_of(client, path) for path in ["/tuple/500"] * 2 + ["/response/404"] * 2]
    assert lost == ["3", "4", "5", "6"]


def test_timeouts(app: Flask, compat: Cache, clock: HandClock, calls: Calls) -> None:
    def own_timeout(timeout: Any) -> Callable[[], Response]:
        return lambda: CachedResponse(make_response(str(calls())), timeout)

    for name, timeout in [("own", 2), ("delta", timedelta(seconds=1.5)), ("decorator", 0)]:
        view = compat.cached(timeout=5)(own_timeout(timeout))
        app.add_url_rule(f"/{name}", name, view)
    forever = compat.cached(timeout=0)(lambda: str(calls()))
    app.add_url_rule("/forever", "forever", forever)
    client = app.test_client()
    paths = ["/own", "/delta", "/decorator", "/forever"]
    assert [text_of(client, path) for path in paths] == ["1", "2", "3", "4"]
    clock.advance(2)
    assert [text_of(client, path) for path in paths] == ["5", "6", "3", "4"]
    clock.advance(100_000)
    assert text_of(client, "/decorator") == "7"
    assert text_of(client, "/forever") == "4"


def test_cache_timeout_is_read_when_something_is_stored(
    app: Flask, compat: Cache, clock: HandClock, calls: Calls
) -> None:
    @app.get("/")
    @compat.cached(timeout=5)
    def index() -> str:
        return str(calls())

    index.cache_timeout = 50  # type: ignore[attr-defined]
    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(10)
    assert text_of(client) == "1"


def test_hit_indication(app: Flask, each: Cache) -> None:
    @app.get("/")
    @each.cached(response_hit_indication=True)
    def index() -> dict[str, int]:
        return {"a": 1}

    client = app.test_client()
    assert [client.get("/").headers.get("hit_cache") for _ in range(3)] == [None, "True", "True"]


def test_raised_http_errors_are_kept_and_raised_again(
    app: Flask, each: Cache, calls: Calls
) -> None:
    @app.errorhandler(404)
    def not_found(error: NotFound) -> tuple[str, int]:
        return f"handled {error.description}", 404

    @app.get("/missing")
    @each.cached(60)
    def missing() -> str:
        abort(404, f"call {calls()}")

    @app.get("/filtered")
    @each.cached(60, response_filter=lambda response: response.status_code == 200)
    def filtered() -> str:
        abort(404, f"call {calls()}")

    client = app.test_client()
    assert [text_of(client, "/missing") for _ in range(2)] == ["handled call 1"] * 2
    assert [text_of(client, "/filtered") for _ in range(2)] == ["handled call 2", "handled call 3"]


def test_other_errors_are_raised_and_not_kept(app: Flask, each: Cache, calls: Calls) -> None:
    @each.cached(key_prefix="k")
    def load() -> str:
        raise LookupError(calls())

    with app.test_request_context():
        for count in (1, 2):
            with pytest.raises(LookupError) as caught:
                load()
            assert caught.value.args == (count,)


def test_what_views_return_is_what_is_kept(app: Flask, each: Cache) -> None:
    values: dict[str, Callable[[], Any]] = {
        "text": lambda: "text",
        "bytes": lambda: b"bytes",
        "dict": lambda: {"a": [1, None]},
        "tuple": lambda: ("made", 201, {"X-Color": "red"}),
        "response": lambda: make_response("made", 202),
        "json": lambda: jsonify(a=1),
        "texts": lambda: (text for text in ["a", "b"]),
        "parts": lambda: (part for part in [b"a", b"b"]),
    }
    for name, value in values.items():
        app.add_url_rule(f"/{name}", name, each.cached()(value))
    client = app.test_client()
    for name in values:
        first, second = client.get(f"/{name}"), client.get(f"/{name}")
        assert first.data == second.data
        assert first.status == second.status
        assert dict(first.headers) == dict(second.headers)


def test_coroutine_functions(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/")
    @each.cached()
    async def index() -> str:
        return str(calls())

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "1"]


def test_key_function_assigned_afterwards(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/")
    @each.cached()
    def index() -> str:
        return str(calls())

    index.make_cache_key = lambda *a, **k: request.args["foo"]  # type: ignore[attr-defined]
    client = app.test_client()
    assert [text_of(client, f"/?foo={foo}") for foo in "aba"] == ["1", "2", "1"]


def test_signals(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_ENABLE_SIGNALS": True})
    heard: list[tuple[str, Any, Any]] = []

    def hit(sender: None, **what: Any) -> None:
        heard.append(("hit", what["cache_key"], what["cache"]))

    def miss(sender: None, **what: Any) -> None:
        heard.append(("miss", what["cache_key"], what["cache"]))

    @app.get("/")
    @cache.cached()
    def index() -> str:
        return "page"

    with cache_view_hit.connected_to(hit), cache_view_miss.connected_to(miss):
        client = app.test_client()
        client.get("/")
        client.get("/")
    assert heard == [("miss", "view//", cache), ("hit", "view//", cache)]


def test_deleting_by_the_arguments_of_a_view(app: Flask, each: Cache, calls: Calls) -> None:
    # Flask-Caching finds neither views of blueprints nor what a link writes in percent signs.
    shop = Blueprint("shop", __name__)

    @shop.get("/item/<name>")
    @each.cached()
    def item(name: str) -> str:
        return f"{name} {calls()}"

    app.register_blueprint(shop)
    client = app.test_client()
    path = "/item/caf%C3%A9%20noir"
    assert [text_of(client, path), text_of(client, path)] == ["café noir 1"] * 2
    with app.test_request_context():
        assert each.delete_cached(item, name="café noir")
    assert text_of(client, path) == "café noir 2"


# Accidents that Flask-Caching does not tell of.


def test_a_view_that_reads_the_query_warns_once(
    app: Flask, each: Cache, log: pytest.LogCaptureFixture
) -> None:
    @app.get("/search")
    @each.cached()
    def search() -> str:
        return request.args.get("q", "")

    @app.get("/keyed")
    @each.cached(query_string=True)
    def keyed() -> str:
        return request.args.get("q", "")

    client = app.test_client()
    assert [text_of(client, f"/search?q={q}") for q in "ab"] == ["a", "a"]
    assert [text_of(client, f"/keyed?q={q}") for q in "ab"] == ["a", "b"]
    each.clear()
    client.get("/search?q=c")
    told = [record for record in log.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert "search reads request.args" in told[0].getMessage()
    assert "query_string=True" in told[0].getMessage()


def test_outside_of_a_request_the_function_runs(
    app: Flask, each: Cache, calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    @each.cached()
    def load() -> int:
        return calls()

    assert [load(), load()] == [1, 2]
    assert log.messages == ["Exception possibly due to cache backend."] * 2
    app.debug = True
    with pytest.raises(RuntimeError, match="outside of request context"):
        load()


def test_errors_that_cannot_be_restored_are_raised_each_time(
    app: Flask, each: Cache, calls: Calls
) -> None:
    # Its constructor wants an argument that the pickle of an exception does not hold.
    @app.get("/old")
    @each.cached()
    def old() -> str:
        calls()
        raise RequestRedirect("/new")

    client = app.test_client()
    assert [client.get("/old").status_code for _ in range(4)] == [308] * 4
    assert calls.count == 4


def test_callables_that_are_no_functions(app: Flask, each: Cache) -> None:
    class Adder:
        __name__ = __qualname__ = "Adder"

        def __call__(self, number: int) -> int:
            return number + 1

    add = each.memoize()(Adder())
    with app.app_context():
        assert [add(1), add(1), add(2)] == [2, 2, 3]
