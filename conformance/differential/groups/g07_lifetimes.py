"""Group 7: lifetimes that an answer brings with it, and those changed afterwards."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

from flask import Flask, Response, make_response
from flask_caching import Cache, CachedResponse
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "memcached"]


def create_app(config: dict[str, Any], see: Notebook) -> tuple[Flask, Cache]:
    app = Flask("lifetimes")
    app.config.from_mapping(config)
    cache = Cache(app)

    @app.route("/words")
    @cache.cached(timeout=100)
    def words() -> Any:
        return CachedResponse(response=make_response(f"words {ran('words')}"), timeout=200)

    @app.route("/positions")
    @cache.cached(timeout=100)
    def positions() -> Any:
        made = make_response(f"positions {ran('positions')}", 203, {"X-Made": "yes"})
        return CachedResponse(made, 20)

    @app.route("/zero")
    @cache.cached(timeout=100)
    def zero() -> Any:
        return CachedResponse(response=make_response(f"zero {ran('zero')}"), timeout=0)

    @app.route("/none")
    @cache.cached(timeout=100)
    def none() -> Any:
        return CachedResponse(response=make_response(f"none {ran('none')}"), timeout=None)

    @app.route("/default")
    @cache.cached()
    def default() -> str:
        return f"default {ran('default')}"

    @app.route("/forever")
    @cache.cached(timeout=0)
    def forever() -> str:
        return f"forever {ran('forever')}"

    @app.route("/negative")
    @cache.cached(timeout=-1)
    def negative() -> str:
        return f"negative {ran('negative')}"

    @app.route("/changed")
    @cache.cached(timeout=100)
    def changed() -> str:
        return f"changed {ran('changed')}"

    changed.cache_timeout = 30
    if see.since("2.5"):
        deltas(app, cache)
    return app, cache


def deltas(app: Flask, cache: Cache) -> None:
    @app.route("/delta")
    @cache.cached(timeout=100)
    def delta() -> Any:
        return CachedResponse(make_response(f"delta {ran('delta')}"), timedelta(seconds=39.5))

    @app.route("/decorated-delta")
    @cache.cached(timeout=timedelta(minutes=2, milliseconds=1))
    def decorated_delta() -> str:
        return f"decorated delta {ran('decorated delta')}"

    @app.route("/text")
    @cache.cached(timeout="100")
    def text() -> str:
        return f"text {ran('text')}"


PATHS = ["/words", "/positions", "/zero", "/none", "/default", "/forever", "/changed"]
LIVES = {"/words": 200, "/positions": 20, "/default": 300, "/changed": 30, "/delta": 40}
LIVES |= {"/decorated-delta": 121, "/forever": 0}
DELTAS = ["/delta", "/decorated-delta", "/text"]


def observe(see: Notebook) -> None:
    app, cache = create_app(see.config, see)
    client = app.test_client()
    paths = PATHS + (DELTAS if see.since("2.5") else [])
    if see.timed:
        paths.append("/negative")
    for path in paths:
        see.get(f"{path} first", client, path)
        see.get(f"{path} second", client, path)
        see.lives(f"{path} lives", f"view/{path}", LIVES.get(path, 100))
    passed = 0
    # Each a second on either side of a limit: 20, 30, 40, 100, 120, 121, 200, 300.
    for at in (19, 20, 29, 30, 39, 40, 99, 100, 101, 120, 121, 199, 200, 299, 300, 400, 86400):
        if see.timed:
            see.advance(at - passed)
            passed = at
            for path in paths:
                see.get(f"{path} at {at}", client, path)
    attributes(see, app, cache)


def attributes(see: Notebook, app: Flask, cache: Cache) -> None:
    views = app.view_functions
    for name in ("words", "default", "forever", "changed"):
        see.value(f"cache_timeout of {name}", views[name].cache_timeout)
    if see.since("2.5"):
        see.value("of a timedelta", views["decorated_delta"].cache_timeout)
        see.value("of a text", views["text"].cache_timeout)
    with app.app_context():
        made = make_response("made")
        answer = CachedResponse(made, 5)
        see.value("class", isinstance(answer, Response))
        see.value("state", answer.__dict__ is made.__dict__)
        see.value("timeout", answer.timeout)
        see.value("parameters", list(inspect.signature(CachedResponse).parameters))
        if see.since("2.5"):
            see.value(
                "timeout of a timedelta", CachedResponse(made, timedelta(seconds=1.2)).timeout
            )
    views["words"].cache_timeout = 7
    see.value("changed afterwards", views["words"].cache_timeout)
    by_key = cache.memoize(100)(lambda a: (ran("memoized"), a)[1])
    by_key.cache_timeout = 10
    see.call("memoized first", by_key, 1)
    if see.timed:
        see.advance(9)
        see.call("memoized at 9", by_key, 1)
        see.advance(2)
        see.call("memoized at 11", by_key, 1)
