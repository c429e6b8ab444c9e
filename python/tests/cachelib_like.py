"""A class that Flask-Caching would take for one of cachelib's, because of the name of its module."""

from __future__ import annotations

from typing import Any

from cachelib import BaseCache


class MongoDbCache(BaseCache):
    """Keeps values in a dict, and its constructor knows nothing of `ignore_delete_many_errors`."""

    def __init__(
        self, client: Any = None, db: str = "cache-db", default_timeout: int = 300
    ) -> None:
        super().__init__(default_timeout)
        self.client = client
        self.db = db
        self.documents: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.documents.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.documents[key] = value
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        return self.documents.setdefault(key, value) is value

    def delete(self, key: str) -> bool:
        return self.documents.pop(key, None) is not None

    def has(self, key: str) -> bool:
        return key in self.documents
