"""Back ends as people write them, with the weaknesses that theirs have."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from flask_larder.compat.backends import BaseCache


class Plain:
    """The least that a back end has: no `add`, no `get_many`, no expiry; `delete` answers nothing."""

    def __init__(self, default_timeout: int = 300) -> None:
        self.default_timeout = default_timeout
        self.records: dict[str, Any] = {}
        self.calls: list[str] = []
        self.threads: set[int] = set()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.get_native_id())

    def get(self, key: str) -> Any:
        self._called("get")
        return self.records.get(key)

    def set(self, key: str, value: Any, timeout: int | None = None) -> None:
        self._called("set")
        assert type(timeout) is int
        assert timeout > 0
        self.records[key] = value

    def delete(self, key: str) -> None:
        self._called("delete")
        self.records.pop(key, None)


class Failing(Plain):
    """Raises in the methods that `fails` names."""

    def __init__(self, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.fails: set[str] = set()
        self.error: BaseException = ConnectionError("the back end is away")

    def _called(self, name: str) -> None:
        super()._called(name)
        if name in self.fails:
            raise self.error

    def add(self, key: str, value: Any, timeout: int | None = None) -> bool:
        self._called("add")
        return self.records.setdefault(key, value) is value

    def get_many(self, *keys: str) -> list[Any]:
        self._called("get_many")
        return [self.records.get(key) for key in keys]

    def clear(self) -> bool:
        self._called("clear")
        self.records.clear()
        return True


class Evicting(Plain):
    """Drops records whenever it likes, the same ones in every run."""

    def __init__(self, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.random = random.Random(7)

    def _called(self, name: str) -> None:
        super()._called(name)
        if self.records and self.random.random() < 0.05:
            del self.records[self.random.choice(sorted(self.records))]


class Sleepy(Plain):
    """Takes its time, as one on a network does; deletes nothing while it is `stuck`."""

    stuck = False

    def _called(self, name: str) -> None:
        super()._called(name)
        time.sleep(0.0001)

    def delete(self, key: str) -> None:
        if not self.stuck:
            super().delete(key)


class Nonsense(Plain):
    """Answers something else than what was stored, of every kind in turn."""

    ANSWERS = (42, b"", b"\xf5LRD", "text", b"\xf5LRD\x02" + b"\0" * 90, [1, 2], object(), 1.5)

    def get(self, key: str) -> Any:
        if key not in self.records:
            return None
        self.calls.append("get")
        return self.ANSWERS[len(self.calls) % len(self.ANSWERS)]


class Derived(BaseCache):
    """A class as Flask-Caching's documentation shows it, from before `ignore_delete_many_errors`."""

    def __init__(self, folder: str = "nowhere", default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.folder = folder
        self.records: dict[str, Any] = {}

    @classmethod
    def factory(
        cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Derived:
        args.insert(0, config.get("CACHE_DIR"))
        return cls(*args, **kwargs)

    def get(self, key: str) -> Any:
        return self.records.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.records[key] = value
        return True

    def delete(self, key: str) -> bool:
        return self.records.pop(key, None) is not None


class HandingOn(Derived):
    """Hands on whatever it is given, to a constructor that does not take it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


def plain(app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Plain:
    """A factory with Flask-Caching's four arguments."""
    assert app.name == "shop"
    assert config["CACHE_TYPE"]
    assert not args
    return Plain(**kwargs)


def failing(_app: Any, _config: Any, _args: Any, kwargs: dict[str, Any]) -> Failing:
    """A factory."""
    return Failing(**kwargs)


def evicting(_app: Any, _config: Any, _args: Any, kwargs: dict[str, Any]) -> Evicting:
    """A factory."""
    return Evicting(**kwargs)


def sleepy(_app: Any, _config: Any, _args: Any, kwargs: dict[str, Any]) -> Sleepy:
    """A factory."""
    return Sleepy(**kwargs)


def nonsense(_app: Any, _config: Any, _args: Any, kwargs: dict[str, Any]) -> Nonsense:
    """A factory."""
    return Nonsense(**kwargs)


def incomplete(_app: Any, _config: Any, _args: Any, _kwargs: Any) -> Any:
    """A factory of something that is no back end."""
    return {}


THE_ONE = Plain()
"""A back end that is there already."""
