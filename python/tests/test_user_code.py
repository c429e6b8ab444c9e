"""What users write, with types: it runs. `make lint` lets mypy and pyright look at it."""

from __future__ import annotations

from conftest import RedisServer
from flask import Flask
from user_code import functions, stores, views

from flask_larder.compat import Cache


def test_views() -> None:
    app = views.create_app({"TESTING": True})
    app.add_url_rule("/", "index", views.index)
    app.add_url_rule("/page/<name>", "page", views.page)
    app.add_url_rule("/shelf", view_func=views.Shelf.as_view("shelf"))
    app.add_url_rule("/resource/<name>", view_func=views.Resource.as_view("resource"))
    app.add_url_rule("/mine", "mine", views.mine)
    app.add_url_rule("/works", "works", views.works)
    app.add_url_rule("/search/<name>", "search", views.search, methods=["POST"])
    app.add_url_rule("/gated", "gated", views.gated)
    app.add_url_rule("/pair", "pair", views.pair)
    app.add_url_rule("/dynamic", "dynamic", views.dynamic)
    app.add_url_rule("/later", "later", views.later)
    client = app.test_client()
    paths = ["/", "/page/a", "/shelf", "/resource/a", "/mine", "/works?limit=15&mock=true"]
    for path in [*paths, "/gated", "/pair", "/dynamic", "/later"]:
        first, second = client.get(path), client.get(path)
        assert (first.status_code, first.data) == (200, second.data), path
        assert "hit_cache" not in first.headers
    assert client.get("/gated").headers["hit_cache"] == "True"
    bodies = [client.post("/search/a", json={"q": number}).json for number in (1, 2, 1)]
    assert [body and body["query"]["q"] for body in bodies] == [1, 2, 1]
    with app.test_request_context("/works"):
        assert views.forget_works() == [True, False, False]
        assert views.index.cache_timeout == 7
    assert views.types(app) == "_template_fragment_cache_frag_a_b"
    assert len(views.start_ups()) == 3


def test_functions() -> None:
    with functions.app.app_context():
        functions.types()
        assert functions.Adder.double(1) == functions.Adder.double(1) == 4
        assert functions.direct() == {"a": 1, "b": 2}
        functions.add(1, b=2)
        with functions.app.test_client() as client:
            assert client.get("/a/b").text == "ab"
        assert functions.keys() == (3, "ab")
        functions.forget()
        functions.forget_methods()
        assert functions.keys()[0] is None


def test_stores(own_redis: RedisServer) -> None:
    app = Flask("shop")
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_ENABLE_SIGNALS": True}
    cache = Cache(app, config=config)
    with app.app_context():
        assert stores.fragments(cache)[1] is True
    for name in ("Dictionary", "new_simple"):
        app = Flask("shop")
        own = stores.Traced(app, config={"CACHE_TYPE": f"user_code.stores.{name}"})
        double = own.memoize(60)(lambda number: 2 * number)
        with app.app_context():
            assert [double(2), double(2)] == [4, 4]
        assert len(own.asked) == 3, "a miss reads and writes, a hit reads"
    stores.signals()
    for each in stores.redis_set_ups(own_redis.url):
        assert each.cache.key_prefix == "shop_"
        with each.app.app_context():
            each.set("k", 1)
            assert each.get("k") in (1, "1")
            each.clear()
