"""`{% cache %}` in templates."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Calls
from flask import Flask, render_template_string
from markupsafe import Markup
from werkzeug.local import LocalProxy

from flask_larder import Cache, make_template_fragment_key
from flask_larder.testing import HandClock


class Page:
    """Renders templates that count how often a block is rendered."""

    def __init__(self, app: Flask, cache: Cache, calls: Calls) -> None:
        self.app, self.cache, self.calls = app, cache, calls

    def __call__(self, template: str, **names: Any) -> str:
        with self.app.test_request_context():
            return render_template_string(template, calls=self.calls, **names)


@pytest.fixture
def page(app: Flask, stored: Cache, calls: Calls) -> Page:
    return Page(app, stored, calls)


def test_a_fragment_is_rendered_once(page: Page, clock: HandClock) -> None:
    template = "{% cache 60, 'side' %}<b>{{ calls() }}</b>{% endcache %} {{ calls() }}"
    assert [page(template), page(template)] == ["<b>1</b> 2", "<b>1</b> 3"]
    clock.advance(61)
    assert page(template) == "<b>4</b> 5"


VALUES: list[Any] = [
    1, "1", True, 1.0, None, "None", Markup("1"), b"1", (1,), ["a_b", "c"], ["a", "b_c"], "",
]  # fmt: skip


def test_values_of_any_type_tell_fragments_apart(page: Page) -> None:
    template = "{% cache 60, 'side', value %}{{ calls() }}{% endcache %}"
    expected = [str(number) for number in range(1, len(VALUES) + 1)]
    assert [page(template, value=value) for value in VALUES] == expected
    assert [page(template, value=value) for value in VALUES] == expected


def test_values_that_would_meet_when_joined(page: Page) -> None:
    template = "{% cache 60, 'side', a, b %}{{ calls() }}{% endcache %}"
    assert page(template, a="a_b", b="c") == "1"
    assert page(template, a="a", b="b_c") == "2"
    assert page("{% cache 60, 'side_a', 'b_c' %}{{ calls() }}{% endcache %}") == "3"
    assert page(template, a="a_b", b="c") == "1"


def test_lazy_proxies_are_what_they_stand_for(page: Page) -> None:
    template = "{% cache 60, 'side', user %}{{ calls() }}{% endcache %}"
    user: list[Any] = [7]
    proxy = LocalProxy(lambda: user[0])
    assert [page(template, user=proxy), page(template, user=7)] == ["1", "1"]
    user[0] = 8
    assert page(template, user=proxy) == "2"


def test_a_value_that_makes_no_key_is_a_block_that_is_rendered_each_time(page: Page) -> None:
    template = "{% cache 60, 'side', value %}{{ calls() }}{% endcache %}"
    assert [page(template, value=object()) for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize(
    "tag",
    [
        "{% cache 60, 'n', 1, 'x' %}",
        "{% cache 60 'n' 1 'x' %}",
        "{% cache 60, 'n', 1, 'x', %}",
        "{% cache 60 'n', 1 'x' %}",
        "{% cache seconds, name, one, letter %}",
    ],
)
def test_commas_may_be_left_out(page: Page, app: Flask, tag: str) -> None:
    names = {"seconds": 60, "name": "n", "one": 1, "letter": "x"}
    template = tag + "{{ calls() }}{% endcache %}"
    plain = "{% cache 60, 'n', 1, 'x' %}{{ calls() }}{% endcache %}"
    assert [page(template, **names), page(plain)] == ["1", "1"]


def test_a_fragment_without_a_name_is_told_by_its_place(page: Page) -> None:
    template = (
        "{% cache 60 %}{{ calls() }}{% endcache %}\n{% cache 60 %}{{ calls() }}{% endcache %}"
    )
    assert [page(template), page(template)] == ["1\n2", "1\n2"]


def test_timeouts_of_fragments(page: Page, clock: HandClock) -> None:
    default = "{% cache None, 'default' %}{{ calls() }}{% endcache %}"
    forever = "{% cache 0, 'forever' %}{{ calls() }}{% endcache %}"
    text = "{% cache '5m', 'text' %}{{ calls() }}{% endcache %}"
    assert [page(default), page(forever), page(text)] == ["1", "2", "3"]
    clock.advance(299)
    assert [page(default), page(forever), page(text)] == ["1", "2", "3"]
    clock.advance(2)
    assert [page(default), page(forever), page(text)] == ["4", "2", "5"]


def test_del_removes_and_renders_anew(page: Page) -> None:
    template = "{% cache seconds, 'side', 1 %}{{ calls() }}{% endcache %}"
    assert [page(template, seconds=60), page(template, seconds=60)] == ["1", "1"]
    assert page(template, seconds="del") == "2"
    assert page(template, seconds=60) == "3"


def test_fragments_are_deleted_by_the_key_that_people_make(page: Page, stored: Cache) -> None:
    template = "{% cache 60, 'side', 1, 'x' %}{{ calls() }}{% endcache %}"
    assert make_template_fragment_key("side", [1, "x"]) == "_template_fragment_cache_side:1:x"
    assert page(template) == "1"
    with page.app.app_context():
        assert stored.get(make_template_fragment_key("side", [1, "x"])) == "1"
        assert stored.delete(make_template_fragment_key("side", [1, "x"]))
    assert page(template) == "2"


def test_fragments_in_fragments(page: Page, clock: HandClock) -> None:
    template = (
        "{% cache 60, 'outer' %}{{ calls() }} "
        "{% cache 600, 'inner' %}{{ calls() }}{% endcache %}{% endcache %}"
    )
    assert [page(template), page(template)] == ["1 2", "1 2"]
    clock.advance(61)
    assert page(template) == "3 2"


def test_the_same_fragment_in_itself_does_not_hang(page: Page) -> None:
    template = (
        "{% cache 60, 'same' %}{{ calls() }} "
        "{% cache 60, 'same' %}{{ calls() }}{% endcache %}{% endcache %}"
    )
    assert page(template) == "1 2"


def test_a_block_that_fails_is_rendered_once(page: Page, calls: Calls) -> None:
    def broken() -> str:
        calls()
        raise LookupError("mine")

    for number in (1, 2):
        with pytest.raises(LookupError, match="mine"):
            page("{% cache 60, 'side' %}{{ broken() }}{% endcache %}", broken=broken)
        assert calls.count == number


def test_what_a_fragment_says_is_safe_and_what_it_shows_is_escaped(page: Page) -> None:
    template = "{% cache 60, 'side' %}<i>{{ text }}</i>{% endcache %}"
    for _ in range(2):
        assert page(template, text="<script>") == "<i>&lt;script&gt;</i>"


def test_loops_and_includes_see_their_names(page: Page) -> None:
    template = (
        "{% for n in range(3) %}{% cache 60, 'row', n %}[{{ n }}:{{ calls() }}]{% endcache %}"
        "{% endfor %}"
    )
    assert [page(template), page(template)] == ["[0:1][1:2][2:3]"] * 2


def test_an_application_may_do_without_the_tag(app: Flask) -> None:
    Cache(app, with_jinja2_ext=False, config={"CACHE_TYPE": "SimpleCache"})
    from jinja2 import TemplateSyntaxError

    with app.test_request_context(), pytest.raises(TemplateSyntaxError):
        render_template_string("{% cache 60 %}{% endcache %}")
