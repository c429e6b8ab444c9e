"""Group 1: three ways to start, and what a start refuses or warns of."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from datetime import timedelta
from typing import Any

import flask_caching
from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import Notebook

# Decorators are applied before there is an application.
late = Cache(config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 40})


@late.cached(timeout=50, key_prefix="late")
def late_list() -> str:
    return f"late {ran('late')}"


@late.memoize(50)
def late_sum(a: int, b: int) -> int:
    ran("sum")
    return a + b


def by_config(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("by_config")
    app.config.from_mapping({"DEBUG": False, "CACHE_DEFAULT_TIMEOUT": 300, **config})
    cache = Cache(app)

    @app.route("/")
    @cache.cached(timeout=50)
    def index() -> str:
        return f"index {ran('index')}"

    return app, cache


def by_argument(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("by_argument")
    app.secret_key = "secret"
    app.config["CACHE_TYPE"] = "nowhere"
    cache = Cache(app, config=config)

    @app.route("/")
    @cache.cached(timeout=50)
    def index() -> str:
        return f"index {ran('index')}"

    return app, cache


def by_factory(config: dict[str, Any] | None) -> Flask:
    app = Flask("by_factory")
    app.secret_key = "secret"
    if config is None:
        late.init_app(app)
    else:
        late.init_app(app, config=config)

    @app.route("/")
    def index() -> str:
        return f"{late_list()} {late_sum(1, 2)}"

    return app


def observe(see: Notebook) -> None:
    starts(see)
    attributes(see)
    refusals(see)
    backends(see)
    old_names(see)
    names(see)


def starts(see: Notebook) -> None:
    for name, start in (("by config", by_config), ("by argument", by_argument)):
        app, cache = start(dict(see.config))
        client = app.test_client()
        see.get(f"{name}: first", client, "/")
        see.get(f"{name}: again", client, "/")
        see.value(f"{name}: config", cache.config)
        own = {key: app.config[key] for key in sorted(app.config) if key.startswith("CACHE_")}
        see.value(f"{name}: the application's configuration", own)
        if see.timed:
            see.advance(51)
            see.get(f"{name}: expired", client, "/")
    for name, config in (("factory", None), ("factory with config", dict(see.config))):
        client = by_factory(config).test_client()
        see.get(f"{name}: first", client, "/")
        see.get(f"{name}: again", client, "/")
        see.value(f"{name}: config", late.config)


def attributes(see: Notebook) -> None:
    fresh = Cache()
    see.value("before: config", fresh.config)
    see.call("before: get", fresh.get, "a", naming=("app",))
    see.call("before: app", lambda: fresh.app, naming=("'Cache' object has no attribute 'app'",))
    app = Flask("attributes")
    see.call("init_app", fresh.init_app, app, dict(see.config))
    see.value("after: app", fresh.app is app)
    see.value("after: registry", app.extensions["cache"][fresh] is fresh.cache)
    see.value("after: hash", fresh.hash_method.__name__ if see.since("2.5") else None)
    see.value("after: jinja", app.jinja_env._template_fragment_cache is fresh)
    see.value("after: source check", fresh.source_check)
    if see.since("2.5"):
        see.value("after: serializer", fresh.serializer)
        see.value("after: signals", fresh.enable_signals)
    see.value("after: default timeout", fresh.cache.default_timeout)
    other = Flask("other")
    with other.app_context():
        see.call("other application", fresh.get, "a")
    second = Cache(other, with_jinja2_ext=False, config=dict(see.config))
    see.value("no jinja", hasattr(other.jinja_env, "_template_fragment_cache"))
    see.value("flag", second.with_jinja2_ext)
    third = Cache(app, config=dict(see.config))
    see.value("last one has the tag", app.jinja_env._template_fragment_cache is third)
    see.value("both in the registry", len(app.extensions["cache"]))
    see.value("different", third == fresh)


def refusals(see: Notebook) -> None:
    def start(**config: Any) -> Any:
        config = {**see.config, **config}
        return Cache(refused, config=config).cache.default_timeout

    refused = Flask("refused")
    see.call("config is a list", Cache, None, True, ["CACHE_TYPE"], naming=("config", "dict"))
    see.call("init_app with text", Cache().init_app, Flask("x"), "x", naming=("config",))
    see.call("unknown type", start, CACHE_TYPE="NoSuchCache")
    see.call("unknown path", start, CACHE_TYPE="no.such.Cache")
    see.call("unknown option", start, CACHE_OPTIONS={"colour": "red"})
    see.call("timeout of None", start, CACHE_DEFAULT_TIMEOUT=None)
    see.call("timeout in seconds", start, CACHE_DEFAULT_TIMEOUT=17)
    see.call("timeout among the options", start, CACHE_OPTIONS={"default_timeout": 7})
    see.call("unknown setting", start, CACHE_TIMEOUTS=17)
    if see.since("2.5"):
        see.call("timeout as timedelta", start, CACHE_DEFAULT_TIMEOUT=timedelta(seconds=1.5))
        see.call("timeout as text", start, CACHE_DEFAULT_TIMEOUT="20")
        hashing = ("CACHE_HASH_METHOD",)
        see.call("hash method", start, CACHE_HASH_METHOD="md5", naming=hashing)
        words = ("CACHE_SERIALIZER", "BaseSerializer")
        see.call("serializer", start, CACHE_SERIALIZER="json", naming=words)
        see.call("serializer of another class", start, CACHE_SERIALIZER=dict, naming=words)
        untouched = Flask("untouched")
        with contextlib.suppress(ValueError):
            Cache(untouched, config={**see.config, "CACHE_SERIALIZER": "json"})
        see.value("not in the registry", "cache" in untouched.extensions)


def backends(see: Notebook) -> None:
    def kind(**config: Any) -> str:
        return type(Cache(Flask("b"), config={**see.config, **config}).cache).__name__

    see.call("short name", kind)
    see.call(
        "no type at all", lambda: type(Cache(Flask("b")).cache).__name__, naming=("NullCache",)
    )
    see.call("null", kind, CACHE_TYPE="NullCache", CACHE_NO_NULL_WARNING=False)
    see.call("null by path", kind, CACHE_TYPE="flask_caching.backends.NullCache")
    see.call("module", kind, CACHE_TYPE="flask_caching.backends.simplecache.SimpleCache")
    see.call("folder", kind, CACHE_TYPE="FileSystemCache", CACHE_DIR=None)
    see.call("arguments", kind, CACHE_TYPE="SimpleCache", CACHE_ARGS=[])
    see.call("tuple of arguments", kind, CACHE_TYPE="SimpleCache", CACHE_ARGS=())


def old_names(see: Notebook) -> None:
    def kind(name: str) -> str:
        config = {**see.config, "CACHE_TYPE": name, "CACHE_NO_NULL_WARNING": True}
        return type(Cache(Flask("b"), config=config).cache).__name__

    for name in ("null", "simple", "redis", "flask_caching.backends.simple"):
        see.call(f"old name {name}", kind, name)


TOP = [
    "Cache",
    "CachedResponse",
    "make_template_fragment_key",
    "SUPPORTED_HASH_FUNCTIONS",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_id",
    "wants_args",
    "BaseCache",
    "SimpleCache",
    "logger",
]
TOP_25 = [
    "cache_view_hit",
    "cache_view_miss",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "VERSION_TIMEOUT",
    "wants_extra_args",
    "join_generator",
    "query_args_as_pairs",
    "normalize_timeout",
]
MODULES = [
    "backends",
    "backends.base",
    "backends.filesystemcache",
    "backends.memcache",
    "backends.nullcache",
    "backends.rediscache",
    "backends.simplecache",
    "contrib",
    "contrib.uwsgicache",
    "jinja2ext",
    "utils",
]
BACKENDS = [
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
]

OLD_BACKENDS = [
    "UWSGICache",
    "null",
    "simple",
    "filesystem",
    "redis",
    "redissentinel",
    "rediscluster",
    "uwsgi",
    "memcached",
    "gaememcached",
    "saslmemcached",
    "spreadsaslmemcached",
]


def names(see: Notebook) -> None:
    if see.setting != "simple":
        return
    for name in TOP + (TOP_25 if see.since("2.5") else []):
        see.value(f"flask_caching.{name}", hasattr(flask_caching, name))
    for name in MODULES + (["signals"] if see.since("2.5") else []):
        see.call(
            f"import {name}",
            lambda name=name: bool(importlib.import_module(f"flask_caching.{name}")),
        )
    there = importlib.import_module("flask_caching.backends")
    for name in BACKENDS:
        see.call(f"backends.{name}", lambda name=name: getattr(there, name).__name__)
    if not see.since("2.5"):
        for name in OLD_BACKENDS:
            see.call(f"backends.{name}", lambda name=name: callable(getattr(there, name)))
    see.value("hash functions", [each().name for each in flask_caching.SUPPORTED_HASH_FUNCTIONS])
    see.value("logger", flask_caching.logger.name)
    see.value(
        "attribute of jinja",
        importlib.import_module("flask_caching.jinja2ext").JINJA_CACHE_ATTR_NAME,
    )
    see.call("no such name", lambda: flask_caching.no_such_name)
    see.call("version", lambda: flask_caching.__version__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        see.value("version is a text", isinstance(flask_caching.__version__, str))
