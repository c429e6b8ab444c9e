"""Caches and stores of other people, for the tests of the compat dialect."""

from __future__ import annotations

from typing import Any

from flask import Flask

from flask_larder.compat import Cache
from flask_larder.compat.backends import BaseCache


class Recorded(Cache):
    """A cache that notes which of its methods are called, as tracing tools do it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls: list[str] = []
        super().__init__(*args, **kwargs)

    def get(self, key: Any) -> Any:
        self.calls.append("get")
        return super().get(key)

    def has(self, key: str) -> bool:
        self.calls.append("has")
        return super().has(key)

    def set(self, key: str, value: Any, timeout: object = None) -> Any:
        self.calls.append("set")
        return super().set(key, value, timeout=timeout)

    def get_many(self, *keys: str) -> list[Any]:
        self.calls.append("get_many")
        return super().get_many(*keys)

    def set_many(self, mapping: Any, timeout: object = None) -> list[Any]:
        self.calls.append("set_many")
        return super().set_many(mapping, timeout=timeout)


class Listing(BaseCache):
    """A third-party store that knows nothing of newer arguments, and notes its calls."""

    def __init__(self, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.entries: dict[str, Any] = {}
        self.calls: list[tuple[Any, ...]] = []

    @classmethod
    def factory(cls, app: Flask, config: Any, args: Any, kwargs: Any) -> Listing:
        return cls(*args, **kwargs)

    def get(self, key: str) -> Any:
        self.calls.append(("get", key))
        return self.entries.get(key)

    def has(self, key: str) -> bool:
        self.calls.append(("has", key))
        return key in self.entries

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.calls.append(("set", key, type(value).__name__, timeout))
        self.entries[key] = value
        return True

    def delete(self, key: str) -> bool:
        self.calls.append(("delete", key))
        return self.entries.pop(key, None) is not None


class Broken(BaseCache):
    """A store whose server is gone."""

    @classmethod
    def factory(cls, app: Flask, config: Any, args: Any, kwargs: Any) -> Broken:
        return cls()

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("nobody there")

    set = get_many = set_many = get  # type: ignore[assignment]


def listing(app: Flask, config: Any, args: Any, kwargs: Any) -> Listing:
    """A factory function with the four arguments that they always had."""
    kwargs.pop("ignore_delete_many_errors")
    return Listing(*args, **kwargs)
