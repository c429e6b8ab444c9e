"""Pages in content codings: each client gets what it takes, of one call of the view and one compression."""

from __future__ import annotations

import gzip
from typing import Any

import brotli
import pytest
import zstandard
from conftest import Calls
from flask import Flask, Response, request
from http_support import Site

from flask_larder import Cache, Http, _native
from flask_larder.testing import HandClock

ALL = Http(compress=True)


def text(number: int) -> str:
    return f"<p>{number}</p>" * 1000


def read(answer: Any) -> str:
    """The text of an answer, as a client reads it."""
    coding = answer.headers.get("Content-Encoding")
    sent = answer.get_data()
    assert int(answer.headers["Content-Length"]) == len(sent)
    if coding == "br":
        return str(brotli.decompress(sent), "utf-8")
    if coding == "zstd":
        return str(zstandard.ZstdDecompressor().decompress(sent), "utf-8")
    if coding == "gzip":
        return str(gzip.decompress(sent), "utf-8")
    assert coding is None
    return str(sent, "utf-8")


def accepting(site: Site, codings: str, path: str = "/", **headers: str) -> Any:
    return site.get(path, {"Accept-Encoding": codings, **headers})


def coding(answer: Any) -> str | None:
    return answer.headers.get("Content-Encoding")


def test_each_client_gets_what_it_takes_of_one_call(site: Site, calls: Calls) -> None:
    site.view("/", lambda: text(calls()), http=ALL)
    before = _native.bodies_compressed()
    miss = accepting(site, "gzip, deflate, br, zstd")
    assert (coding(miss), read(miss)) == ("br", text(1))
    assert miss.headers["Cache-Status"] == "Larder; fwd=miss; stored"
    wanted = {
        "br": "br",
        "zstd, gzip": "zstd",
        "x-gzip": "gzip",
        "br;q=0.1, gzip": "gzip",
        "deflate": None,
        "*;q=0": None,
    }
    for accepts, gets in [*wanted.items()] * 3:
        hit = accepting(site, accepts)
        assert (coding(hit), read(hit)) == (gets, text(1)), accepts
        assert hit.headers["Cache-Status"] == "Larder; hit; ttl=300"
        assert hit.headers["Vary"] == "accept-encoding"
        assert "Larder-Codings" not in hit.headers
        plain = site.get().headers["ETag"]
        assert hit.headers["ETag"] == (plain if gets is None else f'{plain[:-1]}-{gets}"')
    assert calls.count == 1
    assert _native.bodies_compressed() - before == 3


def test_who_has_a_form_that_it_takes_is_told_so(site: Site) -> None:
    site.view("/", lambda: text(1), http=ALL)
    stem = site.get().headers["ETag"][:-1]
    for accepts, had, code, named in [
        ("br, gzip", "-br", 304, "-br"),
        ("br, gzip", "-gzip", 304, "-gzip"),
        ("br, gzip", "", 304, ""),
        ("gzip", "-br", 200, "-gzip"),
        ("identity", "-br", 200, ""),
        ("br", "-other", 200, "-br"),
    ]:
        answer = accepting(site, accepts, **{"If-None-Match": f'W/"0", {stem}{had}"'})
        assert (answer.status_code, answer.headers["ETag"]) == (code, f'{stem}{named}"'), accepts
        assert answer.headers["Vary"] == "accept-encoding"
        if code == 200:
            assert read(answer) == text(1)
        else:
            assert coding(answer) is None


def test_head_says_what_get_says_and_a_part_is_plain(site: Site) -> None:
    site.view("/", lambda: text(1), http=ALL)
    plain = site.get().headers["ETag"]
    for accepts in ["br", "zstd", "gzip", "identity"]:
        whole = accepting(site, accepts)
        head = site.get(headers={"Accept-Encoding": accepts}, method="HEAD")
        assert sorted(head.headers) == sorted(whole.headers)
        assert head.get_data() == b""
        part = accepting(site, accepts, Range="bytes=0-3")
        assert (part.status_code, part.get_data(), coding(part)) == (206, b"<p>1", None)
        assert part.headers["ETag"] == plain


@pytest.mark.parametrize("how", ["delete", "tag", "clear", "expire"])
def test_a_purge_is_one_of_all_forms(site: Site, calls: Calls, clock: HandClock, how: str) -> None:
    site.view("/", lambda: text(calls()), http=ALL, tags=["pages"])
    for number in (1, 2):
        for accepts in ["br", "gzip", "identity", "zstd", "br"]:
            assert read(accepting(site, accepts)) == text(number), accepts
        with site.app.app_context():
            if how == "delete":
                site.cache.delete("view//")
            elif how == "tag":
                site.cache.invalidate_tags("pages")
            elif how == "clear":
                site.cache.clear()
            else:
                clock.advance(300)


def test_a_stale_page_is_served_in_its_coding(site: Site, calls: Calls, clock: HandClock) -> None:
    site.view("/", lambda: text(calls()), http=ALL, timeout=10, stale=60)
    accepting(site, "br")
    clock.advance(11)
    stale = accepting(site, "br")
    assert (coding(stale), read(stale)) == ("br", text(1))
    assert "stale" in stale.headers["Cache-Status"]


def test_a_page_that_is_confirmed_keeps_its_codings(
    site: Site, calls: Calls, clock: HandClock
) -> None:
    def page() -> Any:
        context = site.cache.context
        return text(calls()) if context.previous is None else context.not_modified()

    site.view("/", page, http=ALL, timeout=10, revalidate=60)
    first = accepting(site, "br")
    for confirms in ["gzip", "identity"]:
        clock.advance(11)
        renewed = accepting(site, confirms)
        assert (coding(renewed) or "identity", read(renewed)) == (confirms, text(1))
        for accepts in ["br", "gzip", "zstd"]:
            hit = accepting(site, accepts)
            assert (coding(hit), read(hit)) == (accepts, text(1))
            assert "hit; ttl=10" in hit.headers["Cache-Status"]
        assert accepting(site, "br").headers["ETag"] == first.headers["ETag"]
    assert calls.count == 1


@pytest.mark.parametrize("coded", ["nowhere", "in one view", "everywhere"])
def test_who_changes_a_page_may_name_it_in_a_coding(app: Flask, coded: str) -> None:
    seen: list[tuple[str, bool]] = []

    @app.before_request
    def read_before_the_cache_does() -> None:
        assert request.if_match is not None

    config = {"CACHE_TYPE": "SimpleCache", "CACHE_HTTP": ALL if coded == "everywhere" else None}
    site = Site(app, Cache(app, config=config), "sync")

    def change() -> str:
        if "If-Match" in request.headers:
            seen.append((request.headers["If-Match"], request.if_match.contains("1")))
        return "changed"

    app.add_url_rule("/", "change", change, methods=["PUT"])
    http = None if coded == "everywhere" else ALL if coded == "in one view" else True
    site.view("/", lambda: (text(1), {"ETag": '"1"'}), http=http)
    for named in ['"1-br"', '"other"', None]:
        answer = site.get(method="PUT", headers={"If-Match": named} if named else None)
        assert answer.data == b"changed"
    both = ('"1-br"', False) if coded == "nowhere" else ('"1-br", "1"', True)
    assert seen == [both, ('"other"', False)]
    assert coding(accepting(site, "br")) == (None if coded == "nowhere" else "br")


def test_what_is_not_worth_it_or_forbids_it_stays_as_it_is(site: Site) -> None:
    long = "x" * 5000
    views = {
        "/short": lambda: "short",
        "/picture": lambda: Response(long, mimetype="image/png"),
        "/kept": lambda: Response(long, headers={"Cache-Control": "no-transform"}),
        "/digest": lambda: Response(long, headers={"Content-Digest": "sha-256=:abc=:"}),
    }
    for path, function in views.items():
        site.view(path, function, http=ALL)
    before = _native.bodies_compressed()
    for path in views:
        for _ in range(2):
            answer = accepting(site, "br", path)
            assert (coding(answer), answer.headers.get("Vary")) == (None, None), path
    assert _native.bodies_compressed() == before


def test_what_varies_by_the_coding_alone_needs_no_key(site: Site, calls: Calls) -> None:
    def page() -> Response:
        return Response(text(calls()), headers={"Vary": "Accept-Encoding", "ETag": 'W/"1"'})

    site.view("/", page, http=Http(compress=["gzip"]))
    for accepts, gets, tag in [("br, gzip", "gzip", 'W/"1-gzip"'), ("br", None, 'W/"1"')]:
        for _ in range(2):
            answer = accepting(site, accepts)
            assert (coding(answer), answer.headers["ETag"]) == (gets, tag)
            assert read(answer) == text(1)


def test_a_view_that_codes_by_itself_is_left_to_it(site: Site, calls: Calls) -> None:
    def page() -> Response:
        body = gzip.compress(text(calls()).encode())
        return Response(body, headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})

    site.view("/", page, http=ALL)
    for number in (1, 2):
        answer = accepting(site, "br, gzip")
        assert (coding(answer), read(answer)) == ("gzip", text(number))


def test_another_process_serves_what_this_one_has_compressed(
    common: dict[str, Any], clock: HandClock
) -> None:
    del clock
    sites = [Site(app, Cache(app, config=common), "sync") for app in (Flask("one"), Flask("two"))]
    for site in sites:
        site.view("/", lambda: text(1), http=ALL)
    accepting(sites[0], "br")
    before = _native.bodies_compressed()
    for accepts in ["br", "gzip", "zstd", "br", "gzip", "zstd"]:
        answer = accepting(sites[1], accepts)
        assert (coding(answer), read(answer)) == (accepts, text(1))
        assert "hit" in answer.headers["Cache-Status"]
    assert _native.bodies_compressed() == before


def test_a_view_without_compression_serves_the_same_page_plain(
    common: dict[str, Any], clock: HandClock
) -> None:
    del clock
    app = Flask("one")
    site = Site(app, Cache(app, config=common), "sync")
    site.view("/", lambda: text(1), http=ALL, as_page=True)
    accepting(site, "br")
    other = Flask("one")
    plain = Site(other, Cache(other, config=common), "sync")
    plain.view("/", lambda: text(2), http=False, as_page=True)
    answer = accepting(plain, "identity")
    assert read(answer) == text(1)
    assert "Larder-Codings" not in answer.headers


def test_early_hits_are_in_codings_too(app: Flask, store: dict[str, Any], clock: HandClock) -> None:
    del clock
    site = Site(app, Cache(app, config={**store, "CACHE_EARLY_HITS": True}), "sync")
    site.view("/", lambda: text(1), http=ALL)
    for accepts in ["br", "gzip", "identity"] * 3:
        assert read(accepting(site, accepts)) == text(1)
    found = site.cache.explain("/", headers={"Accept-Encoding": "br"})
    assert found.variants is None or found.variants[0].codings == ["br", "zstd", "gzip"]
    assert found.variants is None or "in br, zstd, gzip" in str(found)


def test_wrong_options_are_refused_at_once(app: Flask) -> None:
    with pytest.raises(TypeError, match=r"compress='br' is a str"):
        Http(compress="br")
    with pytest.raises(ValueError, match="'deflate' is no coding"):
        Http(compress=["br", "deflate"])
    with pytest.raises(TypeError, match="compress is int"):
        Http(compress=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="compress is bytes"):
        Http(compress=b"br")  # type: ignore[arg-type]
    assert Http(compress=["gzip", "br", "gzip"]).codings == ("gzip", "br")
    assert Http().codings == ()
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with pytest.raises(ValueError, match="Accept-Encoding"):
        cache.cached(60, http=ALL, vary=["Accept-Encoding"])
