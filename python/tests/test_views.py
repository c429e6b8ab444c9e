"""Views: keys, variants, what `get`, `set` and `delete` mean for them, and what is not stored."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls, refuses_patterns, text_of
from flask import Flask, Response, abort, make_response, redirect, request, send_file
from flask.views import MethodView, View
from werkzeug.wrappers import Response as WerkzeugResponse

from flask_larder import Cache, CachedResponse
from flask_larder.testing import HandClock


@pytest.fixture
def products(app: Flask, stored: Cache, calls: Calls) -> Any:
    """A client of a list of products in pages."""

    @app.get("/products")
    @stored.cached(60)
    def products() -> str:
        return f"page {request.args.get('page', '1')} version {calls()}"

    return app.test_client()


def test_the_query_is_in_the_key_in_any_order(products: Any) -> None:
    assert text_of(products, "/products?page=2&sort=name") == "page 2 version 1"
    assert text_of(products, "/products?sort=name&page=2") == "page 2 version 1"
    assert text_of(products, "/products?page=3&sort=name") == "page 3 version 2"
    assert text_of(products, "/products") == "page 1 version 3"


def test_the_host_is_in_the_key(products: Any) -> None:
    assert text_of(products, "/products", base_url="http://a.example") == "page 1 version 1"
    assert text_of(products, "/products", base_url="http://b.example") == "page 1 version 2"
    assert text_of(products, "/products", base_url="http://a.example") == "page 1 version 1"


def test_without_the_query_in_the_key_all_queries_share_an_entry(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, query_string=False)
    def index() -> str:
        return str(calls())

    client = app.test_client()
    assert [text_of(client, "/?a=1"), text_of(client, "/?a=2")] == ["1", "1"]


def test_deleting_a_view_removes_every_variant(products: Any, app: Flask, stored: Cache) -> None:
    pages = ["/products", "/products?page=2"]
    before = [text_of(products, page) for page in pages]
    assert [text_of(products, page) for page in pages] == before
    with app.app_context():
        assert stored.delete("view//products") is True
        assert stored.delete("view//products") is False
    after = [text_of(products, page) for page in pages]
    assert after == ["page 1 version 3", "page 2 version 4"]


def test_delete_cached_takes_a_view_or_a_path(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/product/<int:number>")
    @stored.cached(60)
    def product(number: int) -> str:
        return f"{number}: {calls()}"

    client = app.test_client()
    assert [text_of(client, "/product/1"), text_of(client, "/product/2")] == ["1: 1", "2: 2"]
    with app.test_request_context():
        assert stored.delete_cached(product, path="/product/1") is True
        assert stored.delete_cached(product, number=2) is True
        assert stored.delete_cached(product, number=3) is False
    assert [text_of(client, "/product/1"), text_of(client, "/product/2")] == ["1: 3", "2: 4"]


def test_get_of_a_view_gives_this_requests_variant(
    products: Any, app: Flask, stored: Cache
) -> None:
    text_of(products, "/products")
    text_of(products, "/products?page=2")
    with app.test_request_context("/products?page=2"):
        assert stored.get("view//products") == "page 2 version 2"
        stored.set("other", 1)
        assert stored.get_many("other", "view//products", "none") == [1, "page 2 version 2", None]
        assert stored.get_dict("view//products") == {"view//products": "page 2 version 2"}
    with app.test_request_context("/products?page=3"):
        assert stored.get("view//products?page=4") is None


def test_get_of_a_view_outside_of_a_request(
    products: Any, app: Flask, stored: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flask_larder")
    with app.app_context():
        assert stored.get("view//products") is None
    text_of(products, "/products")
    with app.app_context():
        assert stored.get("view//products") == "page 1 version 1"
        assert stored.has("view//products")
    text_of(products, "/products?page=2")
    caplog.clear()
    with app.app_context():
        assert stored.get("view//products") is None
        assert stored.has("view//products")
    assert "2 variants" in caplog.text


def test_set_of_a_view_serves_every_variant(products: Any, app: Flask, stored: Cache) -> None:
    text_of(products, "/products?page=2")
    with app.app_context():
        stored.set("view//products", "set by hand")
    assert text_of(products, "/products") == "set by hand"
    assert text_of(products, "/products?page=3") == "set by hand"


def test_patterns_reach_views(products: Any, app: Flask, stored: Cache) -> None:
    if refuses_patterns(stored, app):
        return
    text_of(products, "/products")
    text_of(products, "/products?page=2")
    with app.app_context():
        assert stored.delete_many("view//prod*") == ["view//products"]
    assert text_of(products, "/products") == "page 1 version 3"
    with app.app_context():
        assert stored.delete_prefix("view/") == ["view//products"]
    assert text_of(products, "/products?page=2") == "page 2 version 4"


def test_prefixes_of_keys(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/a")
    @app.get("/b")
    @stored.cached(60, key_prefix="both")
    def both() -> str:
        return str(calls())

    @app.get("/c")
    @stored.cached(60, key_prefix="own/%s/end")
    def own() -> str:
        return str(calls())

    client = app.test_client()
    assert [text_of(client, "/a"), text_of(client, "/b"), text_of(client, "/c")] == ["1", "1", "2"]
    with app.app_context():
        assert stored.delete("own//c/end")
        assert stored.delete("both")
    assert [text_of(client, "/a"), text_of(client, "/c")] == ["3", "4"]


def test_keys_that_the_developer_makes(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/made/<name>")
    @stored.cached(60, make_cache_key=lambda name: f"made-{name[0]}")
    def made(name: str) -> str:
        return f"{name} {calls()}"

    @app.get("/called")
    @stored.cached(60, key_prefix=lambda: f"lang-{request.args.get('lang')}")
    def called() -> str:
        return str(calls())

    client = app.test_client()
    assert [text_of(client, "/made/anna"), text_of(client, "/made/alice")] == ["anna 1", "anna 1"]
    assert [text_of(client, "/called?lang=en&x=1"), text_of(client, "/called?lang=en")] == [
        "2",
        "2",
    ]
    assert text_of(client, "/called?lang=de") == "3"
    with app.app_context():
        assert stored.delete("made-a")
        assert stored.delete("lang-en")


def test_a_key_function_that_is_assigned_afterwards(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.cached(60)
    def index() -> str:
        return str(calls())

    app.add_url_rule("/", "index", index)
    client = app.test_client()
    assert [text_of(client, "/?a=1"), text_of(client, "/?a=1")] == ["1", "1"]
    index.make_cache_key = lambda *_args, **_kwargs: "mine"  # type: ignore[attr-defined]
    assert [text_of(client, "/?a=1"), text_of(client, "/?a=2")] == ["2", "2"]
    with app.app_context():
        assert stored.delete("mine")


def test_a_cached_function_outside_of_a_request_needs_a_key_of_its_own(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.cached(60, key_prefix="categories")
    def categories() -> list[int]:
        return [calls()]

    with app.app_context():
        assert [categories(), categories()] == [[1], [1]]
        assert stored.get("categories") == [1]
    with app.app_context(), pytest.raises(RuntimeError, match="key_prefix"):
        stored.cached(60)(lambda: "")()


def test_two_cached_functions_of_one_request_do_not_meet(app: Flask, stored: Cache) -> None:
    @stored.cached(60)
    def head() -> str:
        return "head"

    @stored.cached(60)
    def tail() -> str:
        return "tail"

    app.add_url_rule("/", "index", lambda: head() + tail())
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["headtail", "headtail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_get_and_head_are_cached(app: Flask, stored: Cache, calls: Calls, method: str) -> None:
    @app.route("/", methods=["GET", method])
    @stored.cached(60)
    def index() -> str:
        return f"{request.method} {calls()}"

    client = app.test_client()
    assert text_of(client) == "GET 1"
    for expected in ("2", "3"):
        assert client.open("/", method=method).text == f"{method} {expected}"
    assert text_of(client) == "GET 1"


def test_head_and_get(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        return make_response(f"body {calls()}")

    client = app.test_client()
    first = client.head("/")
    assert (first.status_code, first.get_data()) == (200, b"")
    body = text_of(client)
    assert body.startswith("body ")
    again = client.head("/")
    assert again.get_data() == b""
    assert again.headers["Content-Length"] == str(len(body))
    assert text_of(client) == body


def answers(app: Flask, folder: Path) -> dict[str, Any]:
    """Views whose answers are served and not stored."""
    (folder / "file.txt").write_text("a file")

    def cookie() -> Response:
        response = make_response("with a cookie")
        response.set_cookie("sid", "secret")
        return response

    def werkzeug_cookie() -> WerkzeugResponse:
        response = WerkzeugResponse("with a cookie")
        response.set_cookie("sid", "secret")
        return response

    def header_of(control: str) -> Response:
        response = make_response("a text")
        response.headers["Cache-Control"] = control
        return response

    def header(name: str, value: str) -> Any:
        return lambda: ("a text", {name: value})

    return {
        "cookie": cookie,
        "private": header("Cache-Control", "private"),
        "no-store": header("Cache-Control", "no-store"),
        "vary": header("Vary", "User-Agent"),
        "vary-star": header("Vary", "*"),
        "created": lambda: ("made", 201),
        "found": lambda: redirect("/elsewhere"),
        "not-found": lambda: ("nothing here", 404),
        "broken": lambda: ("broken", 500),
        "response": lambda: Response("broken", status=503),
        "abort": lambda: abort(404),
        "tuple-with-a-cookie": lambda: (cookie(), 200),
        "tuple-private": lambda: (header_of("private"), {"X-Own": "1"}),
        "tuple-broken": lambda: (make_response("broken", 500), {"X-Own": "1"}),
        "tuple-events": lambda: (Response(iter(["a"]), mimetype="text/event-stream"), 200),
        "werkzeug-cookie": werkzeug_cookie,
        "werkzeug-broken": lambda: WerkzeugResponse("broken", status=500),
        "application": lambda: Flask("other"),
        "broken-generator": lambda: Response(iter(["a", "b"]), status=500),
        "private-generator": lambda: ((part for part in "ab"), {"Cache-Control": "private"}),
        "file": lambda: send_file(folder / "file.txt"),
    }


NAMES = [
    "cookie", "private", "no-store", "vary", "vary-star", "created", "found", "not-found", "broken",
    "response", "abort", "tuple-with-a-cookie", "tuple-private", "tuple-broken", "tuple-events",
    "werkzeug-cookie", "werkzeug-broken", "application", "broken-generator", "private-generator", "file",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_served_and_not_stored(
    app: Flask, stored: Cache, calls: Calls, tmp_path: Path, name: str
) -> None:
    answer = answers(app, tmp_path)[name]

    def plain() -> Any:
        return answer()

    def counted() -> Any:
        calls()
        return answer()

    app.add_url_rule("/plain", "plain", plain)
    app.add_url_rule("/", "counted", stored.cached(60)(counted))
    client = app.test_client()
    with client.get("/plain") as expected:
        expected.get_data()
    for number in (1, 2, 3):
        with client.get("/") as got:
            assert (got.status_code, got.data) == (expected.status_code, expected.data)
        assert calls.count == number
        assert got.headers.getlist("Set-Cookie") == expected.headers.getlist("Set-Cookie")


@pytest.mark.parametrize(
    "make",
    [
        lambda number: str(number),
        lambda number: {"number": number},
        lambda number: [number],
        lambda number: (str(number), 203),
        lambda number: (str(number), {"X-Own": "1"}),
        lambda number: (str(number), 200, {"X-Own": "1"}),
        lambda number: (str(number), 200, [("X-Own", "1"), ("X-Own", "2")]),
        lambda number: (make_response(str(number)), 203, {"X-Own": "1"}),
        lambda number: WerkzeugResponse(str(number), headers={"X-Own": "1"}),
        lambda number: str(number).encode(),
    ],
)
def test_answers_of_every_form_are_stored(
    app: Flask, stored: Cache, calls: Calls, make: Any
) -> None:
    app.add_url_rule("/", "index", stored.cached(60)(lambda: make(calls())))
    client = app.test_client()
    first, second = client.get("/"), client.get("/")
    assert calls.count == 1
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert first.headers.getlist("X-Own") == second.headers.getlist("X-Own")
    assert first.mimetype == second.mimetype


def test_the_scheme_and_the_place_of_the_application_are_in_the_key(
    app: Flask, stored: Cache
) -> None:
    app.add_url_rule("/page", "page", stored.cached(60)(lambda: request.base_url))
    client = app.test_client()
    for base in ("http://h", "https://h", "http://h/a", "http://h/b", "http://h"):
        assert text_of(client, "/page", base_url=base) == f"{base}/page"


@pytest.mark.parametrize("status", [200, 203, 204, 301, 308])
def test_statuses_that_are_stored(app: Flask, stored: Cache, calls: Calls, status: int) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        calls()
        return Response("", status=status, headers={"Location": "/there", "X-Own": "kept"})

    client = app.test_client()
    first, second = client.get("/"), client.get("/")
    assert (calls.count, second.status_code) == (1, status)
    assert dict(first.headers) == dict(second.headers)


def test_the_users_exceptions_pass_unchanged(
    app: Flask, stored: Cache, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    class Mine(Exception):
        pass

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        raise Mine(f"number {calls()}")

    app.testing = True
    for number in (1, 2):
        with pytest.raises(Mine, match=f"number {number}"):
            app.test_client().get("/")
    assert [record for record in caplog.records if "larder" in record.name] == []


def test_class_based_views(app: Flask, stored: Cache, calls: Calls) -> None:
    class Shown(MethodView):
        @stored.cached(60)
        def get(self, name: str) -> str:
            return f"{name} {calls()}"

    class Whole(View):
        decorators = [stored.cached(60)]  # noqa: RUF012

        def dispatch_request(self) -> str:
            return f"whole {calls()}"

    app.add_url_rule("/shown/<name>", view_func=Shown.as_view("shown"))
    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    client = app.test_client()
    assert [text_of(client, "/shown/a"), text_of(client, "/shown/a")] == ["a 1", "a 1"]
    assert text_of(client, "/shown/b") == "b 2"
    assert [text_of(client, "/whole"), text_of(client, "/whole")] == ["whole 3", "whole 3"]


def test_a_response_may_say_how_long_it_is_kept(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/<int:timeout>")
    @stored.cached(60)
    def index(timeout: int) -> CachedResponse:
        return CachedResponse(make_response(str(calls())), timeout)

    client = app.test_client()
    assert [text_of(client, "/10"), text_of(client, "/0")] == ["1", "2"]
    clock.advance(11)
    assert [text_of(client, "/10"), text_of(client, "/0")] == ["3", "2"]
    clock.advance(50)
    assert text_of(client, "/0") == "4"


def test_options_that_decide_call_by_call(app: Flask, stored: Cache, calls: Calls) -> None:
    switches = {"unless": False, "forced_update": False, "response_filter": True, "is_stale": False}

    @app.get("/")
    @stored.cached(
        60,
        unless=lambda: switches["unless"],
        forced_update=lambda: switches["forced_update"],
        response_filter=lambda _answer: switches["response_filter"],
        is_stale=lambda _value: switches["is_stale"],
    )
    def index() -> str:
        return str(calls())

    client = app.test_client()
    switches["response_filter"] = False
    assert [text_of(client), text_of(client)] == ["1", "2"]
    switches["response_filter"] = True
    assert [text_of(client), text_of(client)] == ["3", "3"]
    switches["unless"] = True
    assert text_of(client) == "4"
    switches["unless"] = False
    assert text_of(client) == "3"
    switches["forced_update"] = True
    assert text_of(client) == "5"
    switches["forced_update"] = False
    assert text_of(client) == "5"
    switches["is_stale"] = True
    assert text_of(client) == "6"
    switches["is_stale"] = False
    assert text_of(client) == "6"


def test_none_is_kept_only_if_asked(app: Flask, stored: Cache, calls: Calls) -> None:
    kept = stored.cached(60, key_prefix="kept", cache_none=True)(lambda: calls() and None)
    not_kept = stored.cached(60, key_prefix="not kept")(lambda: calls() and None)
    with app.app_context():
        assert [kept(), kept(), calls.count] == [None, None, 1]
        assert [not_kept(), not_kept(), calls.count] == [None, None, 3]


def test_hooks_of_the_application_run_on_hits(app: Flask, stored: Cache) -> None:
    seen: list[str] = []

    @app.after_request
    def after(response: Response) -> Response:
        seen.append("after")
        response.headers["X-Hook"] = str(len(seen))
        response.set_data(response.get_data() + b"!")
        return response

    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        return make_response("body")

    client = app.test_client()
    got = [client.get("/") for _ in range(3)]
    assert [answer.text for answer in got] == ["body!"] * 3
    assert [answer.headers["X-Hook"] for answer in got] == ["1", "2", "3"]
    assert [answer.headers["Content-Length"] for answer in got] == ["5"] * 3
