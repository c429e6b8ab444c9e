"""Keys of the compat dialect as they are made natively: the formula in Python is the measure."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import properties  # noqa: F401 (the settings of the property tests)
import pytest
from flask import Flask, Request, request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from flask_larder._native import ClassicCall, ClassicView, Key
from flask_larder.compat import Cache, utils

pytest_plugins = ["compat_fixtures"]

Kind = inspect.Parameter


class Named:
    """An instance that names itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return self.name


class Shown:
    """An instance that is known by its repr."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


letters = st.text("abé'\"\\ <>.名\n\x00", max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | letters | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=2),
    max_leaves=5,
)
arguments = values | st.builds(Named, letters) | st.builds(Shown, letters) | st.just(int)
methods = st.sampled_from(
    [hashlib.sha224, hashlib.sha256, hashlib.sha384, hashlib.sha512, hashlib.md5, hashlib.sha1]
)
NAMES = ("a", "b", "c", "d", "e")


@st.composite
def functions(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A function of any signature; its first parameter may be a receiver."""
    first = draw(st.sampled_from(["self", "cls", "a"]))
    names = [first, *NAMES[1:]][: draw(st.integers(0, 5))]
    only, either = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    kinds = [Kind.POSITIONAL_ONLY] * only + [Kind.POSITIONAL_OR_KEYWORD] * either
    kinds += [Kind.KEYWORD_ONLY] * len(names)
    parameters = []
    defaulted = False
    for name, kind in zip(names, kinds, strict=False):
        # After a default by position there are only such.
        defaulted = draw(st.booleans()) or (defaulted and kind is not Kind.KEYWORD_ONLY)
        default = draw(values) if defaulted else Kind.empty
        parameters.append(Kind(name, kind, default=default))
    if draw(st.booleans()):
        place = sum(p.kind is not Kind.KEYWORD_ONLY for p in parameters)
        parameters.insert(place, Kind("more", Kind.VAR_POSITIONAL))
    if draw(st.booleans()):
        parameters.append(Kind("named", Kind.VAR_KEYWORD))

    def function(*_args: Any, **_kwargs: Any) -> None:
        """Stands for any function."""

    signature = inspect.Signature(parameters)
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__qualname__ = draw(st.sampled_from(["f", "Shop.<locals>.prix é名", "A.b_c"]))
    return function


calls = st.tuples(
    st.lists(arguments, max_size=6).map(tuple),
    st.dictionaries(st.sampled_from([*NAMES, "self", "cls", "z", "é"]), arguments, max_size=4),
)


def native(f: Callable[..., Any], **options: Any) -> ClassicCall:
    """The native rule for a function."""
    parameters = inspect.signature(f).parameters.values()
    described = [(p.name, int(p.kind), p.default is not p.empty, p.default) for p in parameters]
    return ClassicCall(f"{f.__module__}.{f.__qualname__}", described, **options)


@given(
    functions(),
    calls,
    methods,
    st.lists(st.sampled_from([*NAMES, "self", "z"]), max_size=2),
    st.binary(max_size=20),
)
def test_calls(f: Any, call: Any, method: Any, ignored: list[str], source: bytes) -> None:
    args, kwargs = call
    name, of_instance = utils.function_namespace(f, args)
    bound, rest = utils.bound_arguments(f, args, kwargs, ignored)
    digest = utils.memoize_digest(method, name, str(bound) + str(rest), source)
    if "self" in ignored:
        of_instance = None
    rule = native(f, method=method, ignored=ignored, source=source)
    assert rule.namespace == name
    assert rule.digest(args, kwargs) == (digest, of_instance)


def test_an_instance_among_all_the_arguments_has_a_version_too() -> None:
    def method(*self: Any) -> None:
        """Takes its instance without a parameter of its own for it."""

    args = (Named("north"), 1)
    name, of_instance = utils.function_namespace(method, args)
    bound, rest = utils.bound_arguments(method, args, {})
    digest = utils.memoize_digest(hashlib.sha256, name, str(bound) + str(rest), b"")
    assert of_instance == f"{name}.north"
    assert native(method, method=hashlib.sha256).digest(args, {}) == (digest, of_instance)


def test_made_names_are_hashed() -> None:
    rule = native(lambda a: a, method=hashlib.sha256, make_name=lambda name: f"{len(name)}!")
    expected = utils.memoize_digest(
        hashlib.sha256, f"{len(rule.namespace)}!", "(1,)OrderedDict()", b""
    )
    assert rule.digest((1,), {}) == (expected, None)


def test_methods_that_are_bound_already_have_a_version_of_their_instance() -> None:
    rule = native(lambda a: a, method=hashlib.sha256, bound=Named("n<o>rth"))
    assert rule.digest((1,), {})[1] == f"{rule.namespace}.north"


@pytest.mark.parametrize("size", [4, 11, 12, 13, 20])
def test_hash_methods_of_any_size(size: int) -> None:
    def method(data: bytes) -> Any:
        return hashlib.blake2b(data, digest_size=size)

    expected = utils.memoize_digest(method, f"{__name__}.f", "()OrderedDict()", b"")
    assert ClassicCall(f"{__name__}.f", [], method=method).digest((), {}) == (expected, None)


def test_a_hash_function_that_was_exchanged_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def replaced(data: bytes) -> Any:
        return hashlib.sha512(data)

    monkeypatch.setattr(hashlib, "sha256", replaced)
    rule = ClassicCall("m.f", [], method=hashlib.sha256)
    assert rule.digest((), {}) == ClassicCall("m.f", [], method=hashlib.sha512).digest((), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {}, "U/NXd2ghcffl2FMX"),
        ((1, 2), {}, "U/NXd2ghcffl2FMX"),
        ((1,), {"b": 2}, "U/NXd2ghcffl2FMX"),
        ((), {"a": 1}, "U/NXd2ghcffl2FMX"),
        ((1, 2, 3), {}, "bPrUQHXWNci3z9ao"),
        (
            (1,),
            {"k": 1},
            "kun0vrmEds8GbjCb" if sys.version_info >= (3, 12) else "/Diz/Ueq9NxIxcrH",
        ),
        (("é",), {}, "GzSpWaKgXBoy0YNb"),
    ],
)
def test_vectors(args: Any, kwargs: Any, expected: str) -> None:
    def big(a: Any, b: Any = 2, *args: Any, k: Any = 1, **more: Any) -> None:
        """The function of the vectors, which Flask-Caching 2.5.1 made."""

    big.__module__, big.__qualname__ = "m", "big"
    assert native(big, method=hashlib.sha256).digest(args, kwargs) == (expected, None)


# What is looked up is what the formula says.


@given(functions(), calls)
def test_hits_are_found_under_the_key_of_the_formula(f: Any, call: Any) -> None:
    args, kwargs = call
    app = Flask("shop")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    memoized: Any = cache.memoize()(f)
    with app.app_context():
        memoized(*args, **kwargs)
        name, of_instance = utils.function_namespace(f, args)
        names = [name] if of_instance is None else [name, of_instance]
        versions = cache.get_many(*(f"{each}_memver" for each in names))
        bound, rest = utils.bound_arguments(f, args, kwargs)
        digest = utils.memoize_digest(hashlib.sha256, name, str(bound) + str(rest), b"")
        key = digest + "".join(versions)
        assert memoized.make_cache_key(f, *args, **kwargs) == key
        assert cache.set(key, "set")
        forbid_steps(memoized)
        assert memoized(*args, **kwargs) == "set"


def forbid_steps(cached: Any) -> None:
    """From now on each call of a decorated function has to be a hit that is answered natively."""

    def steps(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("not answered natively")

    cached._larder_decorated.steps = steps


KINDS: dict[str, dict[str, Any]] = {
    "path": {},
    "query": {"query_string": True},
    "fixed": {"key_prefix": "fixed"},
    "sign": {"key_prefix": "100%"},
    "prefix": {"key_prefix": lambda: f"{request.method}{request.path}"},
    "query and prefix": {"query_string": True, "key_prefix": lambda: "p"},
    "whole": {"make_cache_key": lambda: f"made/{request.path}"},
    "source": {"source_check": True},
    "query and source": {"query_string": True, "source_check": True, "hash_method": hashlib.md5},
    "vary": {"vary": ["Accept-Language"]},
    "query and vary": {"query_string": True, "vary": ["Accept-Language"]},
    "two signs": {"key_prefix": "%s/100%%"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hits_of_views(app: Flask, compat: Cache, kind: str, method: str) -> None:
    """All of them are answered natively, under the key that Python makes."""

    def view() -> str:
        return "page"

    cached: Any = compat.cached(**KINDS[kind])(view)
    asked = {"method": method, "headers": {"Accept-Language": "cs"}}
    with app.test_request_context("/works?b=2&a=%C3%A9+x", **asked):
        assert cached() == "page"
        decorated = cached._larder_decorated
        key = decorated.key((), {})
        assert compat.cache.engine.set(key, "set", decorated.policy((), {}))[0] == "stored"
        forbid_steps(cached)
        assert cached() == "set"
    with app.test_request_context("/works?b=2&a=%C3%A9+x", **asked):
        # Nobody read this request's query before.
        assert cached() == "set"


FUNCTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "named": {"make_name": lambda name: f"{name}/cs"},
    "ignored": {"args_to_ignore": ["b"]},
    "md5": {"hash_method": hashlib.md5},
    "source": {"source_check": True},
    "none": {"cache_none": True},
    "vary": {"vary": [lambda: "tenant"]},
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_hits_of_functions(app: Flask, compat: Cache, kind: str) -> None:
    calls: list[int] = []

    @compat.memoize(**FUNCTIONS[kind])
    def f(a: int, b: int = 0, *more: int, **named: int) -> None:
        calls.append(a)

    with app.app_context():
        for _ in range(2):
            f(1, 2, 3, z=4)
            f(a=2)
        if kind == "none":
            assert calls == [1, 2]
            forbid_steps(f)
            f(1, 2, 3, z=4)
            f(a=2)
        else:
            # None does not count.
            assert calls == [1, 2, 1, 2]


def test_hits_outside_of_every_context(compat: Cache) -> None:
    number: Any = compat.cached(key_prefix="number")(lambda: 7)
    double: Any = compat.memoize()(lambda number: 2 * number)
    assert [number(), double(2)] == [7, 4]
    forbid_steps(number)
    forbid_steps(double)
    assert [number(), double(2)] == [7, 4]


# Queries.

PAGE = ClassicView("p", method=hashlib.sha256)


def of_formula(args: Any) -> str:
    """The key of a page by query, as Flask-Caching makes it."""
    pairs = tuple(sorted(utils.query_args_as_pairs(args)))
    return "p" + hashlib.sha256(str(pairs).encode()).hexdigest()


queries = st.text("ab=&+%;12cCé'\"\\/ \x7f~", max_size=12) | st.lists(
    st.sampled_from(["a", "=", "&", "%C3%A9", "%ff", "%", "+", "%27", "%5C", "%00", "b", "%2"]),
    max_size=8,
).map("".join)


@given(queries)
def test_queries(query: str) -> None:
    app = Flask("shop")
    with app.test_request_context("/", query_string=query):
        # Before and after somebody read it.
        found = [PAGE.key((), {}), request.args, PAGE.key((), {})]
        assert [found[0].text, found[2].text] == [of_formula(found[1])] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "args",
    [
        MultiDict([("b", "2"), ("a", "1"), ("a", "0")]),
        ImmutableMultiDict([("b", "2")]),
        ImmutableMultiDict(),
    ],
)
def test_arguments_that_the_application_put_there(args: Any) -> None:
    with Flask("shop").test_request_context("/?x=1"):
        request.args = args
        assert PAGE.key((), {}).text == of_formula(args)  # type: ignore[union-attr]


@pytest.mark.parametrize("args", [{"a": "1"}, MultiDict([("a", 1)]), MultiDict([(b"a", "1")])])
def test_odd_arguments_are_left_to_python(args: Any) -> None:
    with Flask("shop").test_request_context("/?x=1"):
        request.args = args
        assert PAGE.key((), {}) is None


def test_a_request_that_reads_its_query_its_own_way(app: Flask) -> None:
    class Own(Request):
        @property
        def args(self) -> Any:
            return ImmutableMultiDict([("a", "own")])

    app.request_class = Own
    with app.test_request_context("/?a=1"):
        assert PAGE.key((), {}).text == of_formula({"a": "own"})  # type: ignore[union-attr]


def test_odd_prefixes_are_left_to_python(app: Flask) -> None:
    assert ClassicView("view/%s").key((), {}) is None
    for odd in (b"bytes", "\ud800"):
        assert ClassicView(lambda odd=odd: odd, suffix="s").key((), {}) is None
        assert ClassicView(lambda odd=odd: odd).key((), {}) == Key(odd)
    with app.test_request_context("/"):
        assert ClassicView("view/%s").key((), {}).text == "view//"  # type: ignore[union-attr]
