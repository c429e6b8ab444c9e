"""Responses that are sent as they are produced: piece by piece to the client, stored at their end."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Calls, text_of
from flask import Flask, Response, g, request, send_file, session, stream_with_context
from flask.views import MethodView
from werkzeug.wsgi import ClosingIterator

from flask_larder import Cache, streams
from flask_larder.testing import HandClock

Pieces = Callable[[], Iterator[Any]]


def passes(cache: Cache, app: Flask, view: str) -> dict[str, int]:
    """Why answers of a view were not stored."""
    with app.app_context():
        functions = cache.stats()["functions"]
    (found,) = (
        counters
        for name, counters in functions.items()
        if name.partition("#")[0].endswith(f".{view}")
    )
    reasons: dict[str, int] = found["passes"]
    return reasons


def pieces_of(calls: Calls, count: int = 3) -> Iterator[str]:
    """A few pieces that say which call they are of."""
    number = calls()
    for at in range(count):
        yield f"{number}.{at} "


def streaming(app: Flask, cache: Cache, answer: Callable[[], Any], **options: Any) -> None:
    """A cached view at / that answers so."""

    @app.get("/")
    @cache.cached(60, **options)
    def index() -> Any:
        return answer()


def kinds(calls: Calls) -> dict[str, Callable[[], Any]]:
    """What a view may answer that is sent as it is produced."""
    return {
        "response": lambda: Response(pieces_of(calls)),
        "context": lambda: Response(stream_with_context(pieces_of(calls))),
        "with-status": lambda: (Response(pieces_of(calls)), 203),
        "passed-through": lambda: Response(
            (piece.encode() for piece in pieces_of(calls)), direct_passthrough=True
        ),
        "generator": lambda: pieces_of(calls),
        "generator-and-headers": lambda: (pieces_of(calls), {"Content-Type": "text/csv"}),
        "iterator": lambda: iter(["".join(pieces_of(calls))]),
    }


def takes_generators() -> bool:
    """Whether a view may answer a generator: since Flask 2.2."""
    app = Flask("probe")
    with app.test_request_context():
        try:
            app.make_response(iter(()))
        except TypeError:
            return False
    return True


OLD = not takes_generators()


@pytest.mark.parametrize("kind", list(kinds(Calls())))
def test_t6_14_a_stream_is_stored_at_its_end(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock, kind: str
) -> None:
    if OLD and kind.startswith(("generator", "iterator")):
        pytest.skip("this Flask takes no generators")
    streaming(app, stored, kinds(calls)[kind])
    client = app.test_client()
    first = client.get("/")
    assert first.get_data() == b"1.0 1.1 1.2 "
    for method in (client.get, client.head):
        again = method("/")
        assert again.status_code == first.status_code
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert again.headers["Content-Length"] == "12"
    assert text_of(client) == "1.0 1.1 1.2 "
    clock.advance(61)
    assert text_of(client) == "2.0 2.1 2.2 "


def test_t6_14_a_stream_of_a_coroutine_view(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60)
    async def index() -> Response:
        await asyncio.sleep(0)
        return Response(pieces_of(calls))

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 "] * 2
    # Cut off after its first piece, it is not stored.
    answer = client.get("/?cut")
    assert next(answer.iter_encoded()) == b"2.0 "
    answer.close()
    assert text_of(client, "/?cut") == "3.0 3.1 3.2 "
    assert passes(stored, app, "index") == {"cut-off": 1}


def test_t6_14_each_piece_goes_out_before_the_next_is_made(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    made: list[int] = []

    def pieces() -> Iterator[str]:
        calls()
        for at in range(3):
            made.append(at)
            yield str(at)

    streaming(app, stored, lambda: Response(pieces()))
    client = app.test_client()
    answer = client.get("/")
    # A test client reads one piece ahead, to get at the headers.
    assert made == [0]
    sent = answer.iter_encoded()
    for at in range(3):
        assert (next(sent), made) == (str(at).encode(), list(range(at + 1)))
    assert list(sent) == []
    assert [text_of(client), calls.count] == ["012", 1]


@pytest.mark.parametrize("read", [1, 2, 3])
def test_t6_14_a_stream_that_is_cut_off_is_not_stored(
    app: Flask, stored: Cache, calls: Calls, read: int
) -> None:
    closed: list[bool] = []

    def pieces() -> Generator[str]:
        try:
            yield from pieces_of(calls)
        finally:
            closed.append(True)

    streaming(app, stored, lambda: Response(pieces()))
    client = app.test_client()
    answer = client.get("/")
    sent = answer.iter_encoded()
    assert [next(sent) for _ in range(read)] == [f"1.{at} ".encode() for at in range(read)]
    answer.close()
    assert closed == [True]
    assert passes(stored, app, "index") == {"cut-off": 1}
    assert [text_of(client), text_of(client)] == ["2.0 2.1 2.2 "] * 2
    assert calls.count == 2


def test_t6_14_a_stream_that_nobody_reads_or_closes(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))

    @app.after_request
    def replace(response: Response) -> Response:
        return Response("broken") if "broken" in request.args else response

    client = app.test_client()
    assert text_of(client, "/?broken") == "broken"
    assert passes(stored, app, "index") == {"cut-off": 1}
    with app.test_request_context("/?broken"):
        assert app.view_functions["index"]().is_streamed
    assert passes(stored, app, "index") == {"cut-off": 2}


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit()], ids=["error", "end"])
def test_t6_14_a_stream_that_breaks_off_is_not_stored(
    app: Flask, stored: Cache, calls: Calls, error: BaseException
) -> None:
    def pieces() -> Iterator[str]:
        yield from pieces_of(calls)
        if calls.count == 1:
            raise error

    streaming(app, stored, lambda: Response(pieces()))
    client = app.test_client()
    with pytest.raises(type(error)):
        client.get("/").get_data()
    assert [text_of(client), text_of(client)] == ["2.0 2.1 2.2 "] * 2


def test_a_stream_that_breaks_off_leaves_what_is_stored(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    def pieces() -> Iterator[str]:
        yield f"{calls()} "
        if calls.count == 2:
            raise ValueError("broken")
        yield "end"

    streaming(app, stored, lambda: Response(pieces()), stale_on_error=600, throttle=5)
    client = app.test_client()
    assert text_of(client) == "1 end"
    clock.advance(61)
    with pytest.raises(ValueError, match="broken"):
        client.get("/").get_data()
    # As after any failed load: what is stored stands in, and the view is left in peace.
    assert [text_of(client), calls.count] == ["1 end", 2]
    clock.advance(6)
    assert [text_of(client), text_of(client), calls.count] == ["3 end", "3 end", 3]


def test_a_refresh_behind_the_answer_reads_the_stream(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/<kind>")
    @stored.cached(60, stale=600)
    def index(kind: str) -> Any:
        pieces = stream_with_context(f"{piece}{request.path}" for piece in pieces_of(calls, 2))
        return Response(pieces, mimetype="text/event-stream" if kind == "endless" else None)

    client = app.test_client()
    assert text_of(client, "/a") == "1.0 /a1.1 /a"
    clock.advance(61)
    assert text_of(client, "/a") == "1.0 /a1.1 /a"
    stored._background.join()  # pyright: ignore[reportPrivateUsage]
    assert text_of(client, "/a") == "2.0 /a2.1 /a"
    assert calls.count == 2


def test_a_refresh_does_not_store_a_stream_that_reads_what_is_not_in_the_key(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    def pieces() -> Iterator[str]:
        yield "text"
        if calls() > 1:
            yield request.headers.get("X", "")

    streaming(app, stored, lambda: Response(stream_with_context(pieces())), stale=600)
    client = app.test_client()
    first = text_of(client, headers={"X": "anna"})
    clock.advance(61)
    assert [text_of(client), calls.count <= 2] == [first, True]
    stored._background.join()  # pyright: ignore[reportPrivateUsage]
    assert text_of(client) == first


# What is never stored.


@pytest.mark.parametrize("kind", ["text/event-stream; charset=utf-8", *streams.ENDLESS])
def test_streams_without_an_end(app: Flask, stored: Cache, calls: Calls, kind: str) -> None:
    def forever() -> Iterator[str]:
        calls()
        while True:
            yield "data: tick\n\n"

    streaming(app, stored, lambda: Response(forever(), content_type=kind))
    client = app.test_client()
    for _ in range(2):
        # Nobody waits for anybody: the first is still open when the second begins.
        answers = [client.get("/"), client.get("/")]
        for answer in answers:
            assert next(answer.iter_encoded()) == b"data: tick\n\n"
            answer.close()
    assert calls.count == 4
    assert passes(stored, app, "index") == {"stream": 4}


@pytest.mark.parametrize(
    ("length", "reason"),
    [("11", "stream"), ("13", "stream"), ("-12", "stream"), ("x", "stream"), ("12", None)],
)
def test_a_content_length_that_lies(
    app: Flask, stored: Cache, calls: Calls, length: str, reason: str | None
) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls), headers={"Content-Length": length}))
    client = app.test_client()
    bodies = [b"".join(client.get("/").iter_encoded()) for _ in range(2)]
    assert calls.count == (1 if reason is None else 2)
    assert passes(stored, app, "index") == ({} if reason is None else {reason: 2})
    assert bodies[0] == b"1.0 1.1 1.2 "


def large(app: Flask, store: dict[str, Any]) -> Cache:
    """A cache that stores nothing above 1,000 bytes."""
    return Cache(app, config={**store, "CACHE_MAX_VALUE": 1000})


def test_a_stream_that_grows_too_large_is_sent_and_not_stored(
    app: Flask, store: dict[str, Any], calls: Calls
) -> None:
    cache = large(app, store)

    def pieces() -> Iterator[bytes]:
        calls()
        for _ in range(11):
            yield b"x" * 100

    streaming(app, cache, lambda: Response(pieces()))
    client = app.test_client()
    assert [client.get("/").data for _ in range(2)] == [b"x" * 1100] * 2
    assert calls.count == 2
    assert passes(cache, app, "index") == {"too-large": 2}


def test_of_what_is_too_large_nothing_is_kept_in_memory(app: Flask, calls: Calls) -> None:
    cache = large(app, {"CACHE_TYPE": "SimpleCache"})
    streaming(app, cache, lambda: Response(b"x" * 100 for _ in range(calls() * 1000)))
    with app.test_request_context("/"):
        response = app.view_functions["index"]()
        filling = response.response._filling
        sizes = set()
        for _ in response.response:
            sizes.add(len(filling._copy.bytes()))
    assert max(sizes) == 1000
    assert len(filling._copy.bytes()) == 0


def test_what_says_that_it_is_too_large_is_not_even_copied(
    app: Flask, store: dict[str, Any], calls: Calls
) -> None:
    cache = large(app, store)
    body = b"x" * 1100
    streaming(app, cache, lambda: send_file(io.BytesIO(body), "text/plain", max_age=60))
    with app.test_request_context("/"):
        response = app.view_functions["index"]()
        assert "_Copied" not in type(response.response).__name__
        response.close()
    assert app.test_client().get("/").data == body
    assert passes(cache, app, "index") == {"too-large": 2}


def test_a_stream_that_takes_too_long_is_taken_for_one_without_an_end(
    app: Flask, stored: Cache, clock: HandClock
) -> None:
    def pieces() -> Iterator[str]:
        while True:
            clock.advance(100)
            yield "line\n"

    streaming(app, stored, lambda: Response(pieces()), wait=3600)
    client = app.test_client()
    answer = client.get("/")
    sent = answer.iter_encoded()
    for _ in range(3):
        next(sent)
        assert passes(stored, app, "index") == {}
    next(sent)
    assert passes(stored, app, "index") == {"stream": 1}
    assert next(sent) == b"line\n"
    answer.close()
    assert passes(stored, app, "index") == {"stream": 1}


@pytest.mark.parametrize("piece", [7, None, ["a"]], ids=repr)
def test_pieces_that_are_none_are_the_servers_affair(app: Flask, stored: Cache, piece: Any) -> None:
    def pieces() -> Iterator[Any]:
        yield b"a"
        yield piece

    streaming(app, stored, lambda: Response(pieces(), direct_passthrough=True))
    for number in (1, 2):
        with app.test_request_context("/"):
            response = app.view_functions["index"]()
            assert list(response.response) == [b"a", piece]
            response.close()
        assert passes(stored, app, "index") == {"stream": number}


def test_texts_and_views_of_bytes_become_bytes(app: Flask, stored: Cache, calls: Calls) -> None:
    def pieces() -> Iterator[Any]:
        yield "é"
        yield b"\xff"
        yield bytearray(b"ab")
        yield memoryview(b"cd")
        yield ""

    def answer() -> Response:
        calls()
        return Response(pieces())

    streaming(app, stored, answer)
    client = app.test_client()
    body = "é".encode() + b"\xffabcd"
    assert [client.get("/").data, client.get("/").data, calls.count] == [body, body, 1]


def test_headers_of_the_connection_are_not_stored(app: Flask, stored: Cache, calls: Calls) -> None:
    """Beside the length of a stored page they would say twice where it ends."""
    headers = {"Transfer-Encoding": "chunked", "Connection": "close", "X-Own": "1"}
    streaming(app, stored, lambda: Response(pieces_of(calls), headers=headers))
    client = app.test_client()
    assert text_of(client) == "1.0 1.1 1.2 "
    again = client.get("/")
    assert again.data == b"1.0 1.1 1.2 "
    assert "Transfer-Encoding" not in again.headers
    assert "Connection" not in again.headers
    assert again.headers["X-Own"] == "1"


def test_a_stream_of_nothing(app: Flask, stored: Cache, calls: Calls) -> None:
    def answer() -> Response:
        calls()
        return Response(iter(()))

    streaming(app, stored, answer)
    client = app.test_client()
    assert [text_of(client), text_of(client), calls.count] == ["", "", 1]


# The rules of safety.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": 500}, "status: 500"),
        ({"status": 404}, "status: 404"),
        ({"headers": {"Set-Cookie": "a=b"}}, "set-cookie"),
        ({"headers": {"Cache-Control": "private"}}, "private"),
        ({"headers": {"Cache-Control": "no-store"}}, "no-store"),
        ({"headers": {"Vary": "Cookie"}}, "vary: cookie"),
    ],
    ids=["failure", "absence", "cookie", "private", "no-store", "vary"],
)
def test_what_an_answer_says_of_itself_counts_at_once(
    app: Flask, stored: Cache, calls: Calls, change: dict[str, Any], reason: str
) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls), **change))
    client = app.test_client()
    first = client.get("/")
    assert passes(stored, app, "index") == {reason: 1}
    assert first.get_data() == b"1.0 1.1 1.2 "
    assert text_of(client) == "2.0 2.1 2.2 "


def test_head_stores_nothing(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    assert client.head("/").data == b""
    assert text_of(client).startswith(f"{calls.count}.0")
    assert passes(stored, app, "index") == {"method": 1}
    count = calls.count
    assert client.head("/").headers["Content-Length"] == "12"
    assert calls.count == count


@pytest.mark.parametrize("late", ["at-the-start", "at-the-end"])
def test_a_session_that_the_stream_looks_at(
    app: Flask, stored: Cache, calls: Calls, late: str
) -> None:
    def pieces() -> Iterator[str]:
        if late == "at-the-end":
            yield "hello "
        yield session.get("user", "nobody")
        yield f" {calls()}"

    streaming(app, stored, lambda: Response(stream_with_context(pieces())))
    for number, name in enumerate(["anna", "bert", "anna"], 1):
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["user"] = name
        assert text_of(client).endswith(f"{name} {number}")
    assert passes(stored, app, "index") == {"session": 3}


@pytest.mark.parametrize("logged_in", [False, True])
def test_a_stream_that_looks_at_no_session_is_stored(
    app: Flask, stored: Cache, calls: Calls, logged_in: bool
) -> None:
    streaming(app, stored, lambda: Response(stream_with_context(pieces_of(calls))))
    for _ in range(2):
        client = app.test_client()
        if logged_in:
            with client.session_transaction() as opened:
                opened["user"] = "anna"
        answer = client.get("/")
        assert answer.get_data() == b"1.0 1.1 1.2 "
        assert "Vary" not in answer.headers


def test_a_session_in_the_key_tells_streams_apart(app: Flask, stored: Cache, calls: Calls) -> None:
    def pieces() -> Iterator[str]:
        yield f"{session['user']} {calls()}"

    streaming(
        app,
        stored,
        lambda: Response(stream_with_context(pieces())),
        vary=[lambda: session.get("user")],
    )
    got: list[str] = []
    for name in ("anna", "bert", "anna", "bert"):
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["user"] = name
        got.append(text_of(client))
    assert got == ["anna 1", "bert 2"] * 2


READS: dict[str, tuple[Callable[[], Any], str]] = {
    "header": (lambda: request.headers.get("X-Who"), "header:x-who"),
    "environ": (lambda: request.environ.get("HTTP_X_WHO"), "header:x-who"),
    "cookie": (lambda: request.cookies.get("who"), "cookie:who"),
    "user": (lambda: g.user, "g:user"),
}


@pytest.mark.parametrize("read", list(READS))
@pytest.mark.parametrize("narrow", [False, True])
def test_what_the_stream_reads_of_the_request(
    app: Flask, stored: Cache, calls: Calls, read: str, narrow: bool
) -> None:
    look, reason = READS[read]

    @app.before_request
    def load_user() -> None:
        g.user = request.cookies.get("who")

    def pieces() -> Iterator[str]:
        yield "hello "
        yield str(look())

    streaming(app, stored, lambda: Response(stream_with_context(pieces())), narrow=narrow)
    client = app.test_client(use_cookies=False)
    for name in ("anna", "bert"):
        headers = {"X-Who": name, "Cookie": f"who={name}"}
        assert text_of(client, headers=headers) == f"hello {name}"
    assert passes(stored, app, "index") == {f"unkeyed-input: {reason}": 2}


def test_what_the_stream_reads_and_the_key_holds(app: Flask, stored: Cache, calls: Calls) -> None:
    def pieces() -> Iterator[str]:
        yield f"{request.headers['X-Who']} "
        yield f"{request.cookies['who']} {request.args['page']} {calls()}"

    streaming(
        app,
        stored,
        lambda: Response(stream_with_context(pieces())),
        vary=["X-Who", lambda: request.cookies["who"]],
    )
    client = app.test_client(use_cookies=False)
    got = [
        text_of(client, "/?page=2", headers={"X-Who": name, "Cookie": f"who={name}"})
        for name in ("anna", "bert", "anna", "bert")
    ]
    assert got == ["anna anna 2 1", "bert bert 2 2"] * 2


def test_what_is_learned_is_learned_of_the_view(app: Flask, stored: Cache, calls: Calls) -> None:
    """Not of its stream, which ends when the request is over; what that reads besides is not stored."""

    def pieces() -> Iterator[str]:
        yield str(calls())
        if "Deep" in request.headers.get("X-Tongue", ""):
            yield request.headers.get("X-Other", "")

    def answer() -> Response:
        return Response(
            stream_with_context(pieces()), headers={"X-Is": request.headers["X-Tongue"]}
        )

    streaming(app, stored, answer, vary="auto")
    client = app.test_client()

    def ask(tongue: str) -> str:
        return text_of(client, headers={"X-Tongue": tongue})

    assert [ask("de"), ask("en"), ask("de"), ask("en")] == ["1", "2", "1", "2"]
    assert client.get("/", headers={"X-Tongue": "de"}).headers["Vary"] == "X-Tongue"
    assert [ask("Deep"), ask("Deep")] == ["3", "4"]
    assert passes(stored, app, "index") == {"unkeyed-input: header:x-other": 2}


def test_what_the_stream_says_of_its_answer(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    def pieces() -> Iterator[str]:
        stored.context.tag("late")
        stored.context.ttl(10)
        yield str(calls())
        if "skip" in request.args:
            stored.context.skip("half of it")

    streaming(app, stored, lambda: Response(stream_with_context(pieces())))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "1"]
    clock.advance(11)
    assert [text_of(client), text_of(client)] == ["2", "2"]
    with app.app_context():
        stored.invalidate_tags("late")
    assert [text_of(client), text_of(client)] == ["3", "3"]
    assert [text_of(client, "/?skip"), text_of(client, "/?skip")] == ["4", "5"]


def test_streams_with_a_key_of_the_developers_own(app: Flask, stored: Cache) -> None:
    def pieces() -> Iterator[str]:
        yield str(session.get("user"))

    streaming(
        app,
        stored,
        lambda: Response(stream_with_context(pieces())),
        make_cache_key=lambda: "mine",
    )
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["None"] * 2
    with app.app_context():
        assert stored.get("mine").get_data() == b"None"


# send_file.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of 2,560 bytes."""
    path = tmp_path / "page.bin"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def test_t6_14_a_file_is_stored_as_it_was_sent(app: Flask, stored: Cache, file: Path) -> None:
    body = file.read_bytes()

    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        return send_file(file, "application/octet-stream", max_age=60)

    client = app.test_client()
    first = client.get("/", buffered=True)
    assert first.data == body
    file.write_bytes(b"other")
    again = client.get("/")
    assert again.data == body
    for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control", "Last-Modified"):
        assert again.headers[name] == first.headers[name]


def test_a_file_that_says_no_cache_is_not_stored(app: Flask, stored: Cache, file: Path) -> None:
    """Which `send_file` does unless it is told how long it may be kept."""
    streaming(app, stored, lambda: send_file(file))
    assert app.test_client().get("/", buffered=True).status_code == 200
    assert passes(stored, app, "index") == {"no-store": 1}


@pytest.mark.parametrize("how", ["range", "etag", "head"])
def test_a_part_of_a_file_is_never_stored(app: Flask, stored: Cache, file: Path, how: str) -> None:
    body = file.read_bytes()
    streaming(app, stored, lambda: send_file(file, "text/plain", max_age=60))
    client = app.test_client()
    with app.test_request_context("/?else"):
        response = app.view_functions["index"]()
        tag = response.headers["ETag"]
        response.close()
    if how == "range":
        part = client.get("/", headers={"Range": "bytes=0-9"}, buffered=True)
        assert (part.status_code, part.data) == (206, body[:10])
    elif how == "etag":
        part = client.get("/", headers={"If-None-Match": tag}, buffered=True)
        assert (part.status_code, part.data) == (304, b"")
    else:
        assert client.head("/", buffered=True).data == b""
    for _ in range(2):
        whole = client.get("/", buffered=True)
        assert (whole.status_code, whole.data) == (200, body)


def test_a_file_that_the_web_server_sends_is_not_stored(
    app: Flask, stored: Cache, file: Path
) -> None:
    app.config["USE_X_SENDFILE"] = True
    app.use_x_sendfile = True
    streaming(app, stored, lambda: send_file(file, "text/plain", max_age=60))
    client = app.test_client()
    for _ in range(2):
        answer = client.get("/")
        assert answer.headers["X-Sendfile"] == str(file)
        answer.close()
    assert passes(stored, app, "index") == {"stream": 2}


def test_what_a_server_sends_by_itself_is_handed_on(app: Flask, stored: Cache, file: Path) -> None:
    """A server may have a class of its own for files, which knows only to be iterated and closed."""
    closed: list[bool] = []

    class Wrapper:
        def __init__(self, opened: Any, size: int = 8192) -> None:
            self.opened = opened

        def __getitem__(self, _at: int) -> bytes:
            piece: bytes = self.opened.read(1000)
            if not piece:
                raise IndexError
            return piece

        def close(self) -> None:
            self.opened.close()
            closed.append(True)

    streaming(app, stored, lambda: send_file(file, "text/plain", max_age=60))
    client = app.test_client()
    wrapper = {"wsgi.file_wrapper": Wrapper}
    assert client.get("/", environ_overrides=wrapper, buffered=True).data == file.read_bytes()
    assert closed == [True]
    file.unlink()
    assert len(client.get("/", environ_overrides=wrapper).data) == 2560


# What is around the view.


def test_a_view_of_a_class(app: Flask, stored: Cache, calls: Calls) -> None:
    if OLD:
        pytest.skip("this Flask takes no generators")

    class Index(MethodView):
        @stored.cached(60)
        def get(self) -> Iterator[str]:
            return pieces_of(calls)

    app.add_url_rule("/", view_func=Index.as_view("index"))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 "] * 2


def test_who_wants_a_generator_gets_one(app: Flask, stored: Cache, calls: Calls) -> None:
    """Between the view and Flask stands something that makes more of it."""

    @stored.cached(60)
    def rows() -> Iterator[dict[str, int]]:
        yield {"row": calls()}

    @app.get("/")
    def index() -> str:
        return ",".join(str(row["row"]) for row in rows())

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "2"]
    assert passes(stored, app, "rows") == {"stream": 2}


def test_hooks_see_a_response_that_streams(app: Flask, stored: Cache, calls: Calls) -> None:
    seen: list[Any] = []
    streaming(app, stored, lambda: Response(pieces_of(calls), headers={"X-View": "a"}))

    @app.after_request
    def look(response: Response) -> Response:
        seen.append((response.is_streamed, response.is_sequence, response.headers["X-View"]))
        response.headers["X-View"] += "b"
        return response

    client = app.test_client()
    for _ in range(2):
        answer = client.get("/")
        assert answer.get_data() == b"1.0 1.1 1.2 "
        assert answer.headers["X-View"] == "ab"
    assert seen == [(True, False, "a"), (False, True, "a")]


def test_a_hook_that_reads_the_body(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))

    @app.after_request
    def shout(response: Response) -> Response:
        response.set_data(response.get_data(as_text=True) + "!")
        return response

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 !"] * 2
    assert calls.count == 1


def test_a_hook_that_wraps_the_body(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))

    @app.after_request
    def pack(response: Response) -> Response:
        body = response.response
        response.response = ClosingIterator(b"<" + piece.encode() + b">" for piece in body)  # type: ignore[union-attr]
        return response

    client = app.test_client()
    assert text_of(client) == "<1.0 ><1.1 ><1.2 >"
    assert calls.count == 1


def test_what_the_response_calls_at_its_end(app: Flask, stored: Cache, calls: Calls) -> None:
    ended: list[int] = []

    def answer() -> Response:
        response = Response(pieces_of(calls))
        response.call_on_close(lambda: ended.append(calls.count))
        return response

    streaming(app, stored, answer)
    client = app.test_client()
    for _ in range(2):
        assert text_of(client, buffered=True) == "1.0 1.1 1.2 "
    assert ended == [1]


def test_a_filter_sees_the_response(app: Flask, stored: Cache, calls: Calls) -> None:
    seen: list[int] = []

    def wanted(response: Response) -> bool:
        seen.append(response.status_code)
        return "stored" in request.args

    streaming(app, stored, lambda: Response(pieces_of(calls)), response_filter=wanted)
    client = app.test_client()
    for path, bodies in (("/?stored", ["1", "1"]), ("/", ["2", "3"])):
        assert [text_of(client, path)[0] for _ in range(2)] == bodies
    assert seen == [200, 200, 200]


def test_what_is_called_for_a_piece_is_called_by_the_view(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    """A stream that asks for its own page does not wait for itself."""
    streaming(app, stored, lambda: Response(stream_with_context(inner())))
    client = app.test_client()

    def inner() -> Iterator[str]:
        number = calls()
        yield f"{number}"
        if number == 1:
            yield f"({text_of(client)})"

    assert text_of(client) == "1(2)"
    assert passes(stored, app, "index") == {"recursive": 1}
    assert text_of(client) == "1(2)"


def test_a_thread_does_not_wait_for_a_stream_of_its_own(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    """Nobody would read on. The clock stands still, so that a wait would have no end."""
    streaming(app, stored, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    first = client.get("/")
    assert text_of(client) == "2.0 2.1 2.2 "
    assert passes(stored, app, "index") == {"recursive": 1}
    assert first.get_data() == b"1.0 1.1 1.2 "
    assert text_of(client) == "1.0 1.1 1.2 "


def test_a_purge_while_it_streams(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    answer = client.get("/")
    assert next(answer.iter_encoded()) == b"1.0 "
    with app.app_context():
        stored.delete("view//")
    assert b"".join(answer.iter_encoded()) == b"1.1 1.2 "
    assert text_of(client) == "2.0 2.1 2.2 "


def test_tags_of_a_stream(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)), tags=["news"])
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 "] * 2
    with app.app_context():
        stored.invalidate_tags("news")
    assert text_of(client) == "2.0 2.1 2.2 "


def test_as_page(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)), as_page=True)
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 "] * 2


def test_streams_as_http_wants_them(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    def answer() -> Response:
        headers = {"Cache-Control": request.args.get("control", "max-age=30")}
        return Response(pieces_of(calls), headers=headers)

    streaming(app, stored, answer, http=True)
    client = app.test_client()
    assert text_of(client) == "1.0 1.1 1.2 "
    again = client.get("/")
    assert again.data == b"1.0 1.1 1.2 "
    tag = again.headers["ETag"]
    assert client.get("/", headers={"If-None-Match": tag}).status_code == 304
    assert client.get("/", headers={"Range": "bytes=0-2"}).data == b"1.0"
    clock.advance(31)
    assert text_of(client) == "2.0 2.1 2.2 "
    assert [text_of(client, "/?control=no-store")[0] for _ in range(2)] == ["3", "4"]
    assert passes(stored, app, "index") == {"no-store": 2}


def test_statistics_and_headers(app: Flask, stored: Cache, calls: Calls) -> None:
    app.debug = True
    streaming(app, stored, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    first = client.get("/")
    # It is not known yet whether it will be stored.
    assert first.headers["Cache-Status"] == "Larder; fwd=miss"
    with app.app_context():
        (counters,) = stored.stats()["functions"].values()
        assert (counters["misses"], counters["bytes"]) == (0, 0)
        first.get_data()
        (counters,) = stored.stats()["functions"].values()
        assert counters["misses"] == 1
        assert counters["bytes"] > 12
    assert client.get("/").headers["Cache-Status"].startswith("Larder; hit; ttl=")


def test_warming_reads_to_the_end(app: Flask, stored: Cache, calls: Calls) -> None:
    streaming(app, stored, lambda: Response(pieces_of(calls)))
    view = app.view_functions["index"]
    assert stored.warm(view)
    assert [text_of(app.test_client()), calls.count] == ["1.0 1.1 1.2 ", 1]


def test_warming_gives_up_what_is_not_stored(app: Flask, store: dict[str, Any]) -> None:
    cache = large(app, store)

    def forever() -> Iterator[bytes]:
        while True:
            yield b"x" * 100

    streaming(app, cache, lambda: Response(forever()))
    warmed = cache.warm(app.view_functions["index"])
    assert (warmed.stored, warmed.reason) == (False, "too-large")


def test_somebodys_own_set_gets_the_page(app: Flask, store: dict[str, Any], calls: Calls) -> None:
    keys: list[str] = []

    class Own(Cache):
        def set(self, key: str, value: Any, timeout: object = None) -> Any:
            keys.append(key.partition("#")[0])
            return super().set(key, value, timeout)

    cache = Own(app, config=store)
    # The application that was initialised last is not the one whose page it is.
    Own.init_app(cache, Flask("other"))
    streaming(app, cache, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 "] * 2
    assert keys == ["view//"]


def test_a_set_that_raises_breaks_no_answer(app: Flask, cache: Cache, calls: Calls) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("broken")

    cache.set = broken  # type: ignore[method-assign]
    streaming(app, cache, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 ", "2.0 2.1 2.2 "]


def test_a_store_that_keeps_nothing(app: Flask, calls: Calls) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    streaming(app, cache, lambda: Response(pieces_of(calls)))
    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1.0 1.1 1.2 ", "2.0 2.1 2.2 "]
