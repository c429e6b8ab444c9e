"""The user's callables in the compat dialect: what they are given, and which of their answers count."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_type_hints

import pytest
from compat_support import Recorded
from conftest import Calls, text_of
from flask import Flask, Response, abort, make_response, request

from flask_larder.compat import Cache, CachedResponse
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]


def counted(cache: Cache, sort: str, **options: Any) -> Callable[..., Any]:
    """A decorator of either sort whose key does not depend on a request."""
    return cache.cached(key_prefix="k", **options) if sort == "cached" else cache.memoize(**options)


SORTS = pytest.mark.parametrize("sort", ["cached", "memoize"])


# What they are given. Each callable notes it, and answers nothing that counts.


def noting(seen: list[Any]) -> dict[str, Callable[..., Any]]:
    """Callables of every arity."""

    def none() -> None:
        seen.append(())

    def one(a: Any) -> None:
        seen.append((a,))

    def some(*args: Any) -> None:
        seen.append(args)

    def everything(*args: Any, **kwargs: Any) -> None:
        seen.append((*args, kwargs))

    def named(*, b: Any, missing: Any = None) -> None:
        seen.append({"b": b, "missing": missing})

    def one_and_named(a: Any, /, *, b: Any = None) -> None:
        seen.append((a, {"b": b}))

    return {f.__name__: f for f in (none, one, some, everything, named, one_and_named)}


@SORTS
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("none", ()),
        ("everything", (1, {"b": 2})),
        ("named", {"b": 2, "missing": None}),
        ("one_and_named", (1, {"b": 2})),
    ],
)
def test_forced_update(app: Flask, each: Cache, sort: str, name: str, given: Any) -> None:
    seen: list[Any] = []
    load = counted(each, sort, forced_update=noting(seen)[name])(lambda a, b: a)
    with app.test_request_context():
        assert load(1, b=2) == 1
    assert seen == [given]


@SORTS
@pytest.mark.parametrize(
    ("name", "given"), [("none", ()), ("everything", 2), ("named", {"b": 2, "missing": None})]
)
def test_unless(app: Flask, each: Cache, sort: str, name: str, given: Any) -> None:
    seen: list[Any] = []
    load = counted(each, sort, unless=noting(seen)[name])(lambda a, b: a)
    with app.test_request_context():
        assert load(1, b=2) == 1
    if given == 2:
        given = (load.uncached, 1, {"b": 2})
    assert seen == [given]


@SORTS
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("one", ("value",)),
        # Whatever a lone *args would take: it is one parameter, and gets one argument.
        ("some", ("value",)),
        ("everything", ("value", 1, {"b": 2})),
        ("one_and_named", ("value", {"b": 2})),
    ],
)
def test_is_stale(app: Flask, each: Cache, sort: str, name: str, given: Any) -> None:
    seen: list[Any] = []
    load = counted(each, sort, is_stale=noting(seen)[name])(lambda a, b: "value")
    with app.test_request_context():
        assert [load(1, b=2), load(1, b=2)] == ["value"] * 2
    assert seen == [given]


# Which answers count.


@SORTS
@pytest.mark.parametrize("gate", ["unless", "forced_update", "is_stale"])
@pytest.mark.parametrize("answer", [True, 1, "yes", [1], None, False, 0])
def test_only_true_itself_counts(
    app: Flask, each: Cache, calls: Calls, sort: str, gate: str, answer: Any
) -> None:
    load = counted(each, sort, **{gate: lambda *_args, **_kwargs: answer})(lambda: calls())
    with app.test_request_context():
        found = [load(), load()]
    assert found == ([1, 2] if answer is True else [1, 1])


@SORTS
@pytest.mark.parametrize("answer", [True, 1, "yes", None, False, 0, ""])
def test_a_filter_is_taken_for_its_truth(
    app: Flask, each: Cache, calls: Calls, sort: str, answer: Any
) -> None:
    load = counted(each, sort, response_filter=lambda value: answer)(lambda: calls())
    with app.test_request_context():
        found = [load(), load()]
    assert found == ([1, 1] if answer else [1, 2])


def test_a_forced_update_asks_nobody_else(app: Flask, each: Cache, calls: Calls) -> None:
    asked: list[int] = []
    load = each.memoize(forced_update=lambda: True, is_stale=asked.append)(lambda: calls())
    with app.app_context():
        assert [load(), load()] == [1, 2]
    assert asked == []


def test_a_filter_sees_the_response_of_what_was_raised(app: Flask, each: Cache) -> None:
    seen: list[Any] = []

    @app.get("/")
    @each.cached(response_filter=lambda answer: seen.append(answer) or True)  # type: ignore[func-returns-value]
    def index() -> Any:
        abort(404)

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [404, 404]
    [answer] = seen
    assert answer.status_code == 404
    assert answer.get_data()


def test_memoized_functions_do_not_keep_what_was_raised(
    app: Flask, each: Cache, calls: Calls
) -> None:
    @each.memoize()
    def missing() -> Any:
        calls()
        abort(404)

    with app.app_context():
        for _ in range(2):
            with pytest.raises(Exception, match="404"):
                missing()
    assert calls.count == 2


# None.


@pytest.mark.parametrize("keeps", [False, True])
@SORTS
def test_none(app: Flask, each: Cache, calls: Calls, sort: str, keeps: bool) -> None:
    def nothing() -> None:
        calls()

    load = counted(each, sort, cache_none=keeps)(nothing)
    with app.test_request_context():
        assert [load(), load(), load()] == [None] * 3
    assert calls.count == (1 if keeps else 3)


def test_calls_where_none_counts(app: Flask) -> None:
    cache = Recorded(app, config={"CACHE_TYPE": "SimpleCache"})
    load = cache.cached(key_prefix="k", cache_none=True)(lambda: None)
    with app.test_request_context():
        load()
        load()
    assert cache.calls == ["get", "has", "set", "get", "has"]


def test_is_stale_is_asked_about_none(app: Flask, each: Cache, calls: Calls) -> None:
    seen: list[Any] = []
    load = each.memoize(cache_none=True, is_stale=seen.append)(lambda: None)
    with app.app_context():
        load()
        load()
    assert seen == [None]


# Key functions.


def test_a_prefix_that_is_called_is_the_whole_base(app: Flask, each: Cache, calls: Calls) -> None:
    def by_user() -> str:
        return f"{request.method} {request.headers['User']} 100% %s"

    for path, options in (("/plain", {}), ("/query", {"query_string": True})):
        view = each.cached(key_prefix=by_user, **options)(lambda: str(calls()))
        app.add_url_rule(path, path, view)
    client = app.test_client()

    def ask(path: str, user: str) -> str:
        return text_of(client, path, headers={"User": user})

    assert [ask("/plain", "ann"), ask("/plain", "bob"), ask("/plain", "ann")] == ["1", "2", "1"]
    asked = [ask("/query?a=1", "ann"), ask("/query?a=2", "ann"), ask("/query?a=1", "ann")]
    assert asked == ["3", "4", "3"]
    assert each.get("GET ann 100% %s") == "1"


# Responses with a timeout of their own.


def test_parameters_of_cached_response_are_annotated() -> None:
    hints = get_type_hints(CachedResponse.__init__)
    assert hints == {
        "response": Response,
        "timeout": int | timedelta | None,
        "return": type(None),
    }
    assert list(inspect.signature(CachedResponse).parameters) == ["response", "timeout"]


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(7, 7), (timedelta(seconds=1.2), 2), (None, None), (0, 0)],
)
def test_cached_response_shares_what_the_response_is(
    app: Flask, timeout: Any, seconds: int | None
) -> None:
    with app.test_request_context():
        response = make_response("page", 201)
        own = CachedResponse(response, timeout)
    assert own.timeout == seconds
    assert vars(own) is vars(response)
    own.headers["X-Color"] = "red"
    assert response.headers["X-Color"] == "red"
    assert isinstance(own, Response)


@pytest.mark.parametrize("timeout", [None, 0, timedelta(0)])
def test_no_timeout_of_its_own_is_that_of_the_decorator(
    app: Flask, compat: Cache, clock: HandClock, calls: Calls, timeout: Any
) -> None:
    @app.get("/")
    @compat.cached(timeout=10)
    def index() -> Response:
        return CachedResponse(response=make_response(str(calls())), timeout=timeout)

    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(9)
    assert text_of(client) == "1"
    clock.advance(2)
    assert text_of(client) == "2"


def test_a_timeout_of_its_own_means_nothing_to_memoize(
    app: Flask, compat: Cache, clock: HandClock, calls: Calls
) -> None:
    @compat.memoize(10)
    def page() -> Response:
        return CachedResponse(make_response(str(calls())), 1)

    with app.test_request_context():
        assert page().get_data() == b"1"
        clock.advance(5)
        assert page().get_data() == b"1"


@SORTS
@pytest.mark.parametrize("timeout", [timedelta(seconds=9.5), 10, "10"])
def test_timeouts_of_decorators(
    app: Flask, compat: Cache, clock: HandClock, calls: Calls, sort: str, timeout: Any
) -> None:
    load = counted(compat, sort, timeout=timeout)(lambda: calls())
    with app.test_request_context():
        assert load() == 1
        clock.advance(9)
        assert load() == 1
        clock.advance(2)
        assert load() == 2


# The header that tells a hit.


def test_the_header_of_a_hit_is_of_its_request(app: Flask, each: Cache, calls: Calls) -> None:
    helper = each.cached(key_prefix="helper", response_hit_indication=True)(lambda: str(calls()))

    @app.get("/hit")
    @each.cached(response_hit_indication=True)
    def hit() -> str:
        return "page"

    @app.get("/miss")
    def miss() -> str:
        return helper()

    @app.get("/plain")
    @each.cached()
    def plain() -> str:
        return "plain"

    client = app.test_client()
    marks = [client.get("/hit").headers.get("hit_cache") for _ in range(3)]
    assert marks == [None, "True", "True"]
    assert [client.get("/miss").headers.get("hit_cache") for _ in range(2)] == [None, "True"]
    assert [client.get("/plain").headers.get("hit_cache") for _ in range(2)] == [None, None]
    # Flask-Caching leaves a hook on the application for it.
    assert not any("caching" in f.__name__ for f in app.after_request_funcs.get(None, ()))
