"""Starting up with the compat dialect: every way in which Flask-Caching can be configured."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from datetime import timedelta
from typing import Any

import cachelib
import pytest
from cachelib.serializers import JSONSerializer
from compat_support import Listing
from flask import Flask
from werkzeug.utils import ImportStringError

import flask_larder.compat as compat
from flask_larder.compat import Cache, backends

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def test_three_ways(app: Flask) -> None:
    app.config.from_mapping({**SIMPLE, "CACHE_DEFAULT_TIMEOUT": 300})
    by_app = Cache(app)
    by_argument = Cache(app, config=SIMPLE)
    late = Cache(config=SIMPLE)

    @late.memoize()
    def double(number: int) -> int:
        return 2 * number

    late.init_app(app)
    for cache in (by_app, by_argument, late):
        assert isinstance(app.extensions["cache"][cache], backends.SimpleCache)
        assert cache.app is app
    assert double(4) == 8
    assert late.config == SIMPLE


def test_configuration_of_init_app_comes_last(app: Flask) -> None:
    app.config["CACHE_DEFAULT_TIMEOUT"] = 1
    cache = Cache(config={"CACHE_TYPE": "NullCache", "CACHE_DEFAULT_TIMEOUT": 2})
    cache.init_app(app, {**SIMPLE, "CACHE_DEFAULT_TIMEOUT": 3})
    assert isinstance(cache.cache, backends.SimpleCache)
    assert cache.cache.default_timeout == 3
    assert app.config["CACHE_DEFAULT_TIMEOUT"] == 1
    assert "CACHE_TYPE" not in app.config


@pytest.mark.parametrize("wrong", [[], "SimpleCache", 3])
def test_configuration_must_be_a_dict(app: Flask, wrong: Any) -> None:
    with pytest.raises(ValueError, match="config is"):
        Cache(app, config=wrong)
    with pytest.raises(ValueError, match="config is"):
        Cache().init_app(app, wrong)


def test_no_type_warns_that_nothing_is_cached(app: Flask) -> None:
    with pytest.warns(UserWarning, match="NullCache"):
        cache = Cache(app)
    assert isinstance(cache.cache, backends.NullCache)


def test_null_cache_without_its_warning(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    assert cache.set("a", 1)
    assert cache.get("a") is None
    assert not cache.has("a")
    assert cache.delete_many("a", "b") == ["a", "b"]
    assert cache.cache.inc("n", 3) == 3


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ("simple", backends.SimpleCache),
        ("null", backends.NullCache),
        ("redis", backends.RedisCache),
        ("flask_caching.backends.simple", backends.SimpleCache),
    ],
)
def test_old_names(app: Flask, old: str, kind: type) -> None:
    config = {"CACHE_TYPE": old, "CACHE_NO_NULL_WARNING": True}
    with pytest.warns(DeprecationWarning, match="old name"):
        cache = Cache(app, config=config)
    assert type(cache.cache) is kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("flask_caching.backends.SimpleCache", backends.SimpleCache),
        ("flask_caching.backends.rediscache.RedisCache", backends.RedisCache),
        ("flask_larder.compat.backends.NullCache", backends.NullCache),
        ("cachelib.SimpleCache", cachelib.SimpleCache),
        ("compat_support.Listing", Listing),
        ("compat_support.listing", Listing),
    ],
)
def test_dotted_paths(app: Flask, path: str, kind: type) -> None:
    assert type(Cache(app, config={"CACHE_TYPE": path}).cache) is kind


@pytest.mark.parametrize("path", ["NoSuchCache", "no.such.Cache"])
def test_a_type_that_is_not_there(app: Flask, path: str) -> None:
    with pytest.raises(ImportStringError):
        Cache(app, config={"CACHE_TYPE": path})


@pytest.mark.parametrize("timeout", [60, "60", timedelta(minutes=1)])
def test_default_timeout_in_every_form(app: Flask, timeout: Any) -> None:
    cache = Cache(app, config={**SIMPLE, "CACHE_DEFAULT_TIMEOUT": timeout})
    assert cache.cache.default_timeout == 60


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("CACHE_HASH_METHOD", "sha256", ValueError),
        ("CACHE_SERIALIZER", "json", ValueError),
        ("CACHE_SERIALIZER", object(), ValueError),
        ("CACHE_DEFAULT_TIMEOUT", None, TypeError),
        ("CACHE_OPTIONS", {"bogus": 1}, TypeError),
    ],
)
def test_wrong_options(app: Flask, option: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Cache(app, config={**SIMPLE, option: value})


def test_serializer_is_used_at_once_and_when_it_is_exchanged(app: Flask) -> None:
    cache = Cache(app, config={**SIMPLE, "CACHE_SERIALIZER": JSONSerializer})
    cache.set("a", {"b": (1, 2)})
    assert cache.get("a") == {"b": [1, 2]}
    assert cache.cache._cache["a"][1] == b'{"b": [1, 2]}'
    cache.cache.serializer = cachelib.serializers.SimpleSerializer()
    cache.set("a", {"b": (1, 2)})
    assert cache.get("a") == {"b": (1, 2)}


def test_a_serializer_for_a_store_without_one_warns(app: Flask) -> None:
    config = {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}
    with pytest.warns(UserWarning, match="CACHE_SERIALIZER"):
        Cache(app, config={**config, "CACHE_SERIALIZER": JSONSerializer})


def test_a_folder_is_required_for_files(app: Flask) -> None:
    with pytest.warns(UserWarning, match="CACHE_DIR"), pytest.raises(TypeError):
        Cache(app, config={"CACHE_TYPE": "FileSystemCache"})


def test_several_applications_have_stores_of_their_own(app: Flask) -> None:
    other = Flask("other")
    cache = Cache(config=SIMPLE)
    cache.init_app(other)
    cache.init_app(app)
    with other.app_context():
        cache.set("a", "other")
    with app.app_context():
        assert cache.get("a") is None
    with other.app_context():
        assert cache.get("a") == "other"
    with Flask("third").app_context(), pytest.raises(KeyError):
        _ = cache.cache
    with pytest.raises(AttributeError):
        _ = Cache().cache


def test_names_that_applications_import() -> None:
    for name in compat.__all__:
        assert hasattr(compat, name), name
    hashes = ["sha1", "sha224", "sha256", "sha384", "sha512", "md5"]
    assert [method().name for method in compat.SUPPORTED_HASH_FUNCTIONS] == hashes
    assert compat.logger.name == "flask_caching"
    assert compat.VERSION_TIMEOUT == 0
    with pytest.warns(DeprecationWarning, match="__version__"):
        assert compat.__version__ == "2.5.1"
    with pytest.raises(AttributeError):
        _ = compat.nothing_of_that_name


def test_attributes_are_read_at_each_call(app: Flask) -> None:
    cache = Cache()

    @app.get("/works")
    @cache.cached(query_string=True)
    def works() -> str:
        return "page"

    cache.init_app(app, {**SIMPLE, "CACHE_HASH_METHOD": hashlib.sha1})
    make: Any = works.make_cache_key  # type: ignore[attr-defined]
    assert len(make(path="", query_args="")) == len("view/") + 40
    cache.hash_method = hashlib.md5
    assert len(make(path="", query_args="")) == len("view/") + 32


INSTALL = """
import flask_larder.compat
flask_larder.compat.install()
import flask_caching
import flask_caching.backends.simplecache
from flask_caching.jinja2ext import CacheExtension
from flask_caching import Cache
assert flask_caching is flask_larder.compat
assert flask_caching.backends.simplecache.SimpleCache is flask_larder.compat.SimpleCache
flask_larder.compat.install()
"""


def test_install_takes_the_place_of_the_other_package() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", INSTALL], check=True)


def test_install_refuses_to_come_second() -> None:
    code = "import sys, types; sys.modules['flask_caching'] = types.ModuleType('flask_caching')\n"
    ran = subprocess.run(
        [sys.executable, "-c", code + INSTALL], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "flask_caching is imported already" in ran.stderr


def test_nothing_warns_of_a_plain_start(app: Flask) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cache(app, config=SIMPLE)
