"""Pages as HTTP wants them: what requests ask of caches, and what they change."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Calls
from flask import Flask, Response, make_response, request
from http_support import Site

from flask_larder import Cache, Http
from flask_larder.testing import HandClock

NO_CACHE = {"Cache-Control": "no-cache"}


def test_t6_13_a_client_that_wants_no_cache_gets_it_all_the_same(site: Site, calls: Calls) -> None:
    site.view("/", lambda: f"page {calls()}")
    site.get()
    for headers in (NO_CACHE, {"Pragma": "no-cache"}, {"Cache-Control": "no-store, max-age=0"}):
        assert site.status(headers=headers) == "Larder; hit; ttl=300"
    assert calls.count == 1


def test_t6_13_in_full_it_is_given_a_new_answer(site: Site, calls: Calls) -> None:
    site.view("/", lambda: f"page {calls()}", http=Http(requests="full"))
    assert site.status() == "Larder; fwd=miss; stored"
    assert site.status(headers=NO_CACHE) == "Larder; fwd=request; stored"
    assert site.status(headers={"Pragma": "no-cache"}) == "Larder; fwd=request; stored"
    assert site.get().data == b"page 3"


def test_t6_13_those_that_are_trusted_are_heard(site: Site, calls: Calls) -> None:
    def trusted(asked: Any) -> bool:
        return bool(asked.headers.get("X-Key") == "secret")

    site.view("/", lambda: f"page {calls()}", http=Http(requests="trusted", trusted=trusted))
    site.get()
    assert site.status(headers=NO_CACHE) == "Larder; hit; ttl=300"
    known = {**NO_CACHE, "X-Key": "secret"}
    assert site.status(headers=known) == "Larder; fwd=request; stored"


def test_the_age_and_the_rest_of_the_life_that_a_client_accepts(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    site.view("/", lambda: f"page {calls()}", stale=600, http=Http(requests="full"))
    site.get()
    clock.advance(100)
    assert site.get(headers={"Cache-Control": "max-age=100, min-fresh=200"}).data == b"page 1"
    assert site.get(headers={"Cache-Control": "max-age=99"}).data == b"page 2"
    assert site.get(headers={"Cache-Control": "min-fresh=301"}).data == b"page 3"
    clock.advance(310)
    answer = site.get(headers={"Cache-Control": "max-stale=5"})
    assert (answer.data, answer.headers["Cache-Status"]) == (
        b"page 4",
        "Larder; fwd=request; stored",
    )


def test_what_a_client_wants_nobody_to_keep(site: Site, calls: Calls) -> None:
    site.view("/", lambda: f"page {calls()}", http=Http(requests="full"))
    for count in (1, 2):
        answer = site.get(headers={"Cache-Control": "no-store"})
        assert answer.data == b"page %d" % count
    assert site.status() == "Larder; fwd=miss; stored"


def test_what_a_client_wants_from_the_cache_or_not_at_all(site: Site, calls: Calls) -> None:
    site.view("/", lambda: f"page {calls()}", http=Http(requests="full"))
    only = {"Cache-Control": "only-if-cached"}
    assert (site.get(headers=only).status_code, calls.count) == (504, 0)
    site.get()
    assert (site.get(headers=only).data, calls.count) == (b"page 1", 1)


class Posts:
    """A site of posts that can be read and changed."""

    def __init__(self, site: Site, calls: Calls) -> None:
        self.site = site
        self.answer: Any = None
        site.view("/posts", lambda: f"posts {calls()}")
        site.view("/posts/<int:number>", lambda number: f"post {number} {calls()}")
        site.view("/fixed", lambda: f"fixed {calls()}", key_prefix="all of them", http=False)

        @site.app.route("/posts", endpoint="change", methods=["POST", "PUT", "OPTIONS"])
        @site.app.route("/fixed", endpoint="fix", methods=["POST"])
        @site.app.route("/failing", endpoint="fail", methods=["POST"])
        def change() -> Any:
            if request.path == "/failing":
                raise LookupError
            return self.answer

    def read(self, *paths: str) -> list[str]:
        return [self.site.get(path).get_data(as_text=True) for path in paths]

    def change(self, answer: Any, path: str = "/posts", method: str = "POST") -> Response:
        self.answer = answer
        found: Response = self.site.get(path, method=method)
        return found


def test_t6_12_a_change_drops_the_page_of_its_url(site: Site, calls: Calls) -> None:
    posts = Posts(site, calls)
    before = posts.read("/posts", "/posts?page=2", "/posts/7")
    assert posts.read("/posts", "/posts?page=2", "/posts/7") == before
    assert posts.change("done", method="PUT").data == b"done"
    after = posts.read("/posts", "/posts?page=2", "/posts/7")
    assert after == ["posts 4", "posts 5", "post 7 3"]


def test_t6_12_a_change_drops_what_it_names_on_the_same_host(site: Site, calls: Calls) -> None:
    posts = Posts(site, calls)
    for field in ("Location", "Content-Location"):
        for value in ("/posts/7", "posts/7?x=1", "http://localhost/posts/7"):
            before = posts.read("/posts/7", "/posts/8")
            posts.change(("done", 201, {field: value}))
            after = posts.read("/posts/7", "/posts/8")
            assert (after[0] != before[0], after[1] == before[1]) == (True, True), (field, value)
        before = posts.read("/posts/7")
        posts.change(("done", 201, {field: "http://elsewhere.example/posts/7"}))
        assert posts.read("/posts/7") == before


def test_t6_12_a_change_that_failed_drops_nothing(site: Site, calls: Calls) -> None:
    posts = Posts(site, calls)
    before = posts.read("/posts")
    for answer in [("no", 500), ("no", 404), ("no", 412)]:
        posts.change(answer)
        assert posts.read("/posts") == before
    site.app.testing = False
    site.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert posts.change("", "/failing").status_code == 500
    posts.change("fine", method="OPTIONS")
    assert posts.read("/posts") == before
    posts.change(("", 303, {"Location": "/posts"}))
    assert posts.read("/posts") != before


def test_a_change_drops_a_page_with_a_name_of_its_own(site: Site, calls: Calls) -> None:
    posts = Posts(site, calls)
    before = posts.read("/fixed", "/posts")
    posts.change("done", "/fixed")
    after = posts.read("/fixed", "/posts")
    assert (after[0] != before[0], after[1]) == (True, before[1])


def test_a_change_below_the_place_where_the_application_is_mounted(
    site: Site, calls: Calls
) -> None:
    posts = Posts(site, calls)
    root = "http://localhost/shop"
    read = lambda: site.get("/posts/7", base_url=root).data  # noqa: E731
    before = read()
    for location, dropped in [("/posts/7", False), ("/shop/posts/7", True)]:
        posts.answer = make_response_of(site.app, location)
        site.get("/posts", method="POST", base_url=root)
        assert (read() != before) is dropped


def make_response_of(app: Flask, location: str) -> Response:
    with app.app_context():
        response = make_response("done", 201)
    response.headers["Location"] = location
    return response


def test_without_it_a_change_drops_nothing(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/", "index", cache.cached(60)(lambda: f"page {calls()}"))
    app.add_url_rule("/", "change", lambda: "done", methods=["POST"])
    client = app.test_client()
    client.get("/")
    client.post("/")
    assert client.get("/").data == b"page 1"


@pytest.mark.parametrize("early", [True, False])
def test_changes_are_noticed_before_any_page_was_asked_for(
    app: Flask, common: dict[str, Any], calls: Calls, early: bool
) -> None:
    """The process that changes something may be one that never served the page."""
    cache = Cache() if early else Cache(app, config=common)
    app.add_url_rule("/", "index", cache.cached(60, http=True)(lambda: f"page {calls()}"))
    app.add_url_rule("/", "change", lambda: "done", methods=["POST"])
    if early:
        cache.init_app(app, config=common)
    other = Flask("other")
    twin = Cache(other, config=common)
    other.add_url_rule("/", "index", twin.cached(60, http=True)(lambda: f"page {calls()}"))
    assert other.test_client().get("/").data == b"page 1"
    app.test_client().post("/")
    assert other.test_client().get("/").data == b"page 2"


def test_a_store_that_is_away_fails_no_change(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": "redis://127.0.0.1:1"}
    cache = Cache(app, config={**config, "CACHE_HTTP": True})
    app.add_url_rule("/", "index", cache.cached(60)(lambda: "page"))
    app.add_url_rule("/", "change", lambda: "done", methods=["POST"])
    assert app.test_client().post("/").data == b"done"
    assert "the store is away: the pages of / will be dropped" in caplog.text
