"""Caching for Flask: everything Flask-Caching does, on a Rust engine, and safe.

    from flask import Flask
    from flask_larder import Cache

    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.route("/products")
    @cache.cached(timeout=60)
    def products():
        return render_template("products.html", products=load_products())

Code written for Flask-Caching imports `flask_larder.compat` instead.
"""

from __future__ import annotations

from .cache import Cache
from .failures import CacheTimeout
from .http import Http
from .jinja2ext import make_template_fragment_key
from .reads import USER_NAMES
from .responses import CachedResponse
from .signals import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss
from .vary import cookie, header, query, value

__all__ = [
    "USER_NAMES",
    "Cache",
    "CacheTimeout",
    "CachedResponse",
    "Http",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_view_hit",
    "cache_view_miss",
    "cookie",
    "header",
    "make_template_fragment_key",
    "query",
    "value",
]
