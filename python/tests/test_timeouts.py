"""Soft and hard timeouts: how long a caller waits for a load, and what becomes of one that takes longer.

The figures are those of one table: soft 0.1 s, hard 2 s, timeout 60 s, stale 3600 s. The clock is moved
by hand, also for the timeouts.
"""

from __future__ import annotations

import threading
from concurrent.futures import wait
from contextvars import ContextVar
from typing import Any

import pytest
from conftest import passes, text_of
from flask import Flask, Response, g, request
from slow_support import PATIENCE, TIMED_OUT, WAYS, Stage

from flask_larder import Cache, CacheTimeout
from flask_larder.testing import HandClock


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(way: str, app: Flask, stored: Cache, clock: HandClock) -> Stage:
    return Stage(app, stored, way)


def test_t3_1_a_soft_timeout_needs_something_stale(stage: Stage, clock: HandClock) -> None:
    with stage.asked() as asking:
        clock.advance(0.5)
        assert not asking.done()
    assert asking.result(PATIENCE) == "v1"
    assert stage.ask() == "v1"
    assert stage.origin.calls == 1


def test_t3_2_a_hard_timeout_while_the_load_goes_on(stage: Stage, clock: HandClock) -> None:
    with stage.asked() as asking:
        clock.advance(1.9)
        assert not asking.done()
        clock.advance(0.1)
        assert asking.result(PATIENCE) == TIMED_OUT
        clock.advance(1)
    stage.settle()
    assert stage.ask() == "v1"
    assert stage.origin.calls == 1


def test_t3_2_who_waits_for_another_has_a_hard_timeout_of_its_own(
    stage: Stage, clock: HandClock
) -> None:
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
        following = stage._pool.submit(stage.ask)
        while not following.done():
            # Whenever it came, two seconds later it has waited enough. Not hours later: what a load was
            # read with is forgotten by then.
            clock.advance(0.5)
            wait([following], 0.05)
        assert following.result(PATIENCE) == TIMED_OUT
    stage.settle()
    assert stage.ask() == "v1"
    assert stage.origin.calls == 1


def test_t3_3_a_quick_refresh_is_waited_for(stage: Stage, clock: HandClock) -> None:
    assert stage.first() == "v1"
    clock.advance(61)
    with stage.asked() as asking:
        clock.advance(0.05)
    assert asking.result(PATIENCE) == "v2"
    assert stage.ask() == "v2"
    assert stage.origin.calls == 2


def test_t3_4_a_slow_refresh_is_not_waited_for(stage: Stage, clock: HandClock) -> None:
    assert stage.first() == "v1"
    clock.advance(61)
    with stage.asked() as asking:
        clock.advance(0.09)
        assert not asking.done()
        clock.advance(0.02)
        assert asking.result(PATIENCE) == "v1"
        # The time that callers give the refresh is over: they get it at once.
        assert stage.answers(20) == ["v1"] * 20
        assert stage.origin.calls == 2
        clock.advance(0.4)
    stage.settle()
    clock.advance(59)
    assert stage.ask() == "v2"
    assert stage.origin.calls == 2


def test_t3_5_a_late_failure_leaves_the_stale_answer(stage: Stage, clock: HandClock) -> None:
    assert stage.first() == "v1"
    stage.origin.failing = True
    clock.advance(61)
    with stage.asked() as asking:
        clock.advance(0.1)
        assert asking.result(PATIENCE) == "v1"
    stage.settle()
    assert stage.events("background-error") == 1
    for _ in range(29):
        clock.advance(1)
        assert stage.ask() == "v1"
    assert stage.origin.calls == 2
    clock.advance(2)
    assert stage.ask() == "v1"
    stage.settle()
    assert stage.origin.calls == 3
    assert stage.events("background-error") == 1


def test_t3_6_lifetime_and_tags_of_a_late_load_count(stage: Stage, clock: HandClock) -> None:
    def say() -> None:
        stage.cache.context.ttl("5s")
        stage.cache.context.tag("prices")

    assert stage.first() == "v1"
    stage.origin.then = say
    clock.advance(61)
    with stage.asked() as asking:
        clock.advance(0.1)
        assert asking.result(PATIENCE) == "v1"
    stage.settle()
    clock.advance(4)
    assert stage.ask() == "v2"
    clock.advance(1)
    assert stage.ask() == "v3", "its five seconds are over"
    with stage.app.app_context():
        stage.cache.invalidate_tags("prices")
    assert stage.ask() == "v4"


def test_t3_7_a_late_load_is_thrown_away(
    way: str, app: Flask, stored: Cache, clock: HandClock
) -> None:
    stage = Stage(app, stored, way, background=False)
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
    stage.settle()
    assert stage.first() == "v2"
    clock.advance(61)
    with stage.asked() as asking:
        clock.advance(0.1)
        assert asking.result(PATIENCE) == "v2"
    stage.settle()
    # It counts as a failure: the origin is left in peace for the throttle.
    clock.advance(29)
    assert stage.ask() == "v2"
    assert stage.origin.calls == 3
    clock.advance(2)
    assert stage.ask() == "v4"


def test_t3_8_a_purge_during_a_late_load(stage: Stage, clock: HandClock) -> None:
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
        with stage.app.app_context():
            stage.cache.clear()
    stage.settle()
    assert stage.ask() == "v2"
    assert stage.origin.calls == 2


def test_t3_9_the_end_of_the_process_waits_for_a_grace(stage: Stage, clock: HandClock) -> None:
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
        # No more than that: the load would go on for ever.
        stage.cache._background.stop(0.01)
        with stage.app.app_context():
            stage.cache.clear()
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
        stopping = stage._pool.submit(stage.cache._background.stop, PATIENCE)
        assert not wait([stopping], timeout=0.1).done, "something is under way"
        stage.origin.gate.set()
        # What ends in time is stored.
        stopping.result(PATIENCE)
    calls = stage.origin.calls
    assert stage.ask() != TIMED_OUT
    assert stage.origin.calls == calls


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"soft_timeout": 0.1, "stale": None}, "add a stale window"),
        ({"soft_timeout": 2, "hard_timeout": 1}, "the shorter one"),
        ({"soft_timeout": 0}, "leave it out"),
        ({"hard_timeout": "0s"}, "leave it out"),
        ({"hard_timeout": -1}, "negative"),
        ({"soft_timeout": None, "hard_timeout": None, "background": False}, "add a soft_timeout"),
        ({"hard_timeout": "soon"}, "no duration"),
        ({"hard_timeout": 1, "background": "no"}, "background='no' is neither"),
    ],
)
def test_timeouts_that_do_not_fit_are_refused(
    cache: Cache, options: dict[str, Any], cure: str
) -> None:
    for decorate in (cache.memoize, cache.cached):
        with pytest.raises((TypeError, ValueError), match=cure):
            decorate(**{"timeout": 60, "stale": 60, **options})(lambda: 1)


def test_answers_say_which_timeout_was_over(app: Flask, cache: Cache, clock: HandClock) -> None:
    app.debug = True
    said: list[str] = []

    # Those that come first run last.
    @app.after_request
    def note(response: Response) -> Response:
        said.extend(response.headers.getlist("Cache-Status"))
        return response

    stage = Stage(app, cache, "cached")
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == TIMED_OUT
    stage.settle()
    clock.advance(62)
    with stage.asked() as asking:
        clock.advance(0.1)
        assert asking.result(PATIENCE) == "v1"
    stage.settle()
    assert "fwd=miss; detail=hard-timeout" in said[0]
    assert "hit; ttl=-3; detail=soft-timeout" in said[1]
    assert passes(cache, app) == {"hard-timeout": 1}
    with app.app_context():
        stats = cache.stats()["functions"]
    assert sum(one["stale_hits"] for one in stats.values()) == 1


def test_a_default_is_served_where_the_load_takes_too_long(
    app: Flask, cache: Cache, clock: HandClock
) -> None:
    stage = Stage(app, cache, "memoize", default="nothing yet")
    with stage.asked() as asking:
        clock.advance(2)
        assert asking.result(PATIENCE) == "nothing yet"
    stage.settle()
    assert stage.ask() == "v1"


def test_a_load_has_a_context_of_its_own(app: Flask, cache: Cache) -> None:
    word: ContextVar[str] = ContextVar("word", default="none")
    torn: list[str] = []
    app.teardown_appcontext(lambda _: torn.append(threading.current_thread().name))

    @app.get("/<name>")
    @cache.cached(60, hard_timeout=PATIENCE)
    def index(name: str) -> str:
        shared = hasattr(g, "hooked")
        return f"{request.method} {name} {request.args['a']} {word.get()} {shared} {len(torn)}"

    @app.before_request
    def hook() -> None:
        g.hooked = True
        word.set("copied")

    assert text_of(app.test_client(), "/x?a=1") == "GET x 1 copied False 0"
    assert torn[0].startswith("larder-load")
    assert not torn[1].startswith("larder-load")


def test_a_view_that_reads_what_is_not_in_its_key_is_answered_and_not_stored(
    app: Flask, cache: Cache
) -> None:
    @app.get("/")
    @cache.cached(60, hard_timeout=PATIENCE)
    def index() -> str:
        return f"for {request.headers['User-Agent']}"

    for agent in ("a", "b"):
        assert text_of(app.test_client(), headers={"User-Agent": agent}) == f"for {agent}"
    assert [reason.partition(":")[0] for reason in passes(cache, app)] == ["unkeyed-input"]


def test_an_error_within_the_time_is_the_callers(app: Flask, cache: Cache) -> None:
    def fails() -> str:
        raise LookupError("as the test wants it")

    slow = cache.memoize(60, hard_timeout=PATIENCE)(fails)
    with app.app_context(), pytest.raises(LookupError) as caught:
        slow()
    assert any(entry.name == "fails" for entry in caught.traceback)


def test_without_a_timeout_nothing_is_paid(app: Flask, cache: Cache) -> None:
    here = threading.current_thread()
    seen: list[threading.Thread] = []
    plain = cache.memoize(60)(lambda: seen.append(threading.current_thread()))
    with app.app_context():
        plain()
    assert seen == [here]


def test_a_timeout_is_a_timeout_error_and_an_answer() -> None:
    error = CacheTimeout(2.0)
    assert isinstance(error, TimeoutError)
    assert error.code == 504
    assert "2 seconds" in str(error)
