"""Group 13: fragments of templates."""

from __future__ import annotations

from typing import Any

from flask import Flask, render_template, render_template_string
from flask_caching import Cache, make_template_fragment_key
from jinja2 import DictLoader
from journal import ran
from notebook import Notebook

SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]


BODY = "{{ name }} {{ ran(name) }}"
TEMPLATES = {
    "named": "{% cache 60, 'frag' %}" + BODY + "{% endcache %}",
    "expression": "{% cache 60*5, 'frag2' %}" + BODY + "{% endcache %}",
    "varied": "{% cache 60, 'frag3', user.id|string, lang %}" + BODY + "{% endcache %}",
    "forget": "{% cache 'del', 'frag' %}" + BODY + "{% endcache %}",
    "none": "{% cache None, 'key' %}" + BODY + "{% endcache %}",
    "unnamed": "one\n{% cache 30 %}" + BODY + "{% endcache %}\n{% cache 30 %}" + BODY + "{% endcache %}",
    "nested": "{% cache 30, 'outer' %}[{% cache 60, 'inner' %}" + BODY + "{% endcache %}]{{ ran('outer') }}{% endcache %}",
    "looped": "{% for n in range(3) %}{% cache 30, 'loop', n|string %}{{ n }}{{ ran('row') }}{% endcache %}{% endfor %}",
    "looped again": "{% for n in range(2) %}{% cache 30, 'rows' %}{{ n }}{{ ran('row') }}{% endcache %}{% endfor %}",
    "empty": "{% cache 30, 'empty' %}{{ ran('empty') and '' }}{% endcache %}",
    "escaped": "{% cache 30, 'escaped' %}<b>{{ '<i>' }}</b>{{ ran('escaped') }}{% endcache %}",
    "text timeout": "{% cache '45', 'text' %}" + BODY + "{% endcache %}",
    "wrong timeout": "{% cache 'soon', 'wrong' %}" + BODY + "{% endcache %}",
    "zero": "{% cache 0, 'zero' %}" + BODY + "{% endcache %}",
    "number as a name": "{% cache 30, 5 %}" + BODY + "{% endcache %}",
    "number as a value": "{% cache 30, 'number', 5 %}" + BODY + "{% endcache %}",
    "breaks": "{% cache 30, 'breaks' %}{{ ran('breaks') }}{{ 1 // 0 }}{% endcache %}",
    "bare": "{% cache %}" + BODY + "{% endcache %}",
    "no commas": "{% cache 60 'frag' %}" + BODY + "{% endcache %}",
    "open": "{% cache 60, 'frag' %}" + BODY,
    "macro": "{% macro m(x) %}{% cache 30, 'macro', x %}{{ x }}{{ ran('macro') }}{% endcache %}{% endmacro %}{{ m('a') }}{{ m('b') }}{{ m('a') }}",
    "set": "{% set v = 'outside' %}{% cache 30, 'set' %}{{ v }}{% set w = 'inside' %}{{ w }}{{ ran('set') }}{% endcache %}{{ w }}",
    "base": "<h1>{% block title %}base{% endblock %}</h1>{% block body %}{% endblock %}",
    "child": "{% extends 'base' %}{% block body %}{% cache 30, 'child' %}" + BODY + "{% endcache %}{% endblock %}",
}  # fmt: skip


class User:
    id = 7


def create_app(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("templates")
    app.config.from_mapping(config)
    cache = Cache(app)
    app.jinja_loader = DictLoader(TEMPLATES)
    app.jinja_env.globals["ran"] = ran

    @app.route("/<name>")
    def page(name: str) -> str:
        return render_template(name, name=name, user=User(), lang="en")

    @app.route("/string/<name>")
    def string(name: str) -> str:
        return render_template_string(TEMPLATES[name], name=name, user=User(), lang="en")

    return app, cache


def observe(see: Notebook) -> None:
    app, cache = create_app(see.config)
    client = app.test_client()
    twos = [name for name in TEMPLATES if name not in ("forget", "base", "open")]
    for name in twos:
        for step in ("first", "second"):
            see.get(f"{name} {step}", client, f"/{name}")
    for step in ("first", "second"):
        see.get(f"string {step}", client, "/string/unnamed")
    see.get("open", client, "/open")
    if see.timed:
        see.advance(31)
        for name in ("named", "nested", "unnamed"):
            see.get(f"{name} at 31 s", client, f"/{name}")
        see.advance(30)
        for name in ("named", "expression", "none", "zero"):
            see.get(f"{name} at 61 s", client, f"/{name}")
    see.get("forget", client, "/forget")
    see.get("forgotten", client, "/named")
    with app.app_context():
        keys(see, cache)
    see.get("varied, deleted by key", client, "/varied")
    see.get("named, set by hand", client, "/named")


def keys(see: Notebook, cache: Cache) -> None:
    see.call("key", make_template_fragment_key, "frag")
    see.call("key of values", make_template_fragment_key, "frag3", vary_on=["a", "b"])
    see.call("key of values by position", make_template_fragment_key, "frag3", ["a"])
    see.call("key of none", make_template_fragment_key, "frag3", vary_on=[])
    for name, values in (("frag", []), ("frag3", ["7", "en"]), ("empty", []), ("escaped", [])):
        key = make_template_fragment_key(name, vary_on=values)
        see.call(f"has {key}", cache.has, key)
        see.call(f"get {key}", cache.get, key)
        see.value(f"class of {key}", type(cache.get(key)).__name__)
    see.lives("frag lives", make_template_fragment_key("frag2"), 300)
    see.call("unnamed", cache.has, "_template_fragment_cache_unnamed2")
    see.call("delete", cache.delete, make_template_fragment_key("frag3", vary_on=["7", "en"]))
    see.call("set", cache.set, make_template_fragment_key("frag"), "<set by hand>")
