"""The compat dialect obeys whoever overrides: on a class, on an object, before and after the first hit."""

from __future__ import annotations

import base64
import gc
import hashlib
import threading
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from compat_support import Listing, Recorded
from conftest import Calls, text_of
from flask import Flask, request

from flask_larder.compat import Cache, function_namespace

pytest_plugins = ["compat_fixtures"]

SIMPLE = {"CACHE_TYPE": "SimpleCache"}
METHODS = ("get", "set", "add", "has", "delete", "get_many", "set_many", "delete_many")


def traced(*names: str) -> tuple[type[Cache], list[str]]:
    """A cache class that overrides these methods, and the list of the calls of them."""
    heard: list[str] = []

    def method(name: str) -> Callable[..., Any]:
        def call(self: Cache, *args: Any, **kwargs: Any) -> Any:
            heard.append(name)
            return getattr(Cache, name)(self, *args, **kwargs)

        return call

    return type("Traced", (Cache,), {name: method(name) for name in names}), heard


def use(app: Flask, cache: Cache) -> dict[str, int]:
    """Misses and hits of all kinds; answers how often each method has to be heard of."""

    @cache.memoize()
    def double(number: int) -> int:
        return 2 * number

    number: Any = cache.cached(key_prefix="number")(lambda: 7)
    nothing: Any = cache.cached(key_prefix="nothing", cache_none=True)(lambda: None)
    with app.test_request_context():
        for _ in range(3):
            assert (double(1), number(), nothing()) == (2, 7, None)
        cache.delete_memoized(double, 1)
        cache.delete_memoized_verhash(double)
        cache.add("added", 1)
    # A call of a function asks for its versions and its value, and what is stored renews the versions.
    return {
        "get": 3 + 3 + 3,
        "set": 1 + 1 + 1,
        "has": 3,
        # For the key that is deleted too.
        "get_many": 3 + 1 + 1,
        "set_many": 1 + 1,
        "add": 1,
        "delete": 1,
        "delete_many": 1,
    }


@pytest.mark.parametrize("name", METHODS)
def test_one_method_of_a_subclass_sees_every_call(app: Flask, name: str) -> None:
    kind, heard = traced(name)
    expected = use(app, kind(app, config=SIMPLE))
    assert heard == [name] * expected[name]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_put_on_the_cache_sees_every_call(app: Flask, name: str) -> None:
    cache: Any = Cache(app, config=SIMPLE)
    heard: list[str] = []
    own = getattr(cache, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        heard.append(name)
        return own(*args, **kwargs)

    setattr(cache, name, call)
    assert heard == [name] * (use(app, cache)[name] if heard else 0)


def test_all_methods_of_a_subclass_in_their_order(app: Flask) -> None:
    cache = Recorded(app, config=SIMPLE)
    double = cache.memoize()(lambda number: 2 * number)
    number = cache.cached(key_prefix="number")(lambda: 7)
    with app.test_request_context():
        expected = {
            double: [
                "get_many set_many get set get_many set_many",
                "get_many get",
                "get_many get",
            ],
            number: ["get set", "get", "get"],
        }
        for function, sequences in expected.items():
            for sequence in sequences:
                cache.calls.clear()
                function(*[1] if function is double else [])
                assert " ".join(cache.calls) == sequence


# Objects that are changed after hits were answered natively.


@pytest.fixture
def page(app: Flask, compat: Cache, calls: Calls) -> Any:
    """A view at "/", answered natively by now: page 1."""

    @app.get("/")
    @compat.cached()
    def index() -> str:
        return f"page {calls()}"

    client = app.test_client()
    assert [text_of(client) for _ in range(3)] == ["page 1"] * 3
    return index


@pytest.fixture
def double(app: Flask, compat: Cache) -> Any:
    """A memoized function, answered natively by now: call 1."""
    own = Calls()

    @compat.memoize()
    def number(of: int) -> str:
        return f"call {own()}"

    with app.app_context():
        assert [number(1) for _ in range(3)] == ["call 1"] * 3
    return number


def test_methods_replaced_on_the_cache(app: Flask, compat: Cache, page: Any, double: Any) -> None:
    cache: Any = compat
    own = compat.get
    cache.get = lambda key: f"instead of {key}"
    assert text_of(app.test_client()) == "instead of view//"
    assert double(1).startswith("instead of ")
    cache.get = own
    assert text_of(app.test_client()) == "page 1"
    del cache.get
    assert text_of(app.test_client()) == "page 1"
    cache.get_many = lambda *keys: ["another" for _ in keys]
    assert double(1) == "call 2"


def test_methods_replaced_on_the_store(app: Flask, compat: Cache, page: Any, double: Any) -> None:
    compat.cache.get = lambda key: f"instead of {key}"
    assert text_of(app.test_client()) == "instead of view//"
    assert double(1).startswith("instead of ")
    del compat.cache.get
    assert (text_of(app.test_client()), double(1)) == ("page 1", "call 1")
    compat.cache.get_many = lambda *keys: ["another" for _ in keys]
    assert double(1) == "call 2"


def exchange_one(app: Flask, cache: Cache, store: Any) -> Any:
    app.extensions["cache"][cache] = store
    return mock.patch.object(app, "extensions", app.extensions)


def exchange_in_passing(app: Flask, cache: Cache, store: Any) -> Any:
    return mock.patch.dict(app.extensions["cache"], {cache: store})


def exchange_all(app: Flask, cache: Cache, store: Any) -> Any:
    return mock.patch.dict(app.extensions, {"cache": {cache: store}})


@pytest.mark.parametrize("exchange", [exchange_one, exchange_in_passing, exchange_all])
def test_a_store_that_is_exchanged(
    app: Flask, compat: Cache, page: Any, double: Any, exchange: Any
) -> None:
    store = Listing()
    with exchange(app, compat, store):
        assert text_of(app.test_client()) == "page 2"
        assert double(1) == "call 2"
        assert {call[0] for call in store.calls} >= {"get", "set"}
        store.entries["view//"] = "put there"
        assert text_of(app.test_client()) == "put there"


def test_hash_methods_that_are_exchanged(app: Flask, compat: Cache, double: Any) -> None:
    by_query: Any = compat.cached(query_string=True)(lambda: "page")
    with app.test_request_context("/?a=1"):
        assert [by_query() for _ in range(3)] == ["page"] * 3
        compat.hash_method = hashlib.md5
        assert double(1) == "call 2"
        assert len(by_query.make_cache_key(use_request=True)) == len("view//") + 32
        assert by_query() == "page"
        assert compat.get(by_query.make_cache_key(use_request=True)) == "page"
        assert double(1) == "call 2"
        compat.hash_method = hashlib.sha256
        assert double(1) == "call 1"


def test_timeouts_that_are_exchanged(
    app: Flask, compat: Cache, clock: Any, page: Any, double: Any
) -> None:
    page.cache_timeout = double.cache_timeout = 7
    compat.clear()
    assert (text_of(app.test_client()), double(1)) == ("page 2", "call 2")
    clock.advance(6)
    assert (text_of(app.test_client()), double(1)) == ("page 2", "call 2")
    clock.advance(1)
    assert (text_of(app.test_client()), double(1)) == ("page 3", "call 3")


def test_key_functions_that_are_assigned(app: Flask, page: Any, double: Any) -> None:
    page.make_cache_key = lambda *args, **kwargs: request.args["a"]
    client = app.test_client()
    assert [text_of(client, f"/?a={a}") for a in "xyx"] == ["page 2", "page 3", "page 2"]
    own = double.make_cache_key
    double.make_cache_key = lambda f, *args: f"mine/{args}"
    assert [double(1), double(2), double(1)] == ["call 2", "call 3", "call 2"]
    double.make_cache_key = own
    assert double(1) == "call 1"


def test_sources_that_are_asked_for(app: Flask, compat: Cache, page: Any, double: Any) -> None:
    compat.source_check = True
    assert (text_of(app.test_client()), double(1)) == ("page 2", "call 2")
    compat.source_check = False
    assert (text_of(app.test_client()), double(1)) == ("page 1", "call 1")


def test_debug_that_is_flipped(app: Flask, page: Any) -> None:
    client = app.test_client()
    found = []
    for debug in (True, False, True):
        app.debug = debug
        found.append("Cache-Status" in client.get("/").headers)
    assert found == [True, False, True]


def test_a_change_while_a_function_is_armed_is_seen(
    app: Flask, compat: Cache, calls: Calls
) -> None:
    """As of another thread, in the middle of it."""
    double: Any = compat.memoize()(lambda number: calls())
    decorated: Any = double._larder_decorated
    own = decorated.native_rule

    def changing() -> Any:
        rule = own()
        decorated.native_rule = own
        compat.hash_method = hashlib.md5
        return rule

    decorated.native_rule = changing
    with app.app_context():
        assert [double(1), double(1), double(1)] == [1, 2, 2]


def test_errors_in_keys_are_raised_once_debug_is_on(app: Flask, compat: Cache) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise LookupError("no repr")

    double: Any = compat.memoize()(lambda number: 7)
    with app.app_context():
        assert [double(1), double(1), double(Broken())] == [7, 7, 7]
        app.debug = True
        with pytest.raises(LookupError):
            double(Broken())


def test_what_ends_the_program_is_not_held_up(app: Flask, compat: Cache) -> None:
    class Stop:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    double: Any = compat.memoize()(lambda number: 7)
    with app.app_context():
        assert [double(1), double(1)] == [7, 7]
        with pytest.raises(KeyboardInterrupt):
            double(Stop())


def test_own_code_in_keys_is_called_once_for_each_call(
    app: Flask, compat: Cache, calls: Calls
) -> None:
    asked: list[str] = []

    def prefix() -> str:
        asked.append(request.path)
        return f"p{request.path}"

    page: Any = compat.cached(key_prefix=prefix)(lambda: f"page {calls()}")
    for path in ("/a", "/a", "/a", "/b", "/b"):
        with app.test_request_context(path):
            page()
    assert asked == ["/a", "/a", "/a", "/b", "/b"]
    assert calls.count == 2


# Subclasses that have a say in keys.


class Older(Cache):
    """Its decorators have the parameters of 2.4, and hand them on by name."""

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
        return super().cached(
            timeout=timeout,
            key_prefix=f"older/{key_prefix}",
            unless=unless,
            forced_update=forced_update,
            response_filter=response_filter,
            query_string=query_string,
            hash_method=hash_method,
            cache_none=cache_none,
            make_cache_key=make_cache_key,
            source_check=source_check,
            response_hit_indication=response_hit_indication,
        )

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
        return super().memoize(
            timeout,
            make_name=lambda name: f"older/{name}",
            unless=unless,
            forced_update=forced_update,
            response_filter=response_filter,
            hash_method=hash_method,
            cache_none=cache_none,
            source_check=source_check,
            args_to_ignore=args_to_ignore,
        )


def test_decorators_with_the_parameters_of_2_4(app: Flask, calls: Calls) -> None:
    cache = Older(app, config=SIMPLE)
    page = cache.cached(50, query_string=True)(lambda: f"page {calls()}")
    double = cache.memoize(50)(lambda number: calls())
    with app.test_request_context("/?a=1"):
        assert [page(), page(), page()] == ["page 1"] * 3
        key = "older/view//" + hashlib.md5(b"(('a', '1'),)").hexdigest()
        assert page.make_cache_key(use_request=True) == key
        assert cache.get(key) == "page 1"
        assert [double(1), double(1), double(1)] == [2, 2, 2]
        name, _ = function_namespace(double.uncached)
        text = f"older/{name}(1,)OrderedDict()".encode()
        digest = base64.b64encode(hashlib.md5(text).digest())[:16].decode()
        assert double.make_cache_key(double.uncached, 1).startswith(digest)


@pytest.mark.parametrize("old", [True, False])
def test_key_makers_of_subclasses_are_asked_for_each_call(
    app: Flask, calls: Calls, old: bool
) -> None:
    asked: list[tuple[Any, ...]] = []

    def mine(f: Any, *args: Any, **kwargs: Any) -> str:
        asked.append(args)
        return f"mine/{args}"

    class New(Cache):
        def _memoize_make_cache_key(self, **options: Any) -> Any:
            assert options["args_to_ignore"] == ["b"]
            return mine

    class Old(Cache):
        def _memoize_make_cache_key(  # type: ignore[override]
            self, make_name: Any = None, timeout: Any = None, forced_update: Any = False
        ) -> Any:
            return mine

    cache = (Old if old else New)(app, config=SIMPLE)
    double = cache.memoize(args_to_ignore=["b"])(lambda number: calls())
    with app.app_context():
        assert [double(1), double(1), double(2), double(1)] == [1, 1, 2, 1]
        assert cache.get("mine/(1,)") == 1
    assert asked == [(1,), (1,), (2,), (1,)]


def test_versions_of_subclasses(app: Flask, calls: Calls) -> None:
    class One(Cache):
        """All instances have one version, as an extension for REST has it."""

        def _memoize_version(  # type: ignore[override]
            self,
            f: Any,
            args: Any = None,
            reset: bool = False,
            delete: bool = False,
            timeout: Any = None,
            forced_update: Any = False,
        ) -> Any:
            name, _ = function_namespace(f, args=args)
            key = self._memvname(name)
            [version] = self.get_many(key)
            if version is None or reset:
                version = self._memoize_make_version_hash()
                self.set_many({key: version}, timeout=timeout)
            return name, version

        def _memoize_kwargs_to_args(self, f: Any, /, *args: Any, **kwargs: Any) -> Any:
            return args[1:], kwargs

    cache = One(app, config=SIMPLE)

    class Shop:
        @cache.memoize()
        def price(self, product: str) -> int:
            return calls()

    north, south = Shop(), Shop()
    with app.app_context():
        assert [north.price("a"), south.price("a"), north.price("b")] == [1, 1, 2]
        assert [north.price("a"), south.price("a"), north.price("b")] == [1, 1, 2]
        make: Any = Shop.price.make_cache_key  # type: ignore[attr-defined]
        assert len(make(Shop.price.uncached, north, "a")) == 16 + 6  # type: ignore[attr-defined]
        cache.delete_memoized(north.price)
        assert south.price("a") == 3


def test_names_of_versions_of_subclasses(app: Flask, calls: Calls) -> None:
    class Mine(Cache):
        def _memvname(self, funcname: str) -> str:
            return f"{funcname}/mine"

    cache = Mine(app, config=SIMPLE)
    double = cache.memoize()(lambda number: calls())
    with app.app_context():
        assert [double(1), double(1)] == [1, 1]
        name, _ = function_namespace(double.uncached)
        version = double.make_cache_key(double.uncached, 1)[16:]
        assert cache.get(f"{name}/mine") == version
        # What lies where the version would be without the subclass has no say.
        cache.set(f"{name}_memver", version)
        cache.delete(f"{name}/mine")
        assert double(1) == 2


def test_helpers_that_code_beside_memoize_calls(app: Flask, compat: Cache) -> None:
    def double(number: int) -> int:
        return 2 * number

    assert compat._bypass_cache(None, double, 1) is False
    assert compat._bypass_cache(lambda: True, double, 1) is True
    assert compat._bypass_cache(lambda f, number: f is double and number == 1, double, 1) is True
    assert compat._bypass_cache(lambda f, number: 1, double, 1) is False
    assert compat._call_fn(double, 4) == 8
    name, versions = compat._memoize_version(double, args=(1,))
    assert name == function_namespace(double)[0]
    assert compat._memoize_version(double) == (name, versions)
    assert compat._memoize_version(double, reset=True)[1] != versions
    assert compat._memoize_version(double, delete=True) == (name, None)
    assert compat.get(compat._memvname(name)) is None


# Several applications and caches.


def two_apps(cache: Cache) -> tuple[Flask, Flask]:
    """Two applications with one cache."""
    apps = Flask("first"), Flask("second")
    for app in apps:
        cache.init_app(app)
    return apps


def test_outside_of_every_context_the_last_application_counts(calls: Calls) -> None:
    cache = Cache(config=SIMPLE)
    first, _ = two_apps(cache)
    double = cache.memoize()(lambda number: calls())
    with first.app_context():
        assert [double(1), double(1)] == [1, 1]
    assert [double(1), double(1)] == [2, 2]
    cache.app = first
    assert double(1) == 1


def test_threads_in_different_applications(calls: Calls) -> None:
    cache = Cache(config=SIMPLE)
    apps = two_apps(cache)
    double = cache.memoize()(lambda number: number)
    wrong: list[Any] = []
    for app in apps:
        with app.app_context():
            double(app.name)
            cache.set(double.make_cache_key(double.uncached, app.name), f"of {app.name}")
            other = "second" if app.name == "first" else "first"
            double(other)
            cache.set(double.make_cache_key(double.uncached, other), f"of {app.name}")

    def work(app: Flask) -> None:
        with app.app_context():
            for _ in range(2000):
                found = {double("first"), double("second")}
                if found != {f"of {app.name}"}:
                    wrong.append(found)

    threads = [threading.Thread(target=work, args=(app,)) for app in apps * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("own_key", [False, True])
def test_what_is_answered_natively_can_be_collected(own_key: bool) -> None:
    app = Flask("gone")
    kind = traced("_memoize_make_cache_key")[0] if own_key else Cache
    cache = kind(app, config=SIMPLE)
    double = cache.memoize()(lambda number: 2 * number)
    page = cache.cached(query_string=True, vary=["Accept"])(lambda: "page")
    for _ in range(3):
        with app.test_request_context("/?a=1"):
            assert (double(1), page()) == (2, "page")
    gone = [weakref.ref(each) for each in (app, cache, double, page)]
    del app, cache, double, page
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4


def test_two_caches_on_one_function(app: Flask, calls: Calls) -> None:
    caches = [Cache(app, config=SIMPLE) for _ in range(2)]

    def load(number: int) -> int:
        return calls()

    first, second = (cache.memoize()(load) for cache in caches)
    with app.app_context():
        assert [first(1), second(1), first(1), second(1)] == [1, 2, 1, 2]
        caches[0].clear()
        assert [first(1), second(1)] == [3, 2]
