"""What caches gather: objects that others keep, looked through by any thread."""

from __future__ import annotations

import gc
import threading

from flask import Flask, render_template_string

from flask_larder import Cache
from flask_larder._native import CachedFunction
from flask_larder.gathered import Gathered


class Thing:
    pass


def test_what_nobody_keeps_is_gone() -> None:
    gathered: Gathered[Thing] = Gathered()
    kept = Thing()
    gathered.add(kept)
    gathered.add(kept)
    gathered.add(Thing())
    gc.collect()
    assert list(gathered) == [kept]
    assert kept in gathered
    assert Thing() not in gathered


def test_what_is_added_while_somebody_looks_does_no_harm() -> None:
    gathered: Gathered[Thing] = Gathered()
    kept = [Thing() for _ in range(3)]
    list(map(gathered.add, kept))
    seen = 0
    for _ in gathered:
        kept.append(Thing())
        gathered.add(kept[-1])
        seen += 1
    assert seen == 3
    assert len(list(gathered)) == 6


def test_what_goes_while_somebody_looks_does_no_harm() -> None:
    gathered: Gathered[Thing] = Gathered()
    kept = [Thing() for _ in range(100)]
    list(map(gathered.add, kept))
    looked = iter(gathered)
    assert next(looked) is not None
    kept.clear()
    gc.collect()
    assert list(looked) == []


def test_functions_may_be_decorated_while_fragments_begin() -> None:
    """The first fragment looks through all that is decorated."""
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    kept: list[object] = []
    done = threading.Event()

    def decorate() -> None:
        while not done.is_set():
            kept.append(cache.memoize()(lambda: None))
            if len(kept) > 2000:
                kept.clear()

    thread = threading.Thread(target=decorate)
    thread.start()
    try:
        with app.test_request_context():
            for number in range(200):
                cache._fragments = None
                text = "{% cache 60, 'n' ~ n %}{{ n }}{% endcache %}"
                assert render_template_string(text, n=number) == str(number)
    finally:
        done.set()
        thread.join()


def test_functions_may_be_decorated_while_the_collector_runs() -> None:
    """Some Pythons collect in the middle of making an object with a dict, when its fields are still zeros."""
    kept = [CachedFunction(print) for _ in range(2_000)]
    threshold = gc.get_threshold()
    try:
        for often in range(1, 12):
            # At every allocation that counts, whichever it is within the making of a function.
            gc.set_threshold(often)
            kept += [CachedFunction(print) for _ in range(200)]
    finally:
        gc.set_threshold(*threshold)
    assert len(kept) == 4_200
