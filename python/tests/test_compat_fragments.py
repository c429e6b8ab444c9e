"""Fragments of templates in the compat dialect."""

from __future__ import annotations

import pytest
from flask import Flask, render_template_string
from markupsafe import Markup

from flask_larder.compat import Cache, make_template_fragment_key

pytest_plugins = ["compat_fixtures"]


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ('60, "frag"', "_template_fragment_cache_frag"),
        ('60*5, "frag", 7|string, lang', "_template_fragment_cache_frag_7_de"),
        ('None, "key"', "_template_fragment_cache_key"),
        ('"60", "text"', "_template_fragment_cache_text"),
        ("30", "_template_fragment_cache_None1"),
    ],
)
def test_fragments(app: Flask, each: Cache, tag: str, key: str) -> None:
    source = "{% cache " + tag + " %}{{ value }}{% endcache %}"
    with app.test_request_context():
        texts = [render_template_string(source, value=v, lang="de") for v in ("<1>", "2")]
        assert texts == ["&lt;1&gt;"] * 2
        found = each.get(key)
        assert found == "&lt;1&gt;"
        assert isinstance(found, Markup)


def test_deleting(app: Flask, each: Cache) -> None:
    def render(timeout: str, value: str) -> str:
        source = "{% cache " + timeout + ', "frag", "a", "b" %}{{ value }}{% endcache %}'
        return render_template_string(source, value=value)

    with app.test_request_context():
        assert [render("60", "1"), render("60", "2")] == ["1", "1"]
        assert each.delete(make_template_fragment_key("frag", vary_on=["a", "b"]))
        assert [render("60", "3"), render("'del'", "4"), render("60", "5")] == ["3", "4", "5"]


def test_empty_fragments_are_kept(app: Flask, each: Cache) -> None:
    source = '{% cache 60, "frag" %}{{ value }}{% endcache %}'
    with app.test_request_context():
        assert [render_template_string(source, value=v) for v in ("", "2")] == ["", ""]


def test_a_block_that_fails_runs_once(app: Flask, each: Cache) -> None:
    # Flask-Caching runs it a second time before it lets the error out.
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise LookupError

    source = '{% cache 60, "frag" %}{{ fail() }}{% endcache %}'
    with app.test_request_context(), pytest.raises(LookupError):
        render_template_string(source, fail=fail)
    assert runs == [1]


def test_values_of_any_type_tell_fragments_apart(app: Flask, compat: Cache) -> None:
    source = '{% cache 60, "frag", one, two %}{{ value }}{% endcache %}'
    pairs = [("a_b", "c"), ("a", "b_c"), (1, None), ("1", None)]
    with app.test_request_context():
        texts = [
            render_template_string(source, one=one, two=two, value=number)
            for number, (one, two) in enumerate(pairs)
        ]
    assert texts == ["0", "1", "2", "3"]
