"""Group 9: deleting what memoized functions answered."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]

cache = Cache()


@cache.memoize(50)
def one(a: int, b: int = 2) -> str:
    return f"one {a} {b} {ran('one')}"


@cache.memoize(100)
def two(a: int, *, k: int = 1) -> str:
    return f"two {a} {k} {ran('two')}"


@cache.memoize()
def plain() -> str:
    return f"plain {ran('plain')}"


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask("delete_memoized")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/sum/<int:a>")
    @cache.memoize(50)
    def total(a: int) -> str:
        return f"total {a} {ran('total')}"

    @app.route("/forget", methods=["POST"])
    def forget() -> str:
        cache.delete_memoized(total)
        return "forgotten"

    return app


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (one, (1,), {}), (one, (1, 2), {}), (one, (1,), {"b": 3}), (one, (4,), {}),
    (two, (1,), {}), (two, (1,), {"k": 2}), (plain, (), {}),
]  # fmt: skip


def observe(see: Notebook) -> None:
    app = create_app(see.config)
    with app.app_context():
        everything(see, "at first")
        everything(see, "again")
        deletions = {
            "whole function": lambda: cache.delete_memoized(one),
            "by positions": lambda: cache.delete_memoized(one, 1, 2),
            "by default": lambda: cache.delete_memoized(one, 1),
            "by word": lambda: cache.delete_memoized(one, 1, b=3),
            "by word only": lambda: cache.delete_memoized(two, 1, k=2),
            "not there": lambda: cache.delete_memoized(one, 77),
            "its own method": lambda: one.delete_memoized(),
            "version": lambda: cache.delete_memoized_verhash(one),
            "version with arguments": lambda: cache.delete_memoized_verhash(two, 1),
            "without arguments": lambda: cache.delete_memoized(plain),
        }
        for name, delete in deletions.items():
            see.call(f"delete {name}", delete)
            everything(see, f"after {name}")
        refusals(see)
        versions(see)
        traffic(see)
    client = app.test_client()
    for step in ("first", "second"):
        see.get(f"view {step}", client, "/sum/3")
    see.request("forget by POST", client, "POST", "/forget")
    see.get("view after that", client, "/sum/3")


def everything(see: Notebook, when: str) -> None:
    for number, (function, args, kwargs) in enumerate(CALLS):
        see.call(f"{when}: {function.__name__} {number}", function, *args, **kwargs)


def refusals(see: Notebook) -> None:
    see.call("delete a text", cache.delete_memoized, "one")
    see.call("delete the version of a text", cache.delete_memoized_verhash, "one")
    see.call("delete what is not memoized", cache.delete_memoized, observe, 1)
    see.call("delete what is not memoized, whole", cache.delete_memoized, len)
    see.call("arguments to its own method", one.delete_memoized, 1)


def versions(see: Notebook) -> None:
    key = "groups.g09_delete_memoized.one_memver"
    see.value("name of the version", cache._memvname("groups.g09_delete_memoized.one"))
    see.call("version is there", cache.has, key)
    see.value("its length", len(cache.get(key) or ""))
    before = cache.get(key)
    cache.delete_memoized(one)
    see.value("another one after deletion", cache.get(key) != before or not see.keeps)
    one(1)
    see.value("stays as it is", cache.get(key) == cache.get(key))
    see.lives("version lives as long as its entry", key, 50)
    see.call("deletion of the version by hand", cache.delete, key)
    see.call("forgets too", one, 1)
    see.call("version is back", cache.has, key)
    see.call("clear", cache.clear)
    see.call("after clear", one, 1)


def traffic(see: Notebook) -> None:
    if see.timed:
        see.advance(49)
        see.call("at 49", one, 1)
        see.advance(2)
        see.call("at 51", one, 1)
        see.call("others at 51", two, 1)
