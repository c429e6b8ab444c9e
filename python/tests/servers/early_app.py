"""An application whose hits are answered early, for real servers. Each answer says who sent it, and
whether Flask was asked."""

from __future__ import annotations

import json
import os
import secrets
from typing import Any

from flask import Flask, request

from flask_larder import Cache, cookie

application = Flask("early_app")
application.secret_key = "a key for tests"
cache = Cache(application, config={**json.loads(os.environ["CONFIG"]), "CACHE_EARLY_HITS": True})


@application.get("/page/<int:number>")
@cache.cached(3600)
def page(number: int) -> str:
    """Unlike any other answer."""
    return f"page {number} {secrets.token_hex(8)}"


@application.get("/dated")
@cache.cached(3600, http=True)
def dated() -> str:
    """Has a validator."""
    return "dated " * 100


@application.get("/of")
@cache.cached(3600, vary=[cookie("user")])
def of() -> str:
    """Says who asks."""
    return f"this is the page of {request.cookies['user']}"


@application.post("/purge")
def purge() -> str:
    """Drops the pages."""
    cache.delete_many(*(f"view//page/{number}" for number in range(10)))
    return "purged"


class Telling:
    """Says who answered."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            early = "0" if "werkzeug.request" in environ else "1"
            told = [("Worker", str(os.getpid())), ("Early", early)]
            return start_response(status, [*headers, *told], *more)

        return self.inner(environ, start)


application.wsgi_app = Telling(application.wsgi_app)  # type: ignore[method-assign]
