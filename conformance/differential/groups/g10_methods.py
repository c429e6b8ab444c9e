"""Group 10: memoized methods of instances and classes."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]

cache = Cache()


class Adder:
    """An instance is known by its repr."""

    def __init__(self, initial: int) -> None:
        self.initial = initial

    def __repr__(self) -> str:
        return f"Adder({self.initial})"

    @cache.memoize(50)
    def add(self, b: int = 0) -> str:
        ran("add")
        return f"{self.initial} {b}"

    @cache.memoize(50)
    def total(self, b: int, *more: int, **words: int) -> str:
        ran("total")
        return f"{self.initial} {b} {more} {sorted(words.items())}"

    @property
    @cache.memoize(50)
    def value(self) -> str:
        ran("value")
        return f"{self.initial}"

    @cache.memoize(50, args_to_ignore=["self"])
    def shared(self, b: int) -> str:
        ran("shared")
        return f"{self.initial} {b}"

    @cache.cached(50, key_prefix="method")
    def cached(self) -> str:
        ran("cached")
        return f"{self.initial}"

    @classmethod
    @cache.memoize(50)
    def make(cls, a: int, b: int) -> str:
        ran("make")
        return f"{cls.__name__} {a} {b}"

    @staticmethod
    @cache.memoize(50)
    def free(a: int, b: int = 1) -> str:
        ran("free")
        return f"{a} {b}"


class Child(Adder):
    pass


class Row:
    """An instance is known by what it says of itself."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __caching_id__(self) -> int:
        return self.number

    @cache.memoize(50)
    def text(self, a: int = 1) -> str:
        ran("text")
        return f"row {self.number} {a}"


class Basket(list[int]):
    """An instance that is false while it is empty."""

    @cache.memoize(50)
    def first(self, a: int) -> str:
        ran("first")
        return f"{list(self)} {a}"


class Repository:
    def __repr__(self) -> str:
        return "Repository"

    @cache.memoize(50, args_to_ignore=["session"])
    def find(self, session: Any, name: str) -> str:
        ran("find")
        return f"{name}"


def observe(see: Notebook) -> None:
    app = Flask("methods")
    app.config.from_mapping(see.config)
    cache.init_app(app)
    with app.app_context():
        calls(see)
        deletions(see)
        class_methods(see)
        own_identity(see)
        falsy_instances(see)
        keys(see)
    see.call("after all, outside", Adder(1).add, 3)


def calls(see: Notebook) -> None:
    one, two, child = Adder(1), Adder(2), Child(1)
    for when in ("first", "second"):
        see.call(f"{when} of one", one.add, 3)
        see.call(f"{when} by word", one.add, b=3)
        see.call(f"{when} of two", two.add, 3)
        see.call(f"{when} of an equal one", Adder(1).add, 3)
        see.call(f"{when} through the class", Adder.add, one, 3)
        see.call(f"{when} of a child", child.add, 3)
        see.call(f"{when} with more", one.total, 1, 2, 3, x=4)
        see.call(f"{when} property", lambda: one.value)
        see.call(f"{when} property of two", lambda: two.value)
        see.call(f"{when} shared", one.shared, 1)
        see.call(f"{when} shared of two", two.shared, 1)
        see.call(f"{when} cached", one.cached)
        see.call(f"{when} cached of two", two.cached)
        see.call(f"{when} class method", Adder.make, 5, 2)
        see.call(f"{when} class method of a child", Child.make, 5, 2)
        see.call(f"{when} static method", Adder.free, 5, 2)
        see.call(f"{when} static method by word", Adder.free, 5, b=2)
        see.call(f"{when} session", Repository().find, object(), "ann")


def everything(see: Notebook, when: str) -> None:
    one, two = Adder(1), Adder(2)
    for name, instance in (("one", one), ("two", two)):
        see.call(f"{when}: {name} 3", instance.add, 3)
        see.call(f"{when}: {name} 4", instance.add, 4)


def deletions(see: Notebook) -> None:
    one = Adder(1)
    everything(see, "before")
    steps = {
        "bound": lambda: cache.delete_memoized(one.add),
        "bound with arguments": lambda: cache.delete_memoized(one.add, 3),
        "bound with itself": lambda: cache.delete_memoized(one.add, one, 3),
        "class": lambda: cache.delete_memoized(Adder.add),
        "class with instance": lambda: cache.delete_memoized(Adder.add, one, 3),
        "class without instance": lambda: cache.delete_memoized(Adder.add, 3),
        "by word": lambda: cache.delete_memoized(one.add, b=3),
        "class by word alone": lambda: cache.delete_memoized(Adder.add, b=3),
        "its own method": lambda: one.add.delete_memoized(),
        "version of the instance": lambda: cache.delete_memoized_verhash(one.add),
        "version of all": lambda: cache.delete_memoized_verhash(Adder.add),
        "session": lambda: cache.delete_memoized(Repository().find, None, "ann"),
        "static": lambda: cache.delete_memoized(Adder.free),
        "static with arguments": lambda: cache.delete_memoized(Adder.free, 5, 2),
    }
    for name, delete in steps.items():
        see.call(f"delete {name}", delete)
        everything(see, f"after {name}")
        see.call(f"after {name}: session", Repository().find, 1, "ann")
        see.call(f"after {name}: static", Adder.free, 5, 2)


def class_methods(see: Notebook) -> None:
    steps = {
        "class method": lambda: cache.delete_memoized(Adder.make),
        "class method with arguments": lambda: cache.delete_memoized(Adder.make, Adder, 5, 2),
        "class method without its class": lambda: cache.delete_memoized(Adder.make, 5, 2),
        "class method of a child": lambda: cache.delete_memoized(Child.make, Child, 5, 2),
    }
    for name, delete in steps.items():
        see.call(f"before {name}", Adder.make, 5, 2)
        see.call(f"before {name}, of a child", Child.make, 5, 2)
        see.call(f"delete {name}", delete)
        see.call(f"after {name}", Adder.make, 5, 2)
        see.call(f"after {name}, of a child", Child.make, 5, 2)


def own_identity(see: Notebook) -> None:
    if not see.since("2.5"):
        return
    see.call("row 1", Row(1).text, 2)
    see.call("row 1 again", Row(1).text, 2)
    see.call("row 2", Row(2).text, 2)
    see.call("delete row 1", cache.delete_memoized, Row(1).text)
    see.call("row 1 after that", Row(1).text, 2)
    see.call("row 2 after that", Row(2).text, 2)
    see.call("delete a call of row 2", cache.delete_memoized, Row(2).text, 2)
    see.call("row 2 after that too", Row(2).text, 2)


def falsy_instances(see: Notebook) -> None:
    for step in ("before", "after"):
        see.call(f"empty {step}", Basket().first, 1)
        see.call(f"full {step}", Basket([1]).first, 1)
        see.call(f"delete the empty one {step}", cache.delete_memoized, Basket().first)


def keys(see: Notebook) -> None:
    if not see.keeps:
        return
    module = "groups.g10_methods"
    for name in ("Adder.add", "Adder.make", "Adder.free", "Row.text", "Adder.shared"):
        cache.set(f"{module}.{name}_memver", "VVVVVV", timeout=0)
    cache.set(f"{module}.Adder.add.Adder1_memver", "WWWWWW", timeout=0)
    cache.set(f"{module}.Adder.shared.Adder1_memver", "WWWWWW", timeout=0)
    cache.set(f"{module}.Row.text.5_memver", "WWWWWW", timeout=0)
    one = Adder(1)
    see.call("key", one.add.make_cache_key, one.add.uncached, one, 3)
    see.call("key by word", one.add.make_cache_key, Adder.add.uncached, one, b=3)
    see.call("key of a class", Adder.make.make_cache_key, Adder.make.uncached, Adder, 5, 2)
    see.call("key of a static one", Adder.free.make_cache_key, Adder.free.uncached, 5)
    see.call("key without self", one.shared.make_cache_key, one.shared.uncached, one, 3)
    if see.since("2.5"):
        row = Row(5)
        see.call("key by identity", row.text.make_cache_key, row.text.uncached, row)
