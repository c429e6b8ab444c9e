"""Functions and views on files under the compat dialect."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compat_files_support import break_down
from conftest import Calls, text_of
from flask import Flask

from flask_larder.compat import Cache
from flask_larder.compat.backends import FileSystemCache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures", "compat_files_fixtures"]


@pytest.fixture
def cache(make: Callable[..., Cache]) -> Cache:
    """A cache on a directory of its own."""
    return make()


def test_functions_run_while_the_directory_fails(
    app: Flask, cache: Cache, folder: Path, calls: Calls
) -> None:
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    double = cache.memoize()(lambda number: 2 * number + calls())
    assert text_of(app.test_client()) == "page 1"
    assert double(1) == 4
    break_down(folder)
    assert [text_of(app.test_client()) for _ in range(2)] == ["page 3", "page 4"]
    assert [double(1), double(1)] == [7, 8]


def test_hits_are_answered_without_python(
    app: Flask, cache: Cache, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = cache.cached(query_string=True)(lambda: f"page {calls()}")
    app.add_url_rule("/", "index", view)
    double = cache.memoize()(lambda number: [number, calls()])
    client = app.test_client()
    assert [text_of(client, "/?a=1") for _ in range(2)] == ["page 1"] * 2
    assert [double(1), double(1)] == [[1, 2]] * 2
    for decorated in cache._decorated:
        monkeypatch.setattr(decorated, "answer", None)
    assert [text_of(client, "/?a=1"), double(1)] == ["page 1", [1, 2]]
    monkeypatch.undo()
    double(1).append("changed")
    assert double(1) == [1, 2]
    functions = cache.stats()["functions"].values()
    assert sorted(each["hits"] for each in functions) == [2, 4]


def test_who_replaces_a_method_sees_every_call(
    cache: Cache, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = cache.memoize()(lambda number: 2 * number + calls())
    assert [double(1), double(1)] == [3, 3]
    seen: list[str] = []

    def get(key: str) -> Any:
        seen.append(key)

    cache.cache.get = get
    assert double(1) == 4
    assert seen


def test_forgetting(make: Callable[..., Cache], calls: Calls) -> None:
    one, other = make(), make()
    made = [each.memoize()(lambda number: [number, calls()]) for each in (one, other)]
    assert [each(1) for each in made] == [[1, 1]] * 2
    one.delete_memoized(made[0])
    assert [each(1) for each in made] == [[1, 2]] * 2
    other.delete_memoized(made[1], 1)
    assert [each(1) for each in made] == [[1, 3]] * 2
    one.delete_memoized_verhash(made[0])
    assert [each(1) for each in made] == [[1, 4]] * 2


def test_a_version_lives_as_long_as_its_entries(
    cache: Cache, calls: Calls, clock: HandClock
) -> None:
    long = cache.memoize(3600)(lambda number: [number, calls()])
    for step in range(5):
        assert long(step) == [step, step + 1]
        clock.advance(3000)
        assert long(step) == [step, step + 1]
    ever = cache.memoize(0)(lambda number: -number)
    assert ever(1) == -1
    clock.advance(10**9)
    assert [ever(1), cache.stats()["functions"]] != []
    version = cache._memvname(cache._memoize_version(ever)[0])
    assert cache.has(version)


def test_views_by_query_are_deleted_together(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/", "index", cache.cached(query_string=True)(lambda: f"page {calls()}"))
    client = app.test_client()
    assert [text_of(client, f"/?a={number}") for number in (1, 2, 1, 2)] == [
        *("page 1", "page 2"),
        *("page 1", "page 2"),
    ]
    assert cache.delete("view//")
    assert [text_of(client, f"/?a={number}") for number in (1, 2)] == ["page 3", "page 4"]


def test_a_cold_crowd_makes_one_call(cache: Cache, calls: Calls) -> None:
    started = threading.Event()
    double = cache.memoize()(lambda number: (calls(), started.wait(10), number)[2])
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(double(7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.set()
    for thread in threads:
        thread.join()
    assert (answers, calls()) == ([7] * 8, 2)


def test_a_subclass_with_a_get_of_its_own(folder: Path, calls: Calls, app: Flask) -> None:
    seen: list[Any] = []

    class Traced(FileSystemCache):
        def get(self, key: Any) -> Any:
            seen.append(key)
            return super().get(key)

        def delete(self, key: Any, mgmt_element: bool = False) -> bool:
            seen.append(("delete", key))
            return super().delete(key, mgmt_element)

    store = Traced(folder)
    store.set_many({"a": 1, "b": 2})
    assert store.get_many("a", "b") == [1, 2]
    assert store.inc("a") == 2
    assert store.delete_many("a", "b") == ["a", "b"]
    assert seen == ["a", "b", "a", ("delete", "a"), ("delete", "b")]


def test_another_process_sees_what_is_written_and_removed(cache: Cache, folder: Path) -> None:
    cache.set("k", 1)
    code = f"""
    from flask_larder.compat.backends import FileSystemCache
    store = FileSystemCache({str(folder)!r})
    print(store.get("k"), store.delete("k"), store.set("other", [2]), store.inc("n"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1 True True 1"
    assert (cache.get("k"), cache.get("other"), cache.cache.inc("n")) == (None, [2], 2)


def test_stats_name_the_store(cache: Cache) -> None:
    cache.set("k", 1)
    stats = cache.stats()
    assert (stats["store"], stats["entries"]) == ("file", 1)


def test_nothing_is_logged_in_passing(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        cache.set("k", 1)
        cache.get("k")
        cache.get("none")
        cache.clear()
    assert not caplog.messages
