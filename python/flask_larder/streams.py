"""Responses that are sent as they are produced: handed on piece by piece, and stored at their end.

A generator, `stream_template`, `send_file`: the client gets each piece when it is there, while a copy
grows. The copy is stored when the stream has come to its end by itself, and only then: not when it
breaks off, when the client goes away, when it becomes too large, or when it is not as long as its
Content-Length says.

The permit of the load lives as long as the stream. Whoever asks for the same page meanwhile waits for
it as for any load, and no longer than `wait`.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import inspect
import io
import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from werkzeug.http import is_hop_by_hop_header
from werkzeug.wrappers import Response as WerkzeugResponse

from . import _native, learning, running, safety, tracking
from ._context import current_globals, request_context
from ._native import Page, Policy
from .decorated import Uncached
from .responses import finished, whole
from .running import Unfinished, open_loads
from .steps import Steps, Store, run

if TYPE_CHECKING:
    from .views import View

ENDLESS = ("text/event-stream", "multipart/x-mixed-replace")
"""Types of content that go on until somebody leaves: nobody waits for their end, and no copy is made."""

LONGEST = 300.0
"""Seconds after which a stream is taken for one that has no end: its copy is given up."""

CUT = "cut-off"
"""Why a stream is not stored that was not read to its end."""

_log = logging.getLogger("flask_larder")


def is_streamed(response: WerkzeugResponse) -> bool:
    """Whether the body of a response is still to come, or goes to the server as it is."""
    return response.is_streamed or response.direct_passthrough


def read(view: View, value: Any) -> Any:
    """What a view answered, with the body of a stream read: for a refresh, whose answer nobody gets."""
    if not view.cache.dialect.careful:
        return value
    app = view.cache._app()
    found = (
        app.make_response(value) if view.options.as_page else response_of(view, whole(value, app))
    )
    if not isinstance(found, WerkzeugResponse) or not is_streamed(found):
        return value
    streamed = Streamed.of(view, found)
    return streamed.read() if isinstance(streamed, Streamed) else found


def response_of(view: View, value: Any) -> Any:
    """The response that Flask makes of an iterator, where Flask is who gets it; any other value as it is.

    Where something stands between Flask and the view, that gets what the view returned.
    """
    first: Any = value
    if isinstance(first, tuple):
        first = next(iter(value), None)
    if not isinstance(first, Iterator) or not _is_the_view(view):
        return value
    try:
        return view.cache._app().make_response(value)
    except Exception:
        # Flask says itself what is wrong with it.
        raise Uncached("stream") from None


def _is_the_view(view: View) -> bool:
    """Whether it is this view that Flask called for the request, and nothing around it."""
    request = _native.current_request()
    app = view.cache._app()
    if request is None:
        return False
    function = app.view_functions.get(request.endpoint)
    if function is view.wrapper:
        return True
    methods: Any = getattr(function, "view_class", None)
    if methods is None or methods.decorators:
        return False
    own = (inspect.getattr_static(methods, name, None) for name in _method_names(request.method))
    return view.wrapper in own


def _method_names(method: str) -> tuple[str, ...]:
    return (method.lower(), "get", "dispatch_request")


@dataclass
class Streamed(Unfinished):
    """A response that is about to be streamed."""

    view: View
    response: Any
    # What it says of its length; None where it says nothing.
    length: int | None
    most: int

    @classmethod
    def of(cls, view: View, response: WerkzeugResponse) -> Streamed | Page:
        """What is stored of a response whose body is not all there; raises Uncached where it is clear
        from the start that nothing will be."""
        if response.mimetype in ENDLESS:
            raise Uncached("stream")
        length = _length(response)
        if response.is_sequence:
            # It goes to the server as it is, and is all there.
            body = b"".join(response.iter_encoded())
            if length is not None and length != len(body):
                raise Uncached("stream")
            return finished(response.status_code, list(response.headers), body)
        most = view.cache._engine().max_value
        if length is not None and length > most > 0:
            raise Uncached("too-large")
        return cls(view, response, length, most)

    def begin(self, call: Any, permit: Any, times: tuple[Policy, float]) -> Any:
        """The response, which fills the entry while it is sent."""
        if self.most == 0:
            raise Uncached("do-not-keep")
        filling = _Filling(self, call, permit, times)
        self.response.response = _Copied(self.response.response, filling)
        # Somebody may give the response another body, and close it without having read this one.
        self.response.call_on_close(filling.cut)
        return self.response

    def read(self) -> Any:
        """The response with all of its body, read here and now; raises Uncached if it is not stored."""
        copy = _Copy(self.response, self.length, self.most)
        try:
            for piece in self.response.response:
                reason = copy.take(piece)
                if reason is not None:
                    raise Uncached(reason)
        finally:
            self.response.close()
        if copy.falls_short():
            raise Uncached("stream")
        self.response.direct_passthrough = False
        self.response.response = [copy.bytes()]
        return self.response


def _length(response: WerkzeugResponse) -> int | None:
    given = response.headers.get("Content-Length")
    if given is None:
        return None
    if not given.isascii() or not given.isdigit():
        raise Uncached("stream")
    return int(given)


class _Copy:
    """What has been sent so far."""

    def __init__(self, response: Any, length: int | None, most: int) -> None:
        # Up to Werkzeug 2.2 a response may be in another charset.
        self._charset = getattr(response, "charset", "utf-8")
        self._length = length
        self._most = most
        self._size = 0
        self._body = io.BytesIO()

    def take(self, piece: Any) -> str | None:
        """Adds a piece; the reason where the copy is worth nothing any more."""
        if isinstance(piece, str):
            piece = piece.encode(self._charset)
        elif isinstance(piece, bytearray | memoryview):
            piece = bytes(piece)  # pyright: ignore[reportUnknownArgumentType]
        elif not isinstance(piece, bytes):
            return "stream"
        self._size += len(piece)
        if self._size > self._most:
            return "too-large"
        if self._length is not None and self._size > self._length:
            return "stream"
        self._body.write(piece)
        return None

    def falls_short(self) -> bool:
        """Whether less came than the Content-Length says."""
        return self._length is not None and self._size < self._length

    def bytes(self) -> bytes:
        """All of it."""
        return self._body.getvalue()

    def clear(self) -> None:
        """Gives the room back."""
        self._body = io.BytesIO()


class _Copied:
    """Stands in the place of a response's iterable: hands on what comes out of it."""

    def __init__(self, source: Iterable[Any], filling: _Filling) -> None:
        self._source = source
        self._pieces: Iterator[Any] | None = None
        self._filling = filling

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._pieces is None:
            self._pieces = iter(self._source)
        return self._filling.pull(self._pieces)

    def close(self) -> None:
        """Ends the stream where it is."""
        try:
            self._filling.cut()
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def __del__(self) -> None:
        # A response that nobody sends is not closed by anybody either.
        self._filling.cut()


class _Filling:
    """One stream on its way into the store: its permit, and the copy so far."""

    def __init__(
        self, streamed: Streamed, call: Any, permit: Any, times: tuple[Policy, float]
    ) -> None:
        response = streamed.response
        self._view = streamed.view
        auto = streamed.view.options.inputs.auto
        self._call = call
        self._permit: Any = permit
        self._policy, self._seconds = times
        self._loading = call.loading
        # As they are now: hooks of the application are run for each answer anew.
        kept = [pair for pair in response.headers if not is_hop_by_hop_header(pair[0])]
        self._head = response.status_code, kept
        self._pages = streamed.view.pages()
        if self._pages is not None:
            # What the headers say of the answer is known before there is a body.
            self._finish(b"")
        self._copy = _Copy(response, streamed.length, streamed.most)
        self._app = streamed.view.cache._app()
        self._context = None if streamed.view.in_charge() else request_context()
        self._looked = False
        if self._context is not None:
            self._inputs = learning.known_of_call(self._view).inputs if auto else self._view.inputs
            self._request, self._globals = self._context.request, current_globals()
            self._watch = tracking.stream_watch(self._view, self._loading)
            # `vary="auto"` has learned these by now.
            known = self._watch.found if auto else ()
            self._known = frozenset(known)
        self._loads = (permit.number, *open_loads.get())
        self._thread = running.begun(permit.number)
        self._until = _native.now() + LONGEST

    def pull(self, pieces: Iterator[Any]) -> Any:
        """The next piece. What is done and read for it counts as the view's own doing."""
        if self._permit is None:
            return next(pieces)
        started = perf_counter()
        token, opened = open_loads.set(self._loads), self._loading.open()
        try:
            with self._watched():
                piece = next(pieces)
        except StopIteration:
            self._seconds += perf_counter() - started
            self._end()
            raise
        except Exception as error:
            self._fail(error)
            raise
        except BaseException:
            self.cut()
            raise
        finally:
            self._loading.close(opened)
            open_loads.reset(token)
        self._seconds += perf_counter() - started
        reason = self._copy.take(piece) if _native.now() <= self._until else "stream"
        if reason is not None:
            self._give_up(reason)
        return piece

    def _watched(self) -> AbstractContextManager[None]:
        return nullcontext() if self._context is None else self._watching()

    @contextmanager
    def _watching(self) -> Generator[None]:
        watched = tracking.watched_stream(self._view, self._watch, self._request, self._globals)
        with safety.looking(self._context) as looks, watched:
            yield
        self._looked |= looks.seen

    def _take(self) -> Any:
        """The permit, for the first who settles it."""
        permit, self._permit = self._permit, None
        if permit is not None:
            running.ended(self._thread, permit.number)
        return permit

    def _end(self) -> None:
        reason = self._refusal()
        if reason is not None:
            self._give_up(reason)
            return
        try:
            page, policy = self._finish(self._copy.bytes())
        except Uncached as uncached:
            self._give_up(uncached.reason)
            return
        permit = self._take()
        if permit is None:
            return
        self._copy.clear()
        try:
            outcome = run(self._storing(permit, page, policy), self._view.function)
        except Exception:
            # The client has the whole answer, which must not break because a `set` of somebody's did.
            permit.drop()
            _log.exception("an answer of %s was sent, and could not be stored", self._view.name)
            return
        self._note(outcome)

    def _finish(self, body: bytes) -> tuple[Page, Policy]:
        """What is stored, and under which policy: the stream may have said more of its answer than the
        view had before."""
        page, policy = finished(*self._head, body), self._loading.policy(self._policy)
        made = (page, policy) if self._pages is None else self._pages.finish(page, policy)
        if isinstance(made, str):
            raise Uncached(made)
        return made

    def _storing(self, permit: Any, page: Page, policy: Policy) -> Steps:
        def put() -> Any:
            with self._in_application():
                return self._view._put(self._call, permit, page, (policy, self._seconds))

        return (yield Store(self._call.engine, put))

    def _in_application(self) -> AbstractContextManager[Any]:
        """The application whose store it is, where somebody's own `set` has to find it."""
        own = self._view.cache._overrides("set") and _native.current_app() is not self._app
        return self._app.app_context() if own else nullcontext()

    def _refusal(self) -> str | None:
        """Why what came to its end is not stored all the same."""
        if self._loading.skipped is not None:
            return self._loading.skipped
        if self._context is not None:
            cookie = safety.session_cookie(self._app)
            if self._looked and not self._inputs.tells_sessions(cookie):
                return "session"
            for read, place in self._watch.found.items():
                if read not in self._known and read not in self._view.told:
                    self._view.cache._note_unkeyed(self._view, read, place)
                    return f"unkeyed-input: {read}"
        return "stream" if self._copy.falls_short() else None

    def _give_up(self, reason: str) -> None:
        """Goes on without a copy: everyone who waits loads for itself."""
        permit = self._take()
        if permit is not None:
            permit.decline(reason)
            self._drop(("refused", reason, 0))

    def _fail(self, error: Exception) -> None:
        """The stream broke off: a failed load, for which something stale may stand in."""
        permit = self._take()
        if permit is not None:
            self._view.stats.count_error()
            self._copy.clear()
            run(self._failing(permit, error), self._view.function)

    def _failing(self, permit: Any, error: Exception) -> Steps:
        yield Store(self._call.engine, lambda: permit.fail(error))

    def cut(self) -> None:
        """Nobody reads on: one of those who wait loads in its place."""
        permit = self._take()
        if permit is not None:
            permit.drop()
            self._drop(("refused", CUT, 0))

    def _drop(self, outcome: tuple[str, str | None, int]) -> None:
        self._copy.clear()
        self._note(outcome)

    def _note(self, outcome: Any) -> None:
        self._view.stats.count_load(self._seconds, outcome[2])
        self._view.cache._note_stored(self._view, self._call.key, outcome)
