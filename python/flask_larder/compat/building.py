"""Stores from a configuration, in all the spellings that Flask-Caching ever knew."""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Any, cast

from cachelib.serializers import BaseSerializer
from werkzeug.utils import import_string

from .. import backends as own
from ..backends.opening import near_of
from . import backends, utils

if TYPE_CHECKING:
    from flask import Flask

_OLD_TYPES = {
    "null": "NullCache",
    "simple": "SimpleCache",
    "filesystem": "FileSystemCache",
    "redis": "RedisCache",
    "redissentinel": "RedisSentinelCache",
    "rediscluster": "RedisClusterCache",
    "uwsgi": "flask_caching.contrib.uwsgicache.UWSGICache",
    "memcached": "MemcachedCache",
    "gaememcached": "MemcachedCache",
    "saslmemcached": "SASLMemcachedCache",
    "spreadsaslmemcached": "SpreadSASLMemcachedCache",
}
"""Names of Flask-Caching 2.4 and older."""

_ON_THE_ENGINE = (
    backends.SimpleCache,
    backends.FileSystemCache,
    backends.MemcachedCache,
    backends.SASLMemcachedCache,
    backends.RedisCache,
    backends.RedisSentinelCache,
    backends.RedisClusterCache,
)

_THEIRS = "flask_caching."
_OURS = __package__ + "." if __package__ else ""
_IGNORED = "ignore_delete_many_errors"


def serializer_of(given: object) -> BaseSerializer | None:
    """CACHE_SERIALIZER as an instance; a ValueError for anything that is no serializer."""
    if given is None or isinstance(given, BaseSerializer):
        return given
    if isinstance(given, type) and issubclass(given, BaseSerializer):
        try:
            return given()
        except Exception as error:
            raise ValueError(
                f"Couldn't instantiate serializer {given.__name__} of CACHE_SERIALIZER: {error} "
                "(hand in an instance)"
            ) from error
    raise ValueError(
        f"CACHE_SERIALIZER={given!r} is neither a subclass nor an instance of "
        "cachelib.serializers.BaseSerializer"
    )


def backend_of(app: Flask, config: dict[str, Any], on_event: Any = None) -> Any:
    """The store that CACHE_TYPE names. Raises werkzeug's ImportStringError if there is none.

    Larder's own stores call `on_event` for what a person may want to know of.
    """
    name = _modern(config["CACHE_TYPE"])
    if "." not in name:
        name = f"{_OURS}backends.{name}"
    elif name.startswith(_THEIRS):
        name = _OURS + name.removeprefix(_THEIRS)
    found: Any = import_string(name)
    if inspect.ismodule(found):
        given = config["CACHE_TYPE"]
        raise TypeError(f"CACHE_TYPE={given!r} is a module (name the class of a store in it)")
    _check_near(config, found)
    kwargs: dict[str, Any] = {
        "default_timeout": utils.normalize_timeout(config["CACHE_DEFAULT_TIMEOUT"]),
        _IGNORED: config["CACHE_IGNORE_ERRORS"],
        **(config["CACHE_OPTIONS"] or {}),
    }
    asked = config["CACHE_IGNORE_ERRORS"]
    if found in _ON_THE_ENGINE or _is_native(found):
        kwargs["on_event"] = on_event
    try:
        return _call(found, name, app, config, dict(kwargs))
    except TypeError as error:
        # A back end that was written before that argument came about.
        if asked or _IGNORED not in str(error):
            raise
    kwargs.pop(_IGNORED)
    return _call(found, name, app, config, kwargs)


def _check_near(config: dict[str, Any], found: Any) -> None:
    """A ValueError where CACHE_NEAR is set for a store that has no near tier in this dialect."""
    if near_of(config.get("CACHE_NEAR"), config.get("CACHE_NEAR_TIMEOUT")) is None:
        return
    kinds = (backends.RedisCache, backends.NullCache)
    if not (inspect.isclass(found) and (issubclass(found, kinds) or _is_native(found))):
        name = config["CACHE_TYPE"]
        raise ValueError(
            f"CACHE_NEAR is set, and {name!r} has no near tier here (leave it out, or use one of the "
            "stores of Redis, or flask_larder)"
        )


def _is_native(found: Any) -> bool:
    """Whether this is a store of the other dialect, which this one takes too."""
    native = inspect.isclass(found) and issubclass(found, own.Backend)
    return native and not issubclass(found, backends.BaseCache)


def _modern(name: Any) -> str:
    if not isinstance(name, str):
        kind = type(name).__name__
        raise ValueError(f"CACHE_TYPE is {kind} (use the name of a store, or a dotted path)")
    old = name.removeprefix(f"{_THEIRS}backends.")
    if old not in _OLD_TYPES:
        return name
    new = _OLD_TYPES[old]
    warnings.warn(
        f"CACHE_TYPE={name!r} is an old name: use {new!r}",
        DeprecationWarning,
        stacklevel=level_of_caller(),
    )
    return new


def level_of_caller() -> int:
    """The level of a warning that is to point at whoever called this package."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def _call(found: Any, name: str, app: Flask, config: dict[str, Any], kwargs: dict[str, Any]) -> Any:
    backend = _made(found, name, app, config, kwargs)
    if not callable(getattr(backend, "get", None)):
        given, kind = config["CACHE_TYPE"], type(backend).__name__
        raise ValueError(
            f"CACHE_TYPE={given!r} made a {kind}, which is no back end (it has no get)"
        )
    return backend


def _made(found: Any, name: str, app: Flask, config: dict[str, Any], kwargs: dict[str, Any]) -> Any:
    args = list(config["CACHE_ARGS"])
    if _is_native(found) or (inspect.isclass(found) and issubclass(found, backends.BaseCache)):
        return cast("Any", found).factory(app, config, args, kwargs)
    build = cast("Any", found)
    return build(*args, **kwargs) if "cachelib" in name else build(app, config, args, kwargs)
