"""What cachelib's suite asks of SimpleCache, and what it does not."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer, SimpleSerializer

from flask_larder.compat import backends


def test_a_serializer_that_is_an_attribute_of_a_class_is_used() -> None:
    class Readable(backends.SimpleCache):
        serializer = JSONSerializer()

    store = Readable()
    assert type(store).serializer is store.serializer is Readable.serializer
    store.set("a", {"b": 1})
    assert store._cache["a"][1] == b'{"b": 1}'
    assert type(backends.SimpleCache.serializer) is SimpleSerializer
    store.serializer = SimpleSerializer()
    assert store.get("a") is None
    assert isinstance(Readable().serializer, JSONSerializer)


def test_counters_under_a_serializer_lose_nothing() -> None:
    store = backends.SimpleCache()
    meeting = threading.Barrier(2, timeout=0.05)

    class Slow(JSONSerializer):
        """Two that read at once are sure to meet here, and one that reads alone goes on."""

        def loads(self, bvalue: bytes) -> Any:
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait()
            meeting.reset()
            return super().loads(bvalue)

    store.serializer = Slow()
    store.set("n", 0)
    threads = [threading.Thread(target=store.inc, args=("n", 1)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("n") == 4


@pytest.mark.parametrize(("given", "kept"), [(7, 7), (0, 500)])
def test_the_threshold_can_be_read(given: int, kept: int) -> None:
    assert backends.SimpleCache(threshold=given)._threshold == kept
