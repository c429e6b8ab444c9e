"""Keys of the compat dialect: others share stores with Flask-Caching, so each text is a promise.

The vectors were made by running Flask-Caching 2.5.1.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import pytest
from cachelib.serializers import FileSystemSerializer
from flask import Flask, request

from flask_larder.compat import Cache, function_namespace, make_template_fragment_key, utils

pytest_plugins = ["compat_fixtures"]

EMPTY = "2e38e77b22c314a449e91fafed92a43826ac6aa403ae6a8acb6cf58239fbaf5d"
BOTH = "640adf8deb08fffa83a5f3c6f566950fd7ba81491db12f5ab4269f059df4055a"
TWICE = "93443d0cb32cb889edf76a844b12022236cd31e7eac12cf9ac4e7b79f14434ca"
BLANK = "1bd327306625d1c2076515c87ff8ba5ccfe341253b8ea23b4b021a0c65949590"
UNICODE = "a3387bbec4d9678c1bae9a1a51de72dd33c3ad9dc1c48c5ce3c1cf98b31a961e"


def key_of(app: Flask, cache: Cache, path: str, **options: Any) -> str:
    """The key of a view under which the request for `path` is stored."""

    def view() -> str:
        return "page"

    view.__name__ = f"view{len(app.view_functions)}"
    decorated: Any = cache.cached(**options)(view)
    app.add_url_rule(f"/{view.__name__}", view_func=decorated)
    with app.test_request_context(path):
        return decorated.make_cache_key(use_request=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "view//"), ("/works?b=2", "view//works"), ("/a%20b/caf%C3%A9", "view//a b/café")],
)
def test_path(app: Flask, compat: Cache, path: str, expected: str) -> None:
    assert key_of(app, compat, path) == expected


@pytest.mark.parametrize(
    ("query", "digest"),
    [
        ("", EMPTY),
        ("?b=2&a=1", BOTH),
        ("?a=1&b=2", BOTH),
        ("?a=1&a=0", TWICE),
        ("?x=", BLANK),
        ("?e=%C3%A9&s=%20", UNICODE),
    ],
)
def test_query(app: Flask, compat: Cache, query: str, digest: str) -> None:
    key = key_of(app, compat, f"/works{query}", query_string=True)
    assert key == "view//works" + digest


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("all", "all"),
        ("p/%s/x", "p//works/x"),
        ("100%", "100%"),
        (lambda: f"{request.method}:{request.path}", "GET:/works"),
    ],
)
def test_prefix(app: Flask, compat: Cache, prefix: Any, expected: str) -> None:
    assert key_of(app, compat, "/works?a=1", key_prefix=prefix) == expected


def test_prefix_and_query_are_both_in_the_key(app: Flask, compat: Cache) -> None:
    key = key_of(app, compat, "/works?a=1&b=2", key_prefix="q", query_string=True)
    assert key == "q" + BOTH


def test_hash_method_of_the_decorator_before_that_of_the_cache(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_HASH_METHOD": hashlib.md5})
    text = b"(('a', '1'), ('b', '2'))"
    path = "/works?a=1&b=2"
    by_cache = key_of(app, cache, path, query_string=True)
    assert by_cache == "view//works" + hashlib.md5(text).hexdigest()
    by_decorator = key_of(app, cache, path, query_string=True, hash_method=hashlib.sha512)
    assert by_decorator == "view//works" + hashlib.sha512(text).hexdigest()


def test_source_is_hashed_into_the_key(app: Flask, compat: Cache) -> None:
    import inspect

    @compat.cached(key_prefix="fixed", source_check=True)
    def view() -> str:
        return "page"

    source = inspect.getsource(view.__wrapped__).encode()  # type: ignore[attr-defined]
    digest = hashlib.sha256(source).hexdigest()
    with app.test_request_context():
        assert view.make_cache_key() == "fixed" + digest  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    ["a=1&b=2", "?b=2&a=1", {"b": 2, "a": 1}, [("b", "2"), ("a", 1)]],
)
def test_query_arguments_in_every_form(app: Flask, compat: Cache, arguments: Any) -> None:
    @app.get("/works")
    @compat.cached(query_string=True)
    def works() -> str:
        return "page"

    make: Any = works.make_cache_key  # type: ignore[attr-defined]
    assert make(path="/works", query_args=arguments) == "view//works" + BOTH


def test_key_from_the_arguments_of_a_view(app: Flask, compat: Cache) -> None:
    @app.get("/cake/<flavor>")
    @compat.cached()
    def cake(flavor: str) -> str:
        return flavor

    make: Any = cake.make_cache_key  # type: ignore[attr-defined]
    with app.test_request_context("/somewhere"):
        assert make("apple") == make(flavor="apple") == "view//cake/apple"
        # As a link to the page has it; a request's own path is decoded.
        assert make("café") == "view//cake/caf%C3%A9"


# Memoized calls.


def big(a: Any, b: Any = 2, *args: Any, k: Any = 1, **more: Any) -> None:
    """The function of the vectors."""


big.__module__, big.__qualname__ = "m", "big"

PLAIN = "U/NXd2ghcffl2FMXVVVVVV"
KEYWORD = "kun0vrmEds8GbjCbVVVVVV" if sys.version_info >= (3, 12) else "/Diz/Ueq9NxIxcrHVVVVVV"


@pytest.fixture
def maker(compat: Cache, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes keys of `big` with one version for everything."""
    monkeypatch.setattr(utils, "fresh_version", lambda: "VVVVVV")
    return compat.memoize()(big).make_cache_key  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {}, PLAIN),
        ((1, 2), {}, PLAIN),
        ((1,), {"b": 2}, PLAIN),
        ((), {"a": 1}, PLAIN),
        ((1, 2, 3), {}, "bPrUQHXWNci3z9aoVVVVVV"),
        ((1,), {"k": 1}, KEYWORD),
        (("é",), {}, "GzSpWaKgXBoy0YNbVVVVVV"),
    ],
)
def test_memoized_call(maker: Any, args: Any, kwargs: Any, expected: str) -> None:
    assert maker(big, *args, **kwargs) == expected


def test_make_name_changes_the_digest_and_not_the_version(compat: Cache) -> None:
    def double(number: int) -> int:
        return 2 * number

    plain: Any = compat.memoize()(double)
    named: Any = compat.memoize(make_name=lambda name: f"{name}/de")(double)
    first, second = plain.make_cache_key(double, 1), named.make_cache_key(double, 1)
    assert first[:16] != second[:16]
    assert first[16:] == second[16:]


def test_instances_have_versions_of_their_own(compat: Cache) -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __caching_id__(self) -> str:
            return self.name

        @compat.memoize()
        def price(self, product: str) -> str:
            return f"{self.name}: {product}"

    north, south = Shop("north"), Shop("south")
    name, of_instance = function_namespace(north.price)
    assert name.endswith("Shop.price")
    assert of_instance == f"{name}.north"
    make: Any = Shop.price.make_cache_key  # type: ignore[attr-defined]
    plain: Any = Shop.price.uncached  # type: ignore[attr-defined]
    first, second = make(plain, north, "bread"), make(plain, south, "bread")
    assert len(first) == len(second) == 28
    assert first[16:22] == second[16:22]
    assert first[22:] != second[22:]


def test_names_keep_only_what_flask_caching_keeps() -> None:
    def inner() -> None:
        """Its qualified name has angle brackets."""

    name, of_instance = function_namespace(inner)
    assert name.endswith("only_what_flask_caching_keeps.locals.inner")
    assert of_instance is None
    inner.__qualname__ = "b a-ré名"
    assert function_namespace(inner)[0].endswith(".bar名")


def test_positional_only_parameters_are_bound(compat: Cache) -> None:
    # Flask-Caching leaves them out, and answers one call with the value of another.
    @compat.memoize()
    def pair(a: int, /, b: int) -> tuple[int, int]:
        return a, b

    assert pair(1, b=2) == (1, 2)
    assert pair(9, b=2) == (9, 2)


@pytest.mark.parametrize(
    ("vary", "expected"),
    [(None, "_template_fragment_cache_f"), (["a", "b"], "_template_fragment_cache_f_a_b")],
)
def test_fragment(vary: Any, expected: str) -> None:
    assert make_template_fragment_key("f", vary) == expected


def test_file_names(app: Flask, tmp_path: Any) -> None:
    config: dict[str, Any] = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": tmp_path}
    config["CACHE_SERIALIZER"] = FileSystemSerializer
    Cache(app, config=config).set("a", 1)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "79bc207ee04a581ab2348ca1f3494e64cd0ec36128735b8c6bc85ddd8fe1938c",
    }
