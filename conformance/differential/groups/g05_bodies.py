"""Group 5: answers to POST by what was posted, with a key function of one's own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Flask, jsonify, request
from flask_caching import Cache
from journal import ran
from notebook import Notebook

cache = Cache()


def body_key(*args: Any, **kwargs: Any) -> str:
    ran("key")
    data = request.get_json()
    return ",".join(f"{name}={value}" for name, value in sorted(data.items()))


def raw_key() -> str:
    return hashlib.sha256(request.get_data()).hexdigest()


def named_key(collection: str) -> str:
    return f"{collection}:{json.dumps(request.get_json(), sort_keys=True)}"


def broken_key(*args: Any, **kwargs: Any) -> str:
    return request.get_json()["absent"]


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("bodies")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/search", methods=["POST"])
    @cache.cached(timeout=60, make_cache_key=body_key)
    def search() -> Any:
        return jsonify(asked=request.get_json(), ran=ran("search"))

    @app.route("/raw", methods=["POST", "PUT"])
    @cache.cached(timeout=60, make_cache_key=raw_key)
    def raw() -> Any:
        return jsonify(length=len(request.get_data()), ran=ran("raw")), 201

    @app.route("/in/<collection>", methods=["POST"])
    @cache.cached(timeout=60, make_cache_key=named_key, query_string=True, key_prefix="ignored")
    def inside(collection: str) -> Any:
        return jsonify(collection=collection, ran=ran("inside"))

    @app.route("/broken", methods=["POST"])
    @cache.cached(timeout=60, make_cache_key=broken_key)
    def broken() -> Any:
        return jsonify(ran=ran("broken"))

    @app.route("/noted", methods=["POST"])
    @cache.cached(timeout=60, make_cache_key=body_key, source_check=True)
    def noted() -> Any:
        return jsonify(ran=ran("noted"))

    return app


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    client = app.test_client()

    def post(step: str, path: str, body: Any) -> None:
        see.request(step, client, "POST", path, json=body)

    post("first", "/search", {"q": "jam", "page": 1})
    post("same in another order", "/search", {"page": 1, "q": "jam"})
    post("another", "/search", {"q": "jam", "page": 2})
    see.request("not JSON", client, "POST", "/search", data="plain", content_type="text/plain")
    see.request("wrong method", client, "GET", "/search")
    for number, data in enumerate((b"abc", b"abc", b"abd")):
        see.request(f"raw {number}", client, "POST", "/raw", data=data)
    see.request("raw by PUT", client, "PUT", "/raw", data=b"abc")
    post("in a", "/in/a?x=1", {"k": 1})
    post("in a again", "/in/a?x=2", {"k": 1})
    post("in b", "/in/b", {"k": 1})
    post("in a with others", "/in/a", {"k": 2})
    post("broken", "/broken", {"k": 1})
    post("broken again", "/broken", {"k": 1})
    post("shares the key of the search", "/noted", {"q": "jam", "page": 1})
    views = app.view_functions
    with app.test_request_context("/search", method="POST", json={"q": "jam", "page": 1}):
        see.call("key in store", cache.has, body_key())
        see.call("its attribute is the standard one", views["search"].make_cache_key)
        see.call("uncached", views["search"].uncached)
        see.call("deletion by key", cache.delete, body_key())
    post("after deletion", "/search", {"q": "jam", "page": 1})
    if see.timed:
        see.advance(61)
        post("expired", "/search", {"q": "jam", "page": 2})
