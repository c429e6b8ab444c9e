"""Nobody steers a key: what a request says besides its host, path and query makes no other entry and fills
none of somebody else's, unless a rule says so; and no two requests that the application tells apart share
one."""

from __future__ import annotations

from typing import Any

import properties  # noqa: F401 (how the property tests run)
import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_app import STEERS, build
from test_bad_input import Twins, ask, outcome
from werkzeug.middleware.proxy_fix import ProxyFix


def environ_name(name: str) -> str:
    """A header's name in a WSGI environment."""
    return "HTTP_" + name.upper().replace("-", "_")


@pytest.mark.parametrize("name", STEERS)
def test_no_header_steers_the_key(store: dict[str, Any], name: str) -> None:
    app = build(store)
    steer = {environ_name(name): STEERS[name]}
    # Whoever comes first: both get the same page, made once, with nothing of the header in it.
    for first, second in (({}, steer), (steer, {})):
        query = {"QUERY_STRING": f"turn={len(first)}"}
        assert ask(app, {**query, **first}) == (heard := ask(app, {**query, **second}))
        assert b"evil" not in heard[2]
        assert heard[2].startswith(b"GET a.example '/page'")


@pytest.mark.parametrize("name", STEERS)
def test_a_view_that_believes_a_header_steers_only_its_own_answer(
    store: dict[str, Any], name: str
) -> None:
    twins = Twins(store)
    steer = {"PATH_INFO": "/naive", environ_name(name): STEERS[name]}
    for changes in (steer, {"PATH_INFO": "/naive"}, steer):
        twins.agree(changes)


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI", "PATH_TRANSLATED", "UNENCODED_URL"])
def test_the_target_as_it_was_written_steers_nothing(store: dict[str, Any], name: str) -> None:
    app = build(store)
    page = ask(app, {})
    for target in ("http://evil.example/page", "//evil.example/page", "/varied", "/pa%67e", "*"):
        assert ask(app, {name: target}) == page


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Port"]
)
def test_what_a_trusted_proxy_says_is_in_the_key(store: dict[str, Any], name: str) -> None:
    app = build(store)
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_proto=1, x_host=1, x_prefix=1, x_port=1
    )
    steer = {environ_name(name): STEERS[name]}
    page, steered = ask(app, {}), ask(app, steer)
    assert page[2] != steered[2]
    assert [ask(app, {}), ask(app, steer)][0][2] == page[2]
    assert ask(app, steer)[2] == steered[2]


PATHS = [
    "/under/account",
    "/under/account/",
    "/under//account",
    "//under/account",
    "/under/account;x=1",
    "/under/account;x.css",
    "/under/account/x.css",
    "/under/account%2Fx.css",
    "/under/account%252Fx.css",
    "/under/account?x.css",
    "/under/account#x.css",
    "/under/account%3Fx.css",
    "/under/account/.",
    "/under/./account",
    "/under/x/../account",
    "/under/..%2faccount",
    "/under/Account",
    "/under/account ",
    "/under/account+",
    "/under/account\0",
    "/under/account%00",
    "/under/account\\",
    "/under/account|variant",
    "/under/account:60",
    "/under/acc\u00c3\u00a9",
    "/under/acce\u00cc\u0081",
    "/under/acc\u00ff",
    "/under/acc\u00fe",
    "/page",
    "/page/",
    "/page;jsessionid=1",
    "/PAGE",
]
QUERIES = [
    "",
    "a",
    "a=",
    "a=1",
    "a=1&b=2",
    "b=2&a=1",
    "a=1%26b=2",
    "a=1;b=2",
    "a=1&a=2",
    "a=2&a=1",
    "a=1&b=2&a=3",
    "%61=1",
    "a=%31",
    "a=+",
    "a=%20",
    "a=%2B",
    "a=%",
    "a=%zz",
    "a=%ff",
    "a=%fe",
    "a=%C3%A9",
    "a=\u00c3\u00a9",
    "&",
    "&&a=1",
    "=1",
    "==",
    "a==1",
    "a=1#b",
    "a=1?b=2",
    "a%00=1",
    "a[]=1",
    "A=1",
    "utm_source=x&a=1",
]


@pytest.mark.parametrize(("name", "texts"), [("PATH_INFO", PATHS), ("QUERY_STRING", QUERIES)])
def test_no_two_targets_that_the_application_tells_apart_share_an_entry(
    store: dict[str, Any], name: str, texts: list[str]
) -> None:
    twins = Twins(store)
    # Twice, because then there are the entries of all the others.
    for _ in range(2):
        for text in texts:
            twins.agree({name: text})


def soup(*words: str) -> Any:
    """Texts made of the words that a parser looks for, in any order."""
    return st.lists(st.sampled_from(words), max_size=8).map("".join)


class Memory:
    """Twins that remember: each example is asked among the entries of all those before."""

    twins: Twins | None = None

    @classmethod
    def agree(cls, changes: dict[str, Any]) -> None:
        """What the cache answers is what the application says."""
        if cls.twins is None:
            cls.twins = Twins({"CACHE_TYPE": "SimpleCache"})
        expected = outcome(cls.twins.plain, changes)
        assert [outcome(cls.twins.cached, changes) for _ in range(2)] == [expected] * 2, changes


@given(soup("theme", "=", "; ", ";", " ", '"', "\\", "a", "b", ",", "%61", "\t", "\\141", "é"))
def test_the_cookie_that_is_in_the_key_is_the_one_that_the_view_reads(line: str) -> None:
    Memory.agree({"PATH_INFO": "/cookie", "HTTP_COOKIE": line})


# Without bytes that are no text: the view would fail over them, also where they are in a parameter that
# is not in the key, and what is stored for the others answers without it.
@given(soup("user", "=", "&", ";", "+", "%75ser", "%", "%2", "a", "b", "%00", "%ff", "%26"))
def test_the_parameter_that_is_in_the_key_is_the_one_that_the_view_reads(text: str) -> None:
    Memory.agree({"PATH_INFO": "/parameter", "QUERY_STRING": text})


@given(soup("user", "=", "&", ";", "+", "%75ser", "%", "%2", "a", "b", "%00", "%ff", "%26", "é"))
def test_queries_that_are_read_as_different_are_different(text: str) -> None:
    Memory.agree({"QUERY_STRING": text})


@given(soup("/", ".", "..", ";", "a", "A", "%2f", "%", "?", "#", "\\", "é", "\xff", " ", "\0", "|"))
def test_paths_that_are_read_as_different_are_different(text: str) -> None:
    Memory.agree({"PATH_INFO": f"/under/{text}"})


@given(soup("a.example", "evil", ":", "80", "443", "@", "/", ".", ",", " ", "[::1]", "-", "_", "é"))
def test_hosts_that_are_read_as_different_are_different(host: str) -> None:
    Memory.agree({"HTTP_HOST": host})
    Memory.agree({"HTTP_HOST": host, "wsgi.url_scheme": "https"})
