"""The small conversions of Flask-Caching: others import them, and keys are made by them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cachelib.serializers import BaseSerializer, JSONSerializer
from flask import Flask
from werkzeug.datastructures import MultiDict

from flask_larder.compat import Cache, utils

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


class Shop:
    """Its methods of every kind."""

    def __init__(self, name: str = "north") -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return f"shop {self.name}"

    def __call__(self, product: str) -> str:
        return product

    def price(self, product: str) -> str:
        return product

    @classmethod
    def open(cls, name: str) -> str:
        return name

    @staticmethod
    def rounded(number: float) -> float:
        return number


def every(a: Any, b: Any = 1, /, c: Any = 2, *args: Any, d: Any, e: Any = 5, **more: Any) -> None:
    """Parameters of all kinds."""


shop = Shop()

ARITIES: list[tuple[Callable[..., Any], bool, bool, list[str]]] = [
    (lambda: 0, False, False, []),
    (lambda *, k=1: 0, False, False, []),
    (lambda *a: 0, True, False, []),
    (lambda **k: 0, True, False, []),
    (lambda *a, **k: 0, True, True, []),
    (lambda a, /: 0, True, False, []),
    (lambda a, b=1: 0, True, True, ["a", "b"]),
    (every, True, True, ["c"]),
    (shop.price, True, False, ["product"]),
    (Shop.price, True, True, ["self", "product"]),
    (Shop.open, True, False, ["name"]),
    (Shop.rounded, True, False, ["number"]),
    (shop, True, False, ["product"]),
    (functools.partial(every, 1), True, True, ["c"]),
    (len, True, False, []),
]


@pytest.mark.parametrize(("f", "wants", "wants_more", "names"), ARITIES)
def test_what_a_callable_takes(
    f: Callable[..., Any], wants: bool, wants_more: bool, names: list[str]
) -> None:
    assert utils.wants_args(f) is wants
    assert utils.wants_extra_args(f) is wants_more
    assert utils.get_arg_names(f) == names


def test_defaults_by_position_among_all_kinds() -> None:
    found = [utils.get_arg_default(every, position) for position in range(7)]
    assert found == [None, 1, 2, None, None, 5, None]
    with pytest.raises(IndexError):
        utils.get_arg_default(every, 7)


def test_a_callable_without_a_signature(app: Flask) -> None:
    cache = Cache(app, config=SIMPLE)
    with pytest.raises(ValueError, match="no signature"):
        utils.wants_args(type)
    with pytest.raises(ValueError, match="no signature"):
        cache.memoize(unless=type)(every)
    with pytest.raises(ValueError, match="no signature"):
        cache.cached(forced_update=type)(every)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("5", 5),
        (" 7 ", 7),
        ("-1", -1),
        (None, None),
        (5, 5),
        (0, 0),
        (5.5, 5.5),
        (timedelta(seconds=1.2), 2),
        (timedelta(0), 0),
        (timedelta(days=-1), -86400),
    ],
)
def test_timeouts(given: Any, kept: Any) -> None:
    assert utils.normalize_timeout(given) == kept
    assert type(utils.normalize_timeout(given)) is type(kept)


@pytest.mark.parametrize("wrong", ["x", "5.5", ""])
def test_a_timeout_of_other_text_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        utils.normalize_timeout(wrong)


def parts(*items: Any) -> Iterator[Any]:
    """A generator of these."""
    yield from items


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (parts("a", "é"), "aé"),
        (parts(b"a", b"\xff"), b"a\xff"),
        (parts("a", b"b"), ["a", b"b"]),
        (parts({"a": 1}, None), [{"a": 1}, None]),
        (parts(), ""),
    ],
)
def test_generators(given: Any, joined: Any) -> None:
    assert utils.join_generator(given) == joined


@pytest.mark.parametrize(
    ("given", "text"),
    [(shop, "shop north"), (5, "5"), ("5", "'5'"), (Shop, repr(Shop)), (1.0, "1.0")],
)
def test_identities(given: Any, text: str) -> None:
    assert utils.get_id(given) == text


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        ("?a=1&b=&a=2", [("a", "1"), ("b", ""), ("a", "2")]),
        ("a=%C3%A9+x", [("a", "é x")]),
        ("", []),
        (MultiDict([("a", 1), ("b", 3), ("a", 2)]), [("a", "1"), ("a", "2"), ("b", "3")]),
        ({"a": [1, 2]}, [("a", "[1, 2]")]),
        ({}, []),
        ([("a", 1)], [("a", "1")]),
        (iter([("a", None)]), [("a", "None")]),
    ],
)
def test_query_arguments(given: Any, pairs: list[tuple[str, str]]) -> None:
    assert utils.query_args_as_pairs(given) == pairs


def test_namespaces() -> None:
    name = f"{__name__}.Shop"
    of_shop = f"{name}.price.shopnorth"
    assert utils.function_namespace(shop.price) == (f"{name}.price", of_shop)
    assert utils.function_namespace(shop.price, (1,)) == (f"{name}.price", of_shop)
    assert utils.function_namespace(Shop.price) == (f"{name}.price", None)
    assert utils.function_namespace(Shop.price, (shop, "bread")) == (f"{name}.price", of_shop)
    assert utils.function_namespace(Shop.open, ("north",)) == (f"{name}.open", None)
    assert utils.function_namespace(Shop.rounded, (1.5,)) == (f"{name}.rounded", None)


@pytest.mark.parametrize(("first", "name"), [(None, "None"), (0, "0"), ("", "")])
def test_an_instance_that_is_hardly_one(first: Any, name: str) -> None:
    def method(self: Any) -> None:
        """Its first parameter has the name of an instance."""

    plain, of_instance = utils.function_namespace(method, (first,))
    assert of_instance == f"{plain}.{name}"
    assert utils.function_namespace(method, ()) == (plain, None)


@pytest.mark.parametrize("vary_on", [None, []])
def test_fragments_without_values(vary_on: Any) -> None:
    assert utils.make_template_fragment_key("f", vary_on) == "_template_fragment_cache_f"


def test_fragments_take_texts() -> None:
    with pytest.raises(TypeError, match="expected str instance"):
        utils.make_template_fragment_key("f", [1])  # type: ignore[list-item]


# Serializers.


class Picky(BaseSerializer):
    """It wants to be told something, and it is made from its class without arguments."""

    def __init__(self, level: int) -> None:
        self.level = level


@pytest.mark.parametrize("given", [JSONSerializer, JSONSerializer()])
def test_serializers_as_class_and_as_instance(app: Flask, given: Any) -> None:
    cache = Cache(app, config={**SIMPLE, "CACHE_SERIALIZER": given})
    assert isinstance(cache.serializer, JSONSerializer)
    assert cache.cache.serializer is cache.serializer
    cache.set("a", (1, 2))
    assert cache.get("a") == [1, 2]


def test_a_serializer_that_cannot_be_made(app: Flask) -> None:
    with pytest.raises(ValueError, match="Couldn't instantiate serializer"):
        Cache(app, config={**SIMPLE, "CACHE_SERIALIZER": Picky})
    assert "cache" not in app.extensions
    assert Cache(app, config={**SIMPLE, "CACHE_SERIALIZER": Picky(1)}).serializer.level == 1


@pytest.mark.parametrize("wrong", ["json", 5, dict, object()])
def test_what_is_no_serializer(app: Flask, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"CACHE_SERIALIZER.*BaseSerializer"):
        Cache(app, config={**SIMPLE, "CACHE_SERIALIZER": wrong})
    assert "cache" not in app.extensions


@pytest.mark.parametrize("wrong", ["sha256", 5])
def test_the_hash_method_is_looked_at_before_the_serializer(app: Flask, wrong: Any) -> None:
    config = {**SIMPLE, "CACHE_SERIALIZER": "json", "CACHE_HASH_METHOD": wrong}
    with pytest.raises(ValueError, match="CACHE_HASH_METHOD"):
        Cache(app, config=config)
