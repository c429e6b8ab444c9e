"""RedisCache of the compat dialect on the engine: what lies in the server, and who else may write there."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import redis as redis_py
from cachelib.redis import RedisCache as CachelibRedisCache
from cachelib.serializers import RedisSerializer
from compat_redis_support import Opened, Stub
from conftest import Calls, RedisServer, free_port, text_of, wait_for_port
from flask import Flask, abort, g, make_response

from flask_larder.compat import BaseCache, Cache
from flask_larder.compat.backends import RedisCache, redislink, twofold

pytest_plugins = ["compat_fixtures"]


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said once in a process is said once in each test."""
    monkeypatch.setattr(twofold, "_said", set())


@pytest.fixture
def configured(app: Flask, redis_url: str) -> Callable[..., Cache]:
    """Makes caches on Redis, each with a prefix of its own unless one is given."""

    def make(**config: Any) -> Cache:
        prefix = f"compat-{uuid.uuid4().hex}-"
        given = {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_URL": redis_url,
            "CACHE_KEY_PREFIX": prefix,
            "CACHE_OPTIONS": {"deadline": 30},
        }
        return Cache(app, config={**given, **config})

    return make


@pytest.fixture
def cache(configured: Callable[..., Cache]) -> Cache:
    """A cache on Redis."""
    return configured()


def client_of(cache: Cache) -> Any:
    """redis-py, as people reach for it."""
    return cache.cache._write_client


def raw(cache: Cache, key: str) -> Any:
    """What lies in the server under a key."""
    return client_of(cache).get(cache.cache.key_prefix + key)


# Values and keys.


def test_kind(cache: Cache) -> None:
    backend = cache.cache
    assert isinstance(backend, RedisCache | BaseCache)
    assert isinstance(backend, CachelibRedisCache)
    assert isinstance(backend.serializer, RedisSerializer)
    assert not backend.coded
    assert (backend.default_timeout, backend.ignore_delete_many_errors) == (300, False)


def test_bytes(cache: Cache) -> None:
    cache.set_many({"number": 42, "negative": -7, "text": "é", "true": True}, timeout=60)
    assert (raw(cache, "number"), raw(cache, "negative")) == (b"42", b"-7")
    # The original takes it for a pickle that it cannot read, which is a miss there.
    assert raw(cache, "text")[:2] == b"!\xf5"
    assert cache.get("true") is True
    theirs = CachelibRedisCache(client_of(cache), key_prefix=cache.cache.key_prefix)
    assert theirs.get_many("number", "negative", "text", "true") == [42, -7, None, None]


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        (b"Awesome", b"Awesome"),
        (b"42", 42),
        (b"-42", -42),
        (b"+42", 42),
        (b" 42\n", 42),
        (b"0042", 42),
        (b"1_000", 1000),
        (b"1" * 30, int("1" * 30)),
        (b"-", b"-"),
        (b"1 2", b"1 2"),
        (b"\x80\x05K\x01.", b"\x80\x05K\x01."),
        ("é".encode(), "é".encode()),
    ],
)
def test_what_others_wrote_without_pickle(cache: Cache, stored: bytes, value: Any) -> None:
    client_of(cache).set(cache.cache.key_prefix + "k", stored)
    theirs = CachelibRedisCache(client_of(cache), key_prefix=cache.cache.key_prefix)
    found = cache.get("k")
    assert (found, type(found)) == (value, type(value))
    assert theirs.get("k") == found
    assert cache.has("k")
    assert cache.get_many("k", "none") == [value, None]


def test_nothing_at_all_is_what_is_left_of_an_entry(cache: Cache) -> None:
    client_of(cache).set(cache.cache.key_prefix + "k", b"")
    assert cache.get("k") is None
    assert cache.add("k", 1)


class Deadly:
    """Runs code when its pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_foreign_pickle_is_never_loaded(
    app: Flask, cache: Cache, calls: Calls, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    mark = tmp_path / "ran"
    deadly = b"!" + pickle.dumps(Deadly(mark))
    pickle.loads(pickle.dumps(Deadly(tmp_path / "proof")))
    assert (tmp_path / "proof").exists(), "the payload works where it is loaded"
    prefix = cache.cache.key_prefix
    client_of(cache).mset({prefix + "k": deadly, prefix + "view//": deadly})
    for _ in range(3):
        assert cache.get("k") is None
    assert not cache.has("k")
    assert cache.get_many("k") == [None]
    assert text_of(app.test_client()) == "page 1"
    assert not mark.exists()
    assert cache.stats()["events"]["unreadable"] == 2
    said = [message for message in log.messages if "another program" in message]
    assert len(said) == 1, log.messages
    # It makes room for what is stored next.
    assert text_of(app.test_client()) == "page 1"
    assert cache.set("k", "v")
    assert cache.get("k") == "v"
    assert cache.add("k2", 1)


def test_add_takes_the_place_of_a_foreign_pickle(cache: Cache) -> None:
    client_of(cache).set(cache.cache.key_prefix + "k", b"!" + pickle.dumps("theirs"))
    assert cache.add("k", "ours")
    assert cache.get("k") == "ours"


def test_old_and_new_workers_side_by_side(app: Flask, cache: Cache, calls: Calls) -> None:
    theirs = CachelibRedisCache(client_of(cache), key_prefix=cache.cache.key_prefix)
    theirs.set_many({"int": 7, "view//": "old page"})
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    assert cache.get("int") == 7
    assert text_of(app.test_client()) == "page 1"
    assert theirs.get("view//") is None
    assert (theirs.inc("int"), cache.cache.inc("int"), theirs.dec("int", 3)) == (8, 9, 6)
    cache.set("int", 20)
    assert theirs.inc("int") == 21
    assert cache.get("int") == 21


def test_counters(cache: Cache) -> None:
    backend, client = cache.cache, client_of(cache)
    name = backend.key_prefix + "n"
    assert (backend.inc("n"), backend.inc("n", 4), backend.dec("n")) == (1, 5, 4)
    assert client.incr(name) == 5
    assert client.ttl(name) == -1, "a counter has no end unless it was set with one"
    assert backend.dec("n", 10) == -5
    cache.set("n", 1, timeout=60)
    assert backend.inc("n") == 2
    assert 0 < client.ttl(name) <= 60
    cache.set("text", "x")
    with pytest.raises(TypeError):
        backend.inc("text")


def test_counters_from_many_threads(cache: Cache) -> None:
    def count() -> None:
        for _ in range(50):
            cache.cache.inc("n")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("n") == 400


def test_timeouts(cache: Cache) -> None:
    client, prefix = client_of(cache), cache.cache.key_prefix
    given: list[tuple[str, Any]] = [("zero", 0), ("minus", -1), ("span", timedelta(hours=1))]
    for key, timeout in [*given, ("seconds", 100), ("default", None)]:
        assert cache.set(key, "v", timeout=timeout) is True
    left = {
        key: client.ttl(prefix + key) for key in ("zero", "minus", "span", "seconds", "default")
    }
    assert (left["zero"], left["minus"]) == (-1, -1)
    assert 3000 < left["span"] <= 3600
    assert 0 < left["seconds"] <= 100
    assert 200 < left["default"] <= 300
    with pytest.raises(ValueError, match="negative"):
        cache.set("k", "v", timeout=-5)
    with pytest.raises(TypeError):
        cache.set("k", "v", timeout="60")
    assert cache.add("added", "v", timeout=100)
    assert 0 < client.ttl(prefix + "added") <= 100


def test_answers_of_removals(cache: Cache) -> None:
    cache.set_many({"a": 1, "b": 2, "c": 3, "d": 4})
    assert cache.delete("a") is True
    assert cache.delete("a") is False
    assert cache.delete_many("b", "nothing") == ["b", "nothing"]
    assert cache.unlink("c", "nothing") == 1
    assert cache.unlink() is None
    assert cache.cache.get_many() == []
    assert cache.cache.delete_many() == []
    assert cache.get_many("a", "b", "c", "d") == [None, None, None, 4]


def test_clear_stays_below_the_prefix(
    configured: Callable[..., Cache],
) -> None:
    one, other = configured(), configured()
    one.set("k", 1)
    other.set("k", 2)
    client_of(one).set("somebody else's " + one.cache.key_prefix, "x")
    assert one.clear()
    assert one.get("k") is None
    assert other.get("k") == 2
    assert client_of(one).get("somebody else's " + one.cache.key_prefix) == b"x"


def test_keys_are_formatted_as_there(cache: Cache) -> None:
    cache.set(7, "seven")
    assert cache.get("7") == "seven"
    assert cache.get_many(7) == ["seven"]


def test_an_entry_of_a_response(app: Flask, cache: Cache) -> None:
    with app.app_context():
        cache.set("k", make_response("body", 201))
        found = cache.get("k")
    assert (found.status_code, found.get_data()) == (201, b"body")


# What only a pickle can hold.


class Odd:
    """No plain data."""


def test_pickles_are_sealed_where_there_is_a_secret(cache: Cache) -> None:
    assert cache.set("k", Odd())
    assert isinstance(cache.get("k"), Odd)


def test_without_a_secret_what_needs_a_pickle_is_served_and_not_stored(
    app: Flask, configured: Callable[..., Cache], calls: Calls, log: pytest.LogCaptureFixture
) -> None:
    app.secret_key = None
    cache = configured()
    assert cache.set("k", Odd()) is False
    assert cache.add("k", Odd()) is False
    assert cache.set_many({"k": Odd(), "fine": 1}) == ["fine"]
    assert cache.get("k") is None
    said = [message for message in log.messages if "SECRET_KEY" in message]
    assert len(said) == 1, log.messages

    @cache.memoize()
    def odd() -> Odd:
        calls()
        return Odd()

    with app.app_context():
        assert isinstance(odd(), Odd)
        assert isinstance(odd(), Odd)
    assert calls.count == 2
    assert len([message for message in log.messages if "SECRET_KEY" in message]) == 2
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        cache.set("k", lambda: 1)


def test_a_wrong_seal_is_a_miss_that_is_told(
    app: Flask, configured: Callable[..., Cache], log: pytest.LogCaptureFixture
) -> None:
    one = configured()
    one.set("k", "v")
    app.secret_key = "another"
    other = configured(CACHE_KEY_PREFIX=one.cache.key_prefix)
    assert other.get("k") is None
    assert [message for message in log.messages if "same secret" in message]


# Clients and serializers that are handed in.


def test_reaching_for_the_client(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/<path:path>", "page", cache.cached()(lambda path: f"{path} {calls()}"))
    web = app.test_client()
    assert [text_of(web, path) for path in ("/a/1", "/a/2", "/b")] == ["a/1 1", "a/2 2", "b 3"]
    client, prefix = client_of(cache), cache.cache.key_prefix
    pattern = f"{prefix}view//a/*"
    found = sorted(client.scan_iter(match=pattern))
    assert found == sorted(client.keys(pattern))
    assert found == [f"{prefix}view//a/{number}".encode() for number in (1, 2)]
    pipe = client.pipeline()
    for name in found:
        pipe.delete(name)
    assert pipe.execute() == [1, 1]
    assert [text_of(web, path) for path in ("/a/1", "/a/2", "/b")] == ["a/1 4", "a/2 5", "b 3"]
    assert not cache.cache.coded


def test_fragments_lie_where_others_look_for_them(app: Flask, cache: Cache) -> None:
    text = "{% cache 60, 'frag', 'a', 'b' %}text{% endcache %}"
    with app.test_request_context():
        assert app.jinja_env.from_string(text).render() == "text"
    assert raw(cache, "_template_fragment_cache_frag_a_b") is not None


def test_prefix(cache: Cache) -> None:
    cache.set_many({"a*1": 1, "a*2": 2, "ab": 3})
    assert sorted(cache.delete_prefix("a*")) == ["a*1", "a*2"]
    assert cache.get("ab") == 3
    assert cache.delete_many("a?") == ["ab"]


@pytest.mark.parametrize("name", ["_write_client", "_read_client"])
def test_an_assigned_client_sees_the_calls_of_the_original(
    app: Flask, cache: Cache, name: str, log: pytest.LogCaptureFixture
) -> None:
    backend, stub = cache.cache, Stub()
    backend._write_client = stub
    backend._read_client = stub
    assert backend.coded
    prefix = backend.key_prefix
    pickled = b"!" + pickle.dumps("v", pickle.HIGHEST_PROTOCOL)
    assert cache.set("k", "v", timeout=9) == "set"
    cache.set("n", 5)
    assert cache.get("k") == "v"
    assert cache.get_many("k", "n") == ["v", 5]
    assert cache.add("k", 1) is True
    assert cache.cache.inc("n", 2) == "incr"
    cache.unlink("k")
    assert stub.calls == [
        ("set", {"name": f"{prefix}k", "value": pickled, "ex": 9}),
        ("set", {"name": f"{prefix}n", "value": b"5", "ex": 300}),
        ("get", f"{prefix}k"),
        ("mget", [f"{prefix}k", f"{prefix}n"]),
        ("setnx", {"name": f"{prefix}k", "value": b"1"}),
        ("expire", {"name": f"{prefix}k", "time": 300}),
        ("incr", {"name": f"{prefix}n", "amount": 2}),
        ("unlink", f"{prefix}k"),
    ]
    stub.calls.clear()
    app.add_url_rule("/", "index", cache.cached(7, query_string=True)(lambda: "page"))
    assert text_of(app.test_client()) == "page"
    assert [call[0] for call in stub.calls] == ["get", "set"]
    assert not [record for record in log.records if record.exc_info], "and no other calls"
    assert len([message for message in log.messages if "trusted" in message]) == 1
    delattr(backend, "_write_client")
    assert backend.coded
    delattr(backend, "_read_client")
    assert not backend.coded


def test_a_patched_client_is_given_back(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = cache.cache
    with mock.patch.object(backend, "_write_client", Stub()):
        assert cache.set("k", "v") == "set"
    assert not backend.coded
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_read_client", Stub({f"{backend.key_prefix}k": b"42"}))
        assert cache.get("k") == 42
    assert not backend.coded
    assert cache.set("k", "v") is True


def test_a_serializer_that_is_chosen(
    configured: Callable[..., Cache], log: pytest.LogCaptureFixture
) -> None:
    cache = configured(CACHE_SERIALIZER=RedisSerializer)
    assert cache.cache.coded
    cache.set_many({"k": ["v"], "n": 3})
    assert pickle.loads(raw(cache, "k")[1:]) == ["v"]
    assert raw(cache, "n") == b"3"
    assert cache.get("k") == ["v"]
    assert len([message for message in log.messages if "trusted" in message]) == 1
    later = configured(CACHE_KEY_PREFIX=cache.cache.key_prefix)
    assert later.get("k") is None
    later.cache.serializer = RedisSerializer()
    assert later.get("k") == ["v"]
    with pytest.raises(RuntimeError, match="knows no tags"):
        later.invalidate_tags("t")


def test_a_client_as_the_host(app: Flask, redis_url: str) -> None:
    client = redis_py.Redis.from_url(redis_url)
    prefix = f"compat-{uuid.uuid4().hex}-"
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client, "CACHE_KEY_PREFIX": prefix}
    cache = Cache(app, config=config)
    assert cache.cache._write_client is cache.cache._read_client is client
    cache.set("k", {"v": 1})
    assert pickle.loads(client.get(prefix + "k")[1:]) == {"v": 1}  # type: ignore[index]
    assert sorted(cache.delete_prefix("k")) == ["k"]


def test_without_a_prefix_the_names_are_the_keys(own_redis: RedisServer) -> None:
    backend = RedisCache(host="127.0.0.1", port=own_redis.port)
    assert backend.coded
    backend.set("k", "v")
    assert backend._write_client.keys() == [b"k"]
    assert backend.get("k") == "v"


# Settings.


def test_settings_that_are_refused(app: Flask, redis_url: str) -> None:
    with pytest.raises(ValueError, match="host parameter may not be None"):
        RedisCache(host=None)
    with pytest.raises(ValueError, match="decode_responses is not supported"):
        RedisCache(decode_responses=True)
    config = {"CACHE_TYPE": "RedisCache", "CACHE_OPTIONS": {"decode_responses": True}}
    with pytest.raises(ValueError, match="decode_responses is not supported"):
        Cache(app, config={**config, "CACHE_REDIS_URL": redis_url})
    with pytest.raises(RuntimeError, match="could not connect"):
        RedisCache(port=free_port(), key_prefix="x", check_connection=True)
    RedisCache(port=free_port(), key_prefix="x")


@pytest.mark.parametrize(
    ("url", "options", "engine"),
    [
        ("redis://localhost", {}, "redis://localhost:6379?"),
        ("redis://", {}, "redis://localhost:6379?"),
        ("redis://h:1/2", {}, "redis://h:1?db=2"),
        ("redis://h:1", {"db": 3}, "redis://h:1?db=3"),
        ("redis://h:1/2?db=4", {"db": 3}, "redis://h:1?db=4"),
        ("redis://u:p%40@h:1/2", {}, "redis://h:1?db=2&username=u&password=p%40"),
        ("redis://:p@[::1]:1", {}, "redis://[::1]:1?username=default&password=p"),
        ("redis://h?socket_timeout=2", {"socket_timeout": 9}, "redis://h:6379?"),
        ("redis://h", {"username": "u", "password": "p"}, "redis://h:6379?username=u&password=p"),
        ("unix:///run/a%20b?db=3", {}, "unix:///run/a%20b?db=3"),
        ("unix://:p@/run/s", {}, "unix:///run/s?username=default&password=p"),
        ("redis://h", {"max_connections": 5, "socket_keepalive": True}, "redis://h:6379?"),
        ("rediss://h", {}, "rediss://h:6379?"),
        (
            "rediss://h?ssl_cert_reqs=none",
            {"password": "p"},
            "rediss://h:6379?username=default&password=p&verify=no",
        ),
        ("redis://h", {"ssl": True, "ssl_ca_certs": "/a"}, "rediss://h:6379?ca=%2Fa"),
        ("rediss://h", {"ssl_check_hostname": False}, None),
        ("rediss://h", {"ssl_ca_data": "x"}, None),
        ("redis://h", {"retry": None}, None),
        ("redis://h", {"ssl_cert_reqs": "none"}, None),
        ("redis://h?protocol=3", {}, None),
        ("redis://h", {"single_connection_client": True}, None),
    ],
)
def test_which_way_a_url_goes(url: str, options: dict[str, Any], engine: str | None) -> None:
    db = options.pop("db", 0)
    link = redislink.of_url(url, db, options)
    assert link.url == engine
    if "socket_timeout" in url:
        assert link.deadline == 2


@pytest.mark.parametrize(
    ("options", "url", "deadline"),
    [
        ({}, "redis://h:7?db=1", 1.0),
        ({"socket_timeout": 2, "socket_connect_timeout": 3.5}, "redis://h:7?db=1", 3.5),
        ({"deadline": "250ms", "socket_timeout": 2}, "redis://h:7?db=1", 0.25),
        ({"username": "u"}, "redis://h:7?db=1&username=u&password=p", 1.0),
        ({"unix_socket_path": "/run/s"}, "unix:///run/s?db=1", 1.0),
        ({"connection_pool": None}, None, 1.0),
    ],
)
def test_which_way_a_host_goes(options: dict[str, Any], url: str | None, deadline: float) -> None:
    password = "p" if "username" in options else None
    link = redislink.of_host("h", 7, password, 1, options)
    assert (link.url, link.deadline) == (url, deadline)


def test_a_database_of_its_own(configured: Callable[..., Cache], redis_url: str) -> None:
    for config in (
        {"CACHE_REDIS_URL": f"{redis_url}/2"},
        {"CACHE_REDIS_URL": redis_url, "CACHE_REDIS_DB": 3},
    ):
        cache = configured(**config)
        number = config.get("CACHE_REDIS_DB", 2)
        assert client_of(cache).connection_pool.get_connection().db == number
        cache.set("k", "v")
        assert redis_py.Redis.from_url(f"{redis_url}/{number}").exists(cache.cache.key_prefix + "k")
        assert not redis_py.Redis.from_url(f"{redis_url}/0").exists(cache.cache.key_prefix + "k")


@pytest.fixture
def guarded(tmp_path: Path) -> Generator[tuple[int, Path]]:
    """A server with a password and a unix socket: its port, and the socket's path."""
    port, path = free_port(), tmp_path / "redis.sock"
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--requirepass", "p@ss word", "--unixsocket", str(path), "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port, path
    finally:
        process.kill()
        process.wait()


def test_passwords_and_sockets(configured: Callable[..., Cache], guarded: tuple[int, Path]) -> None:
    port, path = guarded
    secret = "p%40ss%20word"
    ways: list[dict[str, Any]] = [
        {"CACHE_REDIS_URL": f"redis://:{secret}@127.0.0.1:{port}/1"},
        {"CACHE_REDIS_URL": f"unix://:{secret}@{path}?db=1"},
        {"CACHE_REDIS_URL": f"unix://{path}?db=1&password={secret}"},
        {
            "CACHE_REDIS_URL": None,
            "CACHE_REDIS_HOST": "127.0.0.1",
            "CACHE_REDIS_PORT": port,
            "CACHE_REDIS_PASSWORD": "p@ss word",
            "CACHE_REDIS_DB": 1,
        },
    ]
    for number, way in enumerate(ways):
        cache = configured(**way, CACHE_KEY_PREFIX="same-")
        assert not cache.cache.coded
        assert cache.get("k") == (number or None)
        assert client_of(cache).get("same-k") == (str(number).encode() if number else None)
        cache.set("k", number + 1)
    wrong = configured(CACHE_REDIS_URL=f"redis://:wrong@127.0.0.1:{port}/1")
    with pytest.raises(OSError, match="WRONGPASS"):
        wrong.get("k")


def test_a_prefix_that_is_asked_for_each_time(
    app: Flask, configured: Callable[..., Cache], calls: Calls
) -> None:
    run = uuid.uuid4().hex
    cache = configured(CACHE_KEY_PREFIX=lambda: f"{run}-{g.tenant}-")
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    found: list[str] = []
    for tenant in ("a", "b", "a"):
        with app.test_request_context():
            g.tenant = tenant
            assert not cache.cache.coded
            found.append(app.view_functions["index"]())
            cache.set("k", tenant)
            assert client_of(cache).exists(f"{run}-{tenant}-k")
    assert found == ["page 1", "page 2", "page 1"]
    with app.test_request_context():
        g.tenant = "a"
        assert cache.get("k") == "a"
        cache.clear()
        g.tenant = "b"
        assert cache.get("k") == "b"


def test_prefixes_without_end_take_bounded_room(configured: Callable[..., Cache]) -> None:
    run, cache = uuid.uuid4().hex, configured()
    backend = cache.cache
    for number in range(twofold._MOST_SPACES + 20):
        backend.key_prefix = f"{run}-{number}-"
        _ = backend.engine
    assert len(backend._spaces) == twofold._MOST_SPACES
    backend.key_prefix = f"{run}-0-"
    assert cache.set("k", 1)
    assert cache.get("k") == 1


# What the engine brings.


def test_one_cold_page_is_made_once(app: Flask, cache: Cache, calls: Calls) -> None:
    gate, started = threading.Event(), threading.Event()

    def page() -> str:
        started.set()
        assert gate.wait(30)
        return f"page {calls()}"

    app.add_url_rule("/", "index", cache.cached()(page))
    found: list[str] = []

    def ask() -> None:
        found.append(text_of(app.test_client()))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == ["page 1"] * 6


def test_tags(app: Flask, cache: Cache, calls: Calls) -> None:
    app.add_url_rule("/", "index", cache.cached(tags=["prices"])(lambda: f"page {calls()}"))
    web = app.test_client()
    assert [text_of(web), text_of(web)] == ["page 1", "page 1"]
    cache.invalidate_tags("prices")
    assert text_of(web) == "page 2"


def test_an_answer_that_aborts(app: Flask, cache: Cache, calls: Calls) -> None:
    @app.get("/gone")
    @cache.cached()
    def gone() -> str:
        calls()
        abort(410)

    web = app.test_client()
    assert [web.get("/gone").status_code for _ in range(3)] == [410] * 3
    assert calls.count == 1


def test_a_server_that_is_away_is_met_once(app: Flask, calls: Calls) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": free_port()}
    cache = Cache(app, config=config)
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    web = app.test_client()
    assert [text_of(web) for _ in range(3)] == ["page 1", "page 2", "page 3"]
    with pytest.raises(OSError, match="probe"):
        cache.get("k")


def test_two_processes(app: Flask, cache: Cache, redis_url: str) -> None:
    cache.set("from here", {"list": [1, "é"]})
    code = Opened.code(redis_url, cache.cache.key_prefix)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "2"]
    assert cache.get("from there") == (1, 2)
    assert cache.get("n") == 2
