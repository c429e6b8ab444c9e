"""Entries that somebody has changed in the store: a miss, never another value, and never code that runs.

LARDER_EFFORT multiplies the work.
"""

from __future__ import annotations

import os
import pickle
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from conftest import redis_config
from flask import Flask
from foreign_backends import Plain

from flask_larder import Cache
from flask_larder._native import Packing, encode
from flask_larder.foreign import ForeignCache, Wrapping

EFFORT = int(os.environ.get("LARDER_EFFORT", "1"))
SECRET = "a key for tests"
NUMBER = re.compile(rb"-?\d+")

ran: list[str] = []
"""A trace of each pickle that was loaded."""


def trace(name: str) -> Canary:
    ran.append(name)
    return Canary(name)


class Canary:
    """Leaves a trace where its pickle is loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return trace, (self.name,)


class Held:
    """A store whose bytes a test can change: a dict in a back end of somebody's own."""

    def __init__(self, secret: str | None, **packing: Any) -> None:
        self.backend = Plain()
        self.cache = self.made(secret, **packing)

    def made(self, secret: str | None, **packing: Any) -> Any:
        """Another cache on the same bytes."""
        secrets = [] if secret is None else [secret.encode()]
        wrapping = Wrapping("", 300, Packing(secrets, **packing), 8 << 20)
        return ForeignCache(self.backend, wrapping)

    @property
    def engine(self) -> Any:
        return self.cache.engine

    def entry(self, key: str) -> bytes:
        return bytes(self.backend.records[self.cache._store.name_of(key)])

    def put(self, key: str, content: bytes) -> None:
        self.backend.records[self.cache._store.name_of(key)] = content

    @property
    def unreadable(self) -> int:
        return int(self.cache._store.unreadable)


class InRedis:
    """A store whose bytes a test can change: the server, by way of redis-py."""

    def __init__(self, url: str, secret: str | None, **options: Any) -> None:
        self.config = redis_config(url)
        self.client = redis.Redis.from_url(url)
        self.cache = self.made(secret, **options)

    def made(self, secret: str | None, compress: int | None = None) -> Any:
        options = {"CACHE_SECRET": secret, "CACHE_COMPRESS": compress}
        return Cache(Flask("shop"), config={**self.config, **options})

    @property
    def engine(self) -> Any:
        return self.cache.cache.engine

    def name(self, key: str) -> str:
        return f"{self.config['CACHE_KEY_PREFIX']}{key}"

    def entry(self, key: str) -> bytes:
        found: Any = self.client.get(self.name(key))
        return bytes(found)

    def put(self, key: str, content: bytes) -> None:
        self.client.set(self.name(key), content)

    @property
    def unreadable(self) -> int:
        return int(self.cache.stats()["events"].get("unreadable", 0))


Made = Callable[..., Any]


@pytest.fixture(params=["back end", "redis"])
def made(request: pytest.FixtureRequest) -> Made:
    """Makes a store of each sort, with a secret or without."""
    ran.clear()
    if request.param == "back end":
        return Held
    url = request.getfixturevalue("redis_url")
    return lambda *args, **kwargs: InRedis(url, *args, **kwargs)


def mutants(one: bytes, other: bytes, count: int) -> Iterator[bytes]:
    """What becomes of an entry in the hands of somebody who has another one as well."""
    chance = random.Random(7)
    for _ in range(count):
        bytes_ = bytearray(one)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(bytes_) + 1)
            kind = chance.randrange(6)
            if kind <= 1 and at < len(bytes_):
                bytes_[at] ^= 1 << chance.randrange(8)
            elif kind == 2:
                del bytes_[at:]
            elif kind == 3:
                bytes_[at:at] = chance.randbytes(chance.randint(1, 9))
            elif kind == 4:
                del bytes_[at : at + chance.randint(1, 9)]
            else:
                bytes_[at:] = other[chance.randrange(len(other) + 1) :]
        yield bytes(bytes_)


def test_a_sealed_pickle_loads(made: Made) -> None:
    store = made(SECRET)
    assert store.cache.set("k", Canary("k"))
    assert b"trace" in store.entry("k")
    assert store.cache.get("k").name == "k"
    assert ran == ["k"]


@pytest.mark.parametrize("compress", [None, 1], ids=["plain", "compressed"])
def test_a_changed_entry_is_a_miss_and_runs_nothing(made: Made, compress: int | None) -> None:
    store = made(SECRET, compress=compress)
    long = "x" * 200
    assert store.cache.set("k", Canary(f"k{long}"))
    assert store.cache.set("other", Canary(f"other{long}"))
    one, other = store.entry("k"), store.entry("other")
    # Whoever wrote into the store, 10,000 times over both stores and both forms.
    for mutant in mutants(one, other, 2_500 * EFFORT):
        # Bare digits are a counter on a server: a value that anybody may store.
        if mutant == one or NUMBER.fullmatch(mutant):
            continue
        store.put("k", mutant)
        # In a back end of other people's, `get` itself answers bytes that are no entry as they are.
        found = store.cache.get("k")
        assert found is None or found == mutant, mutant
        assert store.engine.get("k") is None, mutant
    assert ran == []
    assert store.unreadable > 0
    store.put("k", one)
    assert store.cache.get("k").name == f"k{long}"


def test_an_entry_under_another_key_is_a_miss(made: Made) -> None:
    store = made(SECRET)
    for key in ("k", "other"):
        assert store.cache.set(key, Canary(key))
    store.put("k", store.entry("other"))
    assert store.cache.get("k") is None
    assert ran == []


def opaque(payload: bytes) -> bytes:
    """A payload of the safe codec that says it is a pickle."""
    return b"\x17\x06pickle" + encode(payload)[1:]


def test_what_an_attacker_writes_runs_nothing(made: Made) -> None:
    pickled = pickle.dumps(Canary("attack"))
    secret = made(SECRET)
    attacks = [
        pickled,
        b"!" + pickled,
        opaque(pickled),
        b"\xf5LRD" + pickled,
        b"\xf5LRD\x02\x00\x01",
    ]
    # The attacker has everything but the secret: a Larder of their own, without one and with another.
    for stranger in ("another secret", None):
        theirs = secret.made(stranger)
        if stranger is not None:
            assert theirs.set("k", Canary("attack"))
        else:
            assert theirs.set("k", pickled)
            # Where plain bytes stand, the same bytes as a pickle.
            plain = secret.entry("k")
            attacks.append(plain.replace(encode(pickled), opaque(pickled)))
        attacks.append(secret.entry("k"))
    for attack in attacks:
        secret.put("k", attack)
        assert type(secret.cache.get("k")) in (type(None), bytes), attack
    assert ran == []


def test_without_a_secret_plain_data_can_be_forged_and_nothing_runs(made: Made) -> None:
    pickled = pickle.dumps(Canary("attack"))
    store = made(None)
    theirs = store.made(SECRET)
    assert theirs.set("k", Canary("attack"))
    sealed = store.entry("k")
    unsealed = bytearray(sealed[:-24])
    unsealed[5] &= 0xFE
    for attack in (sealed, bytes(unsealed), pickled, b"!" + pickled, opaque(pickled)):
        store.put("k", attack)
        assert type(store.cache.get("k")) in (type(None), bytes)
    assert ran == []


def test_without_a_secret_a_pickle_is_refused_by_its_type_with_the_cure(made: Made) -> None:
    store = made(None)
    for write in (store.cache.set, store.cache.add):
        with pytest.raises(
            TypeError, match=r"test_mutations\.Canary .*\(set SECRET_KEY or CACHE_SECRET"
        ):
            write("k", Canary("k"))
    assert store.cache.get("k") is None
    assert ran == []
