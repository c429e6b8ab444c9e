"""Group 11: the cache as a dictionary, in requests, in scripts and in tests."""

from __future__ import annotations

import pickle
import tempfile
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import PREFIX, Notebook


class Point:
    """An object that a pickle can hold."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"Point({self.x})"


def create_app(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("direct_use")
    app.config.from_mapping(config)
    cache = Cache(app)

    @app.cli.command("warm")
    def warm() -> None:
        print(f"warm {cache.set('warm', ran('warm'))} {cache.get('warm')}")

    @app.route("/count")
    def count() -> Any:
        return {"count": cache.cache.inc("count"), "seen": cache.get("count")}

    return app, cache


VALUES: list[Any] = [
    1, 0, -5, 2**80, True, False, None, 1.5, float("inf"), "text", "é\u2603", "", b"bytes", b"", b"!x",
    [1, [2]], (1, (2,)), {"a": {"b": 1}}, {1, 2}, frozenset({3}), Decimal("1.10"), timedelta(days=1),
    Point(3), [Point(4)], range(3), Ellipsis, 3 + 4j, bytearray(b"x"), int, {"deep": [{"x": (None,)}]},
]  # fmt: skip


def observe(see: Notebook) -> None:
    app, cache = create_app(see.config)
    with app.app_context():
        single(see, cache)
        values(see, cache)
        many(see, cache)
        counting(see, cache)
        lifetimes(see, cache)
        refusals(see, cache)
    client = app.test_client()
    see.get("in a request", client, "/count")
    see.get("in another", client, "/count")
    see.value("on the command line", app.test_cli_runner().invoke(args=["warm"]).output)
    see.call("outside of everything", cache.get, "warm")
    if see.setting == "simple":
        capacity(see)
        files(see)


def single(see: Notebook, cache: Cache) -> None:
    see.call("get nothing", cache.get, "a")
    see.call("has nothing", cache.has, "a")
    see.call("delete nothing", cache.delete, "a")
    see.call("set", cache.set, "a", "1", timeout=60)
    see.call("set by position", cache.set, "b", "2", 60)
    see.call("get", cache.get, "a")
    see.call("has", cache.has, "a")
    see.call("add over it", cache.add, "a", "other")
    see.call("add new", cache.add, "c", "3", timeout=60)
    see.call("get after add", cache.get, "a")
    see.call("delete", cache.delete, "a")
    see.call("get after delete", cache.get, "a")
    see.call("add after delete", cache.add, "a", "again")
    see.lives("lives", "b", 60)
    see.lives("added lives", "c", 60)
    for key in ("", "with space", "é☃", "k" * 300, "line\nbreak", "*", "a?", "per%cent"):
        see.call(f"set under {key[:10]!r}", cache.set, key, f"value of {key[:3]}")
        see.call(f"get under {key[:10]!r}", cache.get, key)
    see.call("clear", cache.clear)
    see.call("clear again", cache.clear)
    see.call("after clear", cache.get, "b")


def values(see: Notebook, cache: Cache) -> None:
    for number, value in enumerate(VALUES):
        see.call(f"set value {number}", cache.set, f"value {number}", value)
        see.call(f"get value {number}", cache.get, f"value {number}")
        see.value(f"class of value {number}", type(cache.get(f"value {number}")).__name__)
        see.call(f"has value {number}", cache.has, f"value {number}")
        if see.redis is not None:
            see.value(f"bytes of value {number}", see.redis.get(f"{PREFIX}value {number}"))
    shared = [1, 2]
    cache.set("shared", shared)
    shared.append(3)
    see.call("a copy is kept", cache.get, "shared")
    (cache.get("shared") or []).append(4)
    see.call("a copy is given", cache.get, "shared")
    see.call("set a function", cache.set, "function", len)
    see.call("get a function", cache.get, "function")
    see.call("set what cannot be pickled", cache.set, "lambda", lambda: None)
    see.call("get what cannot be pickled", cache.get, "lambda")
    if see.redis is not None:
        see.redis.set(f"{PREFIX}foreign", b"raw bytes")
        see.redis.set(f"{PREFIX}number", b"42")
        see.redis.set(f"{PREFIX}pickle", b"!" + pickle.dumps({"a": 1}))
        see.redis.set(f"{PREFIX}broken", b"!nonsense")
        for key in ("foreign", "number", "pickle", "broken"):
            see.call(f"get {key}", cache.get, key)


def many(see: Notebook, cache: Cache) -> None:
    see.call("set_many", cache.set_many, {"m1": 1, "m2": "two", "m3": None}, timeout=60)
    see.call("set_many of nothing", cache.set_many, {})
    see.call("get_many", cache.get_many, "m1", "m2", "m3", "m4")
    see.call("get_many twice the same", cache.get_many, "m1", "m1")
    see.call("get_many of nothing", cache.get_many)
    see.call("get_dict", cache.get_dict, "m1", "m2", "m4")
    see.call("delete_many", cache.delete_many, "m1", "m4")
    see.call("after delete_many", cache.get_many, "m1", "m2")
    see.call("delete_many of nothing", cache.delete_many)
    see.call("unlink", cache.unlink, "m2", "m9")
    see.call("after unlink", cache.get, "m2")
    see.call("unlink of nothing", cache.unlink)
    see.lives("many live", "m3", 60)


def counting(see: Notebook, cache: Cache) -> None:
    store = cache.cache
    see.call("inc new", store.inc, "n")
    see.call("inc", store.inc, "n")
    see.call("inc by 5", store.inc, "n", 5)
    see.call("inc by word", store.inc, "n", delta=2)
    see.call("dec", store.dec, "n")
    see.call("dec by 3", store.dec, "n", 3)
    see.call("dec new", store.dec, "m")
    see.call("get a number", cache.get, "n")
    see.call("set a number", cache.set, "n", 100)
    see.call("inc what was set", store.inc, "n")
    see.call("set a text", cache.set, "t", "text")
    see.call("inc a text", store.inc, "t")
    see.call("no inc on the cache", lambda: cache.inc("n"))


def lifetimes(see: Notebook, cache: Cache) -> None:
    for name, timeout in (
        ("none", None),
        ("zero", 0),
        ("ten", 10),
        ("delta", timedelta(seconds=19.5)),
    ):
        see.call(f"set {name}", cache.set, name, 1, timeout=timeout)
    see.lives("delta lives", "delta", 20)
    see.lives("default lives", "none", 300)
    see.call("set a float", cache.set, "float", 1, timeout=10.5)
    see.call("set with a text", cache.set, "text", 1, timeout="10")
    if see.redis is None:
        see.call("set a negative", cache.set, "negative", 1, timeout=-1)
    names = ["none", "zero", "ten", "delta", "float", "negative"]
    passed = 0
    for at in (9, 10, 11, 19, 20, 299, 300, 100_000):
        if see.timed:
            see.advance(at - passed)
            passed = at
            see.call(f"at {at}", cache.get_many, *names)
            see.call(f"there at {at}", lambda: [cache.has(name) for name in names])
    see.call("add after the end", cache.add, "ten", 2)


def refusals(see: Notebook, cache: Cache) -> None:
    see.call("get with a default", lambda: cache.get("a", "default"))
    see.call("get without a key", lambda: cache.get())
    see.call("set without a value", lambda: cache.set("a"))
    see.call("clear with an argument", lambda: cache.clear("a"))
    see.call("has with two", lambda: cache.has("a", "b"))


def capacity(see: Notebook) -> None:
    app = Flask("capacity")
    cache = Cache(
        app, config={**see.config, "CACHE_THRESHOLD": 3, "CACHE_OPTIONS": {"threshold": 9}}
    )
    for number in range(10):
        cache.set(f"k{number}", number, timeout=100 + number)
        see.value(f"entries after {number}", len(cache.cache._cache))


def files(see: Notebook) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = Flask("files")
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": folder, "CACHE_THRESHOLD": 3}
        config["CACHE_SECRET"] = "secret"
        cache = Cache(app, config=config)
        see.call("files: set", cache.set, "a", {"x": Point(1)}, timeout=10)
        see.call("files: get", cache.get, "a")
        see.call("files: add", cache.add, "a", 2)
        see.call("files: delete", cache.delete, "b")
        see.call("files: many", cache.set_many, {"c": 1, "d": 2})
        see.call("files: get many", cache.get_many, "c", "d", "e")
        see.call("files: a key that is no text", cache.set, 5, 1)
        see.advance(12)
        see.call("files: expired", cache.get, "a")
        see.call("files: clear", cache.clear)
        see.call("files: after clear", cache.get, "c")
