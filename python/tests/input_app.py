"""An application that repeats what it was asked for: cached, and beside it the same without a cache."""

from __future__ import annotations

import os

from flask import Flask, Response, request, url_for

from flask_larder import Cache, cookie, query

CALLS = "X-Calls"
STEERS = {
    "X-Forwarded-Host": "evil.example",
    "X-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "Forwarded": "host=evil.example;proto=https",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Scheme": "https",
    "X-Forwarded-Port": "4443",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "10.0.0.1",
    "X-Original-URL": "/varied",
    "X-Rewrite-URL": "/varied",
    "X-HTTP-Method-Override": "POST",
    "X-Method-Override": "DELETE",
    "X-Script-Name": "/evil",
    "Via": "1.1 evil",
    "X-Cache-Key": "evil",
}
"""Headers that some program believes."""


def build(config: dict[str, object]) -> Flask:
    """The application, with a count of its calls in each answer."""
    app = Flask("input_app")
    app.secret_key = "a key for tests"
    cache = Cache(app, config=config)
    calls = 0

    def said() -> str:
        nonlocal calls
        calls += 1
        where = url_for("page", _external=True)
        query = sorted(request.args.items(multi=True))
        return f"{request.method} {request.host} {request.path!r} {query} {where}"

    @app.route("/page", methods=["GET", "POST"])
    @cache.cached(3600)
    def page() -> str:
        return said()

    @app.get("/varied")
    @cache.cached(3600, vary=["X-A", cookie("theme")])
    def varied() -> str:
        return f"{said()} {request.headers.get('X-A')!r} {request.cookies.get('theme')!r}"

    @app.get("/parameter")
    @cache.cached(3600, vary=[query("user")])
    def parameter() -> str:
        said()
        return repr(request.args.getlist("user"))

    @app.get("/cookie")
    @cache.cached(3600, vary=[cookie("theme")])
    def one_cookie() -> str:
        said()
        return repr(request.cookies.getlist("theme"))

    @app.get("/naive")
    @cache.cached(3600)
    def naive() -> str:
        # As careless code does: whoever asks says where the links go.
        host = request.headers.get("X-Forwarded-Host", request.host)
        told = [(name, request.headers.get(name)) for name in STEERS]
        return f"{said()} {host} {told}"

    @app.get("/under/<path:rest>")
    @cache.cached(3600)
    def under(rest: str) -> str:
        return f"{said()} {rest!r}"

    @app.after_request
    def count(response: Response) -> Response:
        response.headers[CALLS] = str(calls)
        return response

    return app


if "INPUT_STORE" in os.environ:
    application = build({"CACHE_TYPE": os.environ["INPUT_STORE"], "CACHE_NO_NULL_WARNING": True})
