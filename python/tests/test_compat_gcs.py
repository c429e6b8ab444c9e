"""Entries in Google Cloud Storage, on an emulator of it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from conftest import Calls, free_port, text_of
from flask import Flask
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]

from flask_larder.compat import Cache
from flask_larder.compat.contrib.googlecloudstoragecache import GoogleCloudStorageCache

PATH = "flask_caching.contrib.googlecloudstoragecache.GoogleCloudStorageCache"


@pytest.fixture(scope="module")
def emulator() -> Generator[str]:
    """The address of an emulator that keeps its objects in memory."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="shop")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture
def options(emulator: str) -> dict[str, Any]:
    """What CACHE_OPTIONS holds for the emulator."""
    return {"anonymous": True, "client_options": {"api_endpoint": emulator}}


@pytest.fixture
def bucket(options: dict[str, Any]) -> GoogleCloudStorageCache:
    """A store with a prefix of its own."""
    return GoogleCloudStorageCache("shop", key_prefix=f"{uuid.uuid4().hex}/", **options)


def move_time(
    monkeypatch: pytest.MonkeyPatch, bucket: GoogleCloudStorageCache, seconds: int
) -> None:
    """Lets the store believe that so much time has gone by."""
    now: datetime = bucket._now()
    monkeypatch.setattr(bucket, "_now", lambda: now + timedelta(seconds=seconds))


@pytest.mark.parametrize("value", ["text é", 7, 1.5, None, True, [1, {"a": "b"}], b"\xff bytes"])
def test_values(bucket: GoogleCloudStorageCache, value: Any) -> None:
    assert bucket.set("key", value)
    assert bucket.get("key") == value
    assert bucket.has("key")
    assert bucket.get("other") is None
    assert not bucket.has("other")


def test_objects_are_those_of_flask_caching(bucket: GoogleCloudStorageCache) -> None:
    bucket.set("page", {"a": [1]}, timeout=60)
    blob = bucket.bucket.get_blob(bucket.key_prefix + "page")
    assert blob.content_type == "application/json"
    assert json.loads(blob.download_as_bytes()) == {"a": [1]}
    assert timedelta(0) < blob.custom_time - bucket._now() <= timedelta(seconds=60)
    bucket.set("raw", b"\xff", timeout=0)
    blob = bucket.bucket.get_blob(bucket.key_prefix + "raw")
    assert (blob.content_type, blob.custom_time) == ("application/octet-stream", None)


def test_a_value_that_has_no_bytes_is_refused(bucket: GoogleCloudStorageCache) -> None:
    with pytest.raises(TypeError):
        bucket.set("key", object())


@pytest.mark.parametrize("removes", [False, True])
def test_expiry(
    bucket: GoogleCloudStorageCache, monkeypatch: pytest.MonkeyPatch, removes: bool
) -> None:
    bucket.delete_expired_objects_on_read = removes
    bucket.set_many({"short": 1, "long": 2}, timeout=10)
    bucket.set("long", 2, timeout=timedelta(hours=1))
    bucket.set("ever", 3, timeout=0)
    move_time(monkeypatch, bucket, 11)
    assert bucket.get_many("short", "long", "ever") == [None, 2, 3]
    assert not bucket.has("short")
    there = bucket.bucket.get_blob(bucket.key_prefix + "short") is not None
    assert there is not removes


def test_add_wants_an_empty_place(
    bucket: GoogleCloudStorageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket.add("key", 1, timeout=10)
    assert not bucket.add("key", 2)
    move_time(monkeypatch, bucket, 11)
    assert bucket.add("key", 3)
    assert bucket.get("key") == 3


def meet_conditions(monkeypatch: pytest.MonkeyPatch, bucket: GoogleCloudStorageCache) -> None:
    """Google refuses an upload whose condition does not hold; the emulator does not read it."""
    session = bucket._client._http
    send = session.request

    def request(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        wanted = re.search(r"ifGenerationMatch=(\d+)", url)
        if wanted is None:
            return send(method, url, *args, **kwargs)
        there = bucket.bucket.get_blob(bucket.key_prefix + "key")
        if int(wanted[1]) == (0 if there is None else there.generation):
            return send(method, url, *args, **kwargs)
        refused = requests.Response()
        refused.status_code = 412
        refused.request = requests.Request(method, url).prepare()
        return refused

    monkeypatch.setattr(session, "request", request)


def test_of_two_that_add_at_once_one_wins(
    bucket: GoogleCloudStorageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet_conditions(monkeypatch, bucket)
    found = bucket._found
    rivals = ["theirs"]

    def overtaken(key: str) -> Any:
        looked = found(key)
        if rivals:
            bucket.set(key, rivals.pop())
        return looked

    monkeypatch.setattr(bucket, "_found", overtaken)
    assert not bucket.add("key", "ours")
    assert bucket.get("key") == "theirs"
    assert bucket.delete("key")
    assert bucket.add("key", "ours")
    assert bucket.get("key") == "ours"


def left(bucket: GoogleCloudStorageCache) -> list[str]:
    """The names of what is there."""
    return [blob.name for blob in bucket.bucket.list_blobs(prefix=bucket.key_prefix)]


def test_removing(bucket: GoogleCloudStorageCache, options: dict[str, Any]) -> None:
    other = GoogleCloudStorageCache("shop", key_prefix=f"{uuid.uuid4().hex}/", **options)
    other.set("key", 1)
    many = {f"key{number}": number for number in range(103)}
    bucket.set_many(many)
    assert bucket.delete("key0")
    assert bucket.delete("never there")
    assert bucket.delete_many("key0", *many) == ["key0", *many]
    assert left(bucket) == []
    bucket.set_many(many)
    assert len(left(bucket)) == len(many)
    assert bucket.clear()
    assert left(bucket) == []
    assert other.get("key") == 1


def test_counters(bucket: GoogleCloudStorageCache) -> None:
    assert [bucket.inc("n"), bucket.inc("n", 5), bucket.dec("n", 2)] == [1, 6, 4]


def test_as_the_store_of_an_application(app: Flask, options: dict[str, Any], calls: Calls) -> None:
    config = {"CACHE_TYPE": PATH, "CACHE_GCS_BUCKET": "shop", "CACHE_OPTIONS": options}
    prefix = uuid.uuid4().hex
    cache = Cache(app, config={**config, "CACHE_KEY_PREFIX": prefix})
    app.add_url_rule("/", "index", cache.cached()(lambda: f"page {calls()}"))
    double = cache.memoize()(lambda number: [calls(), number])
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["page 1", "page 1"]
    assert [double(4), double(4)] == [[2, 4], [2, 4]]
    cache.delete_memoized(double)
    assert double(4) == [3, 4]
    assert cache.cache.bucket.get_blob(f"{prefix}view//") is not None


def test_a_bucket_has_to_be_named(app: Flask, options: dict[str, Any]) -> None:
    config = {"CACHE_TYPE": PATH, "CACHE_OPTIONS": options}
    with pytest.raises(ValueError, match="set CACHE_GCS_BUCKET"):
        Cache(app, config=config)
