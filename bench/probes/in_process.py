"""Rows of the in-process caches: processor time."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any

import cachebox
import cachetools
from cachelib import SimpleCache
from rounds import CPU, FC, OURS, UNCACHED, Contestant, Effort, Mark, Row, measure, report
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

import flask_larder.compat

FLAT = {f"key {number}": f"value {number}" for number in range(50)}
NESTED = {f"key {number}": {"id": number, "name": f"name {number}"} for number in range(50)}
ARGUMENTS = "7, 'seven', 7.5, True, None"

SITES = {name: Site(make) for name, make in MAKERS.items()}
DROP_IN = Site(flask_larder.compat.Cache)
PLAIN = Site(None)


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
        rows.append(Row("decorator", titles[view], contestants, Mark(FC, 20)))
    return rows


def whole_requests() -> list[Row]:
    """A hit through the whole application, beside the same view without a cache."""
    rows = []
    for view, title, mark in (
        ("text", "request, hit of a view that returns a str", None),
        ("response", "request, hit of a view that returns a Response", Mark(UNCACHED, 0.8, True)),
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
        rows.append(Row("request", title, contestants, mark))
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
        rows.append(Row("memoize", f"memoize hit, {count}", contestants, Mark(FC, 50)))
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


def drop_in() -> list[Row]:
    """The dialect for code that was written for Flask-Caching, with its keys and its rules."""
    calls = {
        "`@cached` hit, view returns a str": ("view()", "text", "/text", 15),
        "`@cached(query_string=True)` hit": ("view()", "query", "/query?b=2&a=1", 15),
        "`@cached` hit, view returns a Response": ("view()", "response", "/response", 15),
        "memoize hit, 0 arguments": ("f()", "none", "/text", 20),
        "memoize hit, 1 argument": ("f(7)", "one", "/text", 20),
        "memoize hit, 5 arguments": (f"f({ARGUMENTS})", "five", "/text", 40),
        "memoize hit, a dict of 50": ("f()", "fifty", "/text", 15),
        "memoize hit of a method": ("f.price('EUR')", "product", "/text", 15),
    }
    rows = []
    for title, (statement, name, path, ratio) in calls.items():
        contestants = [
            Contestant(
                owner,
                statement,
                {"view": site.views.get(name), "f": site.functions.get(name)},
                site.inside(path),
            )
            for owner, site in {**SITES, OURS: DROP_IN}.items()
        ]
        rows.append(Row("compat", f"compat: {title}", contestants, Mark(FC, ratio)))
    return rows


# Peers that are used like a dict, by the capacity that they are made with.
MAPPINGS: dict[str, Callable[[int], Any]] = {
    "cachebox TTLCache": lambda capacity: cachebox.TTLCache(capacity, 3600),
    "cachetools TTLCache": lambda capacity: cachetools.TTLCache(capacity, 3600),
}


def direct(name: str, value: Any, statement: str) -> list[Contestant]:
    """`get` or `set` of one value on every cache."""
    expected = value if statement == "get" else None
    calls = {"get": "get(key)", "set": "put(key, value)"}
    contestants = []
    for owner, site in SITES.items():
        context = site.inside("/text")
        context.run(site.cache.set, name, value)
        names = {"get": site.cache.get, "put": site.cache.set, "key": name, "value": value}
        contestants.append(Contestant(owner, calls[statement], names, context, expected))
    bare = SimpleCache(default_timeout=3600)
    bare.set(name, value)
    names = {"get": bare.get, "put": bare.set, "key": name, "value": value}
    contestants.append(Contestant("cachelib", calls[statement], names, None, expected))
    calls = {"get": "get(key)", "set": "held[key] = value"}
    isolates = not isinstance(value, dict)
    for owner, make in MAPPINGS.items():
        held = make(500)
        held[name] = value
        names = {"held": held, "get": held.get, "key": name, "value": value}
        contestants.append(
            Contestant(owner, calls[statement], names, None, expected, isolates=isolates)
        )
    return contestants


def direct_use() -> list[Row]:
    """`cache.get` and `cache.set` inside a request context."""
    rows = []
    for title, key, value, mark in (
        ("str of 1 KiB", "text", BODY, None),
        ("flat dict of 50", "flat", FLAT, Mark(FC, 2)),
        ("dict of 50 dicts", "nested", NESTED, Mark(FC, 2)),
    ):
        rows.append(Row("direct", f"`get` of a {title}", direct(key, value, "get"), mark))
        rows.append(Row("direct", f"`set` of a {title}", direct(key, value, "set")))
    return rows


def full_stores() -> list[Row]:
    """A new key into a store that is full."""
    rows = []
    for capacity in (500, 5_000, 50_000):
        # Four times the capacity: what comes round again went long ago.
        keys = [f"key {number}" for number in range(4 * capacity)]
        contestants = []
        for name, make in MAKERS.items():
            site = Site(make, CACHE_THRESHOLD=capacity)
            context = site.inside("/text")
            _fill(context.run, site.cache.set, keys[-capacity:])
            names = {"put": site.cache.set, "keys": itertools.cycle(keys), "value": "value"}
            contestants.append(Contestant(name, "put(next(keys), value)", names, context))
        for name, make in MAPPINGS.items():
            held = make(capacity)
            for key in keys[-capacity:]:
                held[key] = "value"
            names = {"held": held, "keys": itertools.cycle(keys), "value": "value"}
            contestants.append(Contestant(name, "held[next(keys)] = value", names))
        shown = f"{capacity:,}".replace(",", " ")
        rows.append(Row("full", f"`set` of a new key, store full at {shown}", contestants))
    return rows


def _fill(run: Callable[..., Any], put: Callable[[str, str], Any], keys: list[str]) -> None:
    for key in keys:
        run(put, key, "value")


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
        *direct_use(),
        *full_stores(),
        *fragments(),
    ]
    wanted = [text for text in sys.argv[1:] if not text.startswith("-")]
    rows = [row for row in rows if not wanted or any(text in row.name for text in wanted)]
    measure(rows, Effort.chosen(sys.argv), CPU)
    for name, site in {**SITES, "compat": DROP_IN}.items():
        often = {function: runs for function, runs in site.runs.items() if runs > 2}
        if often:
            raise AssertionError(f"{name}: not hits, but calls of the functions: {often}")
    report(rows)


if __name__ == "__main__":
    main()
