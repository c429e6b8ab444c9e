"""Group 3: plain functions under a fixed key, and prefixes that are called."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, request
from flask_caching import Cache
from journal import ran
from notebook import Notebook

cache = Cache()


@cache.cached(timeout=50, key_prefix="all_comments")
def all_comments() -> list[str]:
    return [f"comment {ran('comments')}"]


@cache.cached(50, "positional")
def positional() -> int:
    return ran("positional")


def by_method() -> str:
    ran("prefix")
    return f"{request.method} {request.path}"


def by_user() -> str:
    return f"user/{g.user}/%s"


@cache.cached(timeout=50, key_prefix="100%")
def percent() -> int:
    return ran("percent")


@cache.cached(timeout=50, key_prefix="two/%s/%s")
def two_places() -> int:
    return ran("two places")


@cache.cached(timeout=50)
def shares_the_path() -> str:
    return f"helper {ran('helper')}"


@cache.cached(timeout=50, key_prefix="none")
def none() -> None:
    ran("none")


@cache.cached(timeout=50, key_prefix="none kept", cache_none=True)
def none_kept() -> None:
    ran("none kept")


@cache.cached(timeout=50, key_prefix="broken prefix" if False else lambda: 1 / 0)
def broken() -> int:
    return ran("broken")


@cache.cached(timeout=50, key_prefix="rows")
def rows() -> Any:
    return (row for row in ({"id": ran("row")}, {"id": ran("row")}))


@cache.cached(timeout=50, key_prefix="unpicklable")
def unpicklable() -> Any:
    ran("unpicklable")
    return lambda: None


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("fixed_keys")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.before_request
    def load_user() -> None:
        g.user = request.args.get("user", "nobody")

    @app.route("/comments")
    def comments() -> Any:
        return {"comments": all_comments(), "again": all_comments()}

    @app.route("/method", methods=["GET", "POST"])
    @cache.cached(timeout=50, key_prefix=by_method)
    def method() -> str:
        return f"{request.method} {ran('method')}"

    @app.route("/mine/<part>")
    @cache.cached(timeout=50, key_prefix=by_user)
    def mine(part: str) -> str:
        return f"{g.user} {part} {ran('mine')}"

    @app.route("/prefixed/<part>")
    @cache.cached(timeout=50, key_prefix="pages/%s")
    def prefixed(part: str) -> str:
        return f"{part} {ran('prefixed')}"

    @app.route("/constant/<part>")
    @cache.cached(timeout=50, key_prefix="constant")
    def constant(part: str) -> str:
        return f"{part} {ran('constant')}"

    @app.route("/helped")
    @cache.cached(timeout=50)
    def helped() -> str:
        return f"{shares_the_path()} and view {ran('view')}"

    return app


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    client = app.test_client()
    steps = ["/comments", "/comments", "/method", "/method", "/mine/a?user=ann", "/mine/a?user=bob"]
    steps += ["/mine/b?user=ann", "/prefixed/x", "/prefixed/y", "/prefixed/x", "/constant/1"]
    steps += ["/constant/2", "/helped", "/helped"]
    for number, path in enumerate(steps):
        see.get(f"{number} {path}", client, path)
    see.request("POST has a key of its own", client, "POST", "/method")
    functions = [all_comments, positional, percent, two_places, none, none_kept, rows, broken]
    with app.test_request_context("/direct"):
        for function in [*functions, unpicklable]:
            see.call(f"{function.__name__} first", function)
            see.call(f"{function.__name__} second", function)
    see.call("outside a request, fixed key", all_comments)
    see.call("outside a request, path", shares_the_path)
    keys = ["all_comments", "positional", "100%", "none", "none kept", "rows", "GET /method"]
    keys += ["POST /method", "user/ann/%s", "pages//prefixed/x", "constant", "view//helped"]
    with app.app_context():
        for key in keys:
            see.call(f"has {key}", cache.has, key)
            see.call(f"get {key}", cache.get, key)
    see.call("delete", cache.delete, "all_comments")
    see.call("delete again", cache.delete, "all_comments")
    see.call("after delete", all_comments)
    see.call("set under it", cache.set, "all_comments", ["set"])
    see.call("finds what was set", all_comments)
    if see.timed:
        see.advance(50)
        see.call("at 50 s", positional)
    see.value("timeout", positional.cache_timeout)
    see.call("uncached", positional.uncached)
