"""What no server should hand over: the cache answers as the application would, or not at all, and what is
stored stays as it is."""

from __future__ import annotations

import io
from typing import Any

import pytest
from input_app import build

BASE: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/page",
    "QUERY_STRING": "",
    "SERVER_NAME": "a.example",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "a.example",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
LONG = "x" * (64 << 10)
TEXTS = [
    "a\0b",
    "a\r\nSet-Cookie: b=c",
    "\xff\xfe",
    "\xed\xa0\x80",
    "\u20ac and \U0001f98a",
    "\ud800",
    LONG,
    "",
    ",",
    ";",
    "=",
    "a=b; " * 5000,
    "%00%ff%0d%0a",
]


def ask(app: Any, changes: dict[str, Any]) -> tuple[str, str, bytes]:
    """The status, the count of calls and the body of an answer; a name that is given None is left out."""
    environ = {**BASE, "wsgi.input": io.BytesIO(b"steer"), "wsgi.errors": io.StringIO(), **changes}
    environ = {name: value for name, value in environ.items() if value is not None}
    started: list[Any] = []
    said = app.wsgi_app(environ, lambda status, headers, _=None: started.append((status, headers)))
    body = b"".join(said)
    said.close()
    ((status, headers),) = started
    return status, dict(headers)["X-Calls"], body


def outcome(app: Any, changes: dict[str, Any]) -> Any:
    """What the client is told: the answer, or the sort of error that the server makes a 500 of."""
    try:
        status, _, body = ask(app, changes)
    except Exception as error:
        return type(error)
    return status, body


class Twins:
    """One application with a cache, and the same without."""

    def __init__(self, store: dict[str, Any]) -> None:
        self.cached = build({**store, "CACHE_THRESHOLD": 10_000})
        self.plain = build({"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
        for app in (self.cached, self.plain):
            # An error is the server's, as in production.
            app.config["PROPAGATE_EXCEPTIONS"] = False
        self.page = ask(self.cached, {})

    def agree(self, changes: dict[str, Any]) -> None:
        """The cache changes nothing: not the first answer, not the next ones, not the page that is there."""
        expected = outcome(self.plain, changes)
        for _ in range(3):
            assert outcome(self.cached, changes) == expected, changes
        first, second = ask(self.cached, {}), ask(self.cached, {})
        assert first[2] == second[2] == self.page[2], changes
        assert first[1] == second[1], changes


@pytest.fixture
def twins(store: dict[str, Any]) -> Twins:
    return Twins(store)


@pytest.mark.parametrize("path", ["/page", "/varied", "/under/x"])
@pytest.mark.parametrize(
    "name",
    [
        "HTTP_X_A",
        "HTTP_COOKIE",
        "QUERY_STRING",
        "HTTP_HOST",
        "SERVER_NAME",
        "SERVER_PROTOCOL",
        "SCRIPT_NAME",
        "HTTP_RANGE",
        "HTTP_IF_NONE_MATCH",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_CACHE_CONTROL",
        "HTTP_ACCEPT_ENCODING",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
    ],
)
def test_a_value_of_any_sort_changes_nothing(twins: Twins, path: str, name: str) -> None:
    for text in TEXTS:
        twins.agree({"PATH_INFO": path, name: text})
    twins.agree({"PATH_INFO": path, name: None})


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_path_of_any_sort_changes_nothing(twins: Twins, text: str) -> None:
    for path in (text, f"/under/{text}", f"/page{text}", f"/page/{text}", f"{text}/page"):
        twins.agree({"PATH_INFO": path})


def test_a_method_of_any_sort_changes_nothing(twins: Twins) -> None:
    for method in ["get", "HEAD", "POST", "OPTIONS", "PUT", "BREW", "", "G\0T", "GET ", LONG]:
        twins.agree({"REQUEST_METHOD": method})


def test_a_million_ranges_are_bounded_work(twins: Twins) -> None:
    for each in ("0-", "0-0", "1-1,2-", "-1"):
        twins.agree({"HTTP_RANGE": "bytes=" + ",".join([each] * 1_000_000)})


def test_headers_without_end_change_nothing(twins: Twins) -> None:
    flood = {f"HTTP_X_{number}": str(number) for number in range(10_000)}
    for path in ("/page", "/varied"):
        twins.agree({"PATH_INFO": path, **flood})


def test_a_scheme_of_any_sort_changes_nothing(twins: Twins) -> None:
    for scheme in ("https", "javascript", "", "a\0b", "\u20ac"):
        twins.agree({"wsgi.url_scheme": scheme})
