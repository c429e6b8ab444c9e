"""Clients of other people, and another process, for the tests of the compat dialect on Redis."""

from __future__ import annotations

from typing import Any


class Stub:
    """A client that notes its calls, as tests of applications have them."""

    def __init__(self, entries: dict[str, bytes] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self.calls: list[tuple[str, Any]] = []

    def set(self, **kwargs: Any) -> str:
        self.calls.append(("set", kwargs))
        self.entries[kwargs["name"]] = kwargs["value"]
        return "set"

    def setnx(self, **kwargs: Any) -> bool:
        self.calls.append(("setnx", kwargs))
        return True

    def expire(self, **kwargs: Any) -> bool:
        self.calls.append(("expire", kwargs))
        return True

    def incr(self, **kwargs: Any) -> str:
        self.calls.append(("incr", kwargs))
        return "incr"

    def get(self, name: str) -> bytes | None:
        self.calls.append(("get", name))
        return self.entries.get(name)

    def mget(self, names: list[str]) -> list[bytes | None]:
        self.calls.append(("mget", names))
        return [self.entries.get(name) for name in names]

    def unlink(self, name: str) -> int:
        self.calls.append(("unlink", name))
        return 1


class Opened:
    """The same cache in another process."""

    _CODE = """
from flask import Flask
from flask_larder.compat import Cache
app = Flask("shop")
app.secret_key = "a key for tests"
config = {{"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": {url!r}, "CACHE_KEY_PREFIX": {prefix!r},
           "CACHE_OPTIONS": {{"deadline": 30}}}}
cache = Cache(app, config=config)
print(cache.get("from here") == {{"list": [1, "\\u00e9"]}})
cache.set("from there", (1, 2))
cache.cache.inc("n")
print(cache.cache.inc("n"))
"""

    @classmethod
    def code(cls, url: str, prefix: str) -> str:
        """A program that reads and writes there."""
        return cls._CODE.format(url=url, prefix=prefix)
