"""Origins that a test holds up, and callers that wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flask import Flask

from flask_larder import Cache, CacheTimeout

PATIENCE = 60

WAYS = ["memoize", "memoize_async", "cached", "cached_async"]

TIMES: dict[str, Any] = {
    "timeout": 60,
    "stale": 3600,
    "throttle": 30,
    "soft_timeout": 0.1,
    "hard_timeout": "2s",
}

TIMED_OUT = "CacheTimeout"


class Slow:
    """Answers v1, v2, v3 …; each call waits for the gate, and then does what the test wants."""

    def __init__(self) -> None:
        self.calls = 0
        self.failing = False
        self.then: Callable[[], None] = lambda: None
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.calls += 1
            number, fails = self.calls, self.failing
        self.begun.release()
        assert self.gate.wait(PATIENCE)
        if fails:
            raise LookupError(f"call {number} fails")
        self.then()
        return f"v{number}"


class Stage:
    """A cached origin, asked in one of several ways."""

    def __init__(self, app: Flask, cache: Cache, way: str, **options: Any) -> None:
        self.app, self.cache, self.origin = app, cache, Slow()
        self._pool = ThreadPoolExecutor(32)
        self.ask: Callable[[], str] = getattr(self, way)(TIMES | options)

    def memoize(self, options: dict[str, Any]) -> Callable[[], str]:
        @self.cache.memoize(**options)
        def answer() -> str:
            return self.origin()

        def ask() -> str:
            with self.app.app_context():
                try:
                    return answer()
                except CacheTimeout:
                    return TIMED_OUT

        self.function: Any = answer
        return ask

    def memoize_async(self, options: dict[str, Any]) -> Callable[[], str]:
        @self.cache.memoize(**options)
        async def answer() -> str:
            await asyncio.sleep(0)
            return self.origin()

        def ask() -> str:
            with self.app.app_context():
                try:
                    return asyncio.run(answer())
                except CacheTimeout:
                    return TIMED_OUT

        self.function = answer
        return ask

    def cached(self, options: dict[str, Any]) -> Callable[[], str]:
        @self.app.get("/")
        @self.cache.cached(**options)
        def index() -> str:
            return self.origin()

        self.function = index
        return self._get

    def cached_async(self, options: dict[str, Any]) -> Callable[[], str]:
        @self.app.get("/")
        @self.cache.cached(**options)
        async def index() -> str:
            await asyncio.sleep(0)
            return self.origin()

        self.function = index
        return self._get

    def _get(self) -> str:
        answer = self.app.test_client().get("/")
        if answer.status_code == 500:
            raise LookupError(answer.get_data(as_text=True))
        return TIMED_OUT if answer.status_code == 504 else answer.get_data(as_text=True)

    @contextmanager
    def asked(self) -> Generator[Future[str]]:
        """Somebody who asks and waits for a call that has begun; the gate is open at the end."""
        self.origin.gate.clear()
        try:
            asking = self._pool.submit(self.ask)
            assert self.origin.begun.acquire(timeout=PATIENCE)
            yield asking
        finally:
            self.origin.gate.set()

    def answers(self, number: int) -> list[str]:
        """What so many others get who ask at the same time."""
        asking = [self._pool.submit(self.ask) for _ in range(number)]
        return [one.result(PATIENCE) for one in asking]

    def first(self) -> str:
        """Fills the cache."""
        answer = self.ask()
        assert self.origin.begun.acquire(timeout=PATIENCE)
        return answer

    def settle(self) -> None:
        """Waits until the loads that go on are done."""
        self.cache._background.join()

    def events(self, name: str) -> int:
        """How often the engine has told of something."""
        return self.cache._outcomes.events.get(name, 0)
