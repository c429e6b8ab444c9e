"""Entries as files: on Larder's engine, or cachelib's where a serializer was handed in."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import warnings
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from cachelib.file import FileSystemCache as CachelibFileSystemCache
from cachelib.serializers import BaseSerializer, FileSystemSerializer

from ... import config as settings
from ..._native import Engine, FileStore, Page
from ...responses import respond
from .base import BaseCache
from .twofold import Twofold, say_once
from .versions import EngineSpace, Versions
from .watched import Watched

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["FileSystemCache"]

Config = dict[str, Any]

_log = logging.getLogger("flask_caching")

_UNBOUNDED = 1 << 62
# All caches on one directory have the same entries: CACHE_KEY_PREFIX does not count for files.
_NAMESPACE = "flask_cache_"


class _Untouched(FileSystemSerializer):
    """cachelib's own serializer, as long as nobody chose one."""


class _Chosen:
    """The serializer of a store: that of its class, until another is assigned to it."""

    def __init__(self, default: BaseSerializer) -> None:
        self.default = default

    def __get__(self, backend: FileSystemCache | None, owner: Any = None) -> BaseSerializer:
        return self.default if backend is None else vars(backend).get("_serializer", self.default)

    def __set__(self, backend: FileSystemCache, serializer: BaseSerializer) -> None:
        vars(backend)["_serializer"] = serializer
        backend._choose(serializer)


def _log_failure(answer: Any) -> Any:
    _log.warning("Exception raised while handling cache files", exc_info=True)
    return answer


def _logged(answer: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of methods: where the directory fails them, that is logged, and they answer this."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def logged(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except OSError:
                return _log_failure(answer)

        return logged

    return decorate


def _pass_on(listener: weakref.WeakMethod[Callable[..., None]], *what: Any) -> None:
    # The engine holds this where the collector of cycles does not see it.
    tell = listener()
    if tell is not None:
        tell(*what)


class FileSystemCache(Watched, Twofold, CachelibFileSystemCache):  # type: ignore[misc]
    """Entries in the files of a directory, at most `threshold` and one; 0 is for any number.

    Entries are Larder's own and lie in a folder `larder-1` of the directory; what else is there is left
    alone. With a serializer that is handed in, also later, or that a subclass has, they are files as
    Flask-Caching has them, beside that folder.
    """

    theirs = CachelibFileSystemCache
    place = "files"

    def __init__(
        self,
        cache_dir: Any,
        threshold: int = 500,
        default_timeout: Any = 300,
        mode: int = 0o600,
        hash_method: Any = hashlib.sha256,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
        *,
        max_bytes: int = _UNBOUNDED,
        max_value: int = 1 << 30,
    ) -> None:
        if ignore_errors is not None:
            warnings.warn(
                "ignore_errors has another name now: ignore_delete_many_errors",
                DeprecationWarning,
                stacklevel=2,
            )
            ignore_delete_many_errors = ignore_errors
        Twofold.__init__(self, default_timeout, ignore_delete_many_errors)
        path = cast("str", os.fspath(cache_dir))
        self._path = path
        # Whoever changes the working directory later does not move the entries.
        self._place: str = os.path.realpath(path)
        self._threshold = threshold
        self._hash_method = hash_method
        self._mode = mode or 0o600
        self._bounds = (max_bytes, max_value)
        # The engine, once it was asked for and as long as entries are its own.
        self._ready: Engine | None = None
        self._store: FileStore | None = None
        # What was stored as no entry of the program's.
        self._uncounted: set[str] = set()
        os.makedirs(path, mode=0o700, exist_ok=True)
        if self.coded:
            self._choose(self.serializer)

    @classmethod
    def factory(cls, app: Flask, config: Config, args: list[Any], kwargs: Config) -> Any:
        """Builds the back end from CACHE_DIR, CACHE_THRESHOLD and CACHE_FILE_HASH_METHOD."""
        on_event = kwargs.pop("on_event", None)
        kwargs["threshold"] = config["CACHE_THRESHOLD"]
        kwargs["hash_method"] = config.get("CACHE_FILE_HASH_METHOD", hashlib.sha256)
        backend = cls(config["CACHE_DIR"], *args, **kwargs)
        backend._packing, backend._on_event = settings.packing(config), on_event
        if not backend.coded and config.get("CACHE_SERIALIZER") is None:
            # A wrong setting is an error now, not with the first request.
            _ = backend.engine
        return backend

    # The engine, or cachelib's files.

    serializer = _Chosen(_Untouched())  # type: ignore[assignment]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("serializer")
        if own is not None and not hasattr(own, "__get__"):
            # A class of somebody's own with a serializer as its attribute, as cachelib has it.
            cls.serializer = _Chosen(own)

    @property
    def coded(self) -> bool:
        """Whether entries are the bytes of a serializer that somebody chose, in cachelib's files."""
        return not isinstance(self.serializer, _Untouched)

    def _choose(self, serializer: BaseSerializer) -> None:
        self._ready = None
        if not self.coded:
            return
        say_once(
            f"FileSystemCache was given {type(serializer).__name__} as the serializer: files are "
            "Flask-Caching's, and what the serializer reads in them is trusted"
        )
        if self._threshold != 0:
            self._update_count(value=len(list(self._list_dir())))

    def _list_dir(self) -> Generator[str]:
        # The folder of our own entries is no file of cachelib's.
        return (path for path in super()._list_dir() if not os.path.isdir(path))

    def _open(self, prefix: str) -> Versions:
        if self.coded:
            raise AttributeError("these entries are cachelib's files: no engine has them")
        size, max_value = self._bounds
        store = FileStore(
            self._place,
            namespace=_NAMESPACE,
            packing=self._packing,
            # cachelib makes room before it inserts, and so holds one more than it is told.
            threshold=self._threshold + 1 if self._threshold > 0 else 0,
            size=size,
            mode=self._mode & 0o666 | 0o600,
            max_value=max_value,
            on_event=partial(_pass_on, weakref.WeakMethod(self._tell_of)),
        )
        self._store, self._ready = store, store.engine
        return Versions(EngineSpace(store.engine), tagged=False)

    def _tell_of(self, name: str, key: str | None, detail: str) -> None:
        """Hands on what the engine tells. A store that was built without a cache has a log as well."""
        if self._on_event is not None:
            self._on_event(name, key, detail)
        elif name == "unreadable":
            say_once(f"Exception raised while handling cache file of {key}: {detail}")

    # Values.

    def _named(self, key: Any) -> str:
        if isinstance(key, str):
            return key
        raise TypeError(f"Key must be a string, received type {type(key)}")

    def _has_own(self, *names: str) -> bool:
        """Whether somebody put a method of his own in the place of one of these.

        What works on many keys, and counts, goes through it then, as it does in cachelib.
        """
        kind, own = type(self), vars(self)
        return any(n in own or getattr(kind, n) is not getattr(FileSystemCache, n) for n in names)

    def get(self, key: Any) -> Any:
        """The value, or None."""
        # A read takes a few microseconds, of which the way through the bases would be a third.
        engine = self._ready
        if engine is None or type(key) is not str:
            return self._get(key)
        try:
            found = engine.get(key)
        except OSError:
            return _log_failure(None)
        if found is None:
            return None
        value = found[0]
        return respond(value) if type(value) is Page else value

    @_logged(None)
    def _get(self, key: Any) -> Any:
        return super().get(key)

    @_logged(False)
    def has(self, key: Any) -> bool:
        """Whether there is a value, None included."""
        return bool(super().has(key))

    def get_many(self, *keys: Any) -> list[Any]:
        """The values in order, None for what is not there."""
        if self.coded or self._has_own("get"):
            return [self.get(key) for key in keys]
        try:
            return super().get_many(*keys)
        except OSError:
            # What can be read is answered.
            return [self.get(key) for key in keys]

    @_logged(False)
    def set(self, key: Any, value: Any, timeout: object = None, mgmt_element: bool = False) -> bool:
        """Stores a value. Raises what pickling it raises; False if it can only be a pickle, and there
        is no secret to seal it with. A `mgmt_element` lives for ever, and is not counted."""
        if not mgmt_element:
            return bool(super().set(key, value, timeout))
        if self.coded:
            return CachelibFileSystemCache.set(self, key, value, None, mgmt_element=True)
        self._uncounted.add(key)
        return bool(super().set(key, value, 0))

    @_logged(False)
    def add(self, key: Any, value: Any, timeout: object = None) -> bool:
        """Stores a value where none is, in one step. False if one is there."""
        return super().add(key, value, timeout)

    @_logged(False)
    def delete(self, key: Any, mgmt_element: bool = False) -> bool:
        """Removes a key. True also where nothing was there."""
        if self.coded:
            return CachelibFileSystemCache.delete(self, key, mgmt_element=mgmt_element)
        super().delete(key)
        self._uncounted.discard(key)
        return True

    def delete_many(self, *keys: Any) -> list[Any]:
        """Removes keys, and what matches those with a `*` or `?` in them. Answers what is gone."""
        if self.coded or self._has_own("delete", "has"):
            return BaseCache.delete_many(self, *keys)
        try:
            return super().delete_many(*keys)
        except OSError:
            _log_failure(None)
        if not self.ignore_delete_many_errors:
            raise RuntimeError(f"Failed to delete keys: {list(keys)}")
        return []

    @_logged(False)
    def clear(self) -> bool:
        """Removes every entry, and no other file in the directory."""
        self._uncounted.clear()
        return bool(super().clear())

    @_logged(None)
    def inc(self, key: Any, delta: int = 1) -> Any:
        """Adds to a counter in one step. Answers its new value."""
        return self._count(key, delta)

    @_logged(None)
    def dec(self, key: Any, delta: int = 1) -> Any:
        """Subtracts from a counter in one step. Answers its new value."""
        return self._count(key, -delta)

    def _count(self, key: Any, delta: int) -> Any:
        if not self.coded and not self._has_own("get", "set"):
            # What is no whole number is added to as Python adds, which cachelib leaves it to.
            with suppress(TypeError):
                return self.engine.count(self._named(key), delta, self._policy(None))
        value = (self.get(key) or 0) + delta
        return value if self.set(key, value) else None

    # What cachelib has under these names.

    def _get_filename(self, key: Any) -> str:
        """The file that the entry of a key lies in, if there is one."""
        if self.coded:
            return CachelibFileSystemCache._get_filename(self, key)
        name, _ = self._named(key), self.engine
        assert self._store is not None
        return str(self._store.file_of(name))

    @property
    def _file_count(self) -> int:
        """How many entries there are; 0 where nobody counts, for want of a threshold."""
        if self.coded:
            return self.get(self._fs_count_file) or 0
        if self._threshold == 0:
            return 0
        left_out = sum(self.has(key) for key in self._uncounted)
        return int(self.engine.size()["entries"]) - left_out
