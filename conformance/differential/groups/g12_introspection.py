"""Group 12: looking up, replacing and copying what the decorators put on a function."""

from __future__ import annotations

import functools
from typing import Any

from flask import Flask, request
from flask_caching import Cache, function_namespace
from flask_caching.utils import get_arg_default, get_arg_names, get_id, wants_args
from journal import ran
from notebook import Notebook

cache = Cache()


@cache.memoize(50)
def pairs(foo: str, bar: str = "b") -> str:
    return f"{foo} {bar} {ran('pairs')}"


@cache.memoize(50)
def rekeyed(foo: str) -> str:
    return f"{foo} {ran('rekeyed')}"


def traced(function: Any) -> Any:
    """A decorator above memoize, which copies its attributes."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        ran("traced")
        return function(*args, **kwargs)

    for name in ("uncached", "cache_timeout", "make_cache_key", "delete_memoized"):
        setattr(wrapper, name, getattr(function, name))
    return wrapper


@traced
@cache.memoize(50)
def copied(foo: str) -> str:
    return f"{foo} {ran('copied')}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("introspection")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/page")
    @cache.cached(timeout=50)
    def page() -> str:
        return f"page {ran('page')}"

    @app.route("/named/<name>")
    @cache.cached(timeout=50)
    def named(name: str) -> str:
        return f"{name} {ran('named')}"

    @app.route("/mine")
    @cache.cached(timeout=50)
    def mine() -> str:
        return f"mine {request.args.get('foo')} {ran('mine')}"

    mine.make_cache_key = lambda *args, **kwargs: (ran("own key"), request.args["foo"])[1]
    return app


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    views(see, app)
    functions(see, app)
    private(see, app)
    utilities(see)


def views(see: Notebook, app: Flask) -> None:
    client = app.test_client()
    page, named = app.view_functions["page"], app.view_functions["named"]
    see.get("page", client, "/page")
    see.get("named", client, "/named/a")
    with app.test_request_context("/page"):
        see.call("key", page.make_cache_key)
        see.call("value under it", lambda: cache.get(page.make_cache_key()))
        see.call("by name", named.make_cache_key, name="a")
        see.call("by position", named.make_cache_key, "a")
        see.call("value by name", lambda: cache.get(named.make_cache_key(name="a")))
        see.call("key with signs", named.make_cache_key, name="a b/é")
        see.call("by another's name", lambda: named.make_cache_key(colour="red"))
        see.call("uncached", page.uncached)
        see.call("called directly", page)
        see.call("delete under it", lambda: cache.delete(page.make_cache_key()))
    see.get("page after that", client, "/page")
    for number, path in enumerate(["/mine?foo=1", "/mine?foo=1", "/mine?foo=2", "/mine?foo=1&x=1"]):
        see.get(f"own key {number}", client, path)
    see.get("own key that breaks", client, "/mine")
    see.call("value under the own key", cache.get, "1")
    see.call("set under the own key", cache.set, "3", "by hand")
    see.get("own key, set by hand", client, "/mine?foo=3")
    page.cache_timeout = 5
    see.call("forget the page", cache.delete, "view//page")
    see.get("stored for 5 s", client, "/page")
    if see.timed:
        see.advance(6)
        see.get("gone after 6 s", client, "/page")
        see.advance(60)
        see.get("named after a minute", client, "/named/a")


def functions(see: Notebook, app: Flask) -> None:
    with app.app_context():
        see.call("first", pairs, "a")
        see.call(
            "value by key",
            lambda: cache.get(pairs.make_cache_key(pairs.uncached, foo="a", bar="b")),
        )
        key = pairs.make_cache_key(pairs.uncached, "a")
        see.value("length of a key", len(key))
        see.value("one key", key == pairs.make_cache_key(pairs.uncached, "a", bar="b"))
        see.value("start of a key", key[:16])
        see.call("delete by key", cache.delete, key)
        see.call("after that", pairs, "a")
        see.call("uncached", pairs.uncached, "a", bar="c")
        for step in ("first", "second"):
            see.call(f"copied {step}", copied, "x")
        see.call("delete by a copied attribute", copied.delete_memoized)
        see.call("copied after that", copied, "x")
        see.call("delete through a wrapper", cache.delete_memoized, copied)
        see.call("copied after that too", copied, "x")
        see.call("delete a call through a wrapper", cache.delete_memoized, copied, "x")
        see.call("copied after that as well", copied, "x")
        rekeyed.make_cache_key = lambda f, *args, **kwargs: f"own {args} {kwargs}"
        for number, foo in enumerate(("p", "p", "q")):
            see.call(f"rekeyed {number}", rekeyed, foo)
        see.call("value under the key of one's own", cache.get, "own ('p',) {}")
        see.call("delete with the key of one's own", cache.delete_memoized, rekeyed, "p")
        see.call("rekeyed after that", rekeyed, "p")
        del rekeyed.make_cache_key


def private(see: Notebook, app: Flask) -> None:
    """What public code reaches for although it is private."""
    see.value(
        "type by the configuration of the constructor",
        Cache(config=see.config).config["CACHE_TYPE"],
    )
    with app.app_context():
        make = cache._memoize_make_cache_key
        see.call("private key maker", lambda: make(make_name=None)(pairs.uncached, "a")[:16])
        older = {"timeout": 50, "forced_update": None}
        see.call("as in 2.4", lambda: make(make_name=None, **older)(pairs.uncached, "a")[:16])
        see.call("private arguments", cache._memoize_kwargs_to_args, pairs.uncached, "a", bar="c")
        see.value("private version", cache._memvname("x.y"))
        store = cache.cache
        cache.clear()
        cache.set("p:1", "one")
        cache.set("p:2", [2])
        cache.set("q:1", 3)
        if see.redis is not None:
            found = sorted(store._write_client.scan_iter(match=f"{store.key_prefix}p:*"))
            see.value("scan", found)
            see.call("delete by scan", store._write_client.delete, *found)
            see.value("keys", sorted(store._read_client.keys("*")))
            see.value("prefix", store.key_prefix)
        elif see.keeps:
            see.value("keys", sorted(store._cache))
            entries = {key: store._cache[key] for key in sorted(store._cache)}
            see.value("entries", {k: (int(end), coded) for k, (end, coded) in entries.items()})
            see.value("how many", (len(store._cache), "p:1" in store._cache, "x" in store._cache))
            for key in [key for key in list(store._cache.keys()) if key.startswith("p:")]:
                see.call(f"pop {key}", lambda key=key: store._cache.pop(key)[1])
            see.call("pop nothing", lambda: store._cache.pop("p:1"))
        see.call("after that", cache.get_many, "p:1", "p:2", "q:1")
    see.value("registry", type(app.extensions["cache"][cache]).__name__)
    replace_backend(see, app)


class Wrapped:
    """A store around a store, put into the registry."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        ran(f"wrapped {name}")
        return getattr(self.inner, name)


def replace_backend(see: Notebook, app: Flask) -> None:
    inner = app.extensions["cache"][cache]
    app.extensions["cache"][cache] = Wrapped(inner)
    client = app.test_client()
    with app.app_context():
        see.call("wrapped set", cache.set, "w", 1)
        see.call("wrapped get", cache.get, "w")
        see.call("wrapped memoize first", pairs, "w")
        see.call("wrapped memoize second", pairs, "w")
    see.get("wrapped view first", client, "/named/w")
    see.get("wrapped view second", client, "/named/w")
    app.extensions["cache"][cache] = inner
    see.get("unwrapped view", client, "/named/w")


def utilities(see: Notebook) -> None:
    class Thing:
        def method(self, a: int, b: int = 3) -> None: ...

        def __repr__(self) -> str:
            return "Thing!"

    see.call("namespace", function_namespace, pairs.uncached)
    see.call("namespace of a method", function_namespace, Thing().method)
    see.call("namespace by arguments", function_namespace, Thing.method, (Thing(), 1))
    see.call("names", get_arg_names, pairs.uncached)
    see.call("default", get_arg_default, pairs.uncached, 1)
    see.call("no default", get_arg_default, pairs.uncached, 0)
    see.call("identity", get_id, Thing())
    see.call("identity of a text", get_id, "x")
    shapes: list[Any] = [lambda: 1, lambda a: 1, lambda *a: 1, lambda **k: 1, lambda *, k: 1]
    see.value("wants arguments", [wants_args(shape) for shape in shapes])
    if see.since("2.5"):
        newer(see, shapes)


def newer(see: Notebook, shapes: list[Any]) -> None:
    from datetime import timedelta

    from flask_caching.utils import (
        join_generator,
        normalize_timeout,
        query_args_as_pairs,
        wants_extra_args,
    )

    see.value("wants more", [wants_extra_args(shape) for shape in [*shapes, lambda a, b: 1]])
    for value in (None, 5, "5", timedelta(seconds=1.01), 2.5, "x"):
        see.call(f"timeout of {value!r}", normalize_timeout, value)
    for number, rows in enumerate((["a", "b"], [b"a", b"b"], ["a", b"b"], [1, 2], [])):
        see.call(f"generator {number}", join_generator, (row for row in rows))
    for query in ("a=1&b=2", "?x=", {"a": 1}, [("a", 1), ("a", 2)], {"a": [1, 2]}):
        see.call(f"query {query!r}", lambda query=query: list(query_args_as_pairs(query)))
