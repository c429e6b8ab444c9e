"""Group 6: unless, forced_update, is_stale and response_filter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, make_response, request
from flask_caching import Cache
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]


class User:
    is_authenticated = False


class Flags:
    """What the tests of a user switch between two requests."""

    unless: Any = False
    forced: Any = False
    stale: Any = False
    keep: Any = True


user = User()
flags = Flags()


def only_words(*, verbose: bool = False) -> Any:
    ran("only words")
    return flags.unless


class CountingGate:
    def __call__(self, *args: Any) -> Any:
        ran(f"object with {len(args)}")
        return flags.unless


def noted(name: str, answer: Callable[[], Any], shape: str) -> Callable[..., Any]:
    """A gate of one of the shapes that people write."""

    def note(*args: Any, **kwargs: Any) -> Any:
        first = [getattr(each, "__name__", each) for each in args]
        ran(f"{name} {first} {kwargs}")
        return answer()

    shapes: dict[str, Callable[..., Any]] = {
        "none": lambda: note(),
        "any": lambda *args, **kwargs: note(*args, **kwargs),
        "one and any": lambda first, *args, **kwargs: note(first, *args, **kwargs),
        "one": lambda first: note(first),
        "two": lambda a, b: note(a, b),
        "three": lambda a, b, c: note(a, b, c),
        "star": lambda *args: note(*args),
    }
    return shapes[shape]


def create_app(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("gates")
    app.config.from_mapping(config)
    cache = Cache(app)

    @app.route("/signed-out")
    @cache.cached(timeout=50, unless=lambda: user.is_authenticated)
    def signed_out() -> str:
        return f"signed out {ran('signed out')}"

    @app.route("/unless/<a>/<b>")
    @cache.cached(timeout=50, unless=noted("unless", lambda: flags.unless, "one and any"))
    def unless(a: str, b: str) -> str:
        return f"{a} {b} {ran('unless view')}"

    @app.route("/forced/<a>/<b>")
    @cache.cached(timeout=50, forced_update=noted("forced", lambda: flags.forced, "two"))
    def forced(a: str, b: str) -> str:
        return f"{a} {b} {ran('forced view')}"

    @app.route("/flag")
    @cache.cached(timeout=50, forced_update=lambda: flags.forced)
    def flag() -> str:
        return f"flag {ran('flag view')}"

    @app.route("/words")
    @cache.cached(timeout=50, unless=only_words)
    def words() -> str:
        return f"words {ran('words view')}"

    @app.route("/object")
    @cache.cached(timeout=50, unless=CountingGate())
    def called() -> str:
        return f"object {ran('object view')}"

    @app.route("/breaks")
    @cache.cached(timeout=50, unless=lambda: request.args["absent"])
    def breaks() -> str:
        return f"breaks {ran('breaks view')}"

    add_filtered(app, cache)
    return app, cache


def add_filtered(app: Flask, cache: Cache) -> None:
    @app.route("/tuple/<int:status>")
    @cache.cached(timeout=50, response_filter=lambda value: value[1] < 400)
    def pair(status: int) -> Any:
        return f"status {status} {ran('tuple view')}", status

    @app.route("/response/<int:status>")
    @cache.cached(timeout=50, response_filter=lambda response: response.status_code == 200)
    def response(status: int) -> Response:
        return make_response(f"status {status} {ran('response view')}", status)

    @app.route("/truth")
    @cache.cached(timeout=50, response_filter=lambda value: flags.keep)
    def truth() -> str:
        return f"truth {ran('truth view')}"

    @app.route("/absent/<int:status>")
    @cache.cached(timeout=50, response_filter=lambda response: response.status_code != 404)
    def absent(status: int) -> str:
        ran("absent view")
        abort(status)


def observe(see: Notebook) -> None:
    app, cache = create_app(see.config)
    client = app.test_client()
    for value in (False, True, 1, "yes", None):
        user.is_authenticated = flags.unless = flags.forced = flags.keep = value
        for path in (
            "/signed-out",
            "/unless/x/y",
            "/forced/x/y",
            "/flag",
            "/truth",
            "/words",
            "/object",
        ):
            see.get(f"{path} with {value!r}", client, path)
            see.get(f"{path} with {value!r} again", client, path)
    for path in ("/tuple/200", "/tuple/404", "/response/200", "/response/201", "/absent/404"):
        see.get(path, client, path)
        see.get(f"{path} again", client, path)
    if see.since("2.5"):
        see.get("/absent/410", client, "/absent/410")
        see.get("/absent/410 again", client, "/absent/410")
    see.get("gate that breaks", client, "/breaks")
    functions(see, app, cache)
    if not see.since("2.5"):
        positions(see, cache)
    if see.since("2.5"):
        staleness(see, app, cache)


def functions(see: Notebook, app: Flask, cache: Cache) -> None:
    for shape in ("none", "any", "one and any", "star"):
        gate = noted("unless", lambda: flags.unless, shape)
        cached = cache.memoize(50, unless=gate)(add)
        for flags.unless in (False, True, 1, False):
            step = f"memoize unless {shape} {flags.unless!r}"
            with app.app_context():
                see.call(step, cached, 1, b=2)
    for shape in ("none", "any", "two", "star"):
        cached = cache.memoize(50, forced_update=noted("forced", lambda: flags.forced, shape))(add)
        for flags.forced in (False, True, 1, False):
            step = f"memoize forced {shape} {flags.forced!r}"
            with app.app_context():
                see.call(step, cached, 1, 3)
    cached = cache.memoize(50, response_filter=lambda value: value > 10)(add)
    for a in (1, 1, 20, 20):
        see.call(f"memoize filtered {a}", cached, a, 1)
    flags.unless = True
    by_key = cache.cached(50, "gated", unless=lambda: flags.unless)(lambda: ran("by key"))
    see.call("fixed key, bypassed", by_key)
    see.call("fixed key, not stored", cache.get, "gated")


def positions(see: Notebook, cache: Cache) -> None:
    """Arguments by position, in the order that 2.4 had."""
    ways: dict[str, Any] = {
        "five": (50, "five", None, None, lambda value: False),
        "six": (50, "six", None, None, lambda value: False, False),
        "eight": (50, "eight", None, None, None, False, hashlib.md5, True),
    }
    for name, arguments in ways.items():
        cached = see.call(f"{name} of cached", cache.cached, *arguments)
        if cached is not None:
            function = cached(lambda: ran("by position") and None)
            see.call(f"{name}: first", function)
            see.call(f"{name}: second", function)
            see.call(f"{name}: in store", cache.has, name)
    six = see.call("six of memoize", cache.memoize, 50, None, None, None, None, hashlib.md5, True)
    if six is not None:
        function = six(add)
        see.call("six of memoize: first", function, 7, 7)
        see.call("six of memoize: second", function, 7, 7)


def add(a: int, b: int = 0) -> int:
    ran("add")
    return a + b


def staleness(see: Notebook, app: Flask, cache: Cache) -> None:
    for shape in ("one", "three", "star", "any"):
        gate = noted("stale", lambda: flags.stale, shape)
        cached = cache.memoize(50, is_stale=gate)(add)
        viewed = cache.cached(50, f"stale {shape}", is_stale=gate)(add)
        for flags.stale in (False, False, True, 1):
            with app.app_context():
                see.call(f"memoize stale {shape} {flags.stale!r}", cached, 1, 4)
                see.call(f"cached stale {shape} {flags.stale!r}", viewed, 1, 4)
    nothing = cache.cached(
        50, "stale none", cache_none=True, is_stale=noted("stale", lambda: flags.stale, "one")
    )(lambda: ran("nothing") and None)
    flags.stale = False
    see.call("stale none first", nothing)
    see.call("stale none second", nothing)
    both = cache.memoize(
        50,
        forced_update=noted("forced", lambda: True, "none"),
        is_stale=noted("stale", lambda: False, "one"),
        unless=noted("unless", lambda: False, "none"),
        response_filter=noted("filter", lambda: True, "one"),
    )(add)
    see.call("all gates first", both, 2, 2)
    see.call("all gates second", both, 2, 2)
