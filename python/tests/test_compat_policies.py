"""What the suites leave out: which errors are raised and which are logged, threads, applications,
classes, and both dialects in one application."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Blueprint, Flask, Response, jsonify, render_template_string, request
from flask.views import MethodView, View

import flask_larder
import flask_larder.compat
from flask_larder.compat import Cache, cache_memoize_hit, cache_view_hit, cache_view_miss
from flask_larder.compat.backends import FileSystemCache, SimpleCache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures"]

SIMPLE = {"CACHE_TYPE": "SimpleCache"}
SWALLOWED = "Exception possibly due to cache backend."


class Faulty(SimpleCache):
    """A store of which some methods fail."""

    failing: tuple[str, ...] = ()

    def get(self, key: Any) -> Any:
        self.check("get")
        return super().get(key)

    def get_many(self, *keys: Any) -> Any:
        self.check("get_many")
        return super().get_many(*keys)

    def set(self, key: Any, value: Any, timeout: object = None) -> Any:
        self.check("set")
        return super().set(key, value, timeout)

    def set_many(self, mapping: Any, timeout: object = None) -> Any:
        self.check("set_many")
        return super().set_many(mapping, timeout)

    def delete(self, key: Any) -> Any:
        self.check("delete")
        return super().delete(key)

    def clear(self) -> Any:
        self.check("clear")
        return super().clear()

    def check(self, name: str) -> None:
        """Fails where it is told to."""
        if name in self.failing:
            raise ConnectionError(name)


@pytest.fixture
def faulty(app: Flask) -> Cache:
    """A cache on a store that a test makes fail."""
    return Cache(app, config={"CACHE_TYPE": f"{__name__}.Faulty"})


def page(cache: Cache, calls: Calls) -> Callable[[], Any]:
    view = cache.cached()(lambda: calls())
    return lambda: view()


def function(cache: Cache, calls: Calls) -> Callable[[], Any]:
    double = cache.memoize()(lambda number: calls())
    return lambda: double(1)


def fragment(cache: Cache, calls: Calls) -> Callable[[], Any]:
    source = '{% cache 60, "frag" %}{{ calls() }}{% endcache %}'
    return lambda: int(render_template_string(source, calls=calls))


@pytest.mark.parametrize("failing", [("get", "get_many"), ("set", "set_many")])
@pytest.mark.parametrize("work", [page, function, fragment])
def test_in_production_a_store_that_fails_is_logged(
    app: Flask, faulty: Cache, calls: Calls, log: Any, work: Any, failing: tuple[str, ...]
) -> None:
    faulty.cache.failing = failing
    with app.test_request_context():
        ask = work(faulty, calls)
        assert [ask(), ask()] == [1, 2]
    assert set(log.messages) == {SWALLOWED}
    assert all(record.exc_info[0] is ConnectionError for record in log.records)
    assert len(log.messages) == 2


@pytest.mark.parametrize("failing", [("get", "get_many"), ("set", "set_many")])
@pytest.mark.parametrize("work", [page, function, fragment])
def test_in_debug_a_store_that_fails_is_raised(
    app: Flask, faulty: Cache, calls: Calls, work: Any, failing: tuple[str, ...]
) -> None:
    faulty.cache.failing = failing
    app.debug = True
    with app.test_request_context(), pytest.raises(ConnectionError):
        work(faulty, calls)()


@pytest.mark.parametrize("debug", [False, True])
def test_direct_calls_raise_everywhere(app: Flask, faulty: Cache, debug: bool) -> None:
    double = faulty.memoize()(lambda number: number)
    view = faulty.cached(key_prefix="k")(lambda: "page")
    faulty.cache.failing = ("get", "get_many", "set", "set_many", "delete", "clear")
    app.debug = debug
    work: list[Callable[[], Any]] = [
        lambda: faulty.get("k"),
        lambda: faulty.set("k", 1),
        lambda: faulty.get_many("k"),
        lambda: faulty.set_many({"k": 1}),
        lambda: faulty.delete("k"),
        lambda: faulty.delete_many("k"),
        lambda: faulty.unlink("k"),
        faulty.clear,
        lambda: faulty.delete_memoized(double),
        lambda: faulty.delete_memoized(double, 1),
        double.delete_memoized,
        lambda: faulty.delete_memoized_verhash(double),
        lambda: faulty.delete_cached(view),
    ]
    with app.test_request_context():
        for each in work:
            with pytest.raises(ConnectionError):
                each()


def fails(*_args: Any, **_kwargs: Any) -> Any:
    raise LookupError("of the user")


@pytest.mark.parametrize("sort", ["cached", "memoize"])
@pytest.mark.parametrize("gate", ["forced_update", "is_stale"])
def test_gates_that_fail(
    app: Flask, each: Cache, calls: Calls, log: Any, sort: str, gate: str
) -> None:
    decorate = getattr(each, sort)
    load = decorate(**{gate: fails})(lambda: calls())
    with app.test_request_context():
        plain = 1 if gate == "is_stale" else 0
        assert [load(), load(), load()] == [1, 2, 3]
        assert log.messages == [SWALLOWED] * (3 - plain)
        app.debug = True
        with pytest.raises(LookupError):
            load()


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("gate", ["unless", "response_filter"])
def test_gates_whose_errors_go_out(app: Flask, each: Cache, debug: bool, gate: str) -> None:
    app.debug = debug
    load = each.memoize(**{gate: fails})(lambda: 1)  # type: ignore[arg-type]
    with app.test_request_context(), pytest.raises(LookupError):
        load()


@pytest.mark.parametrize("options", [{"key_prefix": fails}, {"make_cache_key": fails}])
def test_key_functions_that_fail(
    app: Flask, each: Cache, calls: Calls, log: Any, options: dict[str, Any]
) -> None:
    view = each.cached(**options)(lambda: calls())
    with app.test_request_context():
        assert [view(), view()] == [1, 2]
        assert log.messages == [SWALLOWED] * 2
        app.debug = True
        with pytest.raises(LookupError):
            view()


def test_a_prefix_with_two_places_is_an_error_of_the_key(
    app: Flask, each: Cache, calls: Calls, log: Any
) -> None:
    view = each.cached(key_prefix="%s/%s")(lambda: calls())
    with app.test_request_context():
        assert [view(), view()] == [1, 2]
        app.debug = True
        with pytest.raises(TypeError):
            view()


@pytest.mark.parametrize("debug", [False, True])
def test_a_block_that_fails_is_rendered_once(
    app: Flask, each: Cache, calls: Calls, debug: bool
) -> None:
    app.debug = debug
    source = '{% cache 60, "frag" %}{{ calls() }}{{ 1 // 0 }}{% endcache %}'
    with app.test_request_context(), pytest.raises(ZeroDivisionError):
        render_template_string(source, calls=calls)
    assert calls.count == 1


# Fragments.


@pytest.mark.parametrize(
    "tag",
    [
        "60 'frag' user",
        "60, 'frag', user",
        "60, 'frag' user",
        "'60', 'frag' user",
        "hour 'frag' user",
    ],
)
def test_commas_and_timeouts_of_the_tag(app: Flask, each: Cache, calls: Calls, tag: str) -> None:
    from datetime import timedelta

    source = "{% cache " + tag + " %}{{ user }} {{ calls() }}{% endcache %}"

    def render(user: Any) -> str:
        return render_template_string(source, user=user, calls=calls, hour=timedelta(hours=1))

    with app.test_request_context():
        assert [render("ann"), render(7), render("ann"), render(7)] == ["ann 1", "7 2"] * 2
        assert each.get("_template_fragment_cache_frag_ann") == "ann 1"


def test_a_name_that_is_a_number(app: Flask, each: Cache, calls: Calls) -> None:
    source = "{% cache 60, 5 %}{{ calls() }}{% endcache %}"
    with app.test_request_context():
        assert [render_template_string(source, calls=calls) for _ in range(2)] == ["1", "1"]
    assert each.get("_template_fragment_cache_5") == "1"


def test_fragments_in_fragments(app: Flask, each: Cache, calls: Calls) -> None:
    source = (
        "{% cache 60, 'outer' %}{{ calls() }}"
        "{% cache 60, 'inner' %}-{{ calls() }}{% endcache %}{% endcache %}"
    )
    with app.test_request_context():
        assert [render_template_string(source, calls=calls) for _ in range(2)] == ["1-2"] * 2
        each.delete("_template_fragment_cache_outer")
        assert render_template_string(source, calls=calls) == "3-2"


def test_none_is_the_default_timeout(app: Flask, clock: HandClock, calls: Calls) -> None:
    Cache(app, config={**SIMPLE, "CACHE_DEFAULT_TIMEOUT": 10})
    source = "{% cache None, 'frag' %}{{ calls() }}{% endcache %}"
    with app.test_request_context():
        assert render_template_string(source, calls=calls) == "1"
        clock.advance(9)
        assert render_template_string(source, calls=calls) == "1"
        clock.advance(2)
        assert render_template_string(source, calls=calls) == "2"


# Threads.


def together(work: Callable[[int], Any], number: int = 8) -> list[Any]:
    """What threads find that begin at one moment."""
    start = threading.Barrier(number)
    found: list[Any] = [None] * number

    def run(place: int) -> None:
        start.wait()
        try:
            found[place] = work(place)
        except Exception as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_threads(app: Flask, each: Cache) -> None:
    @each.memoize()
    def square(number: int) -> int:
        return number * number

    @app.get("/<int:number>")
    @each.cached()
    def view(number: int) -> str:
        return str(number)

    def work(place: int) -> list[Any]:
        client = app.test_client()
        with app.app_context():
            return [(square(n), text_of(client, f"/{n}")) for n in range(20)]

    assert together(work) == [[(n * n, str(n)) for n in range(20)]] * 8


def test_threads_that_forget_while_others_ask(app: Flask, compat: Cache) -> None:
    current, forgotten = [0], [0]

    @compat.memoize()
    def read() -> int:
        return current[0]

    def work(place: int) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        with app.app_context():
            for number in range(200):
                if place == 0:
                    current[0] = number
                    compat.delete_memoized(read)
                    forgotten[0] = number
                    assert read() == number
                seen.append((forgotten[0], read()))
        return seen

    # Nobody sees what was there before it was forgotten. A load may see what comes next: who asks after it
    # may still be told what was stored before.
    for seen in together(work, 4):
        assert all(forgot <= found for forgot, found in seen)


# Applications.


def test_two_applications_with_one_cache(calls: Calls) -> None:
    cache = Cache(config=SIMPLE)

    @cache.memoize()
    def double(number: int) -> int:
        return calls()

    @cache.cached()
    def index() -> str:
        return f"{request.host} {calls()}"

    apps = [Flask("north"), Flask("south")]
    for app in apps:
        cache.init_app(app)
        app.add_url_rule("/", "index", index)
    north, south = apps
    for app, expected in ((north, 1), (south, 2), (north, 1)):
        with app.app_context():
            assert double(1) == expected
    with north.app_context():
        cache.delete_memoized(double)
        assert double(1) == 3
    with south.app_context():
        assert double(1) == 2
    pages = [text_of(app.test_client()) for app in (north, south, north)]
    assert pages == ["localhost 4", "localhost 5", "localhost 4"]
    # Outside of any application it is the last one that counts.
    assert cache.cache is south.extensions["cache"][cache]


# Classes and blueprints.


def test_views_with_decorators_of_their_own(app: Flask, each: Cache, calls: Calls) -> None:
    class Page(View):
        decorators = [each.cached(60)]  # noqa: RUF012 (Flask reads a plain list)

        def dispatch_request(self, name: str) -> str:
            return f"{name} {calls()}"

    app.add_url_rule("/page/<name>", view_func=Page.as_view("page"))
    client = app.test_client()
    paths = ["/page/a", "/page/b", "/page/a"]
    assert [text_of(client, path) for path in paths] == ["a 1", "b 2", "a 1"]


class Resource(MethodView):
    """As resources of REST libraries are: a method returns data, and whoever calls it responds."""

    def dispatch_request(self, **kwargs: Any) -> Response:
        value = super().dispatch_request(**kwargs)
        data, status = value if isinstance(value, tuple) else (value, 200)  # type: ignore[misc]
        response = jsonify(data)
        response.status_code = status  # type: ignore[assignment]
        return response


def test_resources(app: Flask, each: Cache, calls: Calls) -> None:
    class Item(Resource):
        @each.cached(60)
        def get(self, name: str) -> Any:
            return {"name": name, "call": calls()}, 203

        def put(self, name: str) -> Any:
            return {"gone": each.delete_cached(Item.get, name=name)}

    shop = Blueprint("shop", __name__, url_prefix="/shop")
    shop.add_url_rule("/<name>", view_func=Item.as_view("item"))
    app.register_blueprint(shop)
    make: Any = Item.get.make_cache_key  # type: ignore[attr-defined]
    with app.test_request_context():
        assert make(name="tea") == "view//shop/tea"
    client = app.test_client()
    path = "/shop/caf%C3%A9%20noir"
    answers = [client.get(path) for _ in range(2)]
    assert [answer.json for answer in answers] == [{"name": "café noir", "call": 1}] * 2
    assert [answer.status_code for answer in answers] == [203, 203]
    assert client.put(path).json == {"gone": True}
    assert client.get(path).json == {"name": "café noir", "call": 2}
    assert client.get(path).json == {"name": "café noir", "call": 2}


def test_views_of_blueprints_are_deleted_by_keyword(app: Flask, each: Cache, calls: Calls) -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__)

    @inner.get("/<int:number>/<path:rest>")
    @each.cached()
    def deep(number: int, rest: str) -> str:
        return f"{number} {rest} {calls()}"

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    assert [text_of(client, "/outer/7/a/b%20c") for _ in range(2)] == ["7 a/b c 1"] * 2
    with app.test_request_context():
        assert each.delete_cached(deep, number=7, rest="a/b c")
        # Files answer True for what was not there, as they do in cachelib.
        files = type(each.cache) is FileSystemCache
        assert each.delete_cached(deep, number=7, rest="a/b c") is files
    assert text_of(client, "/outer/7/a/b%20c") == "7 a/b c 2"


def test_views_that_are_coroutines(app: Flask, each: Cache, calls: Calls) -> None:
    @app.get("/<name>")
    @each.cached(query_string=True)
    async def view(name: str) -> tuple[str, int]:
        return f"{name} {calls()}", 202

    @each.memoize()
    async def double(number: int) -> int:
        return 2 * number + calls()

    client = app.test_client()
    paths = ["/a?x=1", "/a?x=2", "/a?x=1"]
    assert [text_of(client, path) for path in paths] == ["a 1", "a 2", "a 1"]
    assert client.get("/a?x=1").status_code == 202
    with app.app_context():
        assert [double(1), double(1)] == [5, 5]


# Both dialects in one application.


def test_both_dialects(app: Flask, calls: Calls) -> None:
    config = {**SIMPLE, "CACHE_ENABLE_SIGNALS": True, "CACHE_STATUS_HEADERS": True}
    compat = flask_larder.compat.Cache(app, config=config)
    safe = flask_larder.Cache(app, config=config)
    price = safe.memoize(60)(lambda: calls())

    @app.get("/")
    @compat.cached(response_hit_indication=True)
    def index() -> str:
        return f"{price()}"

    @app.get("/safe")
    @safe.cached()
    def other() -> str:
        return f"{price()}"

    heard: list[Any] = []

    def listen(sender: None, cache: Any, cache_key: Any, **more: Any) -> None:
        heard.append(cache)

    client = app.test_client()
    with (
        cache_view_hit.connected_to(listen),
        cache_view_miss.connected_to(listen),
        cache_memoize_hit.connected_to(listen),
    ):
        answers = [client.get(path) for path in ("/", "/", "/safe", "/safe")]
    # Both send the same signals, and say which cache it was.
    assert heard == [compat, compat, safe, safe, safe]
    # One registry holds the stores of both.
    assert app.extensions["cache"] == {compat: compat.cache, safe: safe.cache}
    # Each cached call of a request writes one line, whichever cache answered it.
    status = [answer.headers.getlist("Cache-Status") for answer in answers]
    assert [len(lines) for lines in status] == [1, 1, 1, 1]
    assert "hit" in status[1][0]
    assert "hit" in status[3][0]
    assert len(answers[0].headers.getlist("Server-Timing")[0].split(",")) == 1
    assert [answer.headers.get("hit_cache") for answer in answers] == [None, "True", None, None]
    # The tag belongs to the one that came last.
    with app.test_request_context():
        render_template_string("{% cache 60, 'frag' %}x{% endcache %}")
    assert safe.get(flask_larder.make_template_fragment_key("frag")) == "x"
    assert compat.get("_template_fragment_cache_frag") is None
