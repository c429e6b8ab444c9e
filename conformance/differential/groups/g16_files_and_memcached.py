"""Group 16: the stores for files and memcached, used directly and by way of options."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from flask import Flask
from flask_caching import Cache
from notebook import Notebook

SETTINGS = ["files", "memcached"]


class Point:
    """A value that only a pickle can hold."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"Point({self.x})"


VALUES: list[Any] = [
    *(1, -5, 0, True, False, 1.5, "text", "é", "", b"bytes", b""),
    *([1, [2]], (1, 2), {"a": {"b": None}}, {1, 2}, Point(3), 2**80),
]


def values(see: Notebook, cache: Cache) -> None:
    for number, value in enumerate(VALUES):
        see.call(f"set value {number}", cache.set, f"value {number}".replace(" ", "-"), value)
        see.call(f"value {number}", cache.get, f"value-{number}")
    see.call("set None", cache.set, "none", None)
    see.call("None is there", cache.has, "none")
    see.call("get None", cache.get, "none")
    see.call("nothing", cache.get, "nothing")
    see.call("nothing is there", cache.has, "nothing")
    see.call("a function", cache.set, "function", lambda: None)


def many(see: Notebook, cache: Cache) -> None:
    see.call("set many", cache.set_many, {"a": 1, "b": [2]}, timeout=60)
    see.call("get many", cache.get_many, "a", "none of them", "b")
    see.call("get no keys", cache.get_many)
    see.call("dict", lambda: sorted(cache.get_dict("a", "x", "b").items()))
    see.call("delete one", cache.delete, "a")
    see.call("delete many", cache.delete_many, "a", "b", "x")
    see.call("after that", cache.get_many, "a", "b")
    see.call("unlink", cache.unlink, "a", "b")
    see.call("set many again", cache.set_many, {"a": 1, "b": 2})
    see.call("clear", cache.clear)
    see.call("after clear", cache.get_many, "a", "b")


def once(see: Notebook, cache: Cache) -> None:
    see.call("add", cache.add, "once", 1, timeout=10)
    see.call("add again", cache.add, "once", 2)
    see.call("added", cache.get, "once")
    see.call("delete", cache.delete, "once")
    see.call("add anew", cache.add, "once", 3)
    see.call("count", cache.cache.inc, "n")
    see.call("count on", cache.cache.inc, "n", 5)
    see.call("count down", cache.cache.dec, "n", 10)
    see.call("counter", cache.get, "n")
    see.call("half", cache.set, "half", 0.5)
    see.call("count from a half", cache.cache.inc, "half")
    see.call("text", cache.set, "text", "x")
    see.call("count a text", cache.cache.inc, "text")


def lifetimes(see: Notebook, cache: Cache) -> None:
    for name, timeout in (
        ("none", None),
        ("zero", 0),
        ("ten", 10),
        ("delta", timedelta(seconds=19.5)),
        ("negative", -1),
    ):
        see.call(f"set {name}", cache.set, name, 1, timeout=timeout)
    see.call("set with a text", cache.set, "text", 1, timeout="10")
    names = ["none", "zero", "ten", "delta", "negative"]
    see.call("at once", cache.get_many, *names)
    passed = 0
    for at in (9, 12, 18, 22, 298, 302, 100_000):
        if see.timed:
            see.advance(at - passed)
            passed = at
            see.call(f"at {at}", cache.get_many, *names)
            see.call(f"there at {at}", lambda: [cache.has(name) for name in names])
    if see.timed:
        see.call("add after the end", cache.add, "ten", 2)


def refusals(see: Notebook, cache: Cache) -> None:
    see.call("a number as a key", cache.set, 5, 1)
    see.call("bytes as a key", cache.get, b"k")
    see.call("a long key", cache.get, "k" * 300)
    see.call("a key with a space", cache.get, "a key")
    see.call("a long key is there", cache.has, "k" * 300)
    see.call("delete a long key", cache.delete, "k" * 300)


def options(see: Notebook) -> None:
    def built(**config: Any) -> Any:
        return Cache(Flask("options"), config={**see.config, **config}).cache

    def look(backend: Any, *names: str) -> list[Any]:
        return [getattr(backend, name) for name in names]

    shown = ("default_timeout", "ignore_delete_many_errors")
    see.call("defaults", lambda: look(built(), *shown))
    changed = {"CACHE_DEFAULT_TIMEOUT": timedelta(minutes=1), "CACHE_IGNORE_ERRORS": True}
    see.call("changed", lambda: look(built(**changed), *shown))
    see.call("unknown option", lambda: built(CACHE_OPTIONS={"colour": 1}) and None)
    if see.setting == "files":
        private = ("_threshold", "_mode")
        see.call("of files", lambda: look(built(), *private))
        given = {"mode": 0o640, "threshold": 7}
        see.call("options of files", lambda: look(built(CACHE_OPTIONS=given), *private))
        see.call("arguments of files", lambda: look(built(CACHE_ARGS=[]), *private))
        method = {"CACHE_FILE_HASH_METHOD": hashlib.sha1}
        see.call("hash method", lambda: built(**method)._hash_method(b"").name)
    else:
        see.call("prefix", lambda: look(built(CACHE_KEY_PREFIX="p_"), "key_prefix"))
        servers = tuple(see.config["CACHE_MEMCACHED_SERVERS"])
        see.call("a tuple", lambda: built(CACHE_MEMCACHED_SERVERS=servers).set("k", 1))
        pool = {"pool_size": 3, "pool_blocking": False}
        see.call("a pool", lambda: built(CACHE_OPTIONS=pool).set("k", 1))


def functions(see: Notebook, cache: Cache) -> None:
    @cache.memoize(50)
    def add(a: int, b: int = 2) -> Any:
        return Point(a + b)

    for a in (1, 1, 2):
        see.call("add", add, a)
    key = add.make_cache_key(add.uncached, 1)
    see.value("key without version", key[:16])
    see.call("value of the key", cache.get, key)
    see.call("delete one", cache.delete_memoized, add, 1)
    see.call("value after that", cache.get, key)
    see.call("delete all", cache.delete_memoized, add)
    see.call("after all that", cache.get, add.make_cache_key(add.uncached, 2))


def observe(see: Notebook) -> None:
    """Two stores that have a name and an address, and what is asked of each."""
    if not see.since("2.5"):
        # 2.4 answers otherwise in every second call: lists that are numbers, counters that are None.
        return
    options(see)
    app = Flask("stores")
    cache = Cache(app, config=see.config)
    with app.app_context():
        values(see, cache)
        many(see, cache)
        once(see, cache)
        lifetimes(see, cache)
        refusals(see, cache)
        functions(see, cache)
