"""Back ends of other people from a configuration: factories, cachelib's classes, classes of one's own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import config as settings
from .backends.opening import near_of
from .foreign import Wrapping

if TYPE_CHECKING:
    from flask import Flask

_IGNORED = "ignore_delete_many_errors"
_OFFERED = ("default_timeout", _IGNORED)
"""Keywords that Flask-Caching hands over unasked."""


def made(found: Any, name: str, app: Flask, config: Mapping[str, Any]) -> Any:
    """The back end that `found`, of this dotted name, makes for the configuration.

    A class with a `factory` is asked by it. Something of cachelib is called with CACHE_ARGS and
    CACHE_OPTIONS; any other callable with the application, the configuration, and these two. What
    cannot be called is the back end itself.
    """
    args, options = list(config["CACHE_ARGS"]), dict(config["CACHE_OPTIONS"] or {})
    offered = {
        "default_timeout": math.ceil(config["CACHE_DEFAULT_TIMEOUT"]),
        _IGNORED: config["CACHE_IGNORE_ERRORS"],
    }
    if inspect.isclass(found) and callable(getattr(found, "factory", None)):
        factory: Any = getattr(found, "factory")  # noqa: B009
        return factory(app, config, args, {**_fitting(found, offered), **options})
    if not callable(found):
        return found
    build: Any = found
    if "cachelib" in name:
        return build(*args, **{**_fitting(found, offered), **options})
    if not config["CACHE_IGNORE_ERRORS"]:
        # Whom a function hands it on to cannot be seen, and back ends of old do not know it.
        del offered[_IGNORED]
    return build(app, config, args, {**offered, **options})


def _fitting(found: Any, offered: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in offered.items() if _takes(found, name)}


def _takes(found: Any, keyword: str) -> bool:
    """Whether a callable takes a keyword, by its signature; a class by those of its constructors, as
    far as each hands on what it does not know."""
    if not inspect.isclass(found):
        parameters = inspect.signature(found).parameters
        return keyword in parameters or _hands_on(parameters)
    for kind in found.__mro__[:-1]:
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(vars(kind)["__init__"]).parameters
        if keyword in parameters or not _hands_on(parameters):
            return keyword in parameters
    return False


def _hands_on(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def check_near(config: Mapping[str, Any], found: Any, name: str) -> None:
    """A ValueError where CACHE_NEAR is set for a store that is near by itself, or has no use for it, or
    the size of a near tier for one that has none of its own."""
    if config["CACHE_NEAR_SIZE"] is not None and name not in ("SharedCache", "NullCache"):
        cure = "set CACHE_NEAR to that size" if found.takes_near else "leave it out"
        raise ValueError(
            f"CACHE_NEAR_SIZE is set, which is for SharedCache, beside {name} ({cure})"
        )
    near = near_of(config["CACHE_NEAR"], config["CACHE_NEAR_TIMEOUT"])
    # Whoever switches the cache off leaves the other settings as they are.
    if near is None or name == "NullCache" or found.takes_near:
        return
    cure = "CACHE_NEAR_SIZE is its own" if name == "SharedCache" else "leave it out"
    raise ValueError(f"CACHE_NEAR is set, and {name} lies in this process ({cure})")


def wrapping(config: Mapping[str, Any], on_event: Any) -> Wrapping:
    """How the engine keeps its entries in a back end of this application."""
    prefix = config["CACHE_KEY_PREFIX"]
    return Wrapping(
        key_prefix=str(prefix() if callable(prefix) else prefix or ""),
        default_timeout=config["CACHE_DEFAULT_TIMEOUT"],
        packing=settings.packing(config),
        max_value=settings.size(config, "CACHE_MAX_VALUE"),
        near=near_of(config["CACHE_NEAR"], config["CACHE_NEAR_TIMEOUT"]),
        on_event=on_event,
    )


def set_serializer(backend: Any, given: Any, name: str) -> None:
    """Gives a back end the serializer of CACHE_SERIALIZER; a ValueError where it could do nothing."""
    from .compat.building import serializer_of

    serializer = serializer_of(given)
    if not hasattr(backend, "serializer"):
        raise ValueError(
            f"CACHE_SERIALIZER is set, and {name} has no serializer (leave it out: what "
            "flask_larder stores is bytes already; flask_larder.compat uses serializers)"
        )
    if not _holds_bytes(serializer):
        raise ValueError(
            f"CACHE_SERIALIZER={type(serializer).__name__} cannot hold bytes, which is what "
            "flask_larder stores (use another one, or flask_larder.compat)"
        )
    backend.serializer = serializer


def _holds_bytes(serializer: Any) -> bool:
    sample = b"\xf5\x00 bytes"
    try:
        return bool(serializer.loads(serializer.dumps(sample)) == sample)
    except Exception:
        return False
