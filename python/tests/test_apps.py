"""Applications and caches: factories, several of each, and what `init_app` refuses."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import Any

import pytest
from conftest import Calls, refuses_patterns, text_of
from flask import Flask

from flask_larder import Cache
from flask_larder.testing import HandClock


def configured(**options: Any) -> Cache:
    return Cache(Flask("shop"), config={"CACHE_TYPE": "SimpleCache", **options})


def test_an_application_factory_decorates_before_there_is_an_application(calls: Calls) -> None:
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize(60)
    def price(product: str) -> int:
        return calls()

    def create_app() -> Flask:
        app = Flask("shop")
        cache.init_app(app)

        @app.get("/")
        @cache.cached(60)
        def index() -> str:
            return f"{price('bread')} {calls()}"

        return app

    client = create_app().test_client()
    assert text_of(client) == "1 2"
    assert text_of(client) == "1 2"


def test_applications_of_one_cache_do_not_share_entries(stored: Cache, calls: Calls) -> None:
    cache = Cache()
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        cache.init_app(app, config={"CACHE_TYPE": "SimpleCache"})
        app.add_url_rule("/", "index", cache.cached(60)(lambda: str(calls())))
    one, two = (app.test_client() for app in apps)
    assert [text_of(one), text_of(two), text_of(one), text_of(two)] == ["1", "2", "1", "2"]
    with apps[0].app_context():
        cache.clear()
    assert [text_of(one), text_of(two)] == ["3", "2"]


def test_a_function_of_two_applications_has_answers_in_each(calls: Calls) -> None:
    cache = Cache()
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        cache.init_app(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize(60)
    def price() -> int:
        return calls()

    seen: list[int] = []
    for app in [*apps, *apps, *apps]:
        with app.app_context():
            seen.append(price())
    assert seen == [1, 2, 1, 2, 1, 2]


def test_caches_of_one_application_do_not_share_entries(app: Flask) -> None:
    config = {"CACHE_TYPE": "SimpleCache"}
    one, two = Cache(app, config=config), Cache(app, config=config)
    one.set("k", "one")
    two.set("k", "two")
    assert (one.get("k"), two.get("k")) == ("one", "two")
    one.clear()
    assert (one.get("k"), two.get("k")) == (None, "two")


def test_the_proxy_methods(stored: Cache, clock: HandClock) -> None:
    assert stored.get("k") is None
    assert stored.set("k", "v") is True
    assert stored.get("k") == "v"
    assert stored.add("k", "other") is False
    assert stored.add("n", None) is True
    assert (stored.has("n"), stored.has("absent")) == (True, False)
    assert stored.get_many("k", "absent", "n") == ["v", None, None]
    assert stored.get_dict("k", "absent") == {"k": "v", "absent": None}
    assert sorted(stored.set_many({"a": 1, "b": 2})) == ["a", "b"]
    assert stored.delete("k") is True
    assert stored.delete("k") is False
    assert stored.delete_many("a", "absent") == ["a", "absent"]
    assert stored.unlink("b") == ["b"]
    assert stored.get_many("a", "b") == [None, None]
    assert stored.clear() is True
    assert stored.has("n") is False


def test_timeouts_of_direct_use(stored: Cache, clock: HandClock) -> None:
    stored.set("default", 1)
    stored.set("forever", 1, timeout=0)
    stored.set("short", 1, timeout=2)
    stored.set("text", 1, timeout="5m")
    stored.set("span", 1, timeout=timedelta(minutes=5))
    stored.set("never", 1, timeout=-1)
    assert not stored.has("never")
    clock.advance(3)
    assert not stored.has("short")
    clock.advance(296)
    assert [stored.has(key) for key in ("default", "text", "span")] == [True, True, True]
    clock.advance(2)
    assert [stored.has(key) for key in ("default", "text", "span")] == [False, False, False]
    clock.advance(3600 * 24 * 365)
    assert stored.has("forever")


def test_a_negative_timeout_takes_away_what_was_there(stored: Cache) -> None:
    stored.set("k", "v")
    stored.set("k", "other", timeout=-1)
    assert stored.get("k") != "other"


def test_counters(stored: Cache) -> None:
    with_app: Any = stored.cache
    assert with_app.inc("visits") == 1
    assert with_app.inc("visits", 4) == 5
    assert with_app.dec("visits", 2) == 3
    assert stored.get("visits") == 3
    stored.set("text", "no number")
    with pytest.raises(TypeError):
        with_app.inc("text")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"CACHE_TYPE": "SimpelCache"}, ["CACHE_TYPE", "SimpelCache", "SimpleCache"]),
        ({"CACHE_TYPE": 7}, ["CACHE_TYPE", "int"]),
        ({"CACHE_TRESHOLD": 5}, ["CACHE_TRESHOLD", "CACHE_THRESHOLD"]),
        ({"CACHE_THRESHOLD": -1}, ["CACHE_THRESHOLD", "-1"]),
        ({"CACHE_THRESHOLD": "many"}, ["CACHE_THRESHOLD", "many"]),
        ({"CACHE_MAX_BYTES": "much"}, ["CACHE_MAX_BYTES", "much"]),
        ({"CACHE_DEFAULT_TIMEOUT": math.nan}, ["CACHE_DEFAULT_TIMEOUT", "nan"]),
        ({"CACHE_DEFAULT_TIMEOUT": math.inf}, ["CACHE_DEFAULT_TIMEOUT", "inf"]),
        ({"CACHE_DEFAULT_TIMEOUT": "abc"}, ["CACHE_DEFAULT_TIMEOUT", "abc", "5m"]),
        ({"CACHE_DEFAULT_TIMEOUT": 10**400}, ["CACHE_DEFAULT_TIMEOUT"]),
        ({"CACHE_HASH_METHOD": "md5"}, ["CACHE_HASH_METHOD", "md5"]),
        ({"CACHE_OPTIONS": {"treshold": 5}}, ["CACHE_OPTIONS", "treshold", "threshold"]),
    ],
)
def test_wrong_options_are_named_with_their_cure(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        configured(**options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("config", [["CACHE_TYPE"], "SimpleCache", 7])
def test_a_config_that_is_no_dict(config: Any) -> None:
    with pytest.raises(ValueError, match="dict"):
        Cache(config=config)
    with pytest.raises(ValueError, match="dict"):
        Cache().init_app(Flask("shop"), config=config)


@pytest.mark.parametrize("timeout", ["5m", timedelta(minutes=5), 300, 300.0, "300"])
def test_timeouts_as_people_write_them(timeout: Any, clock: HandClock) -> None:
    cache = configured(CACHE_DEFAULT_TIMEOUT=timeout)
    cache.set("k", "v")
    clock.advance(299)
    assert cache.has("k")
    clock.advance(2)
    assert not cache.has("k")


@pytest.mark.parametrize("timeout", [math.nan, math.inf, -math.inf, "abc", "", "5 parsecs"])
def test_wrong_timeouts_are_refused_where_they_are_given(cache: Cache, timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        cache.cached(timeout)(lambda: "")
    with pytest.raises(ValueError, match="timeout"):
        cache.memoize(timeout)(lambda: "")
    with pytest.raises(ValueError, match="timeout"):
        cache.set("k", "v", timeout=timeout)


@pytest.mark.parametrize("option", ["stale", "stale_on_error", "throttle", "wait"])
@pytest.mark.parametrize("value", [-1, math.nan, "abc"])
def test_wrong_windows_are_refused_at_decoration(cache: Cache, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        cache.memoize(60, **{option: value})(lambda: "")


@pytest.mark.parametrize("name", ["simple", "SimpleCache", "null", "NullCache"])
def test_older_names_of_stores(name: str) -> None:
    cache = Cache(Flask("shop"), config={"CACHE_TYPE": name})
    cache.set("k", "v")
    assert cache.get("k") == (None if name.lower().startswith("null") else "v")


def test_without_a_type_answers_are_kept_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_larder")
    cache = Cache(Flask("shop"))
    cache.set("k", "v")
    assert cache.get("k") == "v"
    assert sum("CACHE_TYPE" in record.message for record in caplog.records) == 1


def test_a_foreign_option_in_the_applications_own_config_is_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("shop")
    app.config["CACHE_THRESHHOLD"] = 7
    Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    assert "CACHE_THRESHHOLD" in caplog.text
    assert "CACHE_THRESHOLD" in caplog.text


def test_the_threshold_bounds_the_entries() -> None:
    cache = configured(CACHE_THRESHOLD=50)
    for number in range(1000):
        cache.set(f"k{number}", number)
    assert 1 <= cache.stats()["entries"] <= 50


def test_the_null_cache_keeps_nothing_and_calls_each_time(app: Flask, calls: Calls) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache"})
    price = cache.memoize(60)(lambda: calls())
    app.add_url_rule("/", "index", cache.cached(60)(lambda: str(price())))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "2"]


def test_keys_of_any_text(stored: Cache) -> None:
    keys = [
        "",
        " ",
        "a b",
        "ä€𝄞",
        "\x00",
        "a\x00b",
        "\r\n\t",
        "\x7f",
        "*?",
        "\\",
        "\ud800",
        "{}",
        "%s",
    ]
    keys += ["x" * 100_000, "memoize/x", "view//a", "_template_fragment_cache_a"]
    for number, key in enumerate(keys):
        stored.set(key, number)
    assert [stored.get(key) for key in keys] == list(range(len(keys)))
    assert all(stored.delete(key) for key in keys)
    assert not any(stored.has(key) for key in keys)


@pytest.mark.parametrize("key", [None, 7, ["a"], object()])
def test_keys_that_are_no_text_are_refused(stored: Cache, key: Any) -> None:
    with pytest.raises(TypeError, match="key"):
        stored.set(key, "v")


def test_keys_are_listed(app: Flask, stored: Cache) -> None:
    with app.app_context():
        stored.set_many({"one": 1, "two": 2})
        stored.delete("two")
        listed = list(stored.cache.keys())
    assert listed == ([] if refuses_patterns(stored, app) else ["one"])


def test_patterns_and_prefixes(app: Flask, stored: Cache) -> None:
    if refuses_patterns(stored, app):
        return

    def fill() -> None:
        stored.clear()
        stored.set_many(dict.fromkeys(("product_1", "product_22", "products", "product_*"), 1))

    def left() -> list[str]:
        keys = ("product_1", "product_22", "products", "product_*")
        return [key for key in keys if stored.has(key)]

    fill()
    assert sorted(stored.delete_many("product_*")) == ["product_*", "product_1", "product_22"]
    assert left() == ["products"]
    fill()
    assert sorted(stored.delete_many("product_?")) == ["product_*", "product_1"]
    fill()
    assert stored.delete_many("product_\\*") == ["product_*"]
    assert left() == ["product_1", "product_22", "products"]
    fill()
    assert stored.delete_many("[pq]roduct*") == []
    assert sorted(stored.delete_prefix("product_")) == ["product_*", "product_1", "product_22"]
    assert left() == ["products"]
    assert stored.delete_prefix("absent") == []


def test_what_has_no_name_cannot_be_told_apart(cache: Cache, calls: Calls) -> None:
    with pytest.raises(TypeError, match="Calls object has no name"):
        cache.memoize(60)(calls)


def test_lambdas_are_told_apart(app: Flask, stored: Cache) -> None:
    one = stored.memoize(60)(lambda: "one")
    two = stored.memoize(60)(lambda: "two")
    with app.app_context():
        assert [one(), two(), one(), two()] == ["one", "two", "one", "two"]
