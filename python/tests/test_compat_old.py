"""The dialect of Flask-Caching 2.4 and older: parameters by position, subclasses, configurations."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
import warnings
from types import ModuleType
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from conftest import Calls, text_of
from flask import Flask, make_response, request

from flask_larder.compat import Cache, backends

pytest_plugins = ["compat_fixtures"]

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def never(*_args: Any, **_kwargs: Any) -> bool:
    """A callback that changes nothing."""
    return False


def wanted(_value: Any) -> bool:
    """A response filter that lets everything in."""
    return True


class Constructor:
    """A hash method of somebody's own, which cannot be told from any other callable."""

    def __init__(self, content: bytes = b"") -> None:
        self._inner = hashlib.sha1(content)

    def digest(self) -> bytes:
        return self._inner.digest()

    def hexdigest(self) -> str:
        return self._inner.hexdigest()


class Captured(Cache):
    """Holds on to the options that a decorator arrived at."""

    options: Any = None

    def _wrapped(self, decorated: Any, make_cache_key: Any) -> Any:
        self.options = decorated.options
        return super()._wrapped(decorated, make_cache_key)


@pytest.fixture
def captured(app: Flask) -> Captured:
    return Captured(app, config=SIMPLE)


# From the fifth place on: what was given, and what 2.4 understood by it.
CACHED = [
    ((wanted, True), {"query_string": True}),
    ((None, True), {"query_string": True}),
    ((None, False, hashlib.md5), {"query_string": False, "hash_method": hashlib.md5}),
    ((wanted, False, Constructor, True), {"hash_method": Constructor, "keeps_none": True}),
    ((None, True, hashlib.md5, False, never), {"make_cache_key": never}),
    ((None, False, None, False, None, True), {"source_check": True}),
    ((None, False, hashlib.sha1, False, None, False, True), {"response_hit_indication": True}),
]


@pytest.mark.parametrize(("moved", "expected"), CACHED)
def test_cached_in_the_order_of_24(
    app: Flask, captured: Captured, moved: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    with pytest.warns(DeprecationWarning, match="in the order of Flask-Caching 2.4") as caught:
        decorate = captured.cached(60, "all/%s", never, never, *moved)
    assert caught[0].filename == __file__
    decorated: Any = decorate(lambda: "page")._larder_decorated
    options = decorated.options
    assert options.is_stale is None
    assert (options.key_prefix, options.timeout) == ("all/%s", 60)
    assert (decorated.wanted is wanted) == (moved[0] is wanted)
    seen = {name: getattr(options, name, decorated.keeps_none) for name in expected}
    assert seen == expected


MEMOIZE = [
    ((None, hashlib.md5), {"hash_method": hashlib.md5}),
    ((wanted, hashlib.sha1), {"hash_method": hashlib.sha1, "response_filter": wanted}),
    ((None, Constructor, True), {"hash_method": Constructor, "keeps_none": True}),
    ((None, hashlib.md5, False, True), {"source_check": True}),
    ((None, None, False, None, ["session"]), {"args_to_ignore": ["session"]}),
    ((None, hashlib.md5, False, None, None), {"hash_method": hashlib.md5}),
]


@pytest.mark.parametrize(("moved", "expected"), MEMOIZE)
def test_memoize_in_the_order_of_24(
    captured: Captured, moved: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    with pytest.warns(DeprecationWarning, match="in the order of Flask-Caching 2.4"):
        decorate = captured.memoize(60, None, never, never, *moved)
    decorated: Any = decorate(lambda number: number)._larder_decorated  # type: ignore[attr-defined]
    options = decorated.options
    assert options.is_stale is None
    seen = {name: getattr(options, name, decorated.keeps_none) for name in expected}
    assert seen == expected


@pytest.mark.parametrize(
    "moved",
    [
        (),
        # A callable in the fifth place is taken for what 2.5 has there.
        (never,),
        (never, None),
        (never, wanted, True),
        (None, wanted, True, hashlib.md5),
        (None, None, None, None, False, None, None, True),
        (None, wanted, True, hashlib.md5, True, never, True, True),
    ],
)
def test_cached_in_the_order_of_25(captured: Captured, moved: tuple[Any, ...]) -> None:
    names = list(inspect.signature(captured.cached).parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_place: Any = captured.cached(60, "all", None, None, *moved)(lambda: "a")
        given: dict[str, Any] = dict(zip(names[4:], moved, strict=False))
        by_name: Any = captured.cached(60, "all", None, None, **given)(lambda: "a")
    one, other = by_place._larder_decorated, by_name._larder_decorated
    for option in ("query_string", "hash_method", "make_cache_key", "source_check"):
        assert getattr(one.options, option) == getattr(other.options, option)
    assert (one.options.is_stale is None) == (other.options.is_stale is None)
    assert (one.wanted, one.keeps_none) == (other.wanted, other.keeps_none)
    assert one.options.response_hit_indication == other.options.response_hit_indication


@pytest.mark.parametrize(
    "moved",
    [(never,), (never, wanted), (None, None, hashlib.md5), (None, wanted, Constructor, True, True)],
)
def test_memoize_in_the_order_of_25(captured: Captured, moved: tuple[Any, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        captured.memoize(60, None, None, None, *moved)(lambda number: number)
    options = captured.options
    assert (options.is_stale is not None) == (moved[0] is never)
    if len(moved) > 2:
        assert options.hash_method is moved[2]


@pytest.mark.filterwarnings("ignore:.*order of Flask-Caching:DeprecationWarning")
def test_mixed_with_names(captured: Captured) -> None:
    captured.memoize(60, None, None, None, None, hashlib.md5, is_stale=never, cache_none=True)(
        lambda number: number
    )
    options = captured.options
    assert options.hash_method is hashlib.md5
    assert options.is_stale is not None
    with pytest.raises(TypeError, match="hash_method by position and by name"):
        captured.memoize(60, None, None, None, None, hashlib.md5, hash_method=hashlib.sha1)


def test_what_fits_neither_is_left_as_it_is(captured: Captured) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        captured.cached(60, "all", None, None, "rubbish", "rubbish")
        with pytest.raises(TypeError, match="positional"):
            captured.cached(60, "all", None, None, *([None] * 30))


@pytest.mark.filterwarnings("ignore:.*order of Flask-Caching:DeprecationWarning")
def test_it_works(app: Flask, each: Cache, calls: Calls) -> None:
    def small(response: Any) -> bool:
        return response.status_code == 200

    @app.get("/")
    @each.cached(50, "view/%s", None, None, small, True, hashlib.md5)
    def index() -> Any:
        return make_response(f"{request.args.get('page')} {calls()}")

    client = app.test_client()
    asked = [text_of(client, path) for path in ("/?page=1", "/?page=2", "/?page=1")]
    assert asked == ["1 1", "2 2", "1 1"]
    digest = hashlib.md5(b"(('page', '1'),)").hexdigest()
    with app.test_request_context("/?page=1"):
        assert index.make_cache_key(use_request=True) == f"view//{digest}"


# Subclasses that were written for the older parameters.


class Older(Cache):
    """As code for 2.4 overrides it: the older names, handed on by position."""

    def memoize(  # type: ignore[override]
        self,
        timeout: Any = None,
        make_name: Any = None,
        unless: Any = None,
        forced_update: Any = None,
        response_filter: Any = None,
        hash_method: Any = hashlib.md5,
        cache_none: bool = False,
        source_check: Any = None,
        args_to_ignore: Any = None,
    ) -> Any:
        own = (response_filter, hash_method, cache_none, source_check, args_to_ignore)
        return super().memoize(timeout, make_name, unless, forced_update, *own)

    def cached(  # type: ignore[override]
        self,
        timeout: Any = None,
        key_prefix: Any = "view/%s",
        unless: Any = None,
        forced_update: Any = None,
        response_filter: Any = None,
        query_string: bool = False,
        hash_method: Any = hashlib.md5,
        cache_none: bool = False,
        make_cache_key: Any = None,
        source_check: Any = None,
        response_hit_indication: bool = False,
    ) -> Any:
        own = (response_filter, query_string, hash_method, cache_none, make_cache_key)
        last = (source_check, response_hit_indication)
        return super().cached(timeout, key_prefix, unless, forced_update, *own, *last)

    def _memoize_make_cache_key(  # type: ignore[override]
        self,
        make_name: Any = None,
        timeout: Any = None,
        forced_update: bool = False,
        hash_method: Any = hashlib.md5,
        source_check: Any = False,
        args_to_ignore: Any = None,
    ) -> Any:
        make = super()._memoize_make_cache_key(
            make_name=make_name,
            timeout=timeout,
            forced_update=forced_update,
            hash_method=hash_method,
            source_check=source_check,
            args_to_ignore=args_to_ignore,
        )
        return lambda f, *args, **kwargs: "older/" + make(f, *args, **kwargs)


@pytest.mark.filterwarnings("ignore:.*order of Flask-Caching:DeprecationWarning")
def test_subclasses_with_the_parameters_of_24(app: Flask, calls: Calls) -> None:
    cache = Older(app, config=SIMPLE)

    @cache.memoize(50, response_filter=lambda value: value > 1, args_to_ignore=["session"])
    def double(number: int, session: Any = None) -> int:
        return calls() * number

    @app.get("/")
    @cache.cached(60, query_string=True, response_hit_indication=True)
    def index() -> str:
        return f"page {calls()}"

    with app.app_context():
        assert [double(1), double(1), double(1, session=object())] == [1, 2, 2]
        key = double.make_cache_key(double.uncached, 1)
        assert key.startswith("older/")
        assert cache.get(key) == 2
        cache.delete_memoized(double)
        assert double(1) == 3
    client = app.test_client()
    assert [text_of(client), text_of(client, "/?a=1"), text_of(client)] == [
        "page 4",
        "page 5",
        "page 4",
    ]
    assert client.get("/").headers["hit_cache"] == "True"


def test_the_key_maker_takes_what_older_code_gives(app: Flask, captured: Captured) -> None:
    def double(number: int) -> int:
        return 2 * number

    plain = captured._memoize_make_cache_key()(double, 4)
    older = captured._memoize_make_cache_key(make_name=None, timeout=60, forced_update=never)
    assert older(double, 4) == plain
    # By position, as 2.4 had them: make_name, timeout, forced_update, hash_method.
    hashed = captured._memoize_make_cache_key(None, 60, False, hashlib.md5)(double, 4)
    assert hashed[:16] != plain[:16]
    assert hashed[16:] == plain[16:]


# Older configurations.

KINDS = {
    "null": backends.NullCache,
    "simple": backends.SimpleCache,
    "redis": backends.RedisCache,
    "filesystem": backends.FileSystemCache,
    "redissentinel": backends.RedisSentinelCache,
    "memcached": backends.MemcachedCache,
    "gaememcached": backends.MemcachedCache,
}


class Client:
    """Stands for a memcached client, so that no server is asked."""

    def get(self, key: str) -> None:
        """Nothing is there."""


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("prefix", ["", "flask_caching.backends."])
def test_lowercase_types(app: Flask, tmp_path: Any, name: str, prefix: str) -> None:
    config = {
        "CACHE_TYPE": prefix + name,
        "CACHE_NO_NULL_WARNING": True,
        "CACHE_DIR": tmp_path,
        "CACHE_MEMCACHED_SERVERS": Client(),
    }
    with pytest.warns(DeprecationWarning, match="is an old name") as caught:
        cache = Cache(app, config=config)
    assert type(cache.cache) is KINDS[name]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["uwsgi", "UWSGICache", "flask_caching.backends.uwsgi"])
@pytest.mark.filterwarnings("ignore:CACHE_TYPE:DeprecationWarning")
def test_uwsgi_says_that_it_is_not_here(app: Flask, name: str) -> None:
    with pytest.raises(RuntimeError, match="uWSGI"):
        Cache(app, config={"CACHE_TYPE": name})


def test_factories_of_24_can_be_called(app: Flask) -> None:
    config = {"CACHE_THRESHOLD": 3, "CACHE_REDIS_HOST": "localhost", "CACHE_KEY_PREFIX": "p:"}
    store = backends.simple(app, config, [], {"default_timeout": 7})
    assert (type(store), store.default_timeout) == (backends.SimpleCache, 7)
    assert type(backends.null(app, config, [], {})) is backends.NullCache
    assert backends.redis(app, config, [], {}).key_prefix == "p:"


WARNED: list[dict[str, Any]] = [
    {"CACHE_TYPE": "NullCache"},
    {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True, "CACHE_SERIALIZER": JSONSerializer},
    {},
]


@pytest.mark.parametrize("config", WARNED)
def test_warnings_point_at_whoever_asked(app: Flask, config: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="NullCache") as caught:
        Cache(app, config=config)
    assert [each.filename for each in caught] == [__file__]
    late = Cache(config=config)
    with pytest.warns(UserWarning, match="NullCache") as caught:
        late.init_app(app)
    assert [each.filename for each in caught] == [__file__]


def test_a_folder_that_is_not_named(app: Flask) -> None:
    with pytest.warns(UserWarning, match="CACHE_DIR") as caught, pytest.raises(TypeError):
        Cache(app, config={"CACHE_TYPE": "FileSystemCache"})
    assert caught[0].filename == __file__


def test_null_under_its_older_name_warns_of_both(app: Flask) -> None:
    with pytest.warns() as caught:
        Cache(app, config={"CACHE_TYPE": "null"})
    assert {each.category for each in caught} == {DeprecationWarning, UserWarning}


class Server(ModuleType):
    """uWSGI as its Python modules see it, with one cache."""

    def __init__(self, **options: bytes) -> None:
        super().__init__("uwsgi")
        self.opt = options
        self.entries: dict[tuple[str, str], bytes] = {}
        self.lifetimes: dict[str, int] = {}

    def cache_get(self, key: str, cache: str) -> bytes | None:
        return self.entries.get((cache, key))

    def cache_exists(self, key: str, cache: str) -> bool | None:
        return (cache, key) in self.entries or None

    def cache_update(self, key: str, value: bytes, seconds: int, cache: str) -> bool:
        self.entries[cache, key] = value
        self.lifetimes[key] = seconds
        return True

    def cache_set(self, key: str, value: bytes, seconds: int, cache: str) -> bool | None:
        there = (cache, key) in self.entries
        return None if there else self.cache_update(key, value, seconds, cache)

    def cache_del(self, key: str, cache: str) -> bool | None:
        return self.entries.pop((cache, key), None) is not None or None

    def cache_clear(self, cache: str) -> bool:
        self.entries.clear()
        return True


UWSGI = "flask_caching.contrib.uwsgicache.UWSGICache"


def test_under_uwsgi(app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(cache2=b"name=shop,items=100")
    monkeypatch.setitem(sys.modules, "uwsgi", server)
    cache = Cache(app, config={"CACHE_TYPE": UWSGI, "CACHE_UWSGI_NAME": "shop"})
    app.add_url_rule("/", "index", cache.cached(timeout=7)(lambda: f"page {calls()}"))
    double = cache.memoize()(lambda number: [calls()])
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["page 1", "page 1"]
    assert server.lifetimes["view//"] == 7
    assert pickle.loads(server.entries["shop", "view//"]) == "page 1"
    with app.app_context():
        assert [double(1), double(1)] == [[2], [2]]
        cache.delete_memoized(double)
        assert double(1) == [3]
    assert [cache.add("n", 1), cache.add("n", 2), cache.get("n"), cache.has("n")] == [
        True,
        False,
        1,
        True,
    ]
    assert cache.delete_many("n", "view//") == ["n", "view//"]
    assert cache.clear()
    assert not server.entries


def test_uwsgi_without_a_cache(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", Server())
    with pytest.raises(RuntimeError, match="enable cache2"):
        Cache(app, config={"CACHE_TYPE": UWSGI})


def test_keys_of_24_by_configuration(app: Flask) -> None:
    cache = Cache(app, config={**SIMPLE, "CACHE_HASH_METHOD": hashlib.md5})

    @cache.memoize()
    def double(number: int) -> int:
        return 2 * number

    import base64

    name = f"{double.__module__}.{double.__qualname__}".replace("<locals>", "locals")
    text = f"{name}(4,){_no_keywords()}"
    digest = base64.b64encode(hashlib.md5(text.encode()).digest())[:16].decode()
    assert double.make_cache_key(double.uncached, 4).startswith(digest)


def _no_keywords() -> str:
    from collections import OrderedDict

    return str(OrderedDict())
