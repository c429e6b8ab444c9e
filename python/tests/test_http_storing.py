"""Pages as HTTP wants them: what is stored, for how long, and what is said of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from conftest import Calls
from flask import Flask, Response, abort, make_response, redirect
from http_support import Site

from flask_larder import Cache, Http, cookie, query
from flask_larder.compat import Cache as CompatCache
from flask_larder.testing import HandClock


@pytest.mark.parametrize("says", ["no-store", "private", "no-cache", "s-maxage=0", "max-age=0"])
def test_t6_4_what_forbids_it_is_not_stored_and_not_changed(
    site: Site, calls: Calls, says: str
) -> None:
    site.view("/", lambda: (f"page {calls()}", {"Cache-Control": says}))
    for count in (1, 2):
        answer = site.get()
        assert answer.data == b"page %d" % count
        assert answer.headers.getlist("Cache-Control") == [says]
        assert "ETag" not in answer.headers


def test_t6_4_a_lifetime_of_its_own_counts(site: Site, calls: Calls, clock: HandClock) -> None:
    says = "public, max-age=0, s-maxage=600"
    site.view("/", lambda: (f"page {calls()}", {"Cache-Control": says}), timeout=10)
    site.get()
    clock.advance(599)
    answer = site.get()
    assert (answer.data, answer.headers["Age"]) == (b"page 1", "599")
    assert answer.headers.getlist("Cache-Control") == [says]
    clock.advance(1)
    assert site.get().data == b"page 2"


def test_expires_is_a_lifetime_too(site: Site, calls: Calls, clock: HandClock) -> None:
    def page() -> Response:
        response = make_response(f"page {calls()}")
        response.date = clock()
        response.expires = clock() + 20
        return response

    site.view("/", page)
    assert "Cache-Control" not in site.get().headers
    clock.advance(19)
    assert site.get().data == b"page 1"
    clock.advance(1)
    assert site.get().data == b"page 2"


def test_windows_of_its_own_count(site: Site, calls: Calls, clock: HandClock) -> None:
    says = "max-age=60, stale-while-revalidate=30"
    site.view("/", lambda: (f"page {calls()}", {"Cache-Control": says}), stale="1h")
    site.get()
    clock.advance(91)
    assert site.get().data == b"page 2"
    clock.advance(61)
    answer = site.get()
    assert (answer.data, answer.headers["Cache-Status"]) == (
        b"page 2",
        "Larder; hit; ttl=-1; detail=stale",
    )


def test_what_must_be_revalidated_is_never_stale(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    says = "max-age=60, must-revalidate"
    site.view("/", lambda: (f"page {calls()}", {"Cache-Control": says}), stale="1h")
    site.get()
    clock.advance(61)
    assert site.get().data == b"page 2"


@pytest.mark.parametrize("status", [500, 503, 404, 302, 403])
def test_t6_5_other_statuses_are_not_stored_and_get_no_lifetime(
    site: Site, calls: Calls, status: int
) -> None:
    site.view("/", lambda: (f"page {calls()}", status, {"Location": "/x"}))
    for count in (1, 2):
        answer = site.get()
        assert (answer.status_code, answer.data) == (status, b"page %d" % count)
        assert "Cache-Control" not in answer.headers
        assert answer.headers["Cache-Status"] == f'Larder; fwd=miss; detail="status: {status}"'


def test_t6_5_negative_answers_have_a_lifetime_of_their_own(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    def page(how: str) -> Any:
        calls()
        return abort(404) if how == "raised" else ("nothing", 404)

    site.view("/<how>", page, http=Http(negative={404: "10s"}))
    site.app.register_error_handler(404, lambda _error: (f"none {calls.count}", 404))
    for path, body in [("/raised", b"none 1"), ("/returned", b"nothing")]:
        for _ in range(2):
            answer = site.get(path)
            assert (answer.status_code, answer.data) == (404, body)
            assert answer.headers["Cache-Control"] == "max-age=10"
    assert calls.count == 2
    clock.advance(10)
    assert site.get("/raised").data == b"none 3"


@pytest.mark.parametrize("says", ["*", "X-Other", "Accept-Language, X-Other"])
def test_t6_6_what_varies_by_more_than_the_key_is_not_stored(
    site: Site, calls: Calls, says: str
) -> None:
    site.view("/", lambda: (f"page {calls()}", {"Vary": says}), vary=["Accept-Language"])
    for count in (1, 2):
        answer = site.get()
        assert (answer.data, answer.headers.getlist("Vary")) == (b"page %d" % count, [says])
        named = "*" if says == "*" else "x-other"
        assert answer.headers["Cache-Status"] == f'Larder; fwd=miss; detail="vary: {named}"'


def test_vary_names_what_the_key_holds(site: Site) -> None:
    inputs = ["Accept-Language", cookie("theme"), query("page")]
    site.view("/", lambda: ("page", {"Vary": "accept-language"}), vary=inputs)
    site.view("/plain", lambda: "page")
    for _ in range(2):
        assert site.get().headers.getlist("Vary") == ["accept-language, cookie"]
    assert "Vary" not in site.get("/plain").headers


@pytest.mark.parametrize(
    ("vary", "private"),
    [
        (["Accept-Language"], False),
        ([query("page")], False),
        (["Authorization"], True),
        (["Cookie"], True),
        ([cookie("theme")], True),
        ([lambda: "anna"], True),
    ],
)
def test_pages_of_users_are_not_for_caches_further_on(site: Site, vary: Any, private: bool) -> None:
    site.view("/", lambda: "page", vary=vary)
    for _ in range(2):
        says = site.get().headers["Cache-Control"]
        assert says == ("private, max-age=300" if private else "max-age=300")


def test_t6_8_a_field_for_this_cache_counts_before_the_one_for_all(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    fields = {"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=3600"}
    ours = Http(targets=["CDN-Cache-Control"])
    site.view("/", lambda: (f"page {calls()}", fields), http=ours)
    site.get()
    clock.advance(3599)
    answer = site.get()
    assert answer.data == b"page 1"
    assert answer.headers.getlist("Cache-Control") == ["no-store"]
    assert answer.headers.getlist("CDN-Cache-Control") == ["max-age=3600"]
    clock.advance(1)
    assert site.get().data == b"page 2"


def test_t6_8_for_another_cache_it_is_a_header_like_others(site: Site, calls: Calls) -> None:
    fields = {"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=3600"}
    site.view("/", lambda: (f"page {calls()}", fields))
    assert [site.get().data, site.get().data] == [b"page 1", b"page 2"]


@pytest.mark.parametrize("malformed", ["max-age=3600, =", "", "max-age="])
def test_t6_8_a_malformed_field_is_none(site: Site, calls: Calls, malformed: str) -> None:
    fields = {"Cache-Control": "no-store", "CDN-Cache-Control": malformed}
    ours = Http(targets=["CDN-Cache-Control"])
    site.view("/", lambda: (f"page {calls()}", fields), http=ours)
    assert [site.get().data, site.get().data] == [b"page 1", b"page 2"]


def test_a_redirect_to_the_login_page_is_not_stored(site: Site, calls: Calls) -> None:
    site.view("/cart", lambda: calls() and redirect("/login?next=/cart", 301))
    site.view("/old", lambda: calls() and redirect("/new", 301))
    for _ in range(2):
        assert site.status("/cart") == "Larder; fwd=miss; detail=login"
        assert site.get("/old").headers["Location"] == "/new"
    assert calls.count == 3


def test_an_answer_that_sets_a_cookie_is_not_stored(site: Site, calls: Calls) -> None:
    site.view("/", lambda: (f"page {calls()}", {"Set-Cookie": "a=1"}))
    for _ in range(2):
        answer = site.get()
        assert answer.headers["Cache-Status"] == "Larder; fwd=miss; detail=set-cookie"
        assert "ETag" not in answer.headers
    assert calls.count == 2


def test_something_stale_stands_in_for_a_failure(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    def page() -> Any:
        if calls() == 1:
            return "page"
        raise LookupError

    site.view("/", page, stale_on_error=600)
    etag = site.get().headers["ETag"]
    clock.advance(301)
    answer = site.get()
    assert answer.headers["Cache-Status"] == "Larder; hit; ttl=-1; detail=stale-error"
    assert (answer.data, answer.headers["Age"]) == (b"page", "301")
    assert site.get(headers={"If-None-Match": etag}).status_code == 304


def test_a_refresh_behind_the_answer_makes_a_whole_page(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    site.view("/", lambda: f"page {calls()}", stale=600)
    first = site.get().headers["ETag"]
    clock.advance(301)
    assert site.get(headers={"If-None-Match": first}).status_code == 304
    site.cache._background.join()
    answer = site.get(headers={"If-None-Match": first})
    assert (answer.status_code, answer.data) == (200, b"page 2")
    assert (answer.headers["Cache-Control"], answer.headers["Age"]) == (
        "max-age=300, stale-while-revalidate=600",
        "0",
    )


def test_what_kinds_of_values_views_return(site: Site) -> None:
    site.view("/text", lambda: "é")
    site.view("/dict", lambda: {"a": 1})
    site.view("/bytes", lambda: b"\x00")
    site.view("/empty", lambda: ("", 204))
    for path in ("/text", "/dict", "/bytes", "/empty"):
        made, found = site.get(path), site.get(path)
        assert (made.status_code, made.data) == (found.status_code, found.data)
        assert made.headers["Content-Type"] == found.headers["Content-Type"]
        assert "hit" in found.headers["Cache-Status"]
        assert ("ETag" in found.headers) is (path != "/empty")


def test_tags_can_be_left_out(site: Site) -> None:
    site.view("/", lambda: "page", http=Http(etag=False))
    site.get()
    answer = site.get(headers={"If-None-Match": "*"})
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative": {304: 10}}, "no status that can be kept"),
        ({"negative": {99: 10}}, "no status that can be kept"),
        ({"negative": {404: 0}}, "kept for 0 seconds"),
        ({"negative": {404: -1}}, "is negative"),
        ({"requests": "all"}, "use one of"),
        ({"requests": "trusted"}, "go together"),
        ({"trusted": bool}, "go together"),
        ({"targets": ["a b"]}, "no name of a header"),
    ],
)
def test_wrong_options_are_refused_where_they_are_given(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Http(**options)


def test_wrong_values_are_refused_where_they_are_given(app: Flask, cache: Cache) -> None:
    with pytest.raises(TypeError, match="http is str"):
        cache.cached(60, http="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="CACHE_HTTP is int"):
        Cache(app, config={"CACHE_HTTP": 7})
    with pytest.raises(TypeError, match="cannot be called"):
        Http(requests="trusted", trusted="127.0.0.1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="targets"):
        Http(targets="CDN-Cache-Control")
    for targets, error in ((None, TypeError), ([5], ValueError)):
        with pytest.raises(error, match="targets"):
            Http(targets=targets)  # type: ignore[arg-type]
    for negative, error in (([404], TypeError), ({"404": 5}, ValueError), ({None: 5}, ValueError)):
        with pytest.raises(error, match=r"Http\(negative\)"):
            Http(negative=negative)  # type: ignore[arg-type]
    assert Http(negative={HTTPStatus.NOT_FOUND: "10s"}).negative == {404: "10s"}
    with pytest.raises(TypeError, match="etag='no'"):
        Http(etag="no")  # type: ignore[arg-type]


def test_the_compat_dialect_answers_as_flask_caching_does(app: Flask) -> None:
    cache = CompatCache(app, config={"CACHE_TYPE": "SimpleCache"})
    with pytest.raises(TypeError, match="use flask_larder"):
        cache.cached(60, http=True)
    with pytest.raises(ValueError, match="CACHE_HTTP"):
        CompatCache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_HTTP": True})
