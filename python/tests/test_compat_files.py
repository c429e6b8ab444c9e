"""The store for files under the compat dialect: Flask-Caching's answers, Larder's entries."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import pickle
import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cachelib.file import FileSystemCache as CachelibFileSystemCache
from cachelib.serializers import FileSystemSerializer, JSONSerializer
from compat_files_support import break_down
from conftest import Calls
from flask import Flask

from flask_larder.compat import BaseCache, Cache
from flask_larder.compat.backends import FileSystemCache
from flask_larder.testing import HandClock

pytest_plugins = ["compat_fixtures", "compat_files_fixtures"]


@pytest.fixture
def cache(make: Callable[..., Cache]) -> Cache:
    """A cache on a directory of its own."""
    return make()


def theirs(folder: Path, **more: Any) -> Any:
    """cachelib's class on the same directory."""
    return CachelibFileSystemCache(str(folder), **more)


def test_kind(cache: Cache, folder: Path) -> None:
    backend = cache.cache
    assert isinstance(backend, FileSystemCache | BaseCache)
    assert isinstance(backend, CachelibFileSystemCache)
    assert isinstance(backend.serializer, FileSystemSerializer)
    assert not backend.coded
    assert (backend._path, backend._threshold, backend._mode) == (str(folder), 500, 0o600)
    assert backend._hash_method(b"").name == "sha256"
    assert (backend.default_timeout, backend.ignore_delete_many_errors) == (300, False)


def test_entries_are_those_of_every_cache_on_the_directory(
    make: Callable[..., Cache], folder: Path
) -> None:
    one, other = make(), make(CACHE_KEY_PREFIX="other_")
    one.set("k", {"a": [1, "é", None]}, timeout=60)
    assert FileSystemCache(folder, 500, 300, 0o600).get("k") == one.get("k")
    assert other.get("k") == {"a": [1, "é", None]}
    other.delete("k")
    assert one.get("k") is None


# What Flask-Caching left in the directory.


class Deadly:
    """Runs code when its pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def contents(folder: Path) -> dict[str, bytes]:
    """The files that lie in the directory itself."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def test_old_entries_are_misses_and_stay(make: Callable[..., Cache], folder: Path) -> None:
    old = theirs(folder)
    old.set_many({f"k{number}": number for number in range(20)}, timeout=0)
    (folder / ".DS_Store").write_bytes(b"of the system")
    before = contents(folder)
    cache = make(CACHE_THRESHOLD=3)
    assert cache.get_many("k1", "k2") == [None, None]
    for number in range(20):
        assert cache.add(f"k{number}", -number)
    cache.delete("k1")
    cache.clear()
    assert contents(folder) == before
    assert old.get("k1") == 1


def test_a_foreign_pickle_is_never_loaded(
    make: Callable[..., Cache], folder: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    proof = tmp_path / "proof"
    pickle.loads(pickle.dumps(Deadly(proof)))
    assert proof.exists(), "the payload works where it is loaded"
    theirs(folder).set("k", Deadly(mark), timeout=0)
    cache = make()
    cache.set("other", 1)
    own = Path(cache.cache._get_filename("k"))
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b"\0\0\0\0" + pickle.dumps(Deadly(mark)))
    assert cache.get("k") is None
    assert not cache.has("k")
    assert cache.get_many("k", "other") == [None, 1]
    assert not mark.exists()


# A serializer that is handed in.


@pytest.mark.parametrize("kind", [JSONSerializer, FileSystemSerializer])
def test_a_serializer_keeps_the_files_of_cachelib(
    make: Callable[..., Cache],
    folder: Path,
    calls: Calls,
    kind: Any,
    log: pytest.LogCaptureFixture,
) -> None:
    cache = make(CACHE_SERIALIZER=kind)
    other = theirs(folder)
    other.serializer = kind()
    assert cache.set("k", {"a": 1})
    assert other.get("k") == {"a": 1}
    other.set("theirs", [1, 2])
    assert cache.get_many("k", "theirs") == [{"a": 1}, [1, 2]]
    double = cache.memoize()(lambda number: [number, calls()])
    assert [double(1), double(1)] == [[1, 1]] * 2
    assert cache.cache.coded
    assert not (folder / "larder-1").exists()
    assert len([message for message in log.messages if kind.__name__ in message]) == 1


def test_a_serializer_that_comes_later(cache: Cache, folder: Path, calls: Calls) -> None:
    double = cache.memoize()(lambda number: [number, calls()])
    assert [double(1), double(1)] == [[1, 1]] * 2
    cache.set("k", 1)
    cache.cache.serializer = JSONSerializer()
    assert cache.get("k") is None
    assert [double(1), double(1)] == [[1, 2]] * 2
    cache.set("k", [3])
    other = theirs(folder, threshold=0)
    other.serializer = JSONSerializer()
    assert other.get("k") == [3]
    # The folder of the engine's entries is in its way no more than any other.
    assert cache.cache._file_count == 3
    assert cache.clear()
    assert cache.cache._file_count == 0
    assert cache.get("k") is None


class Listed(FileSystemCache):
    """A store with a serializer of its own, as cachelib has it."""

    serializer = JSONSerializer()


def test_a_class_with_a_serializer(folder: Path) -> None:
    store = Listed(folder, threshold=3)
    for number in range(9):
        store.set(str(number), number)
    assert store.coded
    assert theirs(folder, threshold=0)._path == store._path
    assert 0 < store._file_count <= 4
    assert not hasattr(store, "engine")


# Timeouts.


def test_timeouts(cache: Cache, clock: HandClock) -> None:
    cases: list[tuple[str, Any, float | None]] = [
        ("default", None, 300),
        ("zero", 0, None),
        ("ten", 10, 10),
        ("delta", timedelta(seconds=19.5), 20),
        ("float", 0.5, 1),
    ]
    for name, timeout, _ in cases:
        assert cache.set(name, name, timeout=timeout)
    for name, _, seconds in cases:
        start = clock.now
        if seconds is not None:
            clock.advance(start + seconds - 0.001 - clock.now)
        for each, _, limit in cases:
            lives = limit is None or limit > clock.now - start
            assert (each, cache.get(each)) == (each, each if lives else None)
        del name
        for each, timeout, _ in cases:
            cache.set(each, each, timeout=timeout)
    cache.cache.default_timeout = 5
    cache.set("short", 1)
    clock.advance(5)
    assert cache.get("short") is None
    with pytest.raises(TypeError, match="timeout is str"):
        cache.set("text", 1, timeout="10")


def test_a_negative_timeout_is_over_at_once(cache: Cache) -> None:
    cache.set("k", 1)
    assert cache.set("k", 2, timeout=-1)
    assert cache.get("k") is None


def test_add_after_the_end(cache: Cache, clock: HandClock) -> None:
    assert cache.add("k", 1, timeout=10)
    assert not cache.add("k", 2)
    clock.advance(11)
    assert cache.add("k", 3)
    assert cache.get("k") == 3


# Keys, values, counters.


def test_keys_are_texts(cache: Cache) -> None:
    for use in (cache.get, cache.has, cache.delete, cache.get_many, cache.delete_many):
        with pytest.raises(TypeError, match="Key must be a string"):
            use(5)
    for key in (5, b"k", None):
        with pytest.raises(TypeError, match="Key must be a string"):
            cache.set(key, 1)
    for key in ("", "é\n/../x", "k" * 5000):
        cache.set(key, key)
        assert cache.get(key) == key


class Point:
    """Only a pickle can hold it."""

    def __init__(self, x: int) -> None:
        self.x = x


def test_objects_are_sealed_by_the_secret(make: Callable[..., Cache], app: Flask) -> None:
    app.secret_key = "secret"
    one = make()
    one.set("k", Point(3))
    assert one.get("k").x == 3
    app.secret_key = "another"
    assert make().get("k") is None
    app.secret_key = "secret"
    assert make().get("k").x == 3


def test_objects_without_a_secret(
    folder: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    store = FileSystemCache(folder)
    assert store.set("k", Point(3)) is False
    assert store.add("k", Point(3)) is False
    assert store.get("k") is None
    said = [message for message in log.messages if "Point is not stored in files" in message]
    assert len(said) == 1
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        store.set("k", lambda: None)


def test_counters(cache: Cache, clock: HandClock) -> None:
    backend = cache.cache
    assert (backend.inc("n"), backend.inc("n", 4), backend.dec("n", 10)) == (1, 5, -5)
    clock.advance(300)
    assert backend.inc("n") == 1, "a counter lives as long as anything else"
    cache.set("half", 0.5)
    assert backend.inc("half") == 1.5
    assert cache.get("half") == 1.5


def test_counters_from_many_threads(folder: Path) -> None:
    stores = [FileSystemCache(folder) for _ in range(2)]

    def count(store: FileSystemCache) -> None:
        for _ in range(25):
            store.inc("n")

    threads = [threading.Thread(target=count, args=(store,)) for store in stores * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].get("n") == 150


def test_deletions(cache: Cache) -> None:
    assert cache.delete("none") is True
    cache.set_many({"a": 1, "b": 2, "product_1": 3})
    assert cache.delete_many("a", "none") == ["a", "none"]
    assert cache.delete_many("product_*") == ["product_1"]
    assert cache.get_dict("a", "b", "product_1") == {"a": None, "b": 2, "product_1": None}
    assert cache.delete_prefix("b") == ["b"]


# The directory.


@pytest.mark.parametrize("threshold", [0, 3])
def test_threshold(make: Callable[..., Cache], threshold: int) -> None:
    cache = make(CACHE_THRESHOLD=threshold, CACHE_OPTIONS={"threshold": 9})
    for number in range(20):
        cache.set(str(number), number)
    left = [number for number in range(20) if cache.has(str(number))]
    # cachelib makes room before it inserts, and counts nothing where there is no bound.
    assert (len(left), cache.cache._file_count) == ((4, 4) if threshold else (20, 0))
    assert 19 in left


def test_bytes_are_bounded_where_that_is_asked(make: Callable[..., Cache]) -> None:
    cache = make(CACHE_OPTIONS={"max_bytes": 1 << 20, "max_value": 100_000}, CACHE_THRESHOLD=0)
    for number in range(200):
        cache.set(str(number), b"x" * 10_000)
    assert 20 < sum(cache.has(str(number)) for number in range(200)) < 100
    assert cache.set("large", b"x" * 200_000) is False


def test_management_is_not_counted(cache: Cache) -> None:
    backend = cache.cache
    backend.set("a", 1)
    assert backend.set("internal", 42, mgmt_element=True)
    assert (backend._file_count, backend.get("internal")) == (1, 42)
    assert backend.delete("internal", mgmt_element=True)
    assert (backend._file_count, backend.get("internal")) == (1, None)


@pytest.mark.parametrize(("asked", "mode"), [({}, 0o600), ({"mode": 0o640}, 0o640)])
def test_modes(make: Callable[..., Cache], asked: Any, mode: int, folder: Path) -> None:
    cache = make(CACHE_OPTIONS=asked)
    cache.set("k", 1)
    file = Path(cache.cache._get_filename("k"))
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert file.is_relative_to(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("given", ["relative", "link", "Path", "bare"])
def test_directories(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    path: Any = {"Path": tmp_path / "new" / "er", "link": str(tmp_path / "link")}.get(given, given)
    cache = Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": path})
    monkeypatch.chdir("/")
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert Path(cache.cache._get_filename("k")).is_relative_to(tmp_path)


def test_directories_that_are_none(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OSError, match="file"):
        FileSystemCache(file)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ValueError, match="everybody can write to it"):
        Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(shared)})


def test_a_directory_that_fails(cache: Cache, folder: Path, log: pytest.LogCaptureFixture) -> None:
    backend = cache.cache
    cache.set("k", 1)
    break_down(folder)
    assert cache.get("k") is None
    assert cache.get_many("k", "l") == [None, None]
    assert (cache.set("k", 2), cache.add("l", 2), cache.has("k")) == (False, False, False)
    assert (cache.delete("k"), backend.inc("n"), cache.clear()) == (False, None, False)
    with pytest.raises(RuntimeError, match=r"Failed to delete keys: \['k', 'l'\]"):
        cache.delete_many("k", "l")
    backend.ignore_delete_many_errors = True
    assert cache.delete_many("k", "l") == []
    assert all("Exception raised while handling cache files" in each for each in log.messages)
    assert log.records[0].exc_info


def test_a_file_that_was_cut_short(cache: Cache, log: pytest.LogCaptureFixture) -> None:
    cache.set("k", 1)
    os.truncate(cache.cache._get_filename("k"), 10)
    assert cache.get("k") is None
    assert cache.set("k", 2)
    assert cache.get("k") == 2


def test_a_strange_file_in_an_entrys_place_is_told_of(
    folder: Path, log: pytest.LogCaptureFixture
) -> None:
    store = FileSystemCache(folder, threshold=1)
    store.set_many({"a": 1, "b": 2})
    for key in "ab":
        Path(store._get_filename(key)).write_bytes(b"")
    store.set("c", 3)
    assert "Exception raised while handling cache file" in log.text
