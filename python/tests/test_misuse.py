"""Mistakes that people make with decorators and with caches: each is told with its cure."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask
from flask.views import MethodView

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache
from flask_larder.testing import HandClock


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.param(Flask("shop"), config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def safe() -> Any:
    return Cache(Flask("shop"), config={"CACHE_TYPE": "SimpleCache"})


@pytest.mark.parametrize("name", ["cached", "memoize"])
def test_decorators_want_their_brackets(either: Any, name: str) -> None:
    def view() -> str:
        return "the page"

    with pytest.raises(TypeError, match=re.escape(f"view as an option (write @cache.{name}(...))")):
        getattr(either, name)(view)


@pytest.mark.parametrize("name", ["cached", "memoize"])
@pytest.mark.parametrize("descriptor", [classmethod, property, functools.cached_property])
def test_decorators_stand_below_descriptors(either: Any, name: str, descriptor: Any) -> None:
    def method(self: Any) -> None:
        pass

    expected = rf"^@cache\.{name} stands above @{descriptor.__name__} \(put it below"
    with pytest.raises(TypeError, match=expected):
        getattr(either, name)(60)(descriptor(method))


def test_memoized_methods_of_classes_work_the_right_way_round(either: Any, calls: Calls) -> None:
    class Prices:
        @classmethod
        @either.memoize(60)
        def of(cls, product: str) -> str:
            return f"{cls.__name__} {product} {calls()}"

        @staticmethod
        @either.memoize(60)
        def rate(currency: str) -> str:
            return f"{currency} {calls()}"

    assert [Prices.of("saw"), Prices().of("saw")] == ["Prices saw 1"] * 2
    assert [Prices.rate("EUR"), Prices().rate("EUR")] == ["EUR 2"] * 2


@pytest.mark.parametrize("name", ["cached", "memoize"])
def test_only_functions_are_decorated(either: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"^@cache.{name} takes a function, not NoneType$"):
        getattr(either, name)(60)(None)

    class Products(MethodView):
        pass

    with pytest.raises(TypeError, match=r"Products is a class of views \(decorate its methods"):
        getattr(either, name)(60)(Products)


@pytest.mark.parametrize(
    "option", ["unless", "forced_update", "is_stale", "response_filter", "hash_method"]
)
@pytest.mark.parametrize("name", ["cached", "memoize"])
def test_options_that_are_called_are_functions(safe: Any, name: str, option: str) -> None:
    with pytest.raises(TypeError, match=f"^{option}='yes' cannot be called"):
        getattr(safe, name)(60, **{option: "yes"})


def test_names_and_keys_are_made_by_functions(safe: Any) -> None:
    with pytest.raises(TypeError, match=r"^make_name='x' cannot be called"):
        safe.memoize(60, make_name="x")
    with pytest.raises(TypeError, match=r"^make_cache_key='x' cannot be called"):
        safe.cached(60, make_cache_key="x")


@pytest.mark.parametrize("prefix", [None, 5, b"page"])
def test_a_prefix_is_a_text_or_a_function(safe: Any, prefix: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"key_prefix={prefix!r} is no key")):
        safe.cached(60, key_prefix=prefix)


def test_ignored_arguments_are_a_list_of_arguments(safe: Any) -> None:
    def price(product: str, user_id: int) -> None: ...

    def anything(**names: Any) -> None: ...

    with pytest.raises(TypeError, match=r"^args_to_ignore='user_id' is a str"):
        safe.memoize(60, args_to_ignore="user_id")
    with pytest.raises(ValueError, match=r"'user' is no argument .* \(it has product, user_id\)"):
        safe.memoize(60, args_to_ignore=["user"])(price)
    safe.memoize(60, args_to_ignore=["user"])(anything)


@pytest.mark.parametrize("option", ["tags", "vary"])
def test_lists_are_lists(either: Any, option: str) -> None:
    def view() -> str:
        return "the page"

    with pytest.raises(TypeError, match=rf"^{option} is int \(use a list\)"):
        either.cached(60, **{option: 5})(view)


@pytest.mark.parametrize("answer", ["products", None])
def test_functions_of_tags_answer_lists(safe: Any, answer: Any) -> None:
    @safe.memoize(60, tags=lambda: answer)
    def products() -> str:
        return "all"

    with pytest.raises(TypeError, match=f"answered {answer!r} .let it answer a list"):
        products()


def test_tags_are_named_one_by_one(either: Any) -> None:
    with pytest.raises(TypeError, match="takes tags one by one, not a list"):
        either.invalidate_tags(["products"])


@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
def test_a_forgotten_return_shares_no_answers(calls: Calls, option: str) -> None:
    app = Flask("shop")
    app.testing = True
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/")
    @cache.cached(60, **{option: lambda: None})  # type: ignore[arg-type]
    def index() -> str:
        return str(calls())

    with pytest.raises(TypeError, match=f"{option} answered None"):
        text_of(app.test_client())
    assert calls.count == 0


def test_a_call_that_does_not_fit_is_told_by_its_arguments(safe: Any) -> None:
    @safe.memoize(60)
    def price(product: str, currency: str = "EUR") -> None: ...

    with pytest.raises(TypeError, match=r"price: these are not its arguments \(it takes \(product"):
        safe.delete_memoized(price, 1, 2, 3)


def test_only_cached_views_are_deleted(either: Any) -> None:
    def view() -> str:
        return "the page"

    with pytest.raises(TypeError, match="view is not cached by this cache"):
        either.delete_cached(view)


@pytest.mark.parametrize("kind", [Cache, CompatCache])
def test_a_cache_without_an_application_says_so(kind: Any) -> None:
    cache = kind()
    assert not hasattr(cache, "app")
    with pytest.raises(AttributeError, match=r"no attribute 'app' \(call init_app\(app\)"):
        cache.get("products")


@pytest.mark.parametrize("kind", [Cache, CompatCache])
def test_a_cache_in_a_strange_application_says_which(kind: Any) -> None:
    cache = kind(Flask("shop"), config={"CACHE_TYPE": "SimpleCache"})
    with Flask("office").app_context(), pytest.raises(KeyError) as caught:
        cache.get("products")
    assert caught.value.args == (cache,)
    assert caught.value.__notes__ == [
        "no store of this cache in the application 'office' (call init_app with it)"
    ]


def test_warming_past_unless_says_so(either: Any) -> None:
    @either.memoize(60, unless=lambda: True)
    def price(product: str) -> str:
        return product

    warmed = either.warm(price, "saw")
    assert (warmed.stored, warmed.reason) == (False, "bypass")


def test_a_clock_is_moved_by_any_duration() -> None:
    clock = HandClock(100)
    clock.advance("5m")
    clock.advance(timedelta(seconds=2))
    assert clock.now == 402
    with pytest.raises(ValueError, match="'soon' is no duration"):
        clock.advance("soon")


def test_transactions_are_watched_without_greenlet(tmp_path: Path) -> None:
    """SQLAlchemy 2.1 has its asyncio sessions with greenlet alone, which pip does not bring along."""
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_GREENLET)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr


WITHOUT_GREENLET = """
import sys

sys.modules["greenlet"] = None
from flask import Flask
from flask_larder import Cache
from flask_larder.sqlalchemy import Invalidations
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "user"
    __cache_tags__ = ("users",)
    id: Mapped[int] = mapped_column(primary_key=True)

cache = Cache(Flask("shop"), config={"CACHE_TYPE": "SimpleCache"})
engine = create_engine("sqlite://")
sessions = sessionmaker(engine)
invalidations = Invalidations(cache, sessions)
invalidations.track(Base)
Base.metadata.create_all(engine)
calls = []

@cache.memoize(60, tags=["users"])
def users():
    calls.append(1)
    return len(calls)

assert (users(), users()) == (1, 1)
with sessions() as session:
    session.add(User(id=1))
    session.commit()
assert users() == 2
"""
