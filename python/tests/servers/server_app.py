"""An application of both dialects on both stores, for a real server to run.

Each answer names the process that made it and is unlike any other: two equal answers are one entry.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import Any

from flask import Flask, Response, render_template_string
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import flask_larder
import flask_larder.compat
from flask_larder.compat import make_template_fragment_key as compat_fragment_key
from flask_larder.testing import HandClock, follow_clock

HOUR = 3600
FRAGMENT = '{% cache 3600, "box" %}{{ fresh() }}{% endcache %}'


class Ahead(HandClock):
    """The machine's time, moved on by as much as was asked for."""

    def __call__(self) -> float:
        return time.time() + self.seconds


CLOCK = Ahead(0.0)
follow_clock(CLOCK)


def fresh() -> str:
    """A new answer."""
    return f"{os.getpid()} {secrets.token_hex(8)}"


def build(module: Any, fragment_key: str, config: dict[str, Any]) -> Flask:
    """An application with one cache of `module`'s dialect."""
    app = Flask("server_app")
    app.secret_key = "a key for tests"
    cache = module.Cache(app, config=config)
    app.jinja_env.globals["fresh"] = fresh

    @app.get("/page/<int:number>")
    @cache.cached(HOUR)
    def page(number: int) -> str:
        return f"page {number} {fresh()}"

    if module is flask_larder:
        dated = cache.cached(HOUR, http=True)(lambda: "dated")
        app.add_url_rule("/dated", "dated", dated, methods=["GET", "POST"])

    @cache.memoize(HOUR)
    def price(product: str) -> list[str]:
        return [product, fresh()]

    app.add_url_rule("/price", "price", lambda: " ".join(price("lamp")))
    app.add_url_rule("/box", "box", lambda: render_template_string(FRAGMENT))

    @app.get("/trend")
    @cache.cached(60, stale=HOUR)
    def trend() -> str:
        return f"trend {fresh()}"

    @app.post("/purge")
    def purge() -> str:
        cache.delete("view//page/1")
        cache.delete_memoized(price)
        cache.delete(fragment_key)
        return "done"

    @app.post("/age")
    def age() -> str:
        CLOCK.advance(61)
        return "done"

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["Worker"] = str(os.getpid())
        return response

    return app


def build_all() -> DispatcherMiddleware:
    """Every application that the variable `SHOPS` configures, each under its name."""
    keys = {
        "safe": (flask_larder, flask_larder.make_template_fragment_key("box")),
        "compat": (flask_larder.compat, compat_fragment_key("box")),
    }
    shops: dict[str, Any] = {
        f"/{name}": build(*keys[name.partition("-")[0]], config)
        for name, config in json.loads(os.environ["SHOPS"]).items()
    }
    return DispatcherMiddleware(Flask("root"), shops)


application = build_all()

WARM_AT = os.environ.get("WARM_AT")
if WARM_AT:
    # What a server that preloads asks before it forks.
    visitor = Client(application)
    for shop in json.loads(os.environ["SHOPS"]):
        for path in ("page/1", "price", "box"):
            visitor.get(f"/{shop}/{path}", base_url=WARM_AT)
