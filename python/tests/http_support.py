"""Views that are served as HTTP wants it, for the tests of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from flask_larder import Cache


def of_sort(sort: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A view that is called, or one that is awaited."""
    if sort == "sync":
        return function

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return awaited


class Site:
    """An application with views of one sort, and a client."""

    def __init__(self, app: Flask, cache: Cache, sort: str) -> None:
        self.app, self.cache, self.sort = app, cache, sort

    def view(self, path: str, function: Callable[..., Any], **options: Any) -> Any:
        """Serves `path` by a cached view; HTTP is on unless the options say otherwise."""
        options.setdefault("http", True)
        methods = options.pop("methods", None)
        made = self.cache.cached(options.pop("timeout", 300), **options)(
            of_sort(self.sort, function)
        )
        self.app.add_url_rule(path, f"view{len(self.app.view_functions)}", made, methods=methods)
        return made

    def get(self, path: str = "/", headers: Any = None, **how: Any) -> Any:
        """The answer to a GET, with these headers."""
        method = how.pop("method", "GET")
        return self.app.test_client().open(path, method=method, headers=headers, **how)

    def status(self, path: str = "/", headers: Any = None, **how: Any) -> str:
        """What the answer says that the cache did."""
        (said,) = self.get(path, headers, **how).headers.getlist("Cache-Status")
        return str(said)

    def settle(self) -> None:
        """Waits until what the cache does behind the answers is done."""
        self.cache._background.join()
