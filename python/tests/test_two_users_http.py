"""Two users of a site in HTTP mode: validators, ranges and changes carry nothing from one to the other."""

from __future__ import annotations

import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import STORES, configuration
from test_two_users import (
    EFFORT,
    MARKS,
    REQUESTS,
    VISITORS,
    Answer,
    environ_of,
    expected,
    quick_turns,
)
from two_users_app import Room, Site, User

__all__ = ["quick_turns"]

SHARE = 4
"""One in so many of the requests without HTTP mode: each of them says less about it."""


class Visits:
    """What the two ask, each knowing the validators of the other."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.users = [site.user(mark) for mark in MARKS]
        self.bodies = {
            (path, mark): (said[0], said[2])
            for (path, mark, method), said in expected().items()
            if method == "GET"
        }
        self.tags: dict[str, str] = {}
        self.not_modified = 0
        self.parts = 0

    def ask(self, room: Room, user: User, method: str, chance: random.Random) -> None:
        """One request, on a condition, for a part, or neither."""
        other = next(mark for mark in MARKS if mark != user.mark)
        environ = environ_of(room, user, method) | {"wsgi.input": io.BytesIO()}
        tag = self.tags.get(room.path)
        if tag is not None and chance.random() < 0.4:
            environ["HTTP_IF_NONE_MATCH"] = tag
        elif chance.random() < 0.1:
            environ["HTTP_RANGE"] = "bytes=0-2"
        said = Answer(self.site, environ)
        status, body = self.bodies[room.path, user.mark]
        assert other not in repr((said.status, said.headers, said.body)), (room, user, said.headers)
        if said.status.startswith("304"):
            # The validator that was sent may be the other user's.
            assert self.bodies[room.path, other] == (status, body) or tag in self.own(room, user)
            self.not_modified += 1
        elif said.status.startswith("206"):
            assert said.body == body[: len(said.body)], (room, user)
            self.parts += 1
        else:
            assert said.status == status, (room, user, said.status)
            assert said.body in ((body, b"") if method == "HEAD" else (body,)), (room, user)
            headers = dict(said.headers)
            if "ETag" in headers:
                self.tags[room.path] = headers["ETag"]

    def own(self, room: Room, user: User) -> set[str]:
        """The validators of what this user gets, by an answer of its own."""
        said = Answer(self.site, environ_of(room, user))
        return {value for name, value in said.headers if name == "ETag"}

    def many(self, seed: int, requests: int) -> None:
        """So many requests of both users."""
        chance = random.Random(seed)
        for number in range(requests):
            method = "HEAD" if number % 7 == 0 else "POST" if number % 31 == 0 else "GET"
            self.ask(chance.choice(self.site.rooms), chance.choice(self.users), method, chance)


@pytest.mark.parametrize("store_name", STORES)
def test_not_one_byte_of_a_user_reaches_the_other_in_http_mode(
    request: pytest.FixtureRequest, store_name: str
) -> None:
    site = Site({**configuration(store_name, request), "CACHE_HTTP": True})
    visits = Visits(site)
    requests = REQUESTS[store_name] * EFFORT // VISITORS // SHARE
    seeds = [random.SystemRandom().randrange(1 << 32) for _ in range(VISITORS)]
    print("seeds:", seeds)
    start = threading.Barrier(VISITORS)

    def visit(seed: int) -> None:
        start.wait()
        visits.many(seed, requests)

    with ThreadPoolExecutor(VISITORS) as crowd:
        list(crowd.map(visit, seeds))
    site.cache._background.join()
    assert visits.not_modified > 0
    assert visits.parts > 0
