"""Both dialects in one application, and the accident in which they differ."""

from __future__ import annotations

import pytest
from conftest import Calls, text_of
from flask import Flask, session

import flask_larder
import flask_larder.compat
from flask_larder import Cache

pytest_plugins = ["compat_fixtures"]

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def profile_pages(app: Flask, cache: Cache) -> list[str]:
    """What two users see of one profile page."""

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["name"] = name
        return name

    @app.get("/profile")
    @cache.cached(timeout=60)
    def profile() -> str:
        return f"profile of {session['name']}"

    pages = []
    for name in ("ann", "bob"):
        client = app.test_client()
        client.get(f"/login/{name}")
        pages.append(text_of(client, "/profile"))
    return pages


def test_the_accident_happens_as_it_does_there(app: Flask, log: pytest.LogCaptureFixture) -> None:
    cache = flask_larder.compat.Cache(app, config=SIMPLE)
    assert profile_pages(app, cache) == ["profile of ann", "profile of ann"]
    assert [message for message in log.messages if "unsafe_store" in message]
    [counters] = [c for name, c in cache.stats()["functions"].items() if "profile" in name]
    assert counters["passes"] == {"unsafe_store: session": 1}


def test_a_hook_that_looks_at_an_empty_session_is_not_blamed(
    app: Flask, log: pytest.LogCaptureFixture
) -> None:
    cache = flask_larder.compat.Cache(app, config=SIMPLE)

    @app.before_request
    def load_user() -> None:
        session.get("user")

    app.add_url_rule("/", "index", cache.cached()(lambda: "page"))
    app.add_url_rule("/plain", "plain", lambda: "page")
    client = app.test_client()
    # Whether Flask says so for a session that is empty depends on its version.
    flask_says = client.get("/plain").headers.get("Vary")
    assert [client.get("/").headers.get("Vary") for _ in range(3)] == [flask_says] * 3
    assert not log.messages


def test_the_accident_does_not_happen_here(app: Flask) -> None:
    cache = flask_larder.Cache(app, config=SIMPLE)
    assert profile_pages(app, cache) == ["profile of ann", "profile of bob"]


def test_both_in_one_application(app: Flask, calls: Calls) -> None:
    safe = flask_larder.Cache(app, config=SIMPLE)
    compat = flask_larder.compat.Cache(app, config=SIMPLE)
    assert set(app.extensions["cache"]) == {safe, compat}
    app.add_url_rule("/safe", "safe", safe.cached()(lambda: f"safe {calls()}"))
    app.add_url_rule("/compat", "compat", compat.cached()(lambda: f"compat {calls()}"))
    client = app.test_client()
    assert [text_of(client, "/safe?a=1"), text_of(client, "/safe?a=2")] == ["safe 1", "safe 2"]
    assert [text_of(client, f"/compat?a={n}") for n in (1, 2)] == ["compat 3"] * 2
    # Each has a store of its own, so that a key means one thing in it.
    safe.set("k", "safe")
    assert compat.get("k") is None
    compat.clear()
    assert text_of(client, "/safe?a=1") == "safe 1"
    # The tag of the templates is that of the cache that was initialised last.
    assert app.jinja_env._template_fragment_cache is compat  # type: ignore[attr-defined]


def test_names_that_both_have() -> None:
    assert issubclass(flask_larder.compat.Cache, flask_larder.Cache)
    assert issubclass(flask_larder.compat.CachedResponse, flask_larder.CachedResponse)
    assert flask_larder.compat.cache_view_hit is flask_larder.cache_view_hit
