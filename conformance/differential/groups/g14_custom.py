"""Group 14: back ends and subclasses of one's own."""

from __future__ import annotations

from typing import Any

import cachelib
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import SimpleCache
from flask_caching.backends.base import BaseCache
from journal import ran
from notebook import Notebook

HERE = __name__


class Dictionary(BaseCache):
    """A store as the documentation of Flask-Caching has people write it."""

    def __init__(self, colour: str = "none", default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.colour = colour
        self.kept: dict[str, Any] = {}

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        args.insert(0, config.get("COLOUR", "blue"))
        return cls(*args, **kwargs)

    def get(self, key: str) -> Any:
        ran(f"get {plain(key)}")
        return self.kept.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        ran(f"set {plain(key)} for {timeout}")
        self.kept[key] = value
        return True

    def delete(self, key: str) -> bool:
        ran(f"delete {plain(key)}")
        return self.kept.pop(key, None) is not None

    def has(self, key: str) -> bool:
        ran(f"has {plain(key)}")
        return key in self.kept

    def clear(self) -> bool:
        self.kept.clear()
        return True


class Tolerant(Dictionary):
    """The same, written since 2.5."""

    def __init__(self, colour: str = "none", default_timeout: int = 300, **more: Any) -> None:
        super().__init__(colour, default_timeout)
        ran(f"options {sorted(more)}")


class Sealed(SimpleCache):
    """A memory whose values are wrapped on their way in and out."""

    def get(self, key: str) -> Any:
        found = super().get(key)
        return None if found is None else found[1]

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        return super().set(key, ("sealed", value), timeout)

    def delete(self, key: str) -> Any:
        ran(f"delete {plain(key)}")
        return super().delete(key)


class Lean(BaseCache):
    """Without a factory, and with get and set alone."""

    def get(self, key: str) -> Any:
        ran(f"lean get {plain(key)}")
        return None

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        ran(f"lean set {plain(key)}")


class Broken(SimpleCache):
    """A store that is away."""

    def get(self, key: str) -> Any:
        raise ConnectionError("away")

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        raise ConnectionError("away")


def plain(key: str) -> str:
    """A key without what differs from run to run: versions, and digests with them."""
    return key if key.isascii() and ("/" in key[:6] or "_" in key or len(key) < 20) else "memoized"


def four_arguments(
    app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
) -> Any:
    ran(f"factory {app.name} {args} {sorted(kwargs)}")
    return SimpleCache(**kwargs)


class Traced(Cache):
    """Sees every call that the decorators make."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("get", super().get, args, kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("set", super().set, args, kwargs)

    def has(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("has", super().has, args, kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("delete", super().delete, args, kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("get_many", super().get_many, args, kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("set_many", super().set_many, args, kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        return self.told("delete_many", super().delete_many, args, kwargs)

    def told(self, name: str, method: Any, args: Any, kwargs: Any) -> Any:
        shape = [plain(each) if isinstance(each, str) else type(each).__name__ for each in args]
        ran(f"{name} {shape} {sorted(kwargs)}")
        return method(*args, **kwargs)


class Older(Cache):
    """Written for 2.4: its methods have the parameters that there were."""

    def memoize(self, timeout: Any = None, make_name: Any = None, unless: Any = None,
                forced_update: Any = None, response_filter: Any = None, hash_method: Any = None,
                cache_none: bool = False, source_check: Any = None, args_to_ignore: Any = None) -> Any:  # fmt: skip
        ran("older memoize")
        return super().memoize(timeout, make_name=make_name, unless=unless, cache_none=cache_none,
                               forced_update=forced_update, response_filter=response_filter,
                               source_check=source_check, args_to_ignore=args_to_ignore)  # fmt: skip

    def cached(
        self, timeout: Any = None, key_prefix: str = "view/%s", unless: Any = None, **more: Any
    ) -> Any:
        ran("older cached")
        return super().cached(
            timeout=timeout, key_prefix=f"older/{key_prefix}", unless=unless, **more
        )


class OlderKeys(Cache):
    """Makes the keys of memoized functions itself, with the parameters of 2.4."""

    def _memoize_make_cache_key(self, make_name: Any = None, timeout: Any = None,
                                forced_update: Any = False, hash_method: Any = None,
                                source_check: Any = False, args_to_ignore: Any = None) -> Any:  # fmt: skip
        def make_cache_key(f: Any, *args: Any, **kwargs: Any) -> str:
            ran(f"key of {f.__name__}")
            return f"own {f.__name__} {args} {kwargs}"

        return make_cache_key


def add_views(app: Flask, cache: Cache, name: str) -> Any:
    @app.route("/view")
    @cache.cached(timeout=50)
    def view() -> str:
        return f"view {ran(f'view of {name}')}"

    @app.route("/query")
    @cache.cached(timeout=50, query_string=True)
    def query() -> str:
        return f"query {ran(f'query of {name}')}"

    @cache.cached(timeout=50, key_prefix="nothing", cache_none=True)
    def nothing() -> None:
        ran("nothing")

    @cache.memoize(50)
    def double(a: int) -> int:
        ran("double")
        return 2 * a

    return nothing, double


def exercise(see: Notebook, name: str, app: Flask, cache: Cache) -> None:
    """The same calls for each of the stores and classes."""
    nothing, double = add_views(app, cache, name)
    client = app.test_client()
    for path in ("/view", "/view", "/query?a=1", "/query?a=1"):
        see.get(f"{name}: {path}", client, path)
    with app.app_context():
        for step in ("first", "second"):
            see.call(f"{name}: memoize {step}", double, 4)
            see.call(f"{name}: none {step}", nothing)
        see.call(f"{name}: set", cache.set, "a", 1, timeout=5)
        see.call(f"{name}: get", cache.get, "a")
        see.call(f"{name}: has", cache.has, "a")
        see.call(f"{name}: add", cache.add, "a", 2)
        see.call(f"{name}: get_many", cache.get_many, "a", "b")
        see.call(f"{name}: get_dict", cache.get_dict, "a", "b")
        see.call(f"{name}: set_many", cache.set_many, {"b": 2, "c": 3})
        see.call(f"{name}: delete", cache.delete, "a")
        see.call(f"{name}: delete_many", cache.delete_many, "b", "c")
        see.call(f"{name}: unlink", cache.unlink, "b", "c")
        see.call(f"{name}: delete a call", cache.delete_memoized, double, 4)
        see.call(f"{name}: after that", double, 4)
        see.call(f"{name}: delete all calls", cache.delete_memoized, double)
        see.call(f"{name}: after that too", double, 4)
        see.call(f"{name}: delete the version", cache.delete_memoized_verhash, double)
        see.call(f"{name}: inc", lambda: cache.cache.inc("n"))
        see.call(f"{name}: clear", cache.clear)


def observe(see: Notebook) -> None:
    for kind in (Traced, Older, OlderKeys):
        app = Flask("subclass")
        exercise(see, kind.__name__, app, kind(app, config=dict(see.config)))
    if see.setting in ("simple", "simple debug"):
        stores(see)


def stores(see: Notebook) -> None:
    types = {
        "Dictionary": {"CACHE_TYPE": f"{HERE}.Dictionary", "COLOUR": "red"},
        "Tolerant": {"CACHE_TYPE": f"{HERE}.Tolerant"},
        "Sealed": {"CACHE_TYPE": f"{HERE}.Sealed"},
        "Lean": {"CACHE_TYPE": f"{HERE}.Lean"},
        "Broken": {"CACHE_TYPE": f"{HERE}.Broken"},
        "factory": {"CACHE_TYPE": f"{HERE}.four_arguments", "CACHE_ARGS": ["one"]},
        "factory with options": {
            "CACHE_TYPE": f"{HERE}.four_arguments",
            "CACHE_OPTIONS": {"threshold": 7},
        },
    }
    if see.since("2.5"):
        types["cachelib"] = {
            "CACHE_TYPE": "cachelib.SimpleCache",
            "CACHE_OPTIONS": {"threshold": 9},
        }
        types["cachelib by position"] = {
            "CACHE_TYPE": "cachelib.simple.SimpleCache",
            "CACHE_ARGS": [9],
        }
    for name, config in types.items():
        app = Flask("store")
        app.debug = see.debug
        made = see.call(f"{name}: start", Cache, app, config={**see.config, **config})
        if made is None:
            continue
        store = made.cache
        see.value(f"{name}: class", type(store).__name__)
        see.value(f"{name}: of cachelib", isinstance(store, cachelib.BaseCache))
        see.value(f"{name}: timeout", store.default_timeout)
        see.value(f"{name}: capacity", name.startswith("cachelib") and store._threshold)
        see.value(f"{name}: colour", getattr(store, "colour", None))
        exercise(see, name, app, made)
