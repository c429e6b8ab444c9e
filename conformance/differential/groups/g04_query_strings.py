"""Group 4: answers by query, their keys, and deleting them."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Flask, jsonify, request
from flask_caching import Cache
from journal import ran
from notebook import Notebook
from werkzeug.datastructures import MultiDict

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]

cache = Cache()

shop = Blueprint("shop", __name__, url_prefix="/shop")


@shop.route("/<name>")
@cache.cached(timeout=50)
def goods(name: str) -> str:
    return f"{name} {ran(f'goods {name}')}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("query_strings")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/works")
    @cache.cached(timeout=50, query_string=True)
    def works() -> Any:
        return jsonify(query=sorted(request.args.items(multi=True)), ran=ran("works"))

    @app.route("/works/<kind>")
    @cache.cached(timeout=50, query_string=True, key_prefix="kinds/%s")
    def kinds(kind: str) -> Any:
        return jsonify(kind=kind, query=request.query_string.decode(), ran=ran("kinds"))

    @app.route("/md5")
    @cache.cached(timeout=50, query_string=True, hash_method=hashlib.md5)
    def md5() -> str:
        return f"md5 {ran('md5')}"

    @app.route("/source")
    @cache.cached(timeout=50, query_string=True, source_check=True)
    def source() -> str:
        return f"source {ran('source')}"

    app.register_blueprint(shop)

    @app.route("/plain/<path:rest>")
    @cache.cached(timeout=50)
    def plain(rest: str) -> str:
        return f"{rest} {ran('plain')}"

    return app


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    requests(see, app)
    keys(see, app)
    if see.since("2.5"):
        deletions(see, app)


def requests(see: Notebook, app: Flask) -> None:
    client = app.test_client()
    paths = [
        "/works",
        "/works",
        "/works?",
        "/works?mock=true&limit=15",
        "/works?limit=15&mock=true",
    ]
    paths += ["/works?a=1&a=0", "/works?a=0&a=1", "/works?a=1", "/works?x=", "/works?x"]
    paths += [
        "/works?e=%C3%A9&s=%20",
        "/works?s=+&e=%c3%a9",
        "/works/new?a=1&b=2",
        "/works/new?b=2&a=1",
    ]
    paths += ["/works/old?a=1&b=2", "/md5", "/md5?a=1", "/md5", "/source", "/source?b=1", "/source"]
    paths += ["/plain/x?a=1", "/plain/x?a=2"]
    for number, path in enumerate(paths):
        see.get(f"{number} {path}", client, path)
    if see.timed:
        see.advance(51)
        see.get("expired", client, "/works?a=1")


def keys(see: Notebook, app: Flask) -> None:
    views = app.view_functions
    queries = ["", "?b=2&a=1", "?a=1&b=2", "?a=1&a=0", "?x=", "?e=%C3%A9&s=%20"]
    for query in queries:
        with app.test_request_context(f"/works{query}"):
            see.call(f"key of /works{query}", views["works"].make_cache_key)
            see.call(f"in store /works{query}", lambda: cache.has(views["works"].make_cache_key()))
    with app.test_request_context("/works/new?a=1&b=2"):
        see.call("key with a prefix", views["kinds"].make_cache_key, kind="new")
    with app.test_request_context("/md5?a=1"):
        see.call("md5 key", views["md5"].make_cache_key)
    with app.test_request_context("/source?a=1"):
        see.call("key with the source", views["source"].make_cache_key)
    if not see.since("2.5"):
        return
    texts: list[Any] = ["limit=15&mock=true", "?mock=true&limit=15", {"limit": 15, "mock": "true"}]
    texts += [
        [("mock", "true"), ("limit", 15)],
        MultiDict([("a", "1"), ("a", "0")]),
        "a=1&a=0",
        "x=",
    ]
    texts += [{}, "", {"a": [1, 0]}, "e=%C3%A9&s=+"]
    for number, query in enumerate(texts):
        make = views["works"].make_cache_key
        see.call(f"key by arguments {number}", make, path="/works", query_args=query)
    make = views["kinds"].make_cache_key
    see.call("key with prefix and path", make, path="/works/new", query_args={"a": 1})
    see.call("key of a path", views["plain"].make_cache_key, path="/plain/x")


def deletions(see: Notebook, app: Flask) -> None:
    client = app.test_client()
    views = app.view_functions
    path = "/works?mock=true&limit=15"
    forms: list[Any] = ["limit=15&mock=true", {"limit": 15, "mock": "true"}]
    forms += [[("mock", "true"), ("limit", "15")], MultiDict({"limit": 15, "mock": "true"})]
    with app.app_context():
        for number, query in enumerate(forms):
            see.get(f"before deletion {number}", client, path)
            see.call(f"deletion {number}", cache.delete_cached, views["works"], "/works", query)
            see.call(
                f"deletion {number} again", cache.delete_cached, views["works"], "/works", query
            )
            see.get(f"after deletion {number}", client, path)
        see.call("deletion without query", cache.delete_cached, views["works"], "/works")
        see.call("deletion of a plain view", cache.delete_cached, views["plain"], "/plain/x")
        see.get("after deletion of a plain view", client, "/plain/x")
        see.call("by words", cache.delete_cached, views["plain"], path="/plain/x", query_args=None)
    with app.test_request_context("/"):
        see.get("before deletion by arguments", client, "/plain/x")
        see.call("deletion by arguments", cache.delete_cached, views["plain"], rest="x")
        see.get("after deletion by arguments", client, "/plain/x")
        for name in ("jam", "caf%C3%A9%20noir"):
            see.get(f"{name} before", client, f"/shop/{name}")
            see.call(f"deletion of {name}", cache.delete_cached, goods, name=unquote(name))
            see.get(f"{name} after", client, f"/shop/{name}")
        see.call("another deletion by arguments", cache.delete_cached, views["plain"], rest="y")
