"""Pages in codings that lie beside the plain one: which of them belongs to it, which are over, and when they
are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import brotli
from conftest import Calls
from flask import Flask
from http_support import Site

from flask_larder import Cache, Http, _native
from flask_larder.testing import HandClock

KEY = _native.Key("view//").with_values(["GET"])
POLICY = _native.Policy(300)
RULE = _native.HttpRule(
    keyed=[],
    known=[],
    own=False,
    negative=[],
    targets=[],
    requests="ignore",
    etag=True,
    key_told=False,
    codings=["br"],
)
ENVIRON = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": "br"}


def finished(body: str) -> _native.Page:
    """The page as it is stored, with its codings."""
    made = RULE.finish(_native.Page(200, [("Content-Type", "text/html")], body.encode()), POLICY)
    assert not isinstance(made, str)
    return made[0]


def shelf(folder: Path) -> _native.Engine:
    """A store that has its values as bytes."""
    url = f"file://{folder}?size=16MB"
    return _native.Engine.open(url, namespace="t", packing=_native.Packing(), max_value=1 << 20)


def load(engine: _native.Engine, page: _native.Page) -> None:
    permit = engine.refresh(KEY, POLICY).permit
    assert permit is not None
    permit.store(page, POLICY, 0.0)


def in_brotli(engine: _native.Engine) -> Any:
    """The page in brotli, by way of the plain one."""
    answer = engine.lookup(KEY, POLICY, [])
    assert answer.kind == "hit"
    return _native.in_coding(engine, KEY, POLICY, answer, ENVIRON)


def text(number: int) -> str:
    return f"<p>{number}</p>" * 1000


def test_what_lies_in_the_place_of_a_form_may_be_that_of_another_page(tmp_path: Path) -> None:
    engine, page = shelf(tmp_path), finished(text(1))
    load(engine, page)
    coded = _native.coded_hit(engine, KEY, POLICY, RULE, ENVIRON)
    assert coded is not None
    headers, length = dict(page.headers), len(coded.value.body)
    for tag, noted, is_form in [
        (headers["ETag"], length, True),
        ('"another"', length, False),
        (headers["ETag"], length + 1, False),
    ]:
        load(engine, page)
        # What is stored by somebody whose form has not come yet: that of before is there.
        late = {**headers, "ETag": tag, "Larder-Codings": f"br={noted}"}
        load(engine, _native.Page(200, late.items(), page.body))
        found = in_brotli(engine)
        assert (found is not None) == is_form, (tag, noted)
        if is_form:
            assert brotli.decompress(found.value.body).decode() == text(1)


def test_a_page_that_is_not_worth_a_coding_ends_the_forms_of_the_one_before(tmp_path: Path) -> None:
    engine = shelf(tmp_path)
    for _ in range(2):
        load(engine, finished(text(1)))
        assert _native.coded_hit(engine, KEY, POLICY, RULE, ENVIRON) is not None
        load(engine, finished("short"))
        assert _native.coded_hit(engine, KEY, POLICY, RULE, ENVIRON) is None


def test_a_page_that_is_confirmed_is_not_coded_again(
    app: Flask, calls: Calls, clock: HandClock
) -> None:
    site = Site(app, Cache(app, config={"CACHE_TYPE": "SimpleCache"}), "sync")

    def page() -> Any:
        context = site.cache.context
        return text(calls()) if context.previous is None else context.not_modified()

    site.view("/", page, http=Http(compress=True), timeout=10, revalidate=60)
    site.get(headers={"Accept-Encoding": "br"})
    before = _native.bodies_compressed()
    for accepts in ["br", "gzip", "zstd"]:
        clock.advance(11)
        renewed = site.get(headers={"Accept-Encoding": accepts})
        assert renewed.headers["Content-Encoding"] == accepts
        assert "fwd=stale" in renewed.headers["Cache-Status"]
    assert (calls.count, _native.bodies_compressed()) == (1, before)
