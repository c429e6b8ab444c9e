"""The end of a process while threads of it are in the middle of calls: it ends as it would without."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

START = dedent("""
    import threading
    from flask import Flask
    from flask_larder import Cache

    class Own(Cache):
        def _get(self, key):
            work()

        def _get_many(self, *keys):
            work()

        def _set(self, key, value, timeout):
            work()

        def _set_many(self, mapping, timeout):
            work()

    app = Flask("shop")
    cache = Own(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_EARLY_HITS": True})
    begun = threading.Semaphore(0)

    def work():
        begun.release()
        while True:
            pass

    # A load that somebody waits for with a limit runs elsewhere, so these have none.
    price = cache.memoize(60)(work)

    @app.get("/")
    @cache.cached(60)
    def index():
        work()

    calls = [
        price,
        lambda: app.test_client().get("/"),
        lambda: cache.get("price"),
        lambda: cache.get_many("price", "name"),
        lambda: cache.set("price", 1, 60),
        lambda: cache.set_many({"price": 1}, 60),
    ]
    for call in calls:
        threading.Thread(target=call, daemon=True).start()
    for _ in calls:
        assert begun.acquire(timeout=60)
""")


@pytest.mark.skipif(sys.platform == "win32", reason="threads are not unwound there")
def test_a_process_ends_while_daemon_threads_are_in_the_cache() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
