"""Pages as HTTP wants them: what is read from a store for a request that wants less than a page, and
queries that make no difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import foreign_backends
import pytest
import redis
from conftest import Calls, RedisServer, redis_config
from flask import Flask, request
from http_support import Site, of_sort

from flask_larder import Cache, Http
from flask_larder.testing import HandClock

BODY = "".join(f"{number:07}" for number in range(30_000))


class Counted(foreign_backends.Plain):
    """Counts the bytes that are read from it."""

    read = 0

    def get(self, key: str) -> Any:
        found = super().get(key)
        Counted.read += len(found or b"")
        return found


def counted(*_given: Any, **_options: Any) -> Counted:
    """What CACHE_TYPE names."""
    return Counted()


def read_from_a_back_end(app: Flask) -> tuple[Cache, Callable[[], int]]:
    cache = Cache(app, config={"CACHE_TYPE": f"{__name__}.counted"})
    return cache, lambda: Counted.read


def read_from_redis(app: Flask, server: RedisServer) -> tuple[Cache, Callable[[], int]]:
    cache = Cache(app, config=redis_config(server.url))
    client = redis.Redis(port=server.port)

    def sent() -> int:
        found: Any = client.info("stats")
        return int(found["total_net_output_bytes"])

    return cache, sent


@pytest.mark.parametrize("sort", ["sync", "async"])
@pytest.mark.parametrize("store", ["back end", "redis"])
def test_t6_1_no_body_is_read_for_who_has_it(
    app: Flask, clock: HandClock, request: pytest.FixtureRequest, sort: str, store: str
) -> None:
    if store == "redis":
        cache, read = read_from_redis(app, request.getfixturevalue("own_redis"))
    else:
        cache, read = read_from_a_back_end(app)
    view = cache.cached(300, http=True, stale=600)(of_sort(sort, lambda: BODY))
    app.add_url_rule("/", "index", view)
    client = app.test_client()
    etag = client.get("/").headers["ETag"]
    before = read()
    for method, headers, status in [
        ("GET", {"If-None-Match": etag}, 304),
        ("HEAD", {}, 200),
        ("HEAD", {"If-None-Match": etag}, 304),
    ]:
        answer = client.open("/", method=method, headers=headers)
        assert (answer.status_code, answer.data) == (status, b"")
        assert answer.headers["Cache-Status"] == "Larder; hit; ttl=300"
        if status == 200:
            assert answer.headers["Content-Length"] == str(len(BODY))
    assert read() - before < 20_000
    assert client.get("/", headers={"If-None-Match": '"other"'}).data == BODY.encode()
    assert read() - before > len(BODY)
    with app.app_context():
        (counters,) = cache.stats()["functions"].values()
    assert (counters["hits"], counters["misses"]) == (4, 1)
    # What is stale is read whole, for it is refreshed.
    clock.advance(301)
    answer = client.get("/", headers={"If-None-Match": etag})
    assert (answer.status_code, "stale" in answer.headers["Cache-Status"]) == (304, True)
    # Before its server is stopped: what it says of that would be in the log of the test after it.
    cache._background.join()


def test_a_store_that_is_away_is_no_error_for_who_wants_less(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": "redis://127.0.0.1:1"}
    cache = Cache(app, config=config)
    app.add_url_rule("/", "index", cache.cached(60, http=True)(lambda: "page"))
    answer = app.test_client().get("/", headers={"If-None-Match": '"x"'})
    assert (answer.status_code, answer.data) == (200, b"page")


TRACKED = {"No-Vary-Search": 'params=("utm_source"), key-order'}
OBEYED = Http(no_vary_search=True)


def test_t6_11_parameters_that_make_no_difference(site: Site, calls: Calls) -> None:
    site.view("/", lambda: (f"{request.args.get('id')} {calls()}", TRACKED), http=OBEYED)
    site.view("/other", lambda: f"other {calls()}", http=OBEYED)
    queries = ["?id=1&b=2&utm_source=a", "?b=2&id=1", "?%69d=1&utm_source=x&b=2", "?b=%32&&id=1"]
    assert [site.get("/" + query).data for query in queries] == [b"1 1"] * 4
    assert [site.get("/" + query).data for query in ("?id=2&b=2", "?id=1")] == [b"2 2", b"1 3"]
    # One path says nothing of another.
    both = [site.get("/other" + query).data for query in ("?utm_source=a", "")]
    assert both == [b"other 4", b"other 5"]
    etag = site.get("/?id=1").headers["ETag"]
    answer = site.get("/?utm_source=z&id=1", headers={"If-None-Match": etag})
    assert (answer.status_code, calls.count) == (304, 5)


def test_t6_11_where_nobody_listens_it_is_a_header_like_others(site: Site, calls: Calls) -> None:
    site.view("/", lambda: (f"page {calls()}", TRACKED))
    assert [site.get(path).data for path in ("/", "/?utm_source=a")] == [b"page 1", b"page 2"]
    assert site.get("/").headers["No-Vary-Search"] == TRACKED["No-Vary-Search"]


@pytest.mark.parametrize(
    "says", ['params=("utm_source"), except=("id")', 'except=("id")', "params=(x)", "?", ""]
)
def test_t6_11_a_field_that_contradicts_itself_is_none(site: Site, calls: Calls, says: str) -> None:
    site.view("/", lambda: (f"page {calls()}", {"No-Vary-Search": says}), http=OBEYED)
    assert [site.get(path).data for path in ("/", "/?utm_source=a")] == [b"page 1", b"page 2"]


def test_t6_11_what_was_said_last_counts(site: Site, calls: Calls, clock: HandClock) -> None:
    says = [TRACKED["No-Vary-Search"], "params", ""]

    def page() -> Any:
        return f"page {calls()}", {"No-Vary-Search": says[calls.count - 1]}

    site.view("/", page, http=OBEYED)
    assert [site.get(path).data for path in ("/?a=1", "/?a=1&utm_source=b")] == [b"page 1"] * 2
    # The second answer says that no parameter makes a difference, the third that each does.
    assert [site.get(path).data for path in ("/?a=2", "/?a=3")] == [b"page 2"] * 2
    clock.advance(301)
    assert [site.get(path).data for path in ("/?a=4", "/?a=4")] == [b"page 3"] * 2
    says.append("")
    assert site.get("/?a=5").data == b"page 4"


def test_t6_11_the_key_of_a_view_may_hold_chosen_parameters_only(site: Site, calls: Calls) -> None:
    from flask_larder import query

    view = site.view("/", lambda: (f"page {calls()}", TRACKED), http=OBEYED, vary=[query("id")])
    assert view is not None
    paths = ("/?id=1&utm_source=a", "/?utm_source=b&id=1", "/?id=1&x=1")
    assert [site.get(path).data for path in paths] == [b"page 1"] * 3
    assert site.get("/?id=2").data == b"page 2"
