"""Group 8: memoized functions, their arguments and the keys they make."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]

cache = Cache()


@cache.memoize(50)
def add(a: Any, b: Any) -> Any:
    return f"{a!r} {b!r} {ran('add')}"


@cache.memoize(50)
def big(a: Any, b: Any = 0, *args: Any, **kw: Any) -> Any:
    ran("big")
    return f"{a!r} {b!r} {args!r} {sorted(kw.items())!r}"


@cache.memoize(50)
def positional(a: Any, /, b: Any) -> Any:
    ran("positional")
    return f"{a!r} {b!r}"


@cache.memoize(50)
def words(a: Any, *, k: Any = 1, j: Any = None) -> Any:
    return f"{a!r} {k!r} {j!r} {ran('words')}"


@cache.memoize()
def falsy(a: Any = 0, b: Any = "", c: Any = None, d: Any = 5) -> Any:
    ran("falsy")
    return f"{a!r} {b!r} {c!r} {d!r}"


@cache.memoize(50, cache_none=True)
def none_kept(a: int) -> None:
    ran("none kept")


@cache.memoize(50)
def none(a: int) -> None:
    ran("none")


@cache.memoize(50, make_name=lambda name: "short")
def named(a: int) -> Any:
    return ran("named")


@cache.memoize(50, hash_method=hashlib.md5)
def by_md5(a: int) -> Any:
    return ran("md5")


@cache.memoize(50, source_check=True)
def by_source(a: int) -> Any:
    return ran("source")


@cache.memoize(50, args_to_ignore=["session", "trace"])
def ignoring(session: Any, a: int, *, trace: Any = None) -> Any:
    return ran("ignoring")


@cache.memoize(50)
async def awaited(a: int) -> Any:
    return ran("awaited") + a


@cache.memoize(50)
def breaks(a: int) -> Any:
    raise ValueError(ran("breaks"))


@cache.memoize(50)
def fibonacci(n: int) -> int:
    ran(f"fibonacci {n}")
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Opaque:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Opaque({self.name})"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("memoize")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/<foo>/<bar>")
    @cache.memoize(50)
    def stacked(foo: str, bar: str) -> str:
        return f"{foo} {bar} {ran('stacked')}"

    return app


def samples() -> list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]]:
    """A step's name, the function and the arguments of one call."""
    big_calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}), ((1, 0), {}), ((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2}),
        ((), {"b": 2, "a": 1}), ((1, 2, 3), {}), ((1, 2), {"x": 3, "y": 4}), ((1, 2), {"y": 4, "x": 3}),
        (("1", 2), {}), ((1.0, 2), {}), ((True, 2), {}), ((None, None), {}), (("é",), {}), ((b"x",), {}),
        (([1, [2, 3]], {"k": [1]}), {}), (([1, [2, 3]], {"k": [1]}), {}), (({"a": 1, "b": 2},), {}),
        (({"b": 2, "a": 1},), {}), (((1, 2), [1, 2]), {}), ((Opaque("a"),), {}), ((Opaque("a"),), {}),
        ((Opaque("b"),), {}), ((add,), {}), ((3,), {"args": 1}), ((range(3),), {}), ((2**70,), {}),
    ]  # fmt: skip
    calls = [(f"big {i}", big, args, kwargs) for i, (args, kwargs) in enumerate(big_calls)]
    falsies: list[Any] = [
        (),
        (0,),
        (None,),
        (0, ""),
        (0, "", None),
        (0, "", None, 5),
        (0, "", None, 0),
    ]
    calls += [(f"falsy {i}", falsy, args, {}) for i, args in enumerate(falsies)]
    word_calls: list[dict[str, Any]] = [
        {},
        {"k": 1},
        {"k": 2},
        {"k": 2, "j": None},
        {"j": None, "k": 2},
    ]
    calls += [(f"words {i}", words, (1,), kwargs) for i, kwargs in enumerate(word_calls)]
    ignored: list[Any] = [("s1", 1, {}), ("s2", 1, {}), ("s1", 2, {}), ("s3", 1, {"trace": "t"})]
    calls += [(f"ignoring {i}", ignoring, (s, a), k) for i, (s, a, k) in enumerate(ignored)]
    for function in (none, none_kept, named, by_md5, by_source, awaited, breaks):
        calls += [(f"{function.__name__} {i}", function, (a,), {}) for i, a in enumerate((1, 1, 2))]
    calls += [(f"add {i}", add, args, {}) for i, args in enumerate([(1, 2), (1, 2), (5, 2)])]
    calls += [(f"positional {i}", positional, (a,), {"b": 2}) for i, a in enumerate((1, 9))]
    calls += [("add too few", add, (1,), {}), ("add too many", add, (1, 2, 3), {})]
    return [*calls, ("fibonacci", fibonacci, (6,), {})]


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    client = app.test_client()
    for path in ("/a/b", "/a/b", "/a/c", "/a/b?query=1"):
        see.get(f"view {path}", client, path)
    with app.app_context():
        calls = samples()
        for step, function, args, kwargs in calls:
            see.call(step, function, *args, **kwargs)
        if see.timed:
            see.advance(51)
            see.call("expired", add, 1, 2)
            see.call("default lifetime", falsy)
            see.advance(250)
            see.call("default lifetime is over", falsy)
        keys(see, calls)
    see.call("no application context", add, 1, 2)
    attributes(see)


def keys(see: Notebook, calls: list[Any]) -> None:
    """With the versions known, the whole key is."""
    functions = {id(function): function for _, function, _, _ in calls}.values()
    for function in functions:
        cache.set(f"groups.g08_memoize.{function.__qualname__}_memver", "VVVVVV", timeout=0)
    for step, function, args, kwargs in calls:
        # An object that is known by its address has another key in each process.
        if add not in args and function is not positional and see.keeps:
            see.call(f"key of {step}", function.make_cache_key, function.uncached, *args, **kwargs)
    if see.keeps:
        see.call("calls it", add, 5, 6)
        key = add.make_cache_key(add.uncached, 5, 6)
        see.call("is in store", cache.get, key)
        see.call("can be set", cache.set, key, "set by hand")
        see.call("and is found", add, 5, 6)


def attributes(see: Notebook) -> None:
    for name in ("uncached", "cache_timeout", "make_cache_key", "delete_memoized"):
        see.value(f"has {name}", hasattr(add, name))
    see.value("name", (add.__name__, add.__qualname__, add.__module__, add.__doc__))
    see.call("uncached", add.uncached, 1, 2)
    see.value("wrapped", add.__wrapped__ is add.uncached)
