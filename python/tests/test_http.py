"""Pages as HTTP wants them: what a request gets of what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Calls
from flask import Flask, Response, g, make_response, request
from flask.views import MethodView
from http_support import Site
from werkzeug.http import parse_date
from werkzeug.test import TestResponse

from flask_larder import Cache, Http
from flask_larder.testing import HandClock

CHANGED = "Sat, 01 Aug 2020 00:00:00 GMT"


def names(answer: Any) -> set[str]:
    """The headers that were sent: an older test client adds a type to an answer that has none."""
    made_up = {"Content-Type"} if TestResponse.default_mimetype and not answer.data else set()
    return {name for name, _ in answer.headers} - made_up


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', "*"])
def test_t6_1_who_has_the_page_gets_no_body(
    site: Site, calls: Calls, clock: HandClock, form: str
) -> None:
    site.view("/", lambda: f"page {calls()}", vary=["Accept-Language"])
    whole = site.get()
    clock.advance(40)
    answer = site.get(headers={"If-None-Match": form.format(whole.headers["ETag"])})
    assert (answer.status_code, answer.data, calls.count) == (304, b"", 1)
    told = {"ETag", "Cache-Control", "Vary", "Date", "Age", "Cache-Status"}
    assert names(answer) == told
    for name in told - {"Age", "Cache-Status"}:
        assert answer.headers[name] == whole.headers[name]
    assert answer.headers["Age"] == "40"
    assert answer.headers["Cache-Status"] == "Larder; hit; ttl=260"


def test_a_page_that_was_just_made_may_be_one_that_the_client_has(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    site.view("/", lambda: calls() and "page")
    etag = site.get().headers["ETag"]
    clock.advance(301)
    answer = site.get(headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data, calls.count) == (304, b"", 2)
    assert "fwd-status=200; stored" in answer.headers["Cache-Status"]
    assert site.get().data == b"page"
    assert calls.count == 2


@pytest.mark.parametrize("wanted", ['"other"', "", "x", '"other", W/"another"'])
def test_t6_2_an_etag_counts_before_a_date(site: Site, wanted: str) -> None:
    def page() -> Response:
        response = make_response("page")
        response.headers["Last-Modified"] = CHANGED
        return response

    site.view("/", page)
    site.get()
    both = {"If-None-Match": wanted, "If-Modified-Since": CHANGED}
    assert site.get(headers=both).status_code == 200
    assert site.get(headers={"If-Modified-Since": CHANGED}).status_code == 304
    before = "Fri, 31 Jul 2020 23:59:59 GMT"
    assert site.get(headers={"If-Modified-Since": before}).status_code == 200


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (['"1"'], 304),
        (['"1"', '"1"'], 304),
        (['"1"', '"2"'], 200),
        (['"1"', "x"], 200),
        (["1"], 200),
        (['W/"1"'], 304),
    ],
)
def test_a_tag_counts_if_it_is_one(site: Site, tags: list[str], status: int) -> None:
    site.view("/", lambda: ("page", [("ETag", tag) for tag in tags]))
    site.get()
    for _ in range(2):
        assert site.get(headers={"If-None-Match": tags[0]}).status_code == status


def test_t6_3_a_lifetime_stays_and_the_age_grows(site: Site, clock: HandClock) -> None:
    site.view("/", lambda: "page", stale=60, stale_on_error=600)
    says = "max-age=300, stale-while-revalidate=60, stale-if-error=600"
    made = site.get()
    assert (made.headers["Cache-Control"], "Age" in made.headers) == (says, False)
    clock.advance(40)
    found = site.get()
    assert (found.headers["Cache-Control"], found.headers["Age"]) == (says, "40")
    assert found.headers["Date"] == made.headers["Date"]
    assert parse_date(found.headers["Date"]).timestamp() == clock() - 40  # type: ignore[union-attr]


def test_an_age_that_an_answer_came_with_goes_on_growing(site: Site, clock: HandClock) -> None:
    site.view("/", lambda: ("page", {"Cache-Control": "max-age=100", "Age": "30"}))
    site.get()
    clock.advance(9)
    answer = site.get()
    assert answer.headers.getlist("Age") == ["39"]
    assert answer.headers["Cache-Status"] == "Larder; hit; ttl=61"
    clock.advance(61)
    assert site.status() == "Larder; fwd=miss; stored"


def test_t6_7_the_status_says_what_the_cache_did(site: Site, clock: HandClock) -> None:
    site.view("/", lambda: "page", stale=100, methods=["GET", "POST"])
    site.view("/me", lambda: ("page", {"Cache-Control": "private"}))
    assert site.status() == "Larder; fwd=miss; stored"
    assert site.status() == "Larder; hit; ttl=300"
    clock.advance(301)
    assert site.status() == "Larder; hit; ttl=-1; detail=stale"
    assert site.status(method="POST") == "Larder; fwd=method; detail=method"
    assert site.status(auth=("anna", "x")) == "Larder; fwd=bypass; detail=authorization"
    assert site.status("/me") == "Larder; fwd=miss; detail=private"
    assert "Server-Timing" not in site.get().headers


def test_t6_7_the_key_is_told_where_that_is_asked_for(site: Site) -> None:
    site.view("/hidden", lambda: "page")
    site.view("/told", lambda: "page", http=Http(key_in_status=True))
    for path in ("/hidden", "/hidden", "/told", "/told"):
        assert ('; key="view//told"' in site.status(path)) is (path == "/told")


def test_t6_9_head_is_answered_from_what_a_get_left(site: Site, calls: Calls) -> None:
    site.view("/", lambda: f"page {calls()}")
    first = site.get(method="HEAD")
    assert (first.status_code, first.data) == (200, b"")
    assert first.headers["Cache-Status"] == "Larder; fwd=method; detail=method"
    whole = site.get()
    assert whole.data == b"page 2"
    for _ in range(2):
        answer = site.get(method="HEAD")
        assert (answer.status_code, answer.data, calls.count) == (200, b"", 2)
        assert answer.headers["Content-Length"] == str(len(whole.data))
        assert answer.headers["ETag"] == whole.headers["ETag"]
    etag = whole.headers["ETag"]
    assert site.get(method="HEAD", headers={"If-None-Match": etag}).status_code == 304


def test_t6_10_a_range_is_cut_out_of_the_stored_page(site: Site, calls: Calls) -> None:
    site.view("/", lambda: calls() and "0123456789")
    whole = site.get()
    answer = site.get(headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.data) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"
    assert answer.headers.getlist("Content-Length") == ["3"]
    assert answer.headers["ETag"] == whole.headers["ETag"]
    assert answer.headers["Content-Type"] == whole.headers["Content-Type"]
    beyond = site.get(headers={"Range": "bytes=10-"})
    assert (beyond.status_code, beyond.data) == (416, b"")
    assert beyond.headers["Content-Range"] == "bytes */10"
    for several in ("bytes=0-1,4-5", "items=0-1", "bytes=4-2", "bytes=" + "0-0," * 5000):
        answer = site.get(headers={"Range": several})
        assert (answer.status_code, answer.data) == (200, b"0123456789")
    for which, status in [(whole.headers["ETag"], 206), ('"other"', 200)]:
        headers = {"Range": "bytes=2-4", "If-Range": which}
        assert site.get(headers=headers).status_code == status
    assert calls.count == 1


def test_t6_10_a_part_is_never_stored(site: Site, calls: Calls) -> None:
    def page() -> Any:
        calls()
        if "Range" in request.headers:
            return "0", 206, {"Content-Range": "bytes 0-0/3"}
        return "012"

    site.view("/", page)
    first = site.get(headers={"Range": "bytes=0-0"})
    assert (first.status_code, first.data) == (206, b"0")
    assert first.headers["Cache-Status"] == "Larder; fwd=bypass; detail=range"
    assert site.get().data == b"012"
    answer = site.get(headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.data, calls.count) == (206, b"12", 2)


def test_a_view_makes_the_whole_answer_whatever_the_client_has(site: Site, calls: Calls) -> None:
    def page() -> Response:
        calls()
        response = make_response("page")
        response.set_etag("mine")
        assert request.if_none_match.is_weak("mine") is False
        return response.make_conditional(request)

    site.view("/", page)
    had = {"If-None-Match": '"mine"', "If-Modified-Since": CHANGED}
    assert site.get(headers=had).status_code == 304
    answer = site.get()
    assert (answer.status_code, answer.data, calls.count) == (200, b"page", 1)
    assert answer.headers["ETag"] == '"mine"'


def test_hooks_of_the_application_run_as_ever(site: Site) -> None:
    seen = []

    @site.app.before_request
    def know() -> None:
        g.had = request.if_none_match.contains("x")

    @site.app.after_request
    def stamp(response: Response) -> Response:
        seen.append((response.status_code, request.headers.get("If-None-Match")))
        response.headers["X-Stamp"] = "1"
        return response

    site.view("/", lambda: "page")
    etag = site.get().headers["ETag"]
    answer = site.get(headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["X-Stamp"]) == (304, "1")
    assert seen == [(200, None), (304, etag)]


def test_a_hook_may_make_another_answer_of_a_stored_one(site: Site) -> None:
    @site.app.after_request
    def empty(response: Response) -> Response:
        response.status_code = 204
        return response

    site.view("/", lambda: "page")
    for _ in range(2):
        answer = site.get()
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Length" not in answer.headers


def test_other_code_that_calls_a_view_gets_all_of_it(site: Site, calls: Calls) -> None:
    part = site.view("/part", lambda: f"part {calls()}")
    helper = site.cache.cached(60, key_prefix="helper", http=True)(lambda: ["a", "list"])

    @site.app.get("/")
    def index() -> Any:
        found = site.app.ensure_sync(part)()
        text = found if isinstance(found, str) else found.get_data(as_text=True)
        return f"{text} {helper()}"

    etag = site.get("/part").headers["ETag"]
    for _ in range(2):
        headers = {"If-None-Match": etag, "Range": "bytes=0-0"}
        answer = site.get("/", headers=headers)
        assert (answer.status_code, answer.data) == (200, b"part 2 ['a', 'list']")
        assert "Cache-Status" not in answer.headers
    assert calls.count == 2


def test_a_function_that_becomes_a_view_is_served_as_one(app: Flask, stored: Cache) -> None:
    page = stored.cached(60, http=True)(lambda: "page")
    with app.test_request_context("/early"):
        assert [page(), page()] == ["page", "page"]
    app.add_url_rule("/", "index", page)
    assert "ETag" in app.test_client().get("/").headers


def test_without_it_answers_are_as_they_were(site: Site) -> None:
    site.view("/", lambda: "page", http=None)
    for _ in range(2):
        answer = site.get(headers={"If-None-Match": "*", "Range": "bytes=0-0"})
        assert (answer.status_code, answer.data) == (200, b"page")
        assert names(answer) == {"Content-Type", "Content-Length"}


@pytest.mark.parametrize("given", [True, Http(key_in_status=True)])
def test_it_can_be_switched_on_for_all_views(app: Flask, given: Any, calls: Calls) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_HTTP": given})
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "page"))
    app.add_url_rule("/off", "off", cache.cached(60, http=False)(lambda: "page"))
    client = app.test_client()
    for _ in range(2):
        assert "ETag" in client.get("/").headers
        assert ("key=" in client.get("/").headers["Cache-Status"]) is (given is not True)
        assert names(client.get("/off")) == {"Content-Type", "Content-Length"}


def test_methods_of_a_class_are_views_too(app: Flask, stored: Cache, calls: Calls) -> None:
    class Products(MethodView):
        @stored.cached(60, http=True)
        def get(self) -> str:
            return f"products {calls()}"

    app.add_url_rule("/", view_func=Products.as_view("products"))
    client = app.test_client()
    etag = client.get("/").headers["ETag"]
    assert client.get("/", headers={"If-None-Match": etag}).status_code == 304
    assert calls.count == 1


@pytest.mark.parametrize("debug", [False, True])
def test_plain_hits_and_hits_in_debug_say_the_same(
    app: Flask, stored: Cache, clock: HandClock, debug: bool
) -> None:
    app.debug = debug
    app.add_url_rule("/", "index", stored.cached(60, http=True)(lambda: ("page", {"X-A": "1"})))
    client = app.test_client()
    etag = client.get("/").headers["ETag"]
    clock.advance(7)
    for headers, status in [
        ({}, 200),
        ({"If-None-Match": etag}, 304),
        ({"Range": "bytes=0-1"}, 206),
    ]:
        answer = client.get("/", headers=headers)
        said = dict(answer.headers)
        assert answer.status_code == status
        assert said.pop("Server-Timing", None) == ('larder-view;desc="hit"' if debug else None)
        assert (said["Age"], said["Cache-Status"]) == ("7", "Larder; hit; ttl=53")
        assert answer.headers.getlist("Cache-Status") == ["Larder; hit; ttl=53"]
        assert ("X-A" in said) is (status != 304)


def test_plain_hits_are_answered_without_python(
    app: Flask, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = cache.cached(60, http=True)(lambda: "page")
    app.add_url_rule("/", "index", view)
    client = app.test_client()
    etag = client.get("/").headers["ETag"]
    monkeypatch.setattr(view._larder_decorated, "steps", None)
    for headers in (
        {},
        {"If-None-Match": etag},
        {"Range": "bytes=0-0"},
        {"Cache-Control": "no-cache"},
    ):
        assert client.get("/", headers=headers).status_code in (200, 206, 304)
    assert client.head("/").headers["Content-Length"] == "4"


def test_a_server_that_writes_dates_itself_gets_none(app: Flask, stored: Cache) -> None:
    app.add_url_rule("/", "index", stored.cached(60, http=True)(lambda: "page"))
    client = app.test_client()
    for _ in range(2):
        server = {"SERVER_SOFTWARE": "gunicorn/23.0.0"}
        assert "Date" not in client.get("/", environ_overrides=server).headers
        assert "Date" in client.get("/").headers
