"""Every name of Flask-Caching: where it is imported from, what parameters it takes, in which order.

The tables were written down from the contract of 2.5.1. A parameter of ours may only come behind
theirs, and by name alone.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import cachelib
import pytest
from flask import Flask, Response
from jinja2.ext import Extension

from flask_larder import compat
from flask_larder.compat import Cache, backends

PACKAGE = "flask_larder.compat"
SHA256 = hashlib.sha256
CLASSES = (
    "BaseCache",
    "NullCache",
    "SimpleCache",
    "FileSystemCache",
    "RedisCache",
    "RedisSentinelCache",
    "RedisClusterCache",
    "MemcachedCache",
    "SASLMemcachedCache",
    "SpreadSASLMemcachedCache",
)
FACTORIES = {
    "null": "NullCache",
    "simple": "SimpleCache",
    "filesystem": "FileSystemCache",
    "redis": "RedisCache",
    "redissentinel": "RedisSentinelCache",
    "rediscluster": "RedisClusterCache",
    "uwsgi": "UWSGICache",
    "memcached": "MemcachedCache",
    "gaememcached": "MemcachedCache",
    "saslmemcached": "SASLMemcachedCache",
    "spreadsaslmemcached": "SpreadSASLMemcachedCache",
}
NAMES: dict[str, tuple[str, ...]] = {
    "": (
        "SUPPORTED_HASH_FUNCTIONS",
        "VERSION_TIMEOUT",
        "BaseCache",
        "Cache",
        "CachedResponse",
        "SimpleCache",
        "cache_memoize_hit",
        "cache_memoize_miss",
        "cache_view_hit",
        "cache_view_miss",
        "function_namespace",
        "get_arg_default",
        "get_arg_names",
        "get_id",
        "join_generator",
        "logger",
        "make_template_fragment_key",
        "normalize_timeout",
        "query_args_as_pairs",
        "wants_args",
        "wants_extra_args",
    ),
    "backends": (*CLASSES, "UWSGICache", *FACTORIES),
    "backends.base": ("BaseCache",),
    "backends.filesystemcache": ("FileSystemCache",),
    "backends.memcache": ("MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"),
    "backends.nullcache": ("NullCache",),
    "backends.rediscache": ("RedisCache", "RedisSentinelCache", "RedisClusterCache"),
    "backends.simplecache": ("SimpleCache",),
    "backends.uwsgicache": ("UWSGICache",),
    "contrib": (),
    "contrib.googlecloudstoragecache": ("GoogleCloudStorageCache",),
    "contrib.uwsgicache": ("UWSGICache",),
    "jinja2ext": ("CacheExtension", "JINJA_CACHE_ATTR_NAME", "make_template_fragment_key"),
    "signals": ("cache_memoize_hit", "cache_memoize_miss", "cache_view_hit", "cache_view_miss"),
    "utils": (
        "TEMPLATE_FRAGMENT_KEY_TEMPLATE",
        "function_namespace",
        "get_arg_default",
        "get_arg_names",
        "get_id",
        "join_generator",
        "make_template_fragment_key",
        "normalize_timeout",
        "query_args_as_pairs",
        "wants_args",
        "wants_extra_args",
    ),
}
MISSING = inspect.Parameter.empty


def module_of(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    module = module_of(name)
    assert [each for each in NAMES[name] if not hasattr(module, each)] == []


def test_everything_that_a_star_brings() -> None:
    assert set(backends.__all__) == set(CLASSES)
    brought: dict[str, Any] = {}
    exec(f"from {PACKAGE} import *", brought)
    assert set(NAMES[""]) <= brought.keys()


def test_one_class_under_every_path() -> None:
    for name, classes in NAMES.items():
        if name.startswith(("backends.", "contrib.")):
            for each in classes:
                if hasattr(backends, each):
                    assert getattr(module_of(name), each) is getattr(backends, each)
    assert compat.BaseCache is backends.BaseCache
    assert compat.SimpleCache is backends.SimpleCache


CACHED = {
    "timeout": None,
    "key_prefix": "view/%s",
    "unless": None,
    "forced_update": None,
    "is_stale": None,
    "response_filter": None,
    "query_string": False,
    "hash_method": None,
    "cache_none": False,
    "make_cache_key": None,
    "source_check": None,
    "response_hit_indication": False,
}
MEMOIZE = {
    "timeout": None,
    "make_name": None,
    "unless": None,
    "forced_update": None,
    "is_stale": None,
    "response_filter": None,
    "hash_method": None,
    "cache_none": False,
    "source_check": None,
    "args_to_ignore": None,
}
REDIS = {"default_timeout": 300, "key_prefix": None, "ignore_delete_many_errors": False}
SENTINEL = {**REDIS, "key_prefix": ""}
MEMCACHED = {"servers": None, "default_timeout": 300, "key_prefix": None}
POOL = {"pool_size": 1, "pool_blocking": True, "ignore_delete_many_errors": False}

SIGNATURES: dict[str, dict[str, Any]] = {
    "Cache": {"app": None, "with_jinja2_ext": True, "config": None},
    "Cache.init_app": {"app": MISSING, "config": None},
    "Cache.cached": CACHED,
    "Cache.memoize": MEMOIZE,
    "Cache.delete_cached": {"f": MISSING, "path": None, "query_args": None},
    "Cache.delete_memoized": {"f": MISSING},
    "Cache.delete_memoized_verhash": {"f": MISSING},
    "CachedResponse": {"response": MISSING, "timeout": MISSING},
    "backends.BaseCache": {"default_timeout": 300, "ignore_delete_many_errors": False},
    "backends.NullCache": {"default_timeout": 300, "ignore_delete_many_errors": False},
    "backends.SimpleCache": {
        "threshold": 500,
        "default_timeout": 300,
        "ignore_delete_many_errors": False,
        "ignore_errors": None,
    },
    "backends.FileSystemCache": {
        "cache_dir": MISSING,
        "threshold": 500,
        "default_timeout": 300,
        "mode": 0o600,
        "hash_method": SHA256,
        "ignore_delete_many_errors": False,
        "ignore_errors": None,
    },
    "backends.RedisCache": {
        "host": "localhost",
        "port": 6379,
        "password": None,
        "db": 0,
        **REDIS,
    },
    "backends.RedisSentinelCache": {
        "sentinels": None,
        "master": "mymaster",
        "password": None,
        "db": 0,
        **SENTINEL,
    },
    "backends.RedisClusterCache": {"cluster": "", "password": "", **SENTINEL},
    "backends.MemcachedCache": {**MEMCACHED, **POOL},
    "backends.SASLMemcachedCache": {**MEMCACHED, "username": None, "password": None, **POOL},
    "backends.SpreadSASLMemcachedCache": {},
    "contrib.uwsgicache.UWSGICache": {
        "default_timeout": 300,
        "cache": "",
        "ignore_delete_many_errors": False,
    },
    "contrib.googlecloudstoragecache.GoogleCloudStorageCache": {
        "bucket": MISSING,
        "key_prefix": None,
        "default_timeout": 300,
        "delete_expired_objects_on_read": False,
        "anonymous": False,
    },
    "utils.function_namespace": {"f": MISSING, "args": None},
    "utils.get_arg_default": {"f": MISSING, "position": MISSING},
    "utils.get_arg_names": {"f": MISSING},
    "utils.get_id": {"obj": MISSING},
    "utils.join_generator": {"rv": MISSING},
    "utils.make_template_fragment_key": {"fragment_name": MISSING, "vary_on": None},
    "utils.normalize_timeout": {"timeout": MISSING},
    "utils.query_args_as_pairs": {"query_args": MISSING},
    "utils.wants_args": {"f": MISSING},
    "utils.wants_extra_args": {"f": MISSING},
    **{f"backends.{name}": dict.fromkeys(("app", "config", "args", "kwargs"), MISSING)
       for name in FACTORIES},
    **{f"backends.{name}.factory": dict.fromkeys(("app", "config", "args", "kwargs"), MISSING)
       for name in CLASSES},
}  # fmt: skip


def found(path: str) -> Any:
    """What is at a dotted path below the package."""
    parts = path.split(".")
    for split in range(len(parts), -1, -1):
        try:
            value = module_of(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            value = getattr(value, part)
        return value
    raise AssertionError(path)


@pytest.mark.parametrize("path", SIGNATURES)
def test_parameters(path: str) -> None:
    parameters = dict(inspect.signature(found(path)).parameters)
    parameters.pop("self", None)
    theirs = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    assert list(theirs.items()) == list(SIGNATURES[path].items())
    ours = [p for name, p in parameters.items() if name not in theirs]
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in ours)


@pytest.mark.parametrize(
    "path",
    ["backends.RedisCache", "backends.RedisSentinelCache", "backends.SpreadSASLMemcachedCache"],
)
def test_options_go_on_to_the_client(path: str) -> None:
    kinds = [p.kind for p in inspect.signature(found(path)).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD in kinds


METHODS = {
    "get": ("key",),
    "set": ("key", "value", "timeout"),
    "add": ("key", "value", "timeout"),
    "has": ("key",),
    "delete": ("key",),
    "set_many": ("mapping", "timeout"),
}


@pytest.mark.parametrize("owner", [Cache, *(getattr(backends, name) for name in CLASSES)])
def test_methods_take_their_arguments_by_name(owner: type) -> None:
    for name, names in METHODS.items():
        taken = tuple(inspect.signature(getattr(owner, name)).parameters)
        assert taken[1 : len(names) + 1] == names
    for name in ("get_many", "get_dict", "delete_many"):
        kinds = [p.kind for p in inspect.signature(getattr(owner, name)).parameters.values()]
        assert inspect.Parameter.VAR_POSITIONAL in kinds
    assert callable(owner.clear)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CLASSES)
def test_back_ends_are_those_of_both_families(name: str) -> None:
    kind = getattr(backends, name)
    assert issubclass(kind, compat.BaseCache)
    assert issubclass(kind, cachelib.BaseCache)
    for method in ("inc", "dec"):
        names = tuple(inspect.signature(getattr(kind, method)).parameters)
        assert names == ("self", "key", "delta")


@pytest.mark.parametrize(("name", "kind"), FACTORIES.items())
def test_functions_of_older_configurations(name: str, kind: str) -> None:
    # pylibmc, a cluster and uWSGI are not here: what counts is whom they call.
    assert getattr(backends, name).__self__ is getattr(backends, kind)
    assert getattr(backends, name).__func__ is getattr(backends, kind).factory.__func__


def test_constants() -> None:
    names = ["sha1", "sha224", "sha256", "sha384", "sha512", "md5"]
    assert [each(b"").name for each in compat.SUPPORTED_HASH_FUNCTIONS] == names
    assert compat.VERSION_TIMEOUT == 0
    assert compat.jinja2ext.JINJA_CACHE_ATTR_NAME == "_template_fragment_cache"
    assert issubclass(compat.jinja2ext.CacheExtension, Extension)
    assert compat.jinja2ext.CacheExtension.tags == {"cache"}
    assert compat.utils.TEMPLATE_FRAGMENT_KEY_TEMPLATE == "_template_fragment_cache_%s%s"
    assert compat.logger is logging.getLogger("flask_caching")
    assert issubclass(compat.CachedResponse, Response)


@pytest.mark.parametrize("name", NAMES["signals"])
def test_names_of_signals(name: str) -> None:
    signal = getattr(compat.signals, name)
    assert signal.name == name.replace("_", "-")
    assert signal is getattr(compat, name)


def test_version_is_that_of_the_contract() -> None:
    with pytest.warns(DeprecationWarning, match="__version__ is deprecated") as caught:
        version = compat.__version__
    assert version == "2.5.1"
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = compat.nothing  # type: ignore[attr-defined]


def test_attributes_of_a_cache(app: Flask) -> None:
    given: Mapping[str, Any] = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 7}
    cache = Cache(config=dict(given))
    assert cache.config == given
    assert cache.with_jinja2_ext is True
    assert not hasattr(cache, "app")
    with pytest.raises(AttributeError, match="app"):
        _ = cache.cache
    assert cache.init_app(app) is None  # type: ignore[func-returns-value]
    assert cache.app is app
    assert cache.config == given
    found = (cache.source_check, cache.hash_method, cache.serializer, cache.enable_signals)
    assert found == (False, SHA256, None, False)
    other = Flask("other")
    with other.app_context(), pytest.raises(KeyError):
        _ = cache.cache
    with app.app_context():
        assert cache.cache is app.extensions["cache"][cache]
    assert hash(cache) == object.__hash__(cache)


def test_attributes_of_what_is_decorated(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    def function(a: int) -> int:
        """Its text."""
        return a

    for decorate in (cache.cached, cache.memoize):
        decorated: Any = decorate(5)(function)
        assert decorated.uncached is decorated.__wrapped__ is function
        assert (decorated.__name__, decorated.__doc__) == ("function", "Its text.")
        assert decorated.cache_timeout == 5
        assert callable(decorated.make_cache_key)
        assert inspect.isfunction(decorated)
        assert hasattr(decorated, "delete_memoized") is (decorate == cache.memoize)


# What the modules need, each in a process of its own.


def run_python(code: str) -> str:
    """What a new interpreter prints; an error in it is an error here."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BLOCKED = """
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {"redis", "pylibmc", "memcache", "libmc", "uwsgi", "google"}:
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, Blocker())
"""


def test_nothing_is_imported_that_is_not_used() -> None:
    code = f"""
    import flask_larder.compat as compat
    from flask_larder.compat.contrib import uwsgicache
    from flask_larder.compat import backends
    from flask import Flask
    for name in {CLASSES!r}:
        getattr(backends, name)
    cache = compat.Cache(Flask("shop"), config={{"CACHE_TYPE": "SimpleCache"}})
    cache.set("a", 1)
    for kind, word in (("RedisCache", "redis"), ("MemcachedCache", "memcache")):
        try:
            compat.Cache(Flask("shop"), config={{"CACHE_TYPE": kind}})
            cache.cache.get("k")
        except RuntimeError as error:
            assert f"no {{word}} module found" in str(error), error
    try:
        import flask_larder.compat.contrib.googlecloudstoragecache
    except RuntimeError as error:
        print(error)
    """
    said = run_python(BLOCKED + code)
    assert said.startswith("no google-cloud-storage module found")


# In place of Flask-Caching.


def test_install_gives_every_path_the_same_module() -> None:
    paths = [name for name in NAMES if name]
    code = f"""
    import importlib, sys
    import flask_larder.compat
    flask_larder.compat.install()
    flask_larder.compat.install()
    import flask_caching
    assert flask_caching is flask_larder.compat
    for path in {paths!r}:
        theirs = importlib.import_module("flask_caching." + path)
        assert theirs is importlib.import_module("flask_larder.compat." + path), path
        assert theirs.__name__ == theirs.__spec__.name == "flask_larder.compat." + path
    import flask_caching.contrib.uwsgicache
    from flask_caching.backends.rediscache import RedisCache
    assert issubclass(RedisCache, flask_caching.backends.BaseCache)
    print(sum(type(finder).__name__ == "Finder" for finder in sys.meta_path))
    try:
        import flask_caching.nothing
    except ModuleNotFoundError as error:
        print(error.name)
    """
    assert run_python(code).split() == ["1", "flask_caching.nothing"]


def test_install_comes_before_an_original_that_is_there(tmp_path: Any) -> None:
    original = tmp_path / "flask_caching"
    original.mkdir()
    (original / "__init__.py").write_text("Cache = 'the original'\n")
    (original / "utils.py").write_text("")
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    import flask_larder.compat
    flask_larder.compat.install()
    from flask_caching import Cache, utils
    assert Cache is flask_larder.compat.Cache
    assert utils is flask_larder.compat.utils
    """
    run_python(code)


@pytest.mark.parametrize("first", ["flask_caching", "flask_caching.utils"])
def test_install_after_the_original_was_imported_is_refused(tmp_path: Any, first: str) -> None:
    original = tmp_path / "flask_caching"
    original.mkdir()
    (original / "__init__.py").write_text("Cache = 'the original'\n")
    (original / "utils.py").write_text("")
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    import {first}
    import flask_larder.compat
    try:
        flask_larder.compat.install()
    except RuntimeError as error:
        print(error)
    import flask_caching
    assert flask_caching.Cache == "the original"
    from flask_caching import utils
    assert utils is not flask_larder.compat.utils
    """
    assert run_python(code).startswith("flask_caching is imported already (call ")


def test_what_was_pickled_by_the_original_is_found_by_its_name() -> None:
    code = """
    import pickle
    import flask_larder.compat
    flask_larder.compat.install()
    found = pickle.loads(b"cflask_caching\\nCachedResponse\\n.")
    print(found is flask_larder.compat.CachedResponse)
    """
    assert run_python(code) == "True"
    assert pickle.loads(pickle.dumps(compat.CachedResponse)) is compat.CachedResponse
