"""The same small Flask application on each cache: views, functions, a method, a fragment."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import flask_caching
from flask import Flask, Response

import flask_larder
import flask_larder.compat

BODY = "x" * 1024
PRODUCTS = [f"product {number}" for number in range(20)]
FRAGMENT = """{% cache 300, "products" %}<ul>
{%- for name in products %}<li class="{{ loop.cycle('odd', 'even') }}">{{ name }}</li>{% endfor -%}
</ul>{% endcache %}"""
UNCACHED_FRAGMENT = FRAGMENT.replace('{% cache 300, "products" %}', "").replace(
    "{% endcache %}", ""
)

MAKERS: dict[str, Callable[..., Any]] = {
    "Larder": flask_larder.Cache,
    "Flask-Caching": flask_caching.Cache,
}
# The same for the drop-in dialect.
DROP_IN: dict[str, Callable[..., Any]] = {**MAKERS, "Larder": flask_larder.compat.Cache}

# A machine that pauses for a moment is no outage, which is what these rows are not about.
PATIENT: dict[str, dict[str, Any]] = {"Larder": {"CACHE_OPTIONS": {"deadline": 20}}}


class Plain:
    """A decorator that caches nothing, in the place of a cache."""

    def cached(self, **_options: Any) -> Callable[[Any], Any]:
        """Leaves a view as it is."""
        return lambda view: view

    memoize = cached


class Site:
    """One application with one cache, and how often its functions ran."""

    def __init__(self, make: Callable[..., Any] | None, **config: Any) -> None:
        self.app = Flask("bench")
        # A site that knows its users: the session is opened for every request.
        self.app.secret_key = "bench"
        settings = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 3600, **config}
        self.cache = Plain() if make is None else make(self.app, config=settings)
        self.runs: dict[str, int] = {}
        self.views = self._views()
        self.functions = self._functions()

    def _ran(self, name: str) -> None:
        self.runs[name] = self.runs.get(name, 0) + 1

    def _views(self) -> dict[str, Any]:
        cached = self.cache.cached

        @self.app.route("/text")
        @cached()
        def text() -> str:
            self._ran("text")
            return BODY

        @self.app.route("/query")
        @cached(query_string=True)
        def query() -> str:
            self._ran("query")
            return BODY

        @self.app.route("/response")
        @cached()
        def response() -> Response:
            self._ran("response")
            return Response(BODY, mimetype="text/html")

        return {"text": text, "query": query, "response": response}

    def _functions(self) -> dict[str, Any]:
        memoize, site = self.cache.memoize, self

        @memoize()
        def none() -> int:
            self._ran("none")
            return 1

        @memoize()
        def one(number: int | list[int]) -> int:
            self._ran(f"one of {number}")
            return 1

        @memoize()
        def four(a: int, b: str, c: float, d: bool) -> int:
            return a

        @memoize()
        def five(a: int, b: str, c: float, d: bool, e: str | None) -> int:
            self._ran("five")
            return a

        @memoize()
        def fifty() -> dict[str, str]:
            self._ran("fifty")
            return {f"key {number}": f"value {number}" for number in range(50)}

        class Product:
            """Known by its number, so that its methods can be memoized."""

            def __repr__(self) -> str:
                return "<Product 7>"

            @memoize()
            def price(self, currency: str) -> int:
                site._ran("price")
                return len(currency)

        # Found under its name in its module, as the classes of an application are.
        Product.__qualname__ = f"Product{id(self)}"
        globals()[Product.__qualname__] = Product
        return {
            "none": none,
            "one": one,
            "four": four,
            "five": five,
            "fifty": fifty,
            "product": Product(),
        }

    def inside(self, path: str) -> contextvars.Context:
        """A context with a request for `path` pushed."""
        context = contextvars.copy_context()
        context.run(lambda: self.app.test_request_context(path).push())
        return context


def environ(path: str) -> dict[str, Any]:
    """What a server would hand to the application for a GET of `path`."""
    from werkzeug.test import EnvironBuilder

    made = EnvironBuilder(path, headers={"User-Agent": "bench", "Accept": "text/html"})
    return made.get_environ()


def serve(app: Flask, request: dict[str, Any]) -> str:
    """One whole WSGI request, with what a server does of it: the body read, the iterable closed."""
    answer = app.wsgi_app(dict(request), _start_response)
    body = b"".join(answer)
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    return body.decode()


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
    if not status.startswith("200"):
        raise AssertionError(f"the site answered {status}")
