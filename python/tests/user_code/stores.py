"""Groups 13 to 15: templates, back ends of one's own, subclasses, Redis, signals, serializers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from cachelib.serializers import BaseSerializer
from flask import Flask, render_template_string

from flask_larder.compat import (
    BaseCache,
    Cache,
    cache_memoize_hit,
    cache_view_hit,
    make_template_fragment_key,
)
from flask_larder.compat.backends import RedisCache, SimpleCache

TEMPLATE = """
{% cache 60, "frag" %}a{% endcache %}{% cache 60*5, "frag", "b"|string, lang %}b{% endcache %}
{% cache None, "key" %}c{% endcache %}{% cache 30 %}d{% endcache %}
"""


def fragments(cache: Cache) -> tuple[str, bool]:
    """Group 13."""
    text = render_template_string(TEMPLATE, lang="en")
    return text, cache.delete(make_template_fragment_key("frag", vary_on=["b", "en"]))


class Dictionary(BaseCache):
    """Group 14: a back end that knows nothing of what came later."""

    def __init__(self, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.values: dict[str, Any] = {}

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Dictionary:
        """As CACHE_TYPE asks for it."""
        return cls(config["CACHE_DEFAULT_TIMEOUT"])

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self.values.get(key)

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Keeps a value."""
        self.values[key] = value
        return True


def new_simple(
    app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
) -> SimpleCache:
    """Group 14: a factory function."""
    return SimpleCache(threshold=10, default_timeout=60)


class Traced(Cache):
    """Group 14: a cache that sees what is asked of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: list[str] = []
        super().__init__(*args, **kwargs)

    def get(self, key: str) -> Any:
        """Notes the key."""
        self.asked.append(key)
        return super().get(key)

    def set(self, key: str, value: Any, timeout: object = None) -> Any:
        """Notes the key."""
        self.asked.append(key)
        return super().set(key, value, timeout)


class Text(BaseSerializer):
    """Group 15: values as text."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        """Its text."""
        return str(value).encode()

    def loads(self, bvalue: bytes) -> Any:
        """The text again."""
        return bvalue.decode()


def count(sender: object, **payload: Any) -> None:
    """Group 15: who is told of hits."""
    payload["cache"].config["hits"] = payload["cache_key"]


def signals() -> None:
    """Group 15."""
    cache_view_hit.connect(count)
    cache_memoize_hit.connect(count)


def redis_set_ups(url: str) -> list[Cache]:
    """Group 15."""
    address = urlsplit(url)
    common: dict[str, Any] = {"CACHE_TYPE": "RedisCache", "CACHE_KEY_PREFIX": "shop_"}
    return [
        Cache(Flask("a"), config={**common, "CACHE_REDIS_URL": url}),
        Cache(
            Flask("b"),
            config={
                **common,
                "CACHE_REDIS_HOST": address.hostname,
                "CACHE_REDIS_PORT": address.port,
            },
        ),
        Cache(Flask("c"), config={**common, "CACHE_REDIS_URL": url, "CACHE_SERIALIZER": Text}),
    ]


def backend(cache: Cache) -> RedisCache | SimpleCache:
    """Which of the two stores it is."""
    store = cache.cache
    assert isinstance(store, RedisCache | SimpleCache)
    return store
