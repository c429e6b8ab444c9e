"""What nobody needs any more is given back: applications, caches, functions, answers."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from typing import Any

import pytest
from flask import Flask, render_template_string

from flask_larder import Cache

PATIENCE = 60


def collect() -> None:
    """Also what is found only when something else was given back."""
    for _ in range(3):
        gc.collect()


def used(config: dict[str, Any]) -> list[weakref.ref[Any]]:
    """An application that was used in every way, and is not needed any more."""
    app = Flask("shop")
    app.secret_key = "a key for tests"
    cache = Cache(app, config=config)

    @cache.memoize(60, tags=["t"], vary=[lambda: app.name])
    def price(product: str) -> str:
        return product

    @app.get("/")
    @cache.cached(60, vary=[lambda: cache.config])
    def index() -> str:
        return render_template_string(
            "{% cache 60, 'f' %}{{ price }}{% endcache %}", price=price("a")
        )

    client = app.test_client()
    for _ in range(3):
        assert client.get("/").text == "a"
    return [weakref.ref(thing) for thing in (app, cache, price, index)]


def test_applications_and_caches_are_reclaimed(store: dict[str, Any]) -> None:
    references = used(store)
    collect()
    assert [reference() for reference in references] == [None] * 4


def test_functions_are_reclaimed_while_their_cache_goes_on(app: Flask, stored: Cache) -> None:
    def make() -> weakref.ref[Any]:
        @stored.memoize(60)
        def number(n: int) -> int:
            return number.uncached and n  # type: ignore[attr-defined, no-any-return]

        assert number(1) == number(1) == 1
        return weakref.ref(number)

    with app.app_context():
        reference = make()
        collect()
        assert reference() is None


def test_answers_are_given_back_when_they_are_removed(cache: Cache) -> None:
    kept = ("a tuple", frozenset({1}))
    held = sys.getrefcount(kept)
    for remove in (lambda: cache.delete("k"), cache.clear, lambda: cache.set("k", 1)):
        cache.set("k", kept)
        assert sys.getrefcount(kept) > held
        remove()
        assert sys.getrefcount(kept) == held
    cache.clear()
    assert (cache.stats()["entries"], cache.stats()["bytes"]) == (0, 0)


def test_a_signal_reaches_who_waits(app: Flask, stored: Cache) -> None:
    """Ctrl-C while somebody else loads."""
    begun, go_on = threading.Event(), threading.Event()

    @stored.memoize(60)
    def answer() -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        return 1

    def ask() -> int:
        with app.app_context():
            return answer()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def ask_until_interrupted() -> None:
        # Where a machine stands still, the signal may come before this thread waits, but never before this.
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        ask()

    leader = threading.Thread(target=ask)
    leader.start()
    assert begun.wait(PATIENCE)
    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask_until_interrupted()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        go_on.set()
        leader.join()
    assert ask() == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_end_of_the_program_is_no_answer(
    app: Flask, stored: Cache, error: type[BaseException]
) -> None:
    """The leader ends; one of those who wait loads instead, and gets no error."""
    begun, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    @stored.memoize(60)
    def answer() -> int:
        calls.append(1)
        if len(calls) == 1:
            begun.set()
            assert go_on.wait(PATIENCE)
            raise error
        return 7

    found: list[Any] = []

    def ask() -> None:
        with app.app_context():
            try:
                found.append(answer())
            except BaseException as raised:
                found.append(type(raised))

    leader, follower = threading.Thread(target=ask), threading.Thread(target=ask)
    leader.start()
    assert begun.wait(PATIENCE)
    follower.start()
    go_on.set()
    leader.join()
    follower.join()
    assert sorted(map(str, found)) == sorted(map(str, [7, error]))
