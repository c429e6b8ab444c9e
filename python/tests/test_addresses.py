"""What Flask-Caching's options and a client at hand become: the URL of a Redis, or an error with a cure."""

from __future__ import annotations

import ssl
import uuid
from typing import Any

import pytest
import redis
from flask import Flask
from redis.sentinel import Sentinel
from redis_servers import PASSWORD, USER, Guarded

from flask_larder import Cache
from flask_larder.backends.addresses import (
    Access,
    cluster_url,
    of_client,
    sentinel_url,
    server_url,
    tls_of,
)
from flask_larder.backends.opening import near_of
from flask_larder.config import redis_url

TLS = {"ca": "/etc/a b.pem"}


def wrong(make: Any, *args: Any, **options: Any) -> str:
    """The message of the ValueError that a call is; no password is in it."""
    with pytest.raises(ValueError, match=r".") as caught:
        make(*args, **options)
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (server_url("cache", 6379, Access()), "redis://cache:6379/0"),
        (server_url("::1", "7", Access(db="2")), "redis://[::1]:7/2"),
        (server_url("[::1]", 7, Access()), "redis://[::1]:7/0"),
        (
            server_url("cache", 1, Access("a:b", "p@s/s w", 3, TLS)),
            "rediss://a%3Ab:p%40s%2Fs%20w@cache:1/3?ca=%2Fetc%2Fa%20b.pem",
        ),
        (server_url("cache", 1, Access(None, "word")), "redis://:word@cache:1/0"),
        (
            sentinel_url([("a", 1), ["::1", "2"]], "m/y", Access("u", "w", 4), ("s", "t&")),
            "redis+sentinel://u:w@a:1,[::1]:2/m%2Fy/4?sentinel_user=s&sentinel_password=t%26",
        ),
        (
            sentinel_url((("a", 1),), "my", Access(tls={"verify": "no"})),
            "rediss+sentinel://a:1/my/0?verify=no",
        ),
        (cluster_url("a:1, [::1]:2", Access("u", "w")), "redis+cluster://u:w@a:1,[::1]:2"),
        (cluster_url("a:1", Access(tls={})), "rediss+cluster://a:1"),
    ],
)
def test_options_become_a_url(url: str, expected: str) -> None:
    assert url == expected


def test_wrong_options_name_the_cure() -> None:
    assert "use a number up to 65535" in wrong(server_url, "a", 70_000, Access())
    assert "CACHE_REDIS_DB='x'" in wrong(server_url, "a", 1, Access(password="hunter2", db="x"))
    assert "CACHE_REDIS_HOST is empty" in wrong(server_url, "", 1, Access())
    for nothing in ("a:1", 5, [], ["a:1"], [("a",)], [("a", 1, 2)], {"a": 1}, [(1, 1)]):
        message = wrong(sentinel_url, nothing, "my", Access())
        assert message.startswith("CACHE_REDIS_SENTINELS")
        assert "use a list of pairs" in message
    assert "is no port" in wrong(sentinel_url, [("a", "x")], "my", Access())
    assert "CACHE_REDIS_SENTINEL_MASTER=''" in wrong(sentinel_url, [("a", 1)], "", Access())
    for nothing in ("", "a", "a:1,", "a:x", ":1", None, 5):
        message = wrong(cluster_url, nothing, Access())
        assert message.startswith("CACHE_REDIS_CLUSTER")
        assert "use host:port" in message
    assert "no other database" in wrong(cluster_url, "a:1", Access(db=1))
    for host in ("a:6379", "redis://a", "[a:1]"):
        expected = f"CACHE_REDIS_HOST has the host {host!r} (give a host alone"
        assert expected in wrong(server_url, host, 6379, Access())
    assert "has the host 'redis://a'" in wrong(cluster_url, "redis://a:1", Access())
    assert server_url("[::1]", 1, Access()) == server_url("::1", 1, Access()) == "redis://[::1]:1/0"


@pytest.mark.parametrize("text", ["u:hunter2@a", "u:hunter2@a:1", "b:1,redis://u:hunter2@a:1"])
def test_a_login_has_options_of_its_own(text: str) -> None:
    for message in (
        wrong(server_url, text, 1, Access()),
        wrong(cluster_url, text, Access()),
        wrong(sentinel_url, [(text, 1)], "my", Access()),
    ):
        assert "has a login in it (set CACHE_REDIS_PASSWORD" in message
        assert "hunter2" not in message


def test_options_of_tls() -> None:
    assert tls_of({}) is None
    assert tls_of({"ssl": True}) == {}
    files = {"ssl_ca_certs": "a", "ssl_certfile": "b", "ssl_keyfile": "c"}
    assert tls_of({"ssl": True, **files}) == {"ca": "a", "cert": "b", "key": "c"}
    for off in (None, "none", ssl.CERT_NONE):
        assert tls_of({"ssl": True, "ssl_cert_reqs": off}) == {"verify": "no"}
        assert tls_of({"ssl": True, "ssl_cert_reqs": off, "ssl_check_hostname": False})
    for on in ("required", "optional", ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL):
        assert tls_of({"ssl": True, "ssl_cert_reqs": on}) == {}
    assert "is not known" in wrong(tls_of, {"ssl": True, "ssl_cert_reqs": "no"})
    assert "set ssl to True" in wrong(tls_of, {"ssl_ca_certs": "a"})
    assert "names the host" in wrong(tls_of, {"ssl": True, "ssl_check_hostname": False})


@pytest.mark.parametrize(
    ("client", "expected", "patience"),
    [
        (redis.Redis(), "redis://localhost:6379/0", None),
        (redis.Redis("h", 1, 2, "w", socket_timeout=0.25), "redis://:w@h:1/2", 0.25),
        (redis.Redis(username="u", password="w"), "redis://u:w@localhost:6379/0", None),
        (redis.from_url("redis://u:w@h:1/2"), "redis://u:w@h:1/2", None),
        (
            redis.Redis(unix_socket_path="/a b", db=1, password="w"),
            "unix:///a%20b?db=1&password=w",
            None,
        ),
        (redis.Redis(ssl=True, ssl_ca_certs="/a"), "rediss://localhost:6379/0?ca=%2Fa", None),
        (
            redis.from_url("rediss://h?ssl_cert_reqs=none&socket_timeout=2"),
            "rediss://h:6379/0?verify=no",
            2,
        ),
        (
            redis.Redis(connection_pool=redis.BlockingConnectionPool(host="h", db=3, timeout=None)),
            "redis://h:6379/3",
            None,
        ),
    ],
)
def test_a_client_is_taken_over(client: Any, expected: str, patience: float | None) -> None:
    assert of_client(client) == (expected, patience)


class _Odd(redis.Connection):
    """A connection with ways of its own."""


def test_what_cannot_be_taken_over_names_the_cure() -> None:
    master = Sentinel([("localhost", 1)]).master_for("my")
    assert "use RedisSentinelCache" in wrong(of_client, master)
    odd = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=_Odd))
    assert "connections of the class _Odd" in wrong(of_client, odd)
    assert "use ssl_ca_certs" in wrong(of_client, redis.Redis(ssl=True, ssl_ca_data="x"))
    assert "not encrypted" in wrong(of_client, redis.Redis(ssl=True, ssl_password="hunter2"))
    provider: Any = redis.UsernamePasswordCredentialProvider("u", "hunter2")
    assert "credential_provider" in wrong(of_client, redis.Redis(credential_provider=provider))
    for other in (object(), 5, redis.asyncio.Redis()):
        message = wrong(of_client, other)
        assert "use a host name" in message
        assert "flask_larder.compat uses any client" in message


def test_settings_that_contradict_a_url() -> None:
    app = Flask("shop")
    for options in ({"username": "u"}, {"ssl": True}):
        config = {"CACHE_REDIS_URL": "redis://h", "CACHE_OPTIONS": options}
        message = wrong(Cache, app, config={"CACHE_TYPE": "RedisCache", **config})
        assert "beside a URL" in message
    config = {"CACHE_TYPE": "RedisCache", "CACHE_OPTIONS": {"retry": 1}}
    assert "RedisCache does not know" in wrong(Cache, app, config=config)
    for option, value in (
        ("CACHE_REDIS_PORT", 1),
        ("CACHE_REDIS_DB", 1),
        ("CACHE_REDIS_PASSWORD", "hunter2"),
        ("CACHE_REDIS_SENTINEL_MASTER", "my"),
        ("CACHE_MEMCACHED_USERNAME", "u"),
    ):
        message = wrong(Cache, app, config={"CACHE_URL": "redis://h", option: value})
        assert message.startswith(f"{option} is set beside CACHE_URL")
        assert "hunter2" not in message


def test_a_url_that_is_empty_is_none() -> None:
    config = {"CACHE_REDIS_URL": "", "CACHE_REDIS_HOST": "h", "CACHE_REDIS_PORT": 1}
    assert redis_url(config) is None
    assert "is no port" in wrong(redis_url, {**config, "CACHE_REDIS_PORT": "x"})


def test_sentinels_may_be_named_by_a_url_of_redis() -> None:
    config = {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINELS": "nonsense"}
    url = {"CACHE_REDIS_URL": "redis+sentinel://h:1/my"}
    assert Cache(Flask("shop"), config={**config, **url}).stats()["store"] == "redis"
    other = {"CACHE_REDIS_URL": "redis://h"}
    assert "is no list" in wrong(Cache, Flask("shop"), config={**config, **other})


def test_a_client_leads_to_its_server(app: Flask, guarded: Guarded) -> None:
    plain = guarded.client(username=USER, password=PASSWORD, db=3)
    by_socket = redis.Redis(unix_socket_path=guarded.socket, db=3, socket_timeout=30)
    caches = [
        Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client})
        for client in (plain, by_socket)
    ]
    # The other tests have entries there too.
    key = f"product-{uuid.uuid4().hex}"
    with app.app_context():
        for number, cache in enumerate(caches):
            assert cache.set(key, number)
            assert [other.get(key) for other in caches] == [number, number]
    assert [bool(client.keys(f"*{key}*")) for client in (plain, guarded.client())] == [True, False]


# The near tier.


def test_a_near_tier_is_a_url_before_the_other() -> None:
    assert near_of(None, None) is None
    assert near_of(False, None) is None
    assert near_of(0, None) is None
    url = "redis://h/0"
    for size, timeout, expected in (
        (True, None, "memory:// + redis://h/0"),
        ("1kB", None, "memory://?size=1024B + redis://h/0"),
        (5, "2s", "memory://?size=5B&ttl=2000ms + redis://h/0"),
        (True, 0.5, "memory://?ttl=500ms + redis://h/0"),
    ):
        near = near_of(size, timeout)
        assert near is not None
        assert near.before(url) == expected
    near = near_of(True, None)
    assert near is not None
    assert "leave one of them out" in wrong(near.before, "memory:// + redis://h/0")


def test_a_wrong_near_tier_names_the_cure() -> None:
    assert 'CACHE_NEAR="much" is no size' in wrong(near_of, "much", None)
    assert "set without CACHE_NEAR" in wrong(near_of, None, 5)
    assert "keeps nothing near" in wrong(near_of, True, 0)
    assert "is negative" in wrong(near_of, True, -1)
    longest = near_of(True, 10**40)
    assert longest is not None
    assert longest.before("redis://h") == "memory://?ttl=31536000000ms + redis://h"
    for name, cure in (("RedisCache", "set CACHE_NEAR to that size"), ("SimpleCache", "leave it")):
        config = {"CACHE_TYPE": name, "CACHE_NEAR_SIZE": "1MB"}
        assert cure in wrong(Cache, Flask("shop"), config=config)
    for name, cure in (("SimpleCache", "leave it out"), ("SharedCache", "CACHE_NEAR_SIZE")):
        config = {"CACHE_TYPE": name, "CACHE_NEAR": True, "CACHE_DIR": "/nowhere"}
        assert cure in wrong(Cache, Flask("shop"), config=config)
    off = {"CACHE_TYPE": "NullCache", "CACHE_NEAR": True, "CACHE_NO_NULL_WARNING": True}
    assert Cache(Flask("shop"), config=off).stats()["store"] == "null"
