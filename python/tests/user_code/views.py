"""Groups 1 to 7: start-up, views, keys, queries, bodies, gates, lifetimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, assert_type

from flask import Flask, Response, jsonify, make_response, request
from flask.views import MethodView, View

from flask_larder.compat import Cache, CachedResponse, make_template_fragment_key

settings: dict[str, Any] = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300}
cache = Cache(config=settings)


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Group 1: a cache of the module, and an application that comes later."""
    app = Flask("shop")
    app.config.from_mapping(config)
    cache.init_app(app)
    return app


def start_ups() -> tuple[Cache, Cache, Cache]:
    """Group 1: the two other ways."""
    one = Flask("one")
    one.config.from_mapping({"DEBUG": True, **settings})
    other = Cache()
    other.init_app(Flask("three"), config={"CACHE_TYPE": "SimpleCache"})
    return Cache(one), Cache(Flask("two"), config=settings), other


@cache.cached(timeout=50)
def index() -> str:
    """Group 2."""
    return "index"


@cache.cached(50)
def page(name: str, number: int = 1) -> tuple[str, int]:
    """Group 2: with arguments of the route."""
    return f"{name} {number}", 200


class Shelf(View):
    """Group 2: a class-based view."""

    # Flask declares a method here, and pyright takes no object for one.
    @cache.cached(timeout=50)
    def dispatch_request(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One shelf."""
        return request.path


class Resource(MethodView):
    """Group 2: one class, a method for each of HTTP's."""

    @cache.cached(timeout=50)
    def get(self, name: str) -> Response:
        """What is there."""
        return jsonify(name=name)


def user_key() -> str:
    """Group 3: a key of one's own."""
    return f"{request.method} {request.path}"


@cache.cached(timeout=50, key_prefix="all_comments")
def comments() -> list[str]:
    """Group 3: a function with a fixed key."""
    return ["first", "second"]


@cache.cached(timeout=timedelta(minutes=1), key_prefix=user_key)
def mine() -> str:
    """Group 3: a function keyed by a callable."""
    return request.path


@cache.cached(timeout=50, query_string=True)
def works() -> str:
    """Group 4."""
    return ",".join(request.args)


def forget_works() -> list[bool]:
    """Group 4: what is known of keys by query."""
    key = works.make_cache_key(path="/works", query_args={"limit": 15})
    assert isinstance(key, str)
    return [
        cache.delete_cached(works, "/works", "limit=15&mock=true"),
        cache.delete_cached(works, "/works", {"limit": 15}),
        cache.delete_cached(works, path="/works", query_args=[("limit", "15")]),
    ]


def by_body(name: str) -> str:
    """Group 5: a key made of the body."""
    return f"{name}:{request.get_data(as_text=True)}"


@cache.cached(timeout=60, make_cache_key=by_body)
def search(name: str) -> Response:
    """Group 5."""
    return jsonify(name=name, query=request.get_json())


def signed_in() -> bool:
    """Group 6: a gate without arguments."""
    return "Authorization" in request.headers


def is_admin(f: Callable[..., Any], *args: object, **kwargs: object) -> bool:
    """Group 6: a gate that is told of the call."""
    return f.__name__ == "admin"


def outdated(value: object, *args: object) -> bool:
    """Group 6: a look at what is stored."""
    return value is None


def successful(answer: Response) -> bool:
    """Group 6: what is worth keeping."""
    return answer.status_code == 200


@cache.cached(
    unless=signed_in,
    forced_update=lambda: request.args.get("refresh") == "1",
    is_stale=outdated,
    response_filter=successful,
    cache_none=True,
    response_hit_indication=True,
)
def gated() -> Response:
    """Group 6."""
    return make_response("gated")


@cache.cached(unless=is_admin, response_filter=lambda rv: rv[1] < 400)
def pair() -> tuple[str, int]:
    """Group 6: the view's own value is what the filter gets."""
    return "pair", 200


@cache.cached(timeout=50)
def dynamic() -> CachedResponse:
    """Group 7."""
    return CachedResponse(response=make_response("soon gone"), timeout=2)


@cache.cached(timeout=50)
def later() -> CachedResponse:
    """Group 7: positional, as a timedelta."""
    return CachedResponse(make_response("later"), timedelta(minutes=5))


index.cache_timeout = 7


def types(app: Flask) -> str:
    """What the decorated functions are to a type checker: what they were."""
    with app.test_request_context("/types"):
        assert_type(index(), str)
        assert_type(page("a", number=2), tuple[str, int])
        assert_type(comments(), list[str])
        assert_type(Shelf().dispatch_request(), str)
        assert_type(Resource().get("a"), Response)
        assert_type(dynamic.uncached(), CachedResponse)
    return assert_type(make_template_fragment_key("frag", vary_on=["a", "b"]), str)
