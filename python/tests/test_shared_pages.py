"""Pages that a Flask application and a Rust service have in common: one key, one stored form."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls, free_port, redis_config, text_of, wait_for_port
from flask import Flask, Response, jsonify, make_response, redirect, session
from flask import request as flask_request
from test_golden import cases
from werkzeug.exceptions import NotFound

from flask_larder import Cache, _native, vary
from flask_larder.compat import Cache as CompatCache
from flask_larder.decorated import DECORATED
from flask_larder.testing import HandClock

ROOT = Path(__file__).resolve().parents[2]


# The key.


@pytest.mark.parametrize("case", cases("pages"), ids=lambda case: case["name"])
def test_keys(case: dict[str, Any]) -> None:
    app = Flask("shop")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    inputs = [vary.header(name.title()) for name in case.get("vary", [])]
    inputs += [vary.cookie(name) for name in case.get("cookies", [])]
    inputs += [vary.query(name) for name in case.get("parameters", [])]
    seen: list[Any] = []

    @app.get("/")
    @app.get("/<path:rest>")
    @cache.cached(60, as_page=True, vary=inputs)
    def page(**_arguments: str) -> str:
        seen.append(decorated.key((), {}))
        return "a page"

    decorated = getattr(page, DECORATED)
    headers = [tuple(pair) for pair in case.get("headers", []) if pair[0] != "cookie"]
    environ = {f"HTTP_{name.upper()}": value for name, value in case.get("headers", [])}
    client = app.test_client(use_cookies=False)
    answer = client.get(
        case["path"],
        query_string=case.get("query"),
        base_url=f"{case['scheme']}://{case['host']}",
        headers=headers,
        environ_overrides={"HTTP_HOST": case["host"], **environ},
    )
    assert answer.status_code == 200
    (key,) = seen
    assert key.digest == case["digest"]
    assert cache.get(key.text) is not None


# What is stored.


@pytest.fixture
def page(app: Flask, cache: Cache, calls: Calls) -> Callable[..., Any]:
    """A view at `/` that answers what it is given, and the stored page of its answer."""

    def stored(answer: Callable[[], Any], **options: Any) -> Any:
        decorated = cache.cached(60, as_page=True, **options)
        app.add_url_rule("/", "answer", decorated(lambda: calls() and answer()))
        client = app.test_client()
        first, second = client.get("/"), client.get("/")
        assert (first.status_code, first.data) == (second.status_code, second.data)
        assert first.headers.to_wsgi_list() == second.headers.to_wsgi_list()
        found = cache._engine().variants("view//")
        return found[0] if found else None

    return stored


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (lambda: "text", 200, b"text"),
        (lambda: b"bytes", 200, b"bytes"),
        (lambda: {"a": 1}, 200, b'{"a":1}\n'),
        pytest.param(
            lambda: [1, 2],
            200,
            b"[1,2]\n",
            marks=pytest.mark.skipif(
                not hasattr(Flask, "json_provider_class"), reason="not for this Flask"
            ),
        ),
        (lambda: ("text", 203, {"x-a": "b"}), 203, b"text"),
        (lambda: jsonify(1), 200, b"1\n"),
        (lambda: make_response("made", 203), 203, b"made"),
        (lambda: redirect("/there", 301), 301, None),
    ],
    ids=["str", "bytes", "dict", "list", "tuple", "json", "response", "redirect"],
)
def test_the_finished_response_is_stored(
    page: Callable[..., Any], calls: Calls, answer: Callable[[], Any], status: int, body: Any
) -> None:
    found = page(answer)
    assert type(found) is _native.Page
    assert found.status == status
    assert body is None or found.body == body
    assert "Content-Type" in dict(found.headers)
    assert calls.count == 1


def test_hooks_run_at_each_hit_and_are_not_stored(
    app: Flask, page: Callable[..., Any], calls: Calls
) -> None:
    @app.after_request
    def number(response: Response) -> Response:
        response.headers["x-hook"] = "ran"
        return response

    found = page(lambda: "text")
    assert "x-hook" not in dict(found.headers)
    assert app.test_client().get("/").headers["x-hook"] == "ran"
    assert calls.count == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: ("gone", 404),
        lambda: ("mine", 200, {"Set-Cookie": "sid=7"}),
        lambda: session.get("user") or "text",
        lambda: Response(iter(["a", "b"]), mimetype="text/event-stream"),
    ],
    ids=["status", "cookie", "session", "stream"],
)
def test_what_must_not_be_stored_is_not(
    app: Flask, page: Callable[..., Any], calls: Calls, answer: Callable[[], Any]
) -> None:
    app.secret_key = "x"
    assert page(answer) is None
    assert calls.count == 2


def test_errors_are_not_stored(app: Flask, cache: Cache, calls: Calls) -> None:
    @app.get("/")
    @cache.cached(60, as_page=True)
    def answer() -> str:
        calls()
        raise NotFound

    assert [app.test_client().get("/").status_code for _ in range(2)] == [404] * 2
    assert calls.count == 2


def test_a_page_is_removed_as_any_view_is(app: Flask, cache: Cache, calls: Calls) -> None:
    @app.get("/products/<kind>")
    @cache.cached(60, as_page=True, tags=["products"])
    def products(kind: str) -> str:
        return f"{kind} {calls()} {flask_request.args.get('page')}"

    client = app.test_client()
    removals: list[Callable[[], Any]] = [
        lambda: cache.delete("view//products/saws"),
        lambda: cache.delete_cached(products, path="/products/saws"),
        lambda: cache.delete_many("view//prod*"),
        lambda: cache.invalidate_tags("products"),
    ]
    for count, remove in enumerate(removals, 1):
        assert text_of(client, "/products/saws?page=2") == f"saws {count} 2"
        assert text_of(client, "/products/saws?page=2") == f"saws {count} 2"
        with app.app_context():
            remove()
    assert text_of(client, "/products/saws?page=2") == f"saws {len(removals) + 1} 2"


def test_it_is_refreshed_behind_the_answer(
    app: Flask, cache: Cache, clock: HandClock, calls: Calls
) -> None:
    @app.get("/")
    @cache.cached(60, as_page=True, stale=600)
    def answer() -> dict[str, int]:
        return {"call": calls()}

    client = app.test_client()
    assert text_of(client) == '{"call":1}\n'
    clock.advance(100)
    assert text_of(client) == '{"call":1}\n'
    cache._background.join()
    assert text_of(client) == '{"call":2}\n'


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"key_prefix": "mine"}, "leave out key_prefix"),
        ({"query_string": True}, "leave out query_string"),
        ({"make_cache_key": lambda: "mine"}, "leave out make_cache_key"),
        ({"source_check": True}, "leave out source_check"),
        ({"vary": [lambda: 1]}, "a callable in vary= is known to this program only"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_service_could_not_know_is_refused(
    cache: Cache, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        cache.cached(60, as_page=True, **options)


def test_the_other_dialect_has_keys_of_its_own() -> None:
    with pytest.raises(TypeError, match="use flask_larder"):
        CompatCache().cached(60, as_page=True)


# With a real service, over a real store.


@pytest.fixture(scope="session")
def program() -> Path:
    """The Rust service, built."""
    given = os.environ.get("LARDER_TEST_NEIGHBOUR")
    if given is None and shutil.which("cargo") is None:
        pytest.skip("the Rust service is not built, and there is no cargo to build it")
    if given is None:
        build = ["cargo", "build", "-q", "-p", "larder-tower", "--example", "flask_neighbour"]
        subprocess.run(build, cwd=ROOT, check=True)
        given = str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / NEIGHBOUR)
    return Path(given)


NEIGHBOUR = "debug/examples/flask_neighbour"


class Neighbour:
    """The Rust service, on one store with the application."""

    def __init__(self, program: Path, store: str, namespace: str) -> None:
        self.port = free_port()
        settings = {"LARDER_SECRET": "a key for tests", "LARDER_NAMESPACE": namespace}
        self.process = subprocess.Popen(
            [program, f"127.0.0.1:{self.port}", store], env={**os.environ, **settings}
        )
        wait_for_port(self.port, self.process)

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as link:
            link.request(method, path, body, {"Host": "shop.example", **sent})
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()

    def get(self, path: str, **headers: str) -> str:
        status, _, body = self.ask("GET", path, **headers)
        assert status == 200
        return str(body)


@pytest.fixture(params=["redis", "shared"])
def both(
    request: pytest.FixtureRequest, app: Flask, program: Path, tmp_path: Path
) -> Generator[tuple[Any, Cache, Neighbour]]:
    """A client of an application, its cache, and the service beside it, on one store."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        config = redis_config(url)
        # As patient as the application is in tests.
        url = f"{url}?deadline=30s"
    else:
        url = f"shared://{tmp_path}/cache"
        config = {"CACHE_URL": url, "CACHE_KEY_PREFIX": "shop_"}
    cache = Cache(app, config=config)

    @app.get("/pages/<name>")
    @cache.cached(60, as_page=True, vary=["Accept-Language"])
    def page(name: str) -> tuple[str, int, dict[str, str]]:
        query = flask_request.query_string.decode()
        return f"the application's {name}?{query}", 200, {"x-from": "flask"}

    neighbour = Neighbour(program, url, config["CACHE_KEY_PREFIX"])
    try:
        yield app.test_client(), cache, neighbour
    finally:
        neighbour.process.kill()
        neighbour.process.wait()


HERE = {"base_url": "http://shop.example"}


def test_the_service_answers_with_what_the_application_stored(
    both: tuple[Any, Cache, Neighbour],
) -> None:
    client, _, neighbour = both
    own = text_of(client, "/pages/caf%C3%A9?b=2&a=1", **HERE)
    assert own == "the application's café?b=2&a=1"
    status, headers, body = neighbour.ask("GET", "/pages/caf%c3%a9?a=1&b=2")
    assert (status, body, headers["x-from"]) == (200, own, "flask")
    assert headers["cache-status"].startswith("Larder; hit")
    assert headers["content-type"] == "text/html; charset=utf-8"
    # Another query, another language, another host: another page.
    assert neighbour.get("/pages/caf%c3%a9?a=1").startswith("the service's")
    assert neighbour.get("/pages/caf%c3%a9?a=1&b=2", Accept_Language="de").startswith("the service")
    assert neighbour.get("/pages/caf%c3%a9?a=1&b=2", Host="x.example").startswith("the service's")


def test_the_application_answers_with_what_the_service_stored(
    both: tuple[Any, Cache, Neighbour],
) -> None:
    client, cache, neighbour = both
    stored = neighbour.get("/pages/lamp?page=2", Accept_Language="de")
    assert stored == "the service's /pages/lamp?page=2"
    answer = client.get("/pages/lamp?page=2", headers={"Accept-Language": "de"}, **HERE)
    assert answer.get_data(as_text=True) == stored
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text_of(client, "/pages/lamp?page=2", **HERE).startswith("the application's")
    (counters,) = cache.stats()["functions"].values()
    assert (counters["hits"], counters["misses"]) == (1, 1)


def test_each_forgets_what_the_other_stored(both: tuple[Any, Cache, Neighbour], app: Flask) -> None:
    client, cache, neighbour = both
    with app.app_context():
        for remove in (
            lambda: cache.delete("view//pages/lamp"),
            lambda: cache.invalidate_tags("pages"),
            cache.clear,
        ):
            neighbour.get("/pages/lamp")
            assert text_of(client, "/pages/lamp", **HERE) == "the service's /pages/lamp"
            remove()
            assert text_of(client, "/pages/lamp", **HERE) == "the application's lamp?"
            assert cache.delete("view//pages/lamp")
    assert text_of(client, "/pages/lamp", **HERE) == "the application's lamp?"
    assert neighbour.ask("POST", "/forget", "/pages/lamp")[2] == "true"
    assert neighbour.get("/pages/lamp") == "the service's /pages/lamp"
