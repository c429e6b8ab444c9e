"""Entries as the objects of a bucket of Google Cloud Storage.

Objects are those of Flask-Caching: JSON where a value has one, else its bytes, and the end of an
entry's life in the object's custom time. A lifecycle rule of the bucket (`daysSinceCustomTime`) takes
away what has expired and is never asked for again.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..backends.base import BaseCache

if TYPE_CHECKING:
    from flask import Flask

try:
    _credentials: Any = importlib.import_module("google.auth.credentials")
    _exceptions: Any = importlib.import_module("google.cloud.exceptions")
    _storage: Any = importlib.import_module("google.cloud.storage")
except ImportError as error:
    raise RuntimeError(
        "no google-cloud-storage module found (install it: pip install google-cloud-storage)"
    ) from error

__all__ = ["GoogleCloudStorageCache"]

# Google takes no more calls than this in one batch.
BATCH = 100
JSON = "application/json"
BYTES = "application/octet-stream"


class GoogleCloudStorageCache(BaseCache):
    """One bucket, which has to be there.

    A key may have at most 1,024 bytes. With `delete_expired_objects_on_read` a look that finds
    something expired removes it before it answers. `anonymous` is for emulators; every other argument
    goes to `google.cloud.storage.Client`.
    """

    def __init__(
        self,
        bucket: str | None,
        key_prefix: str | None = None,
        default_timeout: Any = 300,
        delete_expired_objects_on_read: bool = False,
        anonymous: bool = False,
        *,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        if not isinstance(bucket, str):
            raise ValueError(f"bucket={bucket!r} is no name of a bucket (set CACHE_GCS_BUCKET)")
        if anonymous:
            kwargs = {"credentials": _credentials.AnonymousCredentials(), "project": "-", **kwargs}
        self._client: Any = _storage.Client(**kwargs)
        self.bucket: Any = self._client.get_bucket(bucket)
        self.key_prefix = key_prefix or ""
        self.delete_expired_objects_on_read = delete_expired_objects_on_read

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Builds the back end from CACHE_GCS_BUCKET and CACHE_KEY_PREFIX."""
        if config.get("CACHE_KEY_PREFIX"):
            kwargs["key_prefix"] = config["CACHE_KEY_PREFIX"]
        return cls(config.get("CACHE_GCS_BUCKET"), *args, **kwargs)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _found(self, key: str) -> tuple[Any, bool]:
        """The object of a key (None where there is none) and whether it has a life left."""
        blob = self.bucket.get_blob(self.key_prefix + key)
        if blob is None:
            return None, False
        until = blob.custom_time
        return blob, not until or self._now() <= until

    def _live(self, key: str) -> Any:
        blob, lives = self._found(key)
        if lives:
            return blob
        if blob is not None and self.delete_expired_objects_on_read:
            # What was stored since must stay.
            self._delete_object(blob.name, if_generation_match=blob.generation)
        return None

    def get(self, key: str) -> Any:
        """The value, or None."""
        blob = self._live(key)
        if blob is None:
            return None
        try:
            # The very object whose life and type were looked at.
            content = self.bucket.blob(blob.name, generation=blob.generation).download_as_bytes()
        except _exceptions.NotFound:
            return None
        return json.loads(content) if blob.content_type == JSON else content

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return self._live(key) is not None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Stores a value. False where Google asks for fewer calls; raises a TypeError for a value that
        has no JSON and is not bytes."""
        return self._upload(key, value, timeout)

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Stores a value where none is, in one step. False if one is there."""
        blob, lives = self._found(key)
        if lives:
            return False
        # 0 stands for "no object"; something that has expired may give way, and nothing else.
        generation = 0 if blob is None else blob.generation
        try:
            return self._upload(key, value, timeout, if_generation_match=generation)
        except _exceptions.PreconditionFailed:
            return False

    def _upload(self, key: str, value: Any, timeout: Any, **conditions: Any) -> bool:
        content, kind = _encoded(value)
        blob = self.bucket.blob(self.key_prefix + key)
        seconds = self._normalize_timeout(timeout)
        if seconds != 0:
            blob.custom_time = self._now() + timedelta(seconds=seconds)
        try:
            blob.upload_from_string(content, content_type=kind, **conditions)
        except _exceptions.TooManyRequests:
            return False
        return True

    def delete(self, key: str) -> bool:
        """Removes a key; True also where there was none, as in Flask-Caching."""
        return self._delete_object(self.key_prefix + key)

    def _delete_object(self, name: str, **conditions: Any) -> bool:
        gone = (_exceptions.NotFound, _exceptions.PreconditionFailed)
        try:
            self.bucket.delete_blob(name, **conditions)
        except gone:
            return True
        except _exceptions.TooManyRequests:
            return False
        return True

    def delete_many(self, *keys: str) -> list[Any]:
        """Removes keys, a hundred with each call. Answers those that are gone."""
        for batch in _batches(keys):
            self._delete_batch([self.key_prefix + key for key in batch])
        left = [key for key in keys if self._found(key)[0] is not None]
        if left and not self.ignore_delete_many_errors:
            raise RuntimeError(f"Failed to delete keys: {left}")
        return [key for key in keys if key not in left]

    def clear(self) -> bool:
        """Removes everything under the prefix, and nothing else in the bucket."""
        fields = "items(name),nextPageToken"
        listed = self._client.list_blobs(self.bucket, prefix=self.key_prefix, fields=fields)
        for batch in _batches(blob.name for blob in listed):
            self._delete_batch(batch)
        return True

    def _delete_batch(self, names: list[str]) -> None:
        # Without its errors: a name that is not there any more is as good as removed.
        with self._client.batch(raise_exception=False):
            for name in names:
                self.bucket.delete_blob(name)


def _encoded(value: Any) -> tuple[Any, str]:
    try:
        return json.dumps(value), JSON
    except (TypeError, UnicodeDecodeError):
        return value, BYTES


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while batch := list(islice(rest, BATCH)):
        yield batch
