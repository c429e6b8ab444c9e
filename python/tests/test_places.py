"""Where a store is: CACHE_URL, CACHE_DIR and the like, right and wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import RedisServer, for_dialect, memcached, missing
from flask import Flask

from flask_larder import Cache
from flask_larder.backends import MemcachedCache, SASLMemcachedCache, SharedCache
from flask_larder.compat import Cache as CompatCache

DIRECTORIES = ("SharedCache", "FileSystemCache")
PATIENT = "deadline=30s"
"""For a server that answers, on a busy machine too."""


def made(**config: Any) -> Cache:
    """A cache of an application with this configuration."""
    app = Flask("shop")
    app.secret_key = "a key for tests"
    return Cache(app, config=config)


def wrong(**config: Any) -> str:
    """The message of the ValueError that a configuration is; no password is in it."""
    with pytest.raises(ValueError, match=r".") as caught:
        made(**config)
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


def test_a_url_names_a_store(tmp_path: Path) -> None:
    urls = {
        "memory://?size=1MB&entries=3": ("SimpleCache", "memory"),
        f"shared://{tmp_path}/one?size=4MB&near=0": ("SharedCache", "shared"),
        f"file://{tmp_path}/two?size=4MB&threshold=9&mode=640": ("FileSystemCache", "file"),
        "redis://:hunter2@localhost:1/2?deadline=20ms": ("RedisCache", "redis"),
        "memcached://localhost:1,[::1]:2?weights=1,2": ("MemcachedCache", "memcached"),
        "null://": ("NullCache", "null"),
    }
    for url, (name, store) in urls.items():
        cache = made(CACHE_URL=url)
        assert type(cache.cache).__name__ == name
        assert cache.stats()["store"] == store
        made(CACHE_URL=url, CACHE_TYPE=name)


def test_the_options_of_a_url_hold(tmp_path: Path) -> None:
    cache = made(CACHE_URL="memory://?entries=3")
    for number in range(10):
        cache.set(f"product_{number}", number)
    assert cache.stats()["entries"] == 3
    cache = made(CACHE_URL=f"file://{tmp_path}?mode=640")
    assert cache.set("product", 1)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("larder-1/entries/*/*")}
    assert modes == {0o640}


def test_an_empty_url_is_none() -> None:
    assert made(CACHE_URL="", CACHE_TYPE="NullCache").stats()["store"] == "null"


def test_what_contradicts_a_url_is_named(tmp_path: Path) -> None:
    url = "memory://?size=1MB"
    both = "CACHE_URL names a SimpleCache and CACHE_TYPE='RedisCache' another store"
    assert both in wrong(CACHE_URL=url, CACHE_TYPE="RedisCache")
    for name, value in {
        "CACHE_DIR": str(tmp_path),
        "CACHE_SIZE": "1MB",
        "CACHE_THRESHOLD": 5,
    }.items():
        assert f"{name} is set beside CACHE_URL" in wrong(**{"CACHE_URL": url, name: value})
    assert "CACHE_URL is int (use a text" in wrong(CACHE_URL=5)
    assert "CACHE_REDIS_URL names another store" in wrong(
        CACHE_TYPE="RedisCache", CACHE_REDIS_URL="memory://"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memmory://", "did you mean memory?"),
        ("http://:hunter2@host", "has the scheme http, which is not known"),
        ("memory://?sice=1MB", "has the option sice, which is not known (did you mean size?)"),
        ("memory://?size=1XB", 'size="1XB" is no size'),
        ("shared://var/cache", "names the host var"),
        ("file://", "names no directory"),
        ("redis://:hunter2@host/0?deadline=9", 'deadline="9" is no span of time'),
        ("memcached://me:hunter2@host:port", 'has the port "port"'),
    ],
)
def test_wrong_urls_are_errors_with_the_cure(url: str, message: str) -> None:
    text = wrong(CACHE_URL=url)
    assert text.startswith("CACHE_URL: ") or "deadline" in url or "memcached" in url
    assert message in text


def test_the_scheme_of_a_url_is_no_type_and_says_which_is_meant() -> None:
    for scheme, name in (("file", "FileSystemCache"), ("memory", "SimpleCache")):
        assert f"'{scheme}' is no store (did you mean {name}?)" in wrong(CACHE_TYPE=scheme)


@pytest.mark.parametrize("store", DIRECTORIES)
def test_directories_that_cannot_be_used(store: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a directory")
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert "CACHE_DIR is not set" in wrong(CACHE_TYPE=store)
    assert "CACHE_DIR is int" in wrong(CACHE_TYPE=store, CACHE_DIR=5)
    relative = wrong(CACHE_TYPE=store, CACHE_DIR="var/cache")
    assert "CACHE_DIR='var/cache' is relative" in relative
    assert str(Path("var/cache").absolute()) in relative
    at_home = wrong(CACHE_TYPE=store, CACHE_DIR="~/cache")
    assert str(Path("~/cache").expanduser()) in at_home
    assert str(file) in wrong(CACHE_TYPE=store, CACHE_DIR=str(file))
    assert "(chmod 700 it)" in wrong(CACHE_TYPE=store, CACHE_DIR=str(open_to_all))
    assert file.read_text() == "not a directory"


@pytest.mark.parametrize("store", DIRECTORIES)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(store: str, tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    assert "belongs to user 12345" in wrong(CACHE_TYPE=store, CACHE_DIR=str(tmp_path))


@pytest.mark.parametrize("store", DIRECTORIES)
def test_parents_that_are_missing_are_made(store: str, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b c" / "ü"
    cache = made(CACHE_TYPE=store, CACHE_DIR=deep)
    assert cache.set("product", 1)
    assert cache.get("product") == 1
    assert deep.stat().st_mode & 0o777 == 0o700


def test_two_applications_of_other_sizes_on_one_directory(tmp_path: Path) -> None:
    shared = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path)}
    one = made(**shared, CACHE_SIZE="4MB")
    assert one.set("product", 1)
    assert str(tmp_path) in wrong(**shared, CACHE_SIZE="8MB")
    assert made(**shared, CACHE_SIZE="4MB").get("product") == 1
    files = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / "files")}
    assert made(**files, CACHE_SIZE="4MB").set("product", 1)
    assert made(**files, CACHE_SIZE="8MB").get("product") == 1


@pytest.mark.parametrize("size", ["64 apples", -1, True, 1.5, "1h"])
@pytest.mark.parametrize("name", ["CACHE_SIZE", "CACHE_NEAR_SIZE"])
def test_wrong_sizes_are_errors(name: str, size: Any, tmp_path: Path) -> None:
    message = wrong(CACHE_TYPE="SharedCache", CACHE_DIR=str(tmp_path), **{name: size})
    assert f"{name}=" in message
    assert "is no size" in message


def test_one_size_is_enough() -> None:
    assert "CACHE_SIZE and CACHE_MAX_BYTES are both set" in wrong(
        CACHE_SIZE="1MB", CACHE_MAX_BYTES="1MB"
    )
    cache = made(CACHE_TYPE="SimpleCache", CACHE_SIZE="4 KiB")
    for number in range(10):
        cache.set(f"product_{number}", "x" * 1000)
    assert 0 < cache.stats()["bytes"] <= 4096


def test_options_that_a_store_does_not_know() -> None:
    for store in (*DIRECTORIES, "MemcachedCache"):
        message = wrong(CACHE_TYPE=store, CACHE_OPTIONS={"hash_method": None})
        assert f"CACHE_OPTIONS has 'hash_method', which {store} does not know" in message
    options = {"mode": "rw"}
    assert "mode='rw' is no mode" in wrong(
        CACHE_TYPE="FileSystemCache", CACHE_DIR="/nowhere", CACHE_OPTIONS=options
    )


def test_servers_of_memcached_are_looked_at() -> None:
    def servers(*names: Any) -> str:
        return wrong(CACHE_TYPE="MemcachedCache", CACHE_MEMCACHED_SERVERS=list(names))

    assert "is str (use a list" in wrong(
        CACHE_TYPE="MemcachedCache", CACHE_MEMCACHED_SERVERS="localhost:11211"
    )
    assert 'has the port "x"' in servers("localhost:x")
    assert "names no host" in servers("")
    assert "is named twice" in servers("localhost:1", "localhost:1")
    assert "has a tuple in it" in servers(("localhost", 1))
    for fine in (
        ["localhost", "[::1]:1", "/run/my memcached.sock", "unix:/run/other.sock"],
        [],
        None,
    ):
        made(CACHE_TYPE="memcached", CACHE_MEMCACHED_SERVERS=fine)


def test_a_login_for_memcached_has_both_words() -> None:
    sasl = {"CACHE_TYPE": "SASLMemcachedCache", "CACHE_MEMCACHED_USERNAME": "me"}
    assert "CACHE_MEMCACHED_PASSWORD is not set" in wrong(**sasl)
    cache = made(**sasl, CACHE_MEMCACHED_PASSWORD="p@ss:wörd")
    assert isinstance(cache.cache, SASLMemcachedCache)
    assert isinstance(cache.cache, MemcachedCache)
    assert isinstance(
        made(CACHE_TYPE="saslmemcached", CACHE_URL="memcached://me:hunter2@host").cache,
        SASLMemcachedCache,
    )


def test_old_names_still_name_stores(tmp_path: Path) -> None:
    for name, store in {"filesystem": "file", "memcached": "memcached", "shared": "shared"}.items():
        assert made(CACHE_TYPE=name, CACHE_DIR=str(tmp_path / name)).stats()["store"] == store


def test_the_other_dialect_takes_the_store_by_its_path(tmp_path: Path) -> None:
    config = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path), "CACHE_SIZE": "4MB"}
    cache = CompatCache(Flask("shop"), config=for_dialect(CompatCache, config))
    assert isinstance(cache.cache, SharedCache)
    assert cache.set("product", 1)
    assert cache.get("product") == 1


@pytest.mark.parametrize("store", ["redis", "memcached"])
def test_a_host_that_does_not_resolve_is_told_once(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = made(CACHE_URL=f"{store}://no-such-host.invalid:1")
    message = told(cache, caplog)
    assert message.startswith("the store failed (1 times so far)")
    assert "no-such-host.invalid" in message


def told(cache: Cache, caplog: pytest.LogCaptureFixture) -> str:
    """The one line that a store is worth that refuses everybody; no password is in it."""
    for number in range(5):
        assert cache.get(f"product_{number}") is None
        assert not cache.set(f"product_{number}", 1)
    (message,) = (record.getMessage() for record in caplog.records)
    assert "hunter2" not in message
    return message


def test_a_wrong_password_for_redis_is_told_once(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", own_redis.port)) as link:
        link.sendall(b"CONFIG SET requirepass right\r\n")
        assert link.recv(100) == b"+OK\r\n"
    url = f"127.0.0.1:{own_redis.port}"
    assert made(CACHE_URL=f"redis://:right@{url}?{PATIENT}").set("product", 1)
    message = told(made(CACHE_URL=f"redis://:hunter2@{url}?{PATIENT}"), caplog)
    assert "password" in message


def test_a_wrong_password_for_memcached_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    program = shutil.which("memcached")
    if program is None:
        missing("memcached", "memcached")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        words = Path(folder) / "words"
        words.write_text("me:right\n")
        # Another account reads it.
        Path(folder).chmod(0o755)
        server = stack.enter_context(memcached(program, "-Y", str(words)))
        config = {
            "CACHE_TYPE": "SASLMemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [server],
            "CACHE_MEMCACHED_USERNAME": "me",
            "CACHE_OPTIONS": {"deadline": 30},
        }
        assert made(**config, CACHE_MEMCACHED_PASSWORD="right").set("product", 1)
        message = told(made(**config, CACHE_MEMCACHED_PASSWORD="hunter2"), caplog)
    assert "authentication failure" in message
