"""The source in the keys: read and hashed once for each function, and only while it is asked for."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
from conftest import Calls
from flask import Flask

import flask_larder
import flask_larder.compat

DIALECTS = {"safe": flask_larder.Cache, "compat": flask_larder.compat.Cache}


class Counting:
    """A hash method that counts how often it is given this source."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.count = 0

    def __call__(self, data: bytes = b"") -> Any:
        self.count += data == self.source
        return hashlib.sha256(data)


@pytest.fixture(params=DIALECTS)
def sourced(request: pytest.FixtureRequest, app: Flask) -> Any:
    """A cache of each dialect."""
    return DIALECTS[request.param](app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions whose source is read."""
    found: list[str] = []
    own = inspect.getsource

    def read(function: Any) -> str:
        found.append(function.__name__)
        return own(function)

    monkeypatch.setattr(inspect, "getsource", read)
    return found


def test_it_is_read_and_hashed_once(app: Flask, sourced: Any, calls: Calls, reads: Any) -> None:
    def load() -> int:
        return calls()

    method = Counting(inspect.getsource(load).encode())
    reads.clear()
    sourced.hash_method = method
    page = sourced.cached(key_prefix="page", source_check=True)(load)
    function = sourced.memoize(source_check=True)(load)
    again = sourced.cached(source_check=True)(load)
    for _ in range(4):
        with app.test_request_context("/"):
            page(), function(), again()
    assert calls.count == 3
    assert reads == ["load"]
    assert method.count <= 1


def test_it_is_asked_for_at_each_call(app: Flask, sourced: Any, calls: Calls, reads: Any) -> None:
    def load() -> int:
        return calls()

    page = sourced.cached(key_prefix="page")(load)
    function = sourced.memoize()(load)
    never = sourced.memoize(source_check=False, make_name=lambda name: f"{name}!")(load)
    found = []
    for asked in (False, False, True, True, False, True):
        sourced.source_check = asked
        with app.test_request_context("/"):
            found.append((page(), function(), never()))
    assert found == [(1, 2, 3)] * 2 + [(4, 5, 3)] * 2 + [(1, 2, 3), (4, 5, 3)]
    assert reads == ["load"]


def test_functions_of_one_name_are_told_apart(app: Flask, sourced: Any) -> None:
    def first() -> str:
        return "first"

    def second() -> str:
        return "second"

    second.__qualname__ = first.__qualname__
    cached = [sourced.cached(key_prefix="k", source_check=True)(f) for f in (first, second)]
    with app.test_request_context("/"):
        assert [f() for f in cached * 2] == ["first", "second"] * 2


def test_without_a_source(app: Flask) -> None:
    """A function that was made of text has none: it runs uncached in production, as always."""
    made: dict[str, Any] = {}
    # Not as "<string>": under `python -c`, Python 3.13 finds the source of that.
    exec(compile("def load(): return object()", "<made here>", "exec"), made)
    cache = flask_larder.compat.Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    load = cache.memoize(source_check=True)(made["load"])
    with app.app_context():
        assert load() is not load()
        app.debug = True
        with pytest.raises(OSError, match="source"):
            load()
