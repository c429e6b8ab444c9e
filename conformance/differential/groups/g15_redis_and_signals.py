"""Group 15: ways to reach Redis, several applications with one cache, signals, serializers."""

from __future__ import annotations

import hashlib
from typing import Any

import redis
from flask import Flask
from flask_caching import Cache
from journal import ran
from notebook import PREFIX, Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client"]


def observe(see: Notebook) -> None:
    if see.setting == "redis":
        set_ups(see)
        others(see)
        prefixes(see)
        clients(see)
    hashes(see)
    hit_header(see)
    if see.since("2.5"):
        signals(see)
        serializers(see)


def start(config: dict[str, Any]) -> Cache:
    return Cache(Flask("redis"), config={"CACHE_TYPE": "RedisCache", **config})


def where(cache: Cache) -> Any:
    """Where a store's client connects to, and how."""
    known = cache.cache._write_client.connection_pool.connection_kwargs
    return {name: known.get(name) for name in ("host", "db", "password", "socket_timeout")}


def set_ups(see: Notebook) -> None:
    host = {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": see.port}
    url = f"redis://127.0.0.1:{see.port}"
    ways: dict[str, dict[str, Any]] = {
        "host and port": host,
        "database": {**host, "CACHE_REDIS_DB": 3},
        "port as a text": {**host, "CACHE_REDIS_PORT": str(see.port)},
        "url": {"CACHE_REDIS_URL": f"{url}/2"},
        "url without database": {"CACHE_REDIS_URL": url, "CACHE_REDIS_DB": 4},
        "url with both": {"CACHE_REDIS_URL": f"{url}/5", "CACHE_REDIS_DB": 4},
        "url over host": {"CACHE_REDIS_URL": f"{url}/6", "CACHE_REDIS_HOST": "nowhere.invalid"},
        "options": {**host, "CACHE_OPTIONS": {"socket_timeout": 2}},
        "url and options": {"CACHE_REDIS_URL": f"{url}/2", "CACHE_OPTIONS": {"socket_timeout": 3}},
        "prefix": {**host, "CACHE_KEY_PREFIX": "mine:"},
        "no prefix": {**host, "CACHE_KEY_PREFIX": ""},
        "called prefix": {**host, "CACHE_KEY_PREFIX": lambda: "called:"},
        "ignored errors": {**host, "CACHE_IGNORE_ERRORS": True},
        "full name": {**host, "CACHE_TYPE": "flask_caching.backends.rediscache.RedisCache"},
        "password": {**host, "CACHE_REDIS_PASSWORD": "wrong"},
        "no host": {"CACHE_REDIS_HOST": None},
        "decoded": {**host, "CACHE_OPTIONS": {"decode_responses": True}},
        "nobody listens": {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1},
    }
    for name, config in ways.items():
        patient = {"CACHE_OPTIONS": {"socket_timeout": 60}, **config}
        cache = see.call(f"{name}: start", start, patient)
        if cache is None:
            continue
        see.value(f"{name}: where", where(cache))
        see.call(f"{name}: set", cache.set, "key", {"way": name}, timeout=60)
        see.call(f"{name}: get", cache.get, "key")
        see.value(f"{name}: flag", cache.cache.ignore_delete_many_errors)
        if name != "nobody listens":
            see.value(f"{name}: keys", [found[:2] for found in stored(see)])
            see.value(f"{name}: bytes", [found[2] for found in stored(see)])
        see.call(f"{name}: clear", cache.clear)
        see.redis.flushall()


def others(see: Notebook) -> None:
    """Sentinels, clusters and TLS, as far as they go without a server of that kind."""
    tls = see.call("tls: start", start, {"CACHE_REDIS_URL": "rediss://127.0.0.1:1/3"})
    pool = tls.cache._write_client.connection_pool
    see.value("tls: connection", (pool.connection_class.__name__, pool.connection_kwargs["db"]))
    given = {
        "CACHE_TYPE": "RedisSentinelCache",
        "CACHE_REDIS_SENTINELS": [("127.0.0.1", 1)],
        "CACHE_REDIS_SENTINEL_MASTER": "main",
        "CACHE_REDIS_PASSWORD": "one",
        "CACHE_REDIS_SENTINEL_PASSWORD": "two",
    }
    sentinel = see.call("sentinel: start", start, given)
    for name in ("_write_client", "_read_client"):
        pool = getattr(sentinel.cache, name).connection_pool
        known = (pool.service_name, pool.is_master, pool.connection_kwargs["password"])
        see.value(f"sentinel: {name}", known)
    asked = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs
    see.value("sentinel: asked", [asked.get(name) for name in ("host", "port", "password")])
    see.call("sentinel: get", sentinel.get, "a")
    cluster = {"CACHE_TYPE": "RedisClusterCache"}
    for name, nodes in (("wrong", "127.0.0.1"), ("absent", "127.0.0.1:1"), ("empty", "")):
        see.call(f"cluster {name}", start, {**cluster, "CACHE_REDIS_CLUSTER": nodes})


def stored(see: Notebook) -> list[Any]:
    """Every key of every database of the server, with its bytes."""
    found: list[Any] = []
    for number in range(8):
        client = redis.Redis(port=see.port, db=number)
        found += [(number, key, client.get(key)) for key in sorted(client.keys())]
    return found


def prefixes(see: Notebook) -> None:
    """Several applications, one cache, a prefix for each."""
    cache = Cache()

    @cache.memoize(50)
    def tenant(a: int) -> str:
        return f"tenant {a} {ran('tenant')}"

    apps = []
    for name in ("one", "two"):
        app = Flask(name)
        app.config.update(see.config, CACHE_KEY_PREFIX=f"{name}:")
        cache.init_app(app)
        apps.append(app)
        add_index(app, cache)
    for number, app in enumerate([*apps, *apps]):
        see.get(f"application {number}", app.test_client(), "/")
        with app.app_context():
            see.call(f"memoize in application {number}", tenant, 1)
    see.value("prefixes", [key.split(b":")[0] for key in sorted(see.redis.keys())])
    with apps[0].app_context():
        see.call("forget in one", cache.delete_memoized, tenant)
        see.call("one after that", tenant, 1)
        see.call("clear one", cache.clear)
    with apps[1].app_context():
        see.call("two after that", tenant, 1)
    see.get("page of one", apps[0].test_client(), "/")
    see.get("page of two", apps[1].test_client(), "/")
    see.call("outside: the last one", cache.get, "view//")


def add_index(app: Flask, cache: Cache) -> None:
    @app.route("/")
    @cache.cached(50)
    def index() -> str:
        return f"{app.name} {ran('index')}"


class Client(redis.Redis):
    """A client that tells what it is asked."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        ran(str(args[0]))
        return super().execute_command(*args, **options)


def clients(see: Notebook) -> None:
    pool = redis.ConnectionPool(port=see.port, db=2)
    client = Client(connection_pool=pool)
    cache = start({"CACHE_REDIS_HOST": client})
    see.value("the client itself", cache.cache._write_client is client)
    see.value("and for reading", cache.cache._read_client is client)

    @cache.memoize(50)
    def double(a: int) -> int:
        return 2 * a

    see.call("client: set", cache.set, "a", "text", timeout=60)
    see.call("client: set for ever", cache.set, "ever", 1, timeout=0)
    see.call("client: get", cache.get, "a")
    see.call("client: add", cache.add, "a", 1)
    see.call("client: add new", cache.add, "new", 1)
    see.call("client: many", cache.set_many, {"b": 1, "c": [2]}, timeout=60)
    see.call("client: get many", cache.get_many, "a", "b", "c", "d")
    see.call("client: inc", cache.cache.inc, "b")
    see.call("client: has", cache.has, "a")
    see.call("client: delete many", cache.delete_many, "a", "d")
    see.call("client: unlink", cache.unlink, "b", "d")
    see.call("client: delete", cache.delete, "c")
    see.call("client: memoize", double, 2)
    see.call("client: memoize again", double, 2)
    see.call("client: forget", cache.delete_memoized, double)
    see.call("client: clear", cache.clear)
    see.value("ttl of what is for ever", see.redis.ttl("flask_cache_ever"))


def hashes(see: Notebook) -> None:
    if not see.since("2.5"):
        return
    for method in (hashlib.md5, hashlib.sha1, hashlib.sha512):
        app = Flask("hashes")
        cache = Cache(app, config={**see.config, "CACHE_HASH_METHOD": method})
        add_index(app, cache)

        @cache.cached(50, query_string=True)
        def view() -> str:
            return "view"

        @cache.memoize(50)
        def double(a: int) -> int:
            return 2 * a

        name = method().name
        with app.test_request_context("/?a=1"):
            see.call(f"{name}: view", view.make_cache_key)
            see.call(
                f"{name}: call",
                lambda double=double: double.make_cache_key(double.uncached, 1)[:16],
            )
            cache.hash_method = hashlib.sha224
            see.call(f"{name}: exchanged", view.make_cache_key)


def hit_header(see: Notebook) -> None:
    app = Flask("hit header")
    cache = Cache(app, config=dict(see.config))

    @app.route("/told")
    @cache.cached(50, response_hit_indication=True)
    def told() -> str:
        return f"told {ran('told')}"

    @app.route("/untold")
    @cache.cached(50)
    def untold() -> str:
        return f"untold {ran('untold')}"

    client = app.test_client()
    for number, path in enumerate(["/told", "/told", "/untold", "/untold", "/told", "/untold"]):
        see.get(f"{number} {path}", client, path)
    if see.timed:
        see.advance(51)
        see.get("told, expired", client, "/told")
        see.get("told, again", client, "/told")


def signals(see: Notebook) -> None:
    from flask_caching import (
        cache_memoize_hit,
        cache_memoize_miss,
        cache_view_hit,
        cache_view_miss,
    )

    known = (cache_view_hit, cache_view_miss, cache_memoize_hit, cache_memoize_miss)
    see.value("names of the signals", [signal.name for signal in known])

    def receiver(sender: Any, **payload: Any) -> None:
        told = {
            name: value for name, value in sorted(payload.items()) if name not in ("cache", "f")
        }
        told["cache_key"] = told["cache_key"][:16]
        function = getattr(payload.get("f"), "__name__", None)
        ran(f"signal {sender} {told} {function} {payload['cache'] is caches[-1]}")

    caches: list[Cache] = []
    for signal in known:
        signal.connect(receiver)
    for enabled in (True, False):
        app = Flask("signals")
        caches.append(Cache(app, config={**see.config, "CACHE_ENABLE_SIGNALS": enabled}))
        told_views(see, app, caches[-1], "on" if enabled else "off")
        caches[-1].clear()
    for signal in known:
        signal.disconnect(receiver)


def told_views(see: Notebook, app: Flask, cache: Cache, name: str) -> None:
    gates = {"unless": False, "stale": False, "forced": False}

    @app.route("/view/<a>")
    @cache.cached(
        50,
        unless=lambda: gates["unless"],
        forced_update=lambda: gates["forced"],
        is_stale=lambda value: gates["stale"],
    )
    def view(a: str) -> str:
        return f"view {a} {ran('view')}"

    @app.route("/query")
    @cache.cached(50, query_string=True)
    def query() -> str:
        return f"query {ran('query')}"

    @cache.memoize(50)
    def double(a: int, *, k: int = 1) -> int:
        ran("double")
        return 2 * a

    client = app.test_client()
    for step in ("first", "second"):
        see.get(f"{name}: view {step}", client, "/view/x")
        see.get(f"{name}: query {step}", client, "/query?a=1")
        with app.app_context():
            see.call(f"{name}: double {step}", double, 2, k=3)
    for gate in gates:
        gates[gate] = True
        see.get(f"{name}: {gate}", client, "/view/x")
        gates[gate] = False


def serializers(see: Notebook) -> None:
    from cachelib.serializers import BaseSerializer, JSONSerializer

    class Counting(JSONSerializer):
        def dumps(self, value: Any, **options: Any) -> Any:
            ran("dumps")
            return super().dumps(value, **options)

        def loads(self, data: Any) -> Any:
            ran("loads")
            return super().loads(data)

    class Needy(BaseSerializer):
        def __init__(self, needed: str) -> None:
            self.needed = needed

    for name, given in (("class", JSONSerializer), ("instance", Counting()), ("needy", Needy)):
        cache = see.call(
            f"{name}: start",
            lambda given=given: Cache(Flask("s"), config={**see.config, "CACHE_SERIALIZER": given}),
            naming=("instantiate",),
        )
        if cache is None:
            continue
        exercise_serializer(see, name, cache)
    null = {
        "CACHE_TYPE": "NullCache",
        "CACHE_NO_NULL_WARNING": True,
        "CACHE_SERIALIZER": JSONSerializer,
    }
    see.call(
        "store without one",
        lambda: Cache(Flask("s"), config=null) and None,
        naming=("CACHE_SERIALIZER",),
    )
    plain = Cache(Flask("s"), config=dict(see.config))
    kinds = [kind.__name__ for kind in type(plain.cache.serializer).__mro__]
    see.value("class of the default", [kind for kind in kinds if not kind.startswith("_")])
    plain.cache.serializer = JSONSerializer()
    see.call("exchanged: set", plain.set, "x", [1])
    see.call("exchanged: get", plain.get, "x")


def exercise_serializer(see: Notebook, name: str, cache: Cache) -> None:
    @cache.memoize(50)
    def rows(a: int) -> Any:
        return {"a": [a, ran("rows")]}

    see.value(f"{name}: serializer", type(cache.serializer).__name__)
    see.value(f"{name}: of the store", type(cache.cache.serializer).__name__)
    see.call(f"{name}: set", cache.set, "k", {"a": (1, 2)})
    see.call(f"{name}: get", cache.get, "k")
    see.call(f"{name}: set a number", cache.set, "n", 5)
    see.call(f"{name}: get a number", cache.get, "n")
    see.call(f"{name}: set bytes", cache.set, "b", b"bytes")
    see.call(f"{name}: memoize", rows, 1)
    see.call(f"{name}: memoize again", rows, 1)
    if see.redis is not None:
        see.value(f"{name}: bytes", see.redis.get(f"{PREFIX}k"))
    else:
        see.value(f"{name}: bytes", cache.cache._cache["k"][1])
