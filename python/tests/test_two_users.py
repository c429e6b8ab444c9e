"""Two users, many requests at the same time: not one byte of either reaches the other.

Each answer is compared with what the view says to this user, byte for byte. `LARDER_EFFORT` multiplies the
requests.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import random
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import STORES, configuration
from two_users_app import HOST, NOBODY, Room, Site, Tally, User

from flask_larder.testing import HandClock

EFFORT = int(os.environ.get("LARDER_EFFORT", "1"))
VISITORS = 4
# The Rust service is asked a hundred thousand times beside these.
REQUESTS = {"memory": 12_000, "shared": 6_000, "redis": 6_000, "file": 5_000, "memcached": 5_000}
if "LARDER_TEST_STORES" in os.environ:
    # Another Flask or another Python: it is enough to have asked for everything some times.
    REQUESTS = dict.fromkeys(REQUESTS, 4_000)
METHODS = ("GET", "HEAD", "POST")
MARKS = ("anna-51f0c2b7", "bert-9e84d316")


Said = tuple[str, list[tuple[str, str]], bytes]
"""The status, the headers and the body of an answer."""


class Answer:
    """What an application says to one request."""

    def __init__(self, site: Site, environ: dict[str, Any]) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        said = site.app.wsgi_app(environ, self.start)
        try:
            self.body = b"".join(said)
        finally:
            getattr(said, "close", lambda: None)()

    def start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        """What a server gives an application to begin its answer with."""
        self.status, self.headers = status, headers

    def everything(self) -> Said:
        """All that a client sees of it but the hour, which passes."""
        told = [pair for pair in self.headers if pair[0] not in ("Date", "Last-Modified")]
        return self.status, sorted(told), self.body


def environ_of(room: Room, user: User, method: str = "GET") -> dict[str, Any]:
    """A request as a server hands it over."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": room.path,
        "QUERY_STRING": "",
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": HOST,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **room.way.said(user),
    }


@pytest.fixture(autouse=True)
def quick_turns() -> Generator[None]:
    """Threads take turns often. So there are more orders in which things happen, and nobody waits 5 ms for
    the interpreter after each word with a server, which is most of what a crowd takes otherwise."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@functools.cache
def expected() -> dict[tuple[str, str, str], Said]:
    """What each view says to each user without a cache, looked at for whom it is said to."""
    site = Site({"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    found: dict[tuple[str, str, str], Said] = {}
    for room, mark, method in itertools.product(site.rooms, MARKS, METHODS):
        said = Answer(site, environ_of(room, site.user(mark), method)).everything()
        told = {other for other in MARKS if other in repr(said)}
        assert told <= ({mark} if room.way is not NOBODY else set()), (room, said)
        assert told or room.way is NOBODY or method == "HEAD", (room, said)
        found[room.path, mark, method] = said
    return found


class Visits:
    """What the two ask, and what they have to hear."""

    def __init__(self, site: Site, clock: HandClock) -> None:
        self.site = site
        self.clock = clock
        self.users = [site.user(mark) for mark in MARKS]
        self.asked = Tally()
        self.expected = expected()

    def ask(self, room: Room, user: User, method: str) -> None:
        """One request, and whether its answer is the one for this user, to the last byte."""
        said = Answer(self.site, environ_of(room, user, method)).everything()
        expected = [self.expected[room.path, user.mark, method]]
        status, headers, body = self.expected[room.path, user.mark, "GET"]
        if room.form == "stream":
            # What was stored of a stream has a length.
            headers = sorted([*headers, ("Content-Length", str(len(body)))])
            expected.append((status, headers, body if method == "GET" else b""))
        if method == "HEAD":
            # Where it is answered from what a GET left, it has that one's headers.
            expected.append((status, headers, b""))
        assert said in expected, (room, user, method)
        if method == "GET":
            self.asked.add(room.path)

    def many(self, seed: int, requests: int) -> None:
        """So many requests of both users, while entries expire and are purged."""
        chance = random.Random(seed)
        for number in range(requests):
            method = "HEAD" if number % 7 == 0 else "POST" if number % 31 == 0 else "GET"
            self.ask(chance.choice(self.site.rooms), chance.choice(self.users), method)
            if number % 1500 == 700:
                self.clock.advance(61)
            if number % 2000 == 1400:
                with self.site.app.app_context():
                    self.site.cache.clear()


@pytest.mark.parametrize("store_name", STORES)
def test_not_one_byte_of_a_user_reaches_the_other(
    request: pytest.FixtureRequest, clock: HandClock, store_name: str
) -> None:
    site = Site(configuration(store_name, request))
    visits = Visits(site, clock)
    site.ran.clear()
    requests = REQUESTS[store_name] * EFFORT // VISITORS
    seeds = [random.SystemRandom().randrange(1 << 32) for _ in range(VISITORS)]
    print("seeds:", seeds)
    start = threading.Barrier(VISITORS)

    def visit(seed: int) -> None:
        start.wait()
        visits.many(seed, requests)

    with ThreadPoolExecutor(VISITORS) as crowd:
        list(crowd.map(visit, seeds))
    site.cache._background.join()
    # What may not be kept was made anew for each who asked.
    for room in site.rooms:
        assert room.kept is not False or site.ran[room.path] >= visits.asked[room.path], room
    # And the cache was at work: in each way, and in each form.
    kept = [room for room in site.rooms if room.kept]
    for what in {room.way.name for room in kept} | {room.form for room in kept}:
        paths = [room.path for room in kept if what in (room.way.name, room.form)]
        ran, asked = (sum(counts[path] for path in paths) for counts in (site.ran, visits.asked))
        assert ran < asked, (what, ran, asked)
