"""Larder for code that was written for Flask-Caching: change the import, and it works.

    from flask_larder.compat import Cache

    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

Names, parameters, keys and rules are those of Flask-Caching 2.5.1; COMPATIBILITY.md lists what is
mended. Where even the import must stay as it is, `install()` puts this package in its place.
"""

from __future__ import annotations

import hashlib
import logging
import warnings

from . import backends, jinja2ext, signals, utils
from .backends.base import BaseCache
from .backends.simplecache import SimpleCache
from .cache import Cache
from .installing import install
from .responses import CachedResponse
from .signals import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss
from .utils import (
    VERSION_TIMEOUT,
    function_namespace,
    get_arg_default,
    get_arg_names,
    get_id,
    join_generator,
    make_template_fragment_key,
    normalize_timeout,
    query_args_as_pairs,
    wants_args,
    wants_extra_args,
)

__all__ = [
    "SUPPORTED_HASH_FUNCTIONS",
    "VERSION_TIMEOUT",
    "BaseCache",
    "Cache",
    "CachedResponse",
    "SimpleCache",
    "backends",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_view_hit",
    "cache_view_miss",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_id",
    "install",
    "jinja2ext",
    "join_generator",
    "logger",
    "make_template_fragment_key",
    "normalize_timeout",
    "query_args_as_pairs",
    "signals",
    "utils",
    "wants_args",
    "wants_extra_args",
]

logger = logging.getLogger("flask_caching")

SUPPORTED_HASH_FUNCTIONS = [
    hashlib.sha1,
    hashlib.sha224,
    hashlib.sha256,
    hashlib.sha384,
    hashlib.sha512,
    hashlib.md5,
]

CONTRACT = "2.5.1"
"""The version of Flask-Caching whose contract this package keeps."""


def __getattr__(name: str) -> str:
    if name == "__version__":
        warnings.warn(
            "flask_caching.__version__ is deprecated (this is flask_larder.compat)",
            DeprecationWarning,
            stacklevel=2,
        )
        return CONTRACT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
