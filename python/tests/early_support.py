"""Applications that are asked as a server asks them, for the tests of early hits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from flask import Flask

from flask_larder import Cache

BASE: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "a.example",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "a.example",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


@dataclass(frozen=True)
class Said:
    """What an application said to one request, byte for byte, and who said it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    early: bool

    @property
    def bytes(self) -> Any:
        """What a client gets."""
        return self.status, self.headers, self.body


def ask(app: Any, path: str = "/", /, **changes: Any) -> Said:
    """The answer to a request. It was an early hit if no request of Flask's was made for it."""
    environ = {
        **BASE,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "PATH_INFO": path,
        **changes,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    started: list[Any] = []
    said = app.wsgi_app(environ, lambda status, headers, _=None: started.append((status, headers)))
    try:
        body = b"".join(said)
    finally:
        getattr(said, "close", lambda: None)()
    ((status, headers),) = started
    return Said(status, headers, body, "werkzeug.request" not in environ)


def early_app(
    config: dict[str, Any] | None = None, *, early: Any = True, app: Flask | None = None
) -> tuple[Flask, Cache]:
    """An application whose hits are answered early."""
    app = Flask("early") if app is None else app
    app.secret_key = "a key for tests"
    options = {"CACHE_TYPE": "SimpleCache", "CACHE_EARLY_HITS": early, **(config or {})}
    return app, Cache(app, config=options)


def counted(cache: Cache, app: Flask, path: str = "/", **options: Any) -> list[int]:
    """Serves `path` by a view that says how often it was called, and answers that list."""
    calls: list[int] = []

    @app.get(path, endpoint=path.replace(".", "-"))
    @cache.cached(options.pop("timeout", 60), **options)
    def view(**_args: Any) -> str:
        calls.append(len(calls) + 1)
        return f"call {len(calls)}"

    return calls


def warmed(app: Flask, path: str = "/", **changes: Any) -> Said:
    """The answer once everything is learned: a load, a hit that is learned from, and one more."""
    for _ in range(3):
        ask(app, path, **changes)
    return ask(app, path, **changes)
