"""Rows of the in-process caches: processor time."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import cachebox
import cachetools
from rounds import CPU, OURS, UNCACHED, Contestant, Effort, Row, measure, report
from sites import (
    BODY,
    FRAGMENT,
    MAKERS,
    PRODUCTS,
    UNCACHED_FRAGMENT,
    Plain,
    Site,
    environ,
    serve,
)

import flask_larder
import flask_larder.compat

ARGUMENTS = "7, 'seven', 7.5, True, None"

SITES = {name: Site(make) for name, make in MAKERS.items()}
DROP_IN = Site(flask_larder.compat.Cache)
PLAIN = Site(None)
# Hits are answered before Flask is asked.
EARLY = Site(flask_larder.Cache, CACHE_EARLY_HITS=True)


def decorators() -> list[Row]:
    """A decorated view called inside a request context."""
    rows = []
    for view, path in (("text", "/text"), ("query", "/query?b=2&a=1"), ("response", "/response")):
        contestants = [
            Contestant(name, "view()", {"view": site.views[view]}, site.inside(path), BODY)
            for name, site in SITES.items()
        ]
        titles = {
            "text": "`@cached` hit, view returns a str",
            "query": "`@cached(query_string=True)` hit",
            "response": "`@cached` hit, view returns a Response",
        }
        rows.append(Row("decorator", titles[view], contestants))
    return rows


def whole_requests() -> list[Row]:
    """A hit through the whole application, beside the same view without a cache."""
    rows = []
    for view, title in (
        ("text", "request, hit of a view that returns a str"),
        ("response", "request, hit of a view that returns a Response"),
    ):
        contestants = [
            Contestant(
                name,
                "serve(app, request)",
                {"serve": serve, "app": site.app, "request": environ(f"/{view}")},
                None,
                BODY,
            )
            for name, site in {**SITES, UNCACHED: PLAIN}.items()
        ]
        rows.append(Row("request", title, contestants))
    sites = {**SITES, OURS: EARLY, UNCACHED: PLAIN}
    contestants = [
        Contestant(
            name,
            "serve(app, request)",
            {"serve": serve, "app": site.app, "request": environ("/text")},
            None,
            BODY,
        )
        for name, site in sites.items()
    ]
    rows.append(Row("request", "request, early hit", contestants))
    return rows


def memoized_peers() -> dict[str, Callable[[Any], Any]]:
    """Decorators that remember calls; the time to live is theirs where they have one."""
    return {
        "functools.lru_cache(typed)": functools.lru_cache(500, typed=True),
        "cachebox.cached": cachebox.cached(cachebox.TTLCache(500, 3600)),
        "cachetools.cached": cachetools.cached(cachetools.TTLCache(500, 3600)),
    }


def memoized() -> list[Row]:
    """A memoized function, called inside a request context as views call them."""
    rows = []
    for function, arguments in (("none", ""), ("one", "7"), ("five", ARGUMENTS)):
        count = {"none": "0 arguments", "one": "1 argument", "five": "5 arguments"}[function]
        contestants = [
            Contestant(
                name, f"f({arguments})", {"f": site.functions[function]}, site.inside("/text")
            )
            for name, site in SITES.items()
        ]
        plain = PLAIN.functions[function]
        contestants += [
            Contestant(name, f"f({arguments})", {"f": decorate(plain)})
            for name, decorate in memoized_peers().items()
        ]
        rows.append(Row("memoize", f"memoize hit, {count}", contestants))
    lists = [
        Contestant(name, "f([1, 2, 3])", {"f": site.functions["one"]}, site.inside("/text"))
        for name, site in SITES.items()
    ]
    rows.append(Row("memoize", "memoize hit, a list as argument", lists))
    methods = [
        Contestant(
            name,
            "product.price('EUR')",
            {"product": site.functions["product"]},
            site.inside("/text"),
        )
        for name, site in SITES.items()
    ]
    rows.append(Row("memoize", "memoize hit of a method, self and 1 argument", methods))
    return rows


def deletions() -> list[Row]:
    """A memoized function made to forget everything, and one call."""
    named = {
        "`delete_memoized` of a function": "forget(f)",
        "`delete_memoized` of one call, 4 arguments": "forget(f, 7, 'seven', 7.5, True)",
    }
    rows = []
    for title, statement in named.items():
        contestants = []
        for name, site in SITES.items():
            names = {"forget": site.cache.delete_memoized, "f": site.functions["four"]}
            one = Contestant(name, statement, names, site.inside("/text"))
            one.call(names["f"], 7, "seven", 7.5, True)
            contestants.append(one)
        rows.append(Row("memoize", title, contestants))
    return rows


def drop_in() -> list[Row]:
    """The dialect for code that was written for Flask-Caching, with its keys and its rules."""
    calls = {
        "`@cached` hit, view returns a str": ("view()", "text", "/text"),
        "`@cached(query_string=True)` hit": ("view()", "query", "/query?b=2&a=1"),
        "`@cached` hit, view returns a Response": ("view()", "response", "/response"),
        "memoize hit, 0 arguments": ("f()", "none", "/text"),
        "memoize hit, 1 argument": ("f(7)", "one", "/text"),
        "memoize hit, 5 arguments": (f"f({ARGUMENTS})", "five", "/text"),
        "memoize hit, a dict of 50": ("f()", "fifty", "/text"),
        "memoize hit of a method": ("f.price('EUR')", "product", "/text"),
    }
    rows = []
    for title, (statement, name, path) in calls.items():
        contestants = [
            Contestant(
                owner,
                statement,
                {"view": site.views.get(name), "f": site.functions.get(name)},
                site.inside(path),
            )
            for owner, site in {**SITES, OURS: DROP_IN}.items()
        ]
        rows.append(Row("compat", f"compat: {title}", contestants))
    return rows


def fragments() -> list[Row]:
    """A template that is one cached fragment."""
    contestants = []
    for name, site in SITES.items():
        template = site.app.jinja_env.from_string(FRAGMENT)
        names = {"render": template.render, "products": PRODUCTS}
        contestants.append(
            Contestant(name, "render(products=products)", names, site.inside("/text"))
        )
    template = PLAIN.app.jinja_env.from_string(UNCACHED_FRAGMENT)
    names = {"render": template.render, "products": PRODUCTS}
    contestants.append(Contestant(UNCACHED, "render(products=products)", names))
    return [Row("fragment", "template of one fragment, a loop of 20", contestants)]


def main() -> None:
    """Measures, and makes sure that nobody was timed while it was missing."""
    if not isinstance(PLAIN.cache, Plain):
        raise AssertionError("the site to compare with has a cache")
    rows = [
        *decorators(),
        *whole_requests(),
        *memoized(),
        *drop_in(),
        *deletions(),
        *fragments(),
    ]
    wanted = [text for text in sys.argv[1:] if not text.startswith("-")]
    rows = [row for row in rows if not wanted or any(text in row.name for text in wanted)]
    measure(rows, Effort.chosen(sys.argv), CPU)
    for name, site in {**SITES, "compat": DROP_IN, "early": EARLY}.items():
        often = {function: runs for function, runs in site.runs.items() if runs > 2}
        if often:
            raise AssertionError(f"{name}: not hits, but calls of the functions: {often}")
    report(rows)


if __name__ == "__main__":
    main()
