"""A finished response as a value."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from value_samples import Order, Page, Text, keep


class TestPage:
    def test_its_parts(self) -> None:
        page = Page(404, [("Content-Type", "text/html"), ("Set-Cookie", "a=b")], b"<h1>")
        assert (page.status, page.body) == (404, b"<h1>")
        assert page.headers == [("Content-Type", "text/html"), ("Set-Cookie", "a=b")]

    def test_its_headers_are_the_readers_own(self) -> None:
        page = Page(200, [("a", "b")], b"")
        page.headers.append(("c", "d"))
        assert page.headers == [("a", "b")]

    def test_it_does_not_follow_the_list_it_was_made_of(self) -> None:
        headers = [("a", "b")]
        page = Page(200, headers, b"")
        headers.clear()
        assert page.headers == [("a", "b")]

    def test_it_cannot_be_changed(self) -> None:
        page = Page(200, [], b"")
        with pytest.raises(AttributeError):
            page.status = 500

    def test_it_is_compared_by_its_parts(self) -> None:
        assert Page(200, [("a", "b")], b"x") == Page(200, [("a", "b")], b"x")
        assert Page(200, [("a", "b")], b"x") != Page(200, [("a", "c")], b"x")
        assert Page(200, [], b"x") != Page(201, [], b"x")
        assert Page(200, [], b"x") != "x"

    def test_it_can_be_pickled_inside_other_objects(self) -> None:
        page = Page(200, [("a", "b")], b"x")
        assert pickle.loads(pickle.dumps(page)) == page
        assert keep([Order([]), page]).give()[1] == page

    def test_text_subclasses_become_text(self) -> None:
        page = Page(200, [(Text("a"), Text("b"))], b"")
        assert [type(text) for pair in page.headers for text in pair] == [str, str]

    @pytest.mark.parametrize(
        "wrong", [(99, []), (1000, []), (200, [("a", "€")]), (200, [("\ud800", "b")])]
    )
    def test_wrong_parts_are_refused(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match="wrong page"):
            Page(*wrong, b"")

    @pytest.mark.parametrize("wrong", [[("a",)], [("a", 1)], ["a"], 5])
    def test_wrong_types_are_refused(self, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            Page(200, wrong, b"")
