"""What a view, a function or a fragment says of its own answer: `cache.context`."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, Response, make_response, render_template_string

from flask_larder import Cache
from flask_larder.testing import HandClock


def status_of(answer: Any) -> str:
    """What the cache says of an answer."""
    return str(answer.headers["Cache-Status"])


@pytest.mark.parametrize("ttl", ["5m", 300, 300.0, timedelta(minutes=5)])
def test_a_view_says_how_long_it_is_kept(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock, ttl: Any
) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        stored.context.ttl(ttl)
        return str(calls())

    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(299)
    assert text_of(client) == "1"
    clock.advance(2)
    assert text_of(client) == "2"


def test_a_lifetime_may_be_shorter_and_the_last_word_holds(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @stored.memoize(3600)
    def number() -> int:
        stored.context.ttl("1h")
        stored.context.ttl(10)
        return calls()

    with app.app_context():
        assert [number(), number()] == [1, 1]
        clock.advance(11)
        assert number() == 2


def test_tags_that_the_load_finds(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/<name>")
    @stored.cached(60, tags=["pages"])
    def index(name: str) -> str:
        stored.context.tag(f"shop:{name}", "shops")
        stored.context.tag("towns")
        return f"{name} {calls()}"

    client = app.test_client()
    assert [text_of(client, path) for path in ("/a", "/b", "/a")] == ["a 1", "b 2", "a 1"]
    with app.app_context():
        stored.invalidate_tags("shop:a")
    assert [text_of(client, path) for path in ("/a", "/b")] == ["a 3", "b 2"]
    for number, tag in enumerate(("towns", "pages"), 4):
        with app.app_context():
            stored.invalidate_tags(tag)
        assert text_of(client, "/a") == f"a {number}"


def test_a_tag_is_a_text(app: Flask, cache: Cache) -> None:
    wrong: Any = 7

    @cache.memoize(60)
    def number() -> int:
        cache.context.tag(wrong)
        return 1

    with app.app_context(), pytest.raises(TypeError, match=r"tag\(7\) is int"):
        number()


def test_an_answer_that_is_not_to_be_stored(
    app: Flask, store: dict[str, Any], calls: Calls
) -> None:
    cache = Cache(app, config={**store, "CACHE_STATUS_HEADERS": True})

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        number = calls()
        if number < 3:
            cache.context.skip("half of it is missing" if number == 1 else None)
        return str(number)

    client = app.test_client()
    assert status_of(client.get("/")) == 'Larder; fwd=miss; detail="half of it is missing"'
    assert status_of(client.get("/")) == "Larder; fwd=miss; detail=skipped"
    assert [text_of(client), text_of(client)] == ["3", "3"]


def test_in_coroutines(app: Flask, stored: Cache, calls: Calls, clock: HandClock) -> None:
    @app.get("/")
    @stored.cached(60)
    async def index() -> str:
        await asyncio.sleep(0)

        async def inner() -> None:
            stored.context.ttl("1h")
            stored.context.tag("numbers")

        await asyncio.gather(inner())
        return str(calls())

    @stored.memoize(60)
    async def number(name: str) -> str:
        stored.context.tag(name)
        await asyncio.sleep(0)
        return f"{name} {calls()}"

    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(61)
    assert text_of(client) == "1"
    with app.app_context():
        stored.invalidate_tags("numbers")
    assert text_of(client) == "2"

    async def main() -> list[str]:
        return list(await asyncio.gather(number("a"), number("b")))

    with app.app_context():
        first = asyncio.run(main())
        stored.invalidate_tags("a")
        second = asyncio.run(main())
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_in_threads_with_a_copied_context(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @stored.memoize(60)
    def number() -> int:
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(stored.context.ttl, "1h"))
        thread.start()
        thread.join()
        return calls()

    with app.app_context():
        assert number() == 1
        clock.advance(61)
        assert number() == 1


def test_the_innermost_load_is_meant(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @stored.memoize(60)
    def inner() -> int:
        stored.context.ttl("1h")
        return calls()

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        number = inner()
        stored.context.tag("outer")
        return f"{number} {calls()}"

    client = app.test_client()
    assert text_of(client) == "1 2"
    clock.advance(61)
    assert text_of(client) == "1 3"
    with app.app_context():
        stored.invalidate_tags("outer")
        assert inner() == 1
    assert text_of(client) == "1 4"


def test_of_several_caches_each_means_its_own_load(
    app: Flask, store: dict[str, Any], calls: Calls, clock: HandClock
) -> None:
    outer = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    inner = Cache(app, config=store)

    @inner.memoize(60)
    def number() -> int:
        outer.context.ttl("1h")
        return calls()

    @outer.memoize(60)
    def text() -> str:
        return f"{number()} {calls()}"

    with app.app_context():
        assert text() == "1 2"
        clock.advance(61)
        assert text() == "1 2"
        # Within a load of its own cache alone there is none of the other.
        with pytest.raises(RuntimeError, match="outside of a load"):
            number()


def test_in_fragments(app: Flask, stored: Cache, calls: Calls, clock: HandClock) -> None:
    app.jinja_env.globals.update(number=calls, context=stored.context)
    text = '{% cache 60, "part" %}{{ number() }}{{ context.ttl("1h") or "" }}{% endcache %}'
    app.add_url_rule("/", "index", lambda: render_template_string(text))
    client = app.test_client()
    assert text_of(client) == "1"
    clock.advance(61)
    assert text_of(client) == "1"


def test_outside_of_a_load_an_error_says_so(app: Flask, cache: Cache) -> None:
    said = "outside of a load .use it in a function that this cache decorates"
    with app.app_context():
        with pytest.raises(RuntimeError, match=f"cache.context.ttl {said}"):
            cache.context.ttl(1)
        with pytest.raises(RuntimeError, match=f"cache.context.previous {said}"):
            _ = cache.context.previous
        number = cache.memoize(60)(lambda: cache.context.tag("a"))
        number()
        with pytest.raises(RuntimeError, match=said):
            number.uncached()


def test_where_nothing_will_be_stored_it_has_no_effect(
    app: Flask, store: dict[str, Any], calls: Calls
) -> None:
    cache = Cache(app, config=store)

    @app.route("/", methods=["GET", "POST"])
    @cache.cached(60, unless=lambda: calls.count == 3)
    def index() -> str:
        cache.context.ttl("1h")
        cache.context.tag("a")
        cache.context.skip()
        assert cache.context.previous is None
        return str(calls())

    client = app.test_client()
    assert client.post("/").text == "1"
    assert text_of(client, auth=("anna", "x")) == "2"
    assert [text_of(client), text_of(client)] == ["3", "4"]
    # The load is over, also after an error.
    with app.app_context(), pytest.raises(RuntimeError, match="outside of a load"):
        cache.context.ttl(1)


def test_no_load_stays_open_behind_an_error(app: Flask, stored: Cache) -> None:
    @stored.memoize(60)
    def number() -> int:
        raise LookupError("nothing there")

    with app.app_context():
        with pytest.raises(LookupError):
            number()
        with pytest.raises(RuntimeError, match="outside of a load"):
            stored.context.skip()


class Source:
    """Something that has a version: it is asked for again only when that has changed."""

    def __init__(self) -> None:
        self.version = 1
        self.fetched = 0

    def fetch(self) -> str:
        self.fetched += 1
        return f"v{self.version}"


def test_not_modified_keeps_the_answer_of_a_view(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    source = Source()

    @app.get("/")
    @stored.cached(60, stale_on_error=3600)
    def index() -> Any:
        previous: Response | None = stored.context.previous
        if previous is not None and previous.headers["X-Version"] == str(source.version):
            return stored.context.not_modified()
        answer = make_response(source.fetch())
        answer.headers["X-Version"] = str(source.version)
        return answer

    client = app.test_client()
    assert text_of(client) == "v1"
    for _ in range(3):
        clock.advance(61)
        answer = client.get("/")
        assert (answer.text, answer.headers["X-Version"]) == ("v1", "1")
        clock.advance(59)
        assert text_of(client) == "v1"
    assert source.fetched == 1
    source.version = 2
    clock.advance(61)
    assert [text_of(client), text_of(client)] == ["v2", "v2"]
    assert source.fetched == 2


def test_not_modified_of_a_function_with_words_of_its_own(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    source = Source()

    @stored.memoize(60, stale_on_error=3600)
    def value() -> dict[str, Any]:
        previous = stored.context.previous
        if previous is not None and previous["version"] == source.version:
            stored.context.ttl("10m")
            stored.context.tag("known")
            found: dict[str, Any] = stored.context.not_modified()
            return found
        return {"version": source.version, "text": source.fetch()}

    with app.app_context():
        assert value()["text"] == "v1"
        clock.advance(61)
        assert value()["text"] == "v1"
        clock.advance(599)
        assert value() == {"version": 1, "text": "v1"}
        assert source.fetched == 1
        stored.invalidate_tags("known")
        assert value()["text"] == "v1"
        assert source.fetched == 2


def test_not_modified_keeps_the_tags_of_the_load(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    source = Source()

    @stored.memoize(60, revalidate=3600)
    def value() -> str:
        if stored.context.previous is not None:
            return str(stored.context.not_modified())
        stored.context.tag("found")
        return source.fetch()

    with app.app_context():
        assert value() == "v1"
        clock.advance(61)
        assert value() == "v1"
        assert source.fetched == 1
        stored.invalidate_tags("found")
        source.version = 2
        assert value() == "v2"


def test_what_is_kept_to_be_confirmed_is_never_served_by_itself(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    failing = [False]

    @stored.memoize(60, revalidate="1h")
    def value() -> str:
        if failing[0]:
            raise LookupError("away")
        return str(stored.context.previous)

    with app.app_context():
        assert value() == "None"
        clock.advance(61)
        failing[0] = True
        with pytest.raises(LookupError):
            value()
        failing[0] = False
        assert value() == "None"
        clock.advance(3700)
        assert value() == "None"


def test_not_modified_in_a_coroutine(app: Flask, stored: Cache, clock: HandClock) -> None:
    source = Source()

    @stored.memoize(60, stale_on_error=3600)
    async def value() -> str:
        await asyncio.sleep(0)
        if stored.context.previous == f"v{source.version}":
            found: str = stored.context.not_modified()
            return found
        return source.fetch()

    with app.app_context():
        for _ in range(3):
            assert asyncio.run(value()) == "v1"
            clock.advance(61)
    assert source.fetched == 1


def test_not_modified_behind_the_answer(app: Flask, stored: Cache, clock: HandClock) -> None:
    source = Source()

    @app.get("/")
    @stored.cached(60, stale=3600)
    def index() -> Any:
        if stored.context.previous == f"v{source.version}":
            return stored.context.not_modified()
        return source.fetch()

    client = app.test_client()
    for _ in range(3):
        assert text_of(client) == "v1"
        stored._background.join()
        assert text_of(client) == "v1"
        clock.advance(61)
    assert source.fetched == 1
    source.version = 2
    assert text_of(client) == "v1"
    stored._background.join()
    assert text_of(client) == "v2"


def test_not_modified_where_nothing_is_stored(app: Flask, cache: Cache) -> None:
    @cache.memoize(60)
    def value() -> Any:
        assert cache.context.previous is None
        return cache.context.not_modified()

    with app.app_context(), pytest.raises(RuntimeError, match="not_modified: nothing is stored of"):
        value()


def test_an_answer_that_was_renewed_and_read_too_much(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    """What a load reads outside the key forbids to renew as it forbids to store."""
    from flask import request

    looking = [False]

    @app.get("/")
    @stored.cached(60, stale_on_error=600)
    def index() -> Any:
        if looking[0]:
            request.headers.get("X-Any")
        return "page" if stored.context.previous is None else stored.context.not_modified()

    client = app.test_client()
    text_of(client)
    looking[0] = True
    clock.advance(61)
    assert [text_of(client) for _ in range(2)] == ["page", "page"]
    with app.app_context():
        [passes] = [c["passes"] for c in stored.stats()["functions"].values()]
    assert passes == {"unkeyed-input: header:x-any": 2}


def test_in_the_other_dialect(app: Flask, calls: Calls, clock: HandClock) -> None:
    from flask_larder import compat

    cache = compat.Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize(60)
    def number() -> int:
        cache.context.ttl(10)
        cache.context.tag("numbers")
        return calls()

    @app.get("/")
    @cache.cached(60, stale_on_error=600)
    def index() -> str:
        cache.context.ttl("1h")
        previous = cache.context.previous
        return f"{previous} {calls()}" if previous is None else cache.context.not_modified()

    with app.app_context():
        assert [number(), number()] == [1, 1]
        cache.invalidate_tags("numbers")
        assert number() == 2
        clock.advance(11)
        assert number() == 3
    client = app.test_client()
    assert text_of(client) == "None 4"
    clock.advance(3601)
    assert text_of(client) == "None 4"
    clock.advance(3599)
    assert text_of(client) == "None 4"
    assert calls.count == 4


def test_what_is_kept_to_be_confirmed_does_not_stand_in_the_way_of_a_default(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @stored.memoize(60, revalidate=3600, default="none")
    def number() -> str:
        if calls() > 1:
            raise RuntimeError("gone")
        return "one"

    with app.app_context():
        assert number() == "one"
        clock.advance(61)
        assert number() == "none"
