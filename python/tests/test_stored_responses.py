"""A response that comes from the cache is, to the hooks of an application, like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, make_response
from werkzeug.datastructures import Headers

from flask_larder import Cache, CachedResponse

Hook = Callable[[Response], Response]


def with_header(response: Response) -> Response:
    response.headers["X-Hook"] = "1"
    return response


def with_status(response: Response) -> Response:
    response.status_code = 404
    return response


def with_status_line(response: Response) -> Response:
    response.status = "201 CREATED"
    return response


def with_data(response: Response) -> Response:
    response.data = b"another body"
    return response


def with_pieces(response: Response) -> Response:
    response.response = [b"a", b"b"]
    response.headers["Content-Length"] = "2"
    return response


def with_headers_replaced(response: Response) -> Response:
    response.headers = Headers([("X-Only", "1"), ("Content-Length", "5")])
    return response


def made_again(response: Response) -> Response:
    return make_response(response, 203)


def with_cookie(response: Response) -> Response:
    response.set_cookie("seen", "1")
    return response


def with_etag(response: Response) -> Response:
    response.add_etag()
    return response


def with_attribute(response: Response) -> Response:
    vars(response)["note"] = 1
    return response


def with_lifetime(response: Response) -> Response:
    return CachedResponse(response, 5)


def frozen(response: Response) -> Response:
    response.freeze()
    return response


def looked_at(response: Response) -> Response:
    assert response.get_data() == b"hello"
    assert (response.status, response.mimetype) == ("200 OK", "text/plain")
    assert response.content_length == 5
    assert response.is_sequence
    assert not hasattr(response, "no_such_part")
    return response


HOOKS = [
    with_header,
    with_status,
    with_status_line,
    with_data,
    with_pieces,
    with_headers_replaced,
    made_again,
    with_cookie,
    with_etag,
    with_attribute,
    with_lifetime,
    frozen,
    looked_at,
]


def seen(response: Any) -> tuple[str, bytes, list[tuple[str, str]]]:
    return response.status, response.data, sorted(response.headers)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_a_hook_does_to_a_hit_what_it_does_to_a_miss(hook: Hook) -> None:
    app = Flask("hooks")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    calls: list[int] = []

    @app.route("/")
    @cache.cached()
    def page() -> Response:
        calls.append(1)
        return Response("hello", mimetype="text/plain")

    app.after_request(hook)
    client = app.test_client()
    miss = seen(client.get("/"))
    hits = [seen(client.get("/")) for _ in range(3)]
    head = seen(client.head("/"))
    assert len(calls) == 1
    assert hits == [miss] * 3
    assert head == (miss[0], b"", miss[2])


def test_what_closes_a_response_runs_for_a_hit() -> None:
    app = Flask("closing")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    closed: list[int] = []

    @app.route("/")
    @cache.cached()
    def page() -> Response:
        return Response("hello")

    @app.after_request
    def close_later(response: Response) -> Response:
        response.call_on_close(lambda: closed.append(1))
        return response

    client = app.test_client()
    for _ in range(3):
        with client.get("/") as response:
            assert response.data == b"hello"
    assert len(closed) == 3


def test_a_hook_that_changes_a_hit_changes_no_other() -> None:
    app = Flask("apart")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    spoil: list[bool] = []

    @app.route("/")
    @cache.cached()
    def page() -> Response:
        return Response("hello")

    @app.after_request
    def change(response: Response) -> Response:
        if spoil:
            response.headers.clear()
            assert isinstance(response.response, list)
            response.response.append(b"spoilt")
        return response

    client = app.test_client()
    first = seen(client.get("/"))
    spoil.append(True)
    client.get("/")
    spoil.clear()
    assert seen(client.get("/")) == first


@pytest.mark.parametrize("part", ["shop", ["shop"]])
def test_parts_that_a_response_class_adds_are_there(app: Flask, cache: Cache, part: Any) -> None:
    """Also those that Werkzeug added in one version and dropped in another."""

    class Marked(Response):
        def __new__(cls, *_args: Any, **_kwargs: Any) -> Marked:
            made = super().__new__(cls)
            vars(made)["mark"] = part if isinstance(part, str) else [*part]
            return made

    app.response_class = Marked
    app.add_url_rule("/", "index", cache.cached(60)(lambda: make_response("body")))
    marks: list[Any] = []

    @app.after_request
    def note(response: Any) -> Response:
        marks.append(response.mark)
        return response

    client = app.test_client()
    assert [client.get("/").get_data() for _ in range(3)] == [b"body"] * 3
    assert marks == [part] * 3
    if isinstance(part, list):
        assert marks[1] is not marks[2]
