"""A catalogue site whose pages are honestly slow, and quick from the cache.

`create_app()` is the only name to import. Where to look next: `pages` for what
everyone sees alike, `account` and `cart` for what belongs to one visitor,
`writes` for how a change is seen at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException

from . import account, cart, database, pages, stats, timing, writes
from .caching import cache

__all__ = ["create_app"]


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the site.

    `config` overrides the defaults below. `DATABASE` is the path of the SQLite
    file; without it the shared one is used, and built first if it is missing.
    `SQL_TRACE`, if given, is called with the text of every statement that runs.

        >>> app = create_app({"CACHE_TYPE": "NullCache"})  # doctest: +SKIP
    """
    app = Flask(__name__)
    app.config.from_mapping(
        CACHE_TYPE="SimpleCache",
        CACHE_DEFAULT_TIMEOUT=300,
        CACHE_THRESHOLD=10_000,
        # So that a browser's network panel, and the footer of each page, say hit or miss.
        CACHE_STATUS_HEADERS=True,
        SECRET_KEY=secrets.token_hex(32),
        SESSION_COOKIE_SAMESITE="Lax",
        SQL_TRACE=None,
    )
    app.config.from_mapping(config or {})
    if "DATABASE" not in app.config:
        app.config["DATABASE"] = database.ensure()

    cache.init_app(app)
    database.init_app(app)
    for part in (pages, account, cart, writes, stats):
        app.register_blueprint(part.blueprint)
    app.register_error_handler(HTTPException, _error_page)
    app.add_template_filter(_money, "money")
    app.context_processor(lambda: {"now": datetime.now(UTC)})
    app.wsgi_app = timing.Stopwatch(app.wsgi_app)
    return app


def _money(cents: int) -> str:
    return f"€{cents / 100:,.2f}"


def _error_page(error: HTTPException) -> tuple[str, int]:
    return render_template("error.html", error=error), error.code or 500
