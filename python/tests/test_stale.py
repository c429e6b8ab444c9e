"""Stale windows: what is served after the timeout, and when the function is called again.

The figures are those of one table: timeout 60 s, stale 3600 s, stale_on_error 86400 s, throttle 30 s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import text_of
from flask import Flask, request, session

from flask_larder import Cache
from flask_larder.testing import HandClock

WINDOWS: dict[str, Any] = {
    "timeout": 60,
    "stale": 3600,
    "stale_on_error": 86400,
    "throttle": 30,
}


class Origin:
    """Answers v1, v2, v3 …, or fails while it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.failing = False
        self.lock = threading.Lock()
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> str:
        assert self.open.wait(60)
        with self.lock:
            self.calls += 1
            if self.failing:
                raise LookupError(f"call {self.calls} fails")
            return f"v{self.calls}"


Ask = Callable[[], str]


class Stage:
    """A cached origin, asked in one of several ways."""

    def __init__(self, app: Flask, cache: Cache, way: str, **windows: Any) -> None:
        self.app, self.cache, self.origin = app, cache, Origin()
        app.testing = True
        self.ask: Ask = getattr(self, way)(WINDOWS | windows)

    def memoize(self, windows: dict[str, Any]) -> Ask:
        @self.cache.memoize(**windows)
        def answer() -> str:
            return self.origin()

        def ask() -> str:
            with self.app.app_context():
                return answer()

        return ask

    def memoize_async(self, windows: dict[str, Any]) -> Ask:
        @self.cache.memoize(**windows)
        async def answer() -> str:
            await asyncio.sleep(0)
            return self.origin()

        def ask() -> str:
            with self.app.app_context():
                return asyncio.run(answer())

        return ask

    def cached(self, windows: dict[str, Any]) -> Ask:
        self.app.add_url_rule("/", "index", self.cache.cached(**windows)(lambda: self.origin()))
        return lambda: text_of(self.app.test_client())

    def cached_async(self, windows: dict[str, Any]) -> Ask:
        @self.app.get("/")
        @self.cache.cached(**windows)
        async def index() -> str:
            await asyncio.sleep(0)
            return self.origin()

        return lambda: text_of(self.app.test_client())

    def settle(self) -> None:
        """Waits until the refreshes behind the answers are done."""
        self.cache._background.join()


@pytest.fixture(params=["memoize", "memoize_async", "cached", "cached_async"])
def stage(request: pytest.FixtureRequest, app: Flask, stored: Cache, clock: HandClock) -> Stage:
    return Stage(app, stored, request.param)


def test_t2_1_fresh_until_the_timeout(stage: Stage, clock: HandClock) -> None:
    assert stage.ask() == "v1"
    clock.advance(59)
    assert stage.ask() == "v1"
    assert stage.origin.calls == 1


def test_t2_2_stale_at_once_and_one_refresh(stage: Stage, clock: HandClock) -> None:
    stage.ask()
    clock.advance(61)
    stage.origin.open.clear()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: stage.ask(), range(50)))
    assert set(answers) == {"v1"}
    stage.origin.open.set()
    stage.settle()
    assert stage.origin.calls == 2
    clock.advance(59)
    assert stage.ask() == "v2"
    stage.settle()
    assert stage.origin.calls == 2


def test_t2_3_a_failed_refresh_keeps_the_stale_answer_and_is_throttled(
    stage: Stage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    stage.ask()
    stage.origin.failing = True
    clock.advance(61)
    assert stage.ask() == "v1"
    stage.settle()
    assert stage.origin.calls == 2
    assert len([record for record in caplog.records if "call 2 fails" in record.getMessage()]) == 1
    for _ in range(29):
        clock.advance(1)
        assert stage.ask() == "v1"
    stage.settle()
    assert stage.origin.calls == 2
    clock.advance(2)
    assert stage.ask() == "v1"
    stage.settle()
    assert stage.origin.calls == 3


def test_t2_4_the_first_success_ends_the_trouble(stage: Stage, clock: HandClock) -> None:
    stage.ask()
    stage.origin.failing = True
    clock.advance(61)
    stage.ask()
    stage.settle()
    stage.origin.failing = False
    clock.advance(31)
    assert stage.ask() == "v1"
    stage.settle()
    clock.advance(59)
    assert stage.ask() == "v3"
    stage.settle()
    assert stage.origin.calls == 3


def test_t2_5_too_old_to_be_served_while_it_is_refreshed(stage: Stage, clock: HandClock) -> None:
    stage.ask()
    clock.advance(60 + 3600 + 1)
    assert stage.ask() == "v2"
    stage.origin.failing = True
    clock.advance(60 + 3600 + 1)
    assert stage.ask() == "v2"
    assert stage.origin.calls == 3
    clock.advance(60 + 86400)
    with pytest.raises(LookupError, match="call 4 fails"):
        stage.ask()


@pytest.mark.parametrize("way", ["memoize", "memoize_async", "cached", "cached_async"])
def test_t2_7_a_default_for_a_first_load_that_fails(
    app: Flask, stored: Cache, clock: HandClock, way: str
) -> None:
    stage = Stage(app, stored, way, default="nothing yet")
    stage.origin.failing = True
    assert stage.ask() == "nothing yet"
    clock.advance(29)
    assert stage.ask() == "nothing yet"
    assert stage.origin.calls == 1
    stage.origin.failing = False
    clock.advance(2)
    stage.ask()
    stage.settle()
    assert stage.ask() == "v2"


def test_t2_9_a_refresh_outlives_the_request(app: Flask, stored: Cache, clock: HandClock) -> None:
    gate = threading.Event()
    calls: list[str] = []

    @app.get("/")
    @stored.cached(**WINDOWS)
    def index() -> str:
        calls.append(threading.current_thread().name)
        if len(calls) == 2:
            assert gate.wait(60)
        return f"v{len(calls)}"

    assert text_of(app.test_client()) == "v1"
    clock.advance(61)
    assert text_of(app.test_client()) == "v1"
    gate.set()
    stored._background.join()
    assert calls[1].startswith("larder-refresh")
    assert text_of(app.test_client()) == "v2"


def test_a_view_is_refreshed_in_a_request_with_the_inputs_of_its_key(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    seen: list[str] = []

    @app.get("/<name>")
    @stored.cached(**WINDOWS, vary=["Accept-Language"])
    def index(name: str) -> str:
        asked = f"{request.method} {request.host} {name} {request.args['page']}"
        seen.append(f"{asked} {request.headers['Accept-Language']}")
        return str(len(seen))

    client = app.test_client()
    how: dict[str, Any] = {
        "base_url": "http://shop.example:8080",
        "headers": {"Accept-Language": "de"},
    }
    assert text_of(client, "/ä?page=2", **how) == "1"
    clock.advance(61)
    assert text_of(client, "/ä?page=2", **how) == "1"
    stored._background.join()
    assert text_of(client, "/ä?page=2", **how) == "2"
    assert seen == ["GET shop.example:8080 ä 2 de"] * 2


LOOKS: dict[str, Callable[[], Any]] = {
    "session": lambda: session.get("user"),
    "the header User-Agent": lambda: request.headers.get("User-Agent"),
    "the header Accept": lambda: request.headers["Accept"],
    "the cookie theme": lambda: request.cookies.get("theme"),
    "user_agent": lambda: request.user_agent.string,
    "the client's address": lambda: request.remote_addr,
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_refresh_that_reads_what_is_not_in_the_key_is_refused(
    app: Flask,
    stored: Cache,
    clock: HandClock,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    calls: list[int] = []
    look = LOOKS[name]

    @app.get("/")
    @stored.cached(**WINDOWS)
    def index() -> str:
        calls.append(1)
        if len(calls) > 1:
            look()
        return f"v{len(calls)}"

    client = app.test_client()
    assert text_of(client) == "v1"
    clock.advance(61)
    assert text_of(client) == "v1"
    stored._background.join()
    assert len(calls) == 2
    assert text_of(client) == "v1"
    assert name.split()[-1].lower().replace("user_agent", "user-agent") in caplog.text.lower()
    assert "vary=" in caplog.text


def test_a_refresh_that_answers_with_an_error_keeps_what_is_there(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    status = [200]

    @app.get("/")
    @stored.cached(**WINDOWS)
    def index() -> tuple[str, int]:
        return f"status {status[0]}", status[0]

    client = app.test_client()
    assert text_of(client) == "status 200"
    status[0] = 500
    clock.advance(61)
    assert text_of(client) == "status 200"
    stored._background.join()
    assert text_of(client) == "status 200"
    clock.advance(3600)
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, "status 200")


def test_an_answer_that_is_gone_is_not_hidden_by_a_stale_one(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    status = [200]

    @app.get("/")
    @stored.cached(60, stale_on_error=3600)
    def index() -> tuple[str, int]:
        return f"status {status[0]}", status[0]

    client = app.test_client()
    client.get("/")
    status[0] = 404
    clock.advance(61)
    assert client.get("/").status_code == 404


def test_a_refresh_whose_answer_is_filtered_is_not_stored(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    calls: list[int] = []

    @stored.memoize(**WINDOWS, response_filter=lambda answer: answer != 2)
    def answer() -> int:
        calls.append(1)
        return len(calls)

    with app.app_context():
        assert answer() == 1
        clock.advance(61)
        answer()
        stored._background.join()
        assert stored._engine().get(answer.make_cache_key(answer)) != (2,)  # type: ignore[attr-defined]


def test_a_store_that_was_emptied_is_a_miss(stage: Stage, clock: HandClock) -> None:
    stage.ask()
    with stage.app.app_context():
        stage.cache.clear()
    clock.advance(61)
    assert stage.ask() == "v2"


@pytest.mark.parametrize("control", ["must-revalidate", "max-age=60, proxy-revalidate"])
def test_t2_6_what_must_be_revalidated_is_not_served_stale(
    app: Flask, stored: Cache, clock: HandClock, control: str
) -> None:
    origin = Origin()

    @app.get("/")
    @stored.cached(**WINDOWS)
    def index() -> tuple[str, dict[str, str]]:
        return origin(), {"Cache-Control": control}

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["v1", "v1"]
    clock.advance(61)
    assert text_of(client) == "v2"
    origin.failing = app.testing = True
    clock.advance(61)
    with pytest.raises(LookupError):
        client.get("/")
