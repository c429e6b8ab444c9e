"""`cache.explain`: what a cache knows of one page, and what it would do about a request for it now.

The view is never called. What its key takes is: key functions, and callables in `vary=`.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from . import _native
from .decorated import DECORATED, Uncached
from .early import refusal, refusal_of_value
from .views import View

if TYPE_CHECKING:
    from ._native import EntrySeen, Key
    from .cache import Cache

_SECRET = ("authorization", "cookie", "proxy-authorization")
_LONGEST = 200

_MEANINGS = {
    "authorization": "the request carries credentials that are not in the key: name them in vary=",
    "bypass": "unless= says so",
    "cookie": "the answer depends on cookies that are not in the key: name them in vary=",
    "cut-off": "the client left, or the server stopped, before the stream had come to its end",
    "do-not-keep": "the timeout, or the store, says not to keep it",
    "fenced": "something was purged while the view was running",
    "filtered": "response_filter turned it down, or the view answered None",
    "method": "only GET and HEAD are answered from the cache, and only GET fills it",
    "no-store": "the answer says no-store, no-cache or max-age=0 in its Cache-Control",
    "private": "the answer says private in its Cache-Control",
    "recursive": "the view asked for its own page, or a thread for a stream that it has not read yet",
    "session": "the view looked at the session, which is not in the key",
    "set-cookie": "the answer sets a cookie",
    "status": "answers with this status are not stored",
    "store-failed": "the store failed",
    "stored": "the view was called, and its answer stored",
    "stream": "a stream without an end, or one that is not as long as its Content-Length says",
    "superseded": "a call that started later was stored already",
    "too-large": "the answer is larger than CACHE_MAX_VALUE allows",
    "uncodable": "the store cannot keep such a value",
    "unkeyable": "no key can be made of what vary= answered",
    "unkeyed-input": "the view read what is not in its key: name it in vary=",
    "vary": "the Vary of the answer names a header that is not in the key: name it in vary=",
}
"""The reasons, as people say them. Those with a detail have it behind a colon."""


@dataclass(frozen=True)
class Part:
    """One part of a key: what the answer depends on."""

    name: str
    """"key", "function", "host", "query", "header accept-language", "cookie theme", "value 1"."""
    value: str | None
    """What the request has of it; None for nothing. Of cookies and credentials only their length."""


@dataclass(frozen=True)
class Variant:
    """One stored answer of the page. Times are in seconds from now; None is for ever."""

    variant: str
    """What tells it from the others of this key, as far as it is no secret."""
    digest: str
    asked: bool
    """Whether it is the one that the request would get."""
    freshness: str
    """"fresh"; "stale" (served while it is refreshed); "spare" (served if the view fails);
    "throttled" (served, because a refresh failed a moment ago); "lapsed" (kept for the view to confirm);
    "expired"."""
    age: float
    ttl: float | None
    """How long it stays fresh; negative for how long it has not been."""
    stale: float | None
    """How long it is served at all before the view was called."""
    kept: float | None
    """How long it is worth anything."""
    size: int
    """Bytes, roughly."""
    codings: list[str]
    """The content codings that a finished response is stored in besides."""
    status: int | None
    """The status of a finished response."""
    kind: str
    """The type of the value."""
    tags: list[str]
    cost: float
    """Seconds that the view took."""


@dataclass(frozen=True)
class Explanation:
    """What `cache.explain` answers. `as_dict()` is made of plain values; `str()` is for people."""

    url: str
    method: str
    endpoint: str
    view: str
    store: str
    key: str | None
    """The key as `cache.delete` takes it; None where there is none."""
    parts: list[Part]
    variants: list[Variant] | None
    """What is stored under the key, newest first; None where the store cannot say."""
    now: str
    """What would be done about the request at this moment: "hit", "miss" or "pass"; "unknown" where the
    store cannot say."""
    why: str
    """The reason."""
    level: str
    """Where a hit is answered: "early", before Flask is asked; "prebuilt", in the place of the view, by a
    response that is finished; "plain", in the place of the view, and Flask makes a response of it."""
    level_why: str | None
    """Why it is no earlier level; None for the earliest."""
    last: str | None
    """What was done about the last request for this page that was noted: "hit", "miss" or "pass"; None
    if none was."""
    last_why: str | None
    last_age: float | None
    """How many seconds ago."""
    counted: dict[str, Any]
    """Hits, misses and passes of the view, of all its pages."""
    process: int
    """The process that noted and counted; others have their own."""
    notes: list[str]
    """What is to be known besides."""

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def explain(cache: Cache, path: Any, method: str, how: Mapping[str, Any]) -> Explanation:
    """What `Cache.explain` answers; `how` are headers, query and base_url."""
    if not isinstance(path, str):
        name = getattr(path, "__qualname__", repr(path))
        raise TypeError(
            f"{name} is no path (explain takes the URL of a view, like '/products?page=2')"
        )
    place = urlsplit(path)
    if not place.path.startswith("/"):
        raise ValueError(f"{path!r} is no path of a view (a path begins with /)")
    base_url = how["base_url"]
    if place.scheme and place.netloc:
        base_url = f"{place.scheme}://{place.netloc}"
    app = cache._app()
    given = how["query"] if how["query"] is not None else place.query
    with app.test_request_context(
        place.path,
        method=method.upper(),
        base_url=base_url,
        query_string=given,
        headers=how["headers"],
    ) as context:
        return _Look(cache, app, context.request).explained()


class _Look:
    """One look at a page, within a request for it."""

    def __init__(self, cache: Cache, app: Any, request: Any) -> None:
        self.cache = cache
        self.request = request
        self.endpoint, self.view = _view_of(cache, app, request)
        self.kwargs: dict[str, Any] = dict(request.view_args or {})
        self.notes: list[str] = []
        self.key: Key | None = None

    def explained(self) -> Explanation:
        cache, view, request = self.cache, self.view, self.request
        passed = self._passed()
        parts = list(self._parts())
        seen = None if self.key is None else self._seen(self.key)
        now, why = ("pass", passed) if passed is not None else self._judged(seen)
        last = cache._trail.last(view, self.key)
        level, level_why = self._level(seen)
        variants = None if seen is None else [self._variant(one) for one in seen]
        return Explanation(
            url=request.url,
            method=request.method,
            endpoint=self.endpoint,
            view=view.name,
            store=type(cache.cache).__name__,
            key=None if self.key is None else self.key.text,
            parts=parts,
            variants=variants,
            now=now,
            why=why,
            level=level,
            level_why=level_why,
            last=None if last is None else last.outcome,
            last_why=None if last is None else last.reason,
            last_age=None if last is None else max(_native.now() - last.at, 0.0),
            counted=_counted(view.stats.as_dict()),
            process=os.getpid(),
            notes=self.notes,
        )

    def _passed(self) -> str | None:
        """Why the cache would be left alone; finds the key where it would not."""
        options = self.view.options
        try:
            if (
                options.unless is not None
                and options.unless(self.view.function, **self.kwargs) is True
            ):
                return "bypass: unless= says so"
        except Exception as error:
            self.notes.append(f"unless= raised {_told(error)}")
        try:
            self.key = self.view.key((), self.kwargs)
        except Uncached as uncached:
            return uncached.reason
        except Exception as error:
            self.notes.append(
                "hooks of the application are not run here: what they set is not there for key "
                "functions and callables in vary="
            )
            return f"no key could be made: {_told(error)}"
        for option in ("forced_update", "is_stale", "response_filter"):
            if getattr(options, option) is not None:
                self.notes.append(f"{option}= has a say at each request, and was not asked")
        return None

    def _parts(self) -> Iterator[Part]:
        view, request, inputs = self.view, self.request, self.view.inputs
        if self.key is not None:
            yield Part("key", self.key.text)
        careful = self.cache.dialect.whole_url
        if careful and not view.in_charge():
            if view.options.key_prefix == type(view.options).key_prefix:
                yield Part("function", view.name)
            yield Part("host", request.root_url.rstrip("/"))
            if view.options.query_string or (
                view.options.query_string is None and not inputs.parameters
            ):
                pairs: list[str] = request.query_string.decode("latin-1").split("&")
                yield Part("query", "&".join(sorted(filter(None, pairs))) or None)
        for name in inputs.headers:
            yield Part(f"header {name.lower()}", _shown(name, request.headers.get(name)))
        for name in inputs.cookies:
            yield Part(f"cookie {name}", _shown("cookie", request.cookies.get(name)))
        for name in inputs.parameters:
            values: list[str] = request.args.getlist(name)
            yield Part(f"query {name}", ", ".join(values) if values else None)
        for number, compute in enumerate(inputs.values, 1):
            try:
                yield Part(f"value {number}", repr(compute())[:_LONGEST])
            except Exception as error:
                yield Part(f"value {number}", f"(raised {_told(error)})")

    def _seen(self, key: Key) -> list[EntrySeen] | None:
        store = self.cache.cache
        engine = getattr(store, "engine", None)
        name = type(store).__name__
        if engine is None:
            self.notes.append(f"{name} is not Larder's own: what is stored in it cannot be listed")
            return None
        kind = engine.size()["store"]
        if kind == "null":
            self.notes.append(f"{name} keeps nothing")
        elif kind == "memory":
            self.notes.append(
                f"{name} is in the memory of this process ({os.getpid()}): each worker has its own"
            )
        found: list[EntrySeen] = engine.entries(_base_of(key))
        return found

    def _judged(self, seen: list[EntrySeen] | None) -> tuple[str, str]:
        if seen is None:
            return "unknown", "the store cannot say what it has for this request"
        own = next((one for one in seen if self._is_asked(one)), None)
        if own is None or own.freshness == "expired":
            others = len(seen)
            more = f"; {others} for others are under its key" if others else ""
            return "miss", f"nothing is stored for this request{more}: the view is called"
        if own.freshness == "fresh":
            return "hit", f"fresh {_for(own.ttl)}"
        if own.freshness == "stale":
            return "hit", "stale: it is served, and refreshed behind the answer"
        if own.freshness == "throttled":
            return "hit", "stale: it is served, because a refresh failed a moment ago"
        if own.freshness == "lapsed":
            return "miss", "out of date: the view is called, and may say that this is still right"
        return "miss", "out of date: the view is called, and this is served only if it fails"

    def _level(self, seen: list[EntrySeen] | None) -> tuple[str, str | None]:
        """Where a hit is answered, and why not before."""
        view, app = self.view, self.cache._app()
        own = next((one for one in seen or () if self._is_asked(one)), None)
        http = view.pages() is not None
        why = refusal(view, app, self.endpoint, self.request.url_rule)
        if why is None and own is not None:
            why = refusal_of_value(own, http=http)
        if why is None:
            return "early", None
        finished = http if own is None else own.status is not None
        return ("prebuilt" if finished else "plain"), why

    def _is_asked(self, entry: EntrySeen) -> bool:
        # What is stored under the base key itself serves every variant.
        return entry.key == self.key or not entry.key.varies

    def _variant(self, entry: EntrySeen) -> Variant:
        inputs = self.view.inputs
        secret = inputs.cookies or any(name.lower() in _SECRET for name in inputs.headers)
        shown = "(holds cookies or credentials)" if secret else entry.key.variant
        return Variant(
            variant=shown if entry.key.varies else "(serves every variant)",
            digest=entry.key.digest,
            asked=self._is_asked(entry),
            freshness=entry.freshness,
            age=entry.age,
            ttl=entry.ttl,
            stale=entry.stale,
            kept=entry.kept,
            size=entry.size,
            codings=entry.codings,
            status=entry.status,
            kind=entry.kind,
            tags=entry.tags,
            cost=entry.cost,
        )


def _view_of(cache: Cache, app: Any, request: Any) -> tuple[str, View]:
    """The cached view that answers a request, and its endpoint; the view is not called."""
    error = request.routing_exception
    if isinstance(error, RequestRedirect):
        raise ValueError(f"{request.path} is redirected to {error.new_url} (explain that)")
    if isinstance(error, MethodNotAllowed):
        raise ValueError(f"no view answers {request.method} at {request.path} (other methods: yes)")
    if isinstance(error, NotFound | HTTPException):
        raise ValueError(f"no view answers {request.path} (see flask routes)")
    endpoint: str = request.endpoint
    function = app.view_functions[endpoint]
    for candidate in _candidates(function, request.method):
        decorated = getattr(candidate, DECORATED, None)
        if isinstance(decorated, View) and decorated.cache is cache:
            return endpoint, decorated
    raise ValueError(
        f"{request.path} is answered by {endpoint!r}, which this cache does not cache "
        "(only views decorated with cached can be explained)"
    )


def _candidates(function: Any, method: str) -> Iterator[Any]:
    """A view and what it wraps; of a class its method."""
    methods = getattr(function, "view_class", None)
    if methods is not None:
        found = (
            getattr(methods, name, None) for name in (method.lower(), "get", "dispatch_request")
        )
        own = next((one for one in found if one is not None), None)
        if own is not None:
            yield from _candidates(own, method)
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def _base_of(key: Key) -> str:
    return key.text


def _counted(stats: dict[str, Any]) -> dict[str, Any]:
    return {name: stats[name] for name in ("hits", "misses", "stale_hits", "collapsed", "passes")}


def _shown(name: str, value: str | None) -> str | None:
    if value is None or name.lower() not in _SECRET:
        return value
    return f"(given, {len(value)} characters)"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]


# For people.


def _for(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"for {seconds:.0f} s"


def _meant(reason: str) -> str:
    meaning = _MEANINGS.get(reason.partition(":")[0])
    return reason if meaning is None else f"{reason} ({meaning})"


def _lines(found: Explanation) -> Iterator[str]:
    yield f"page:   {found.method} {found.url}"
    yield f"view:   {found.view} (endpoint {found.endpoint})"
    yield f"store:  {found.store}"
    yield f"key:    {found.key if found.key is not None else 'none'}"
    for part in found.parts:
        if part.name != "key":
            yield f"        {part.name}: {part.value if part.value is not None else '(none)'}"
    yield f"now:    {found.now}: {_meant(found.why)}"
    yield f"level:  {found.level}{'' if found.level_why is None else f': {found.level_why}'}"
    if found.last is None:
        yield f"last:   nothing was noted in this process ({found.process}); others note their own"
    else:
        yield (
            f"last:   {found.last} {found.last_age:.0f} s ago: {_meant(str(found.last_why))} "
            f"(in this process, {found.process}; plain hits are counted only)"
        )
    passes = ", ".join(f"{why} {count}" for why, count in found.counted["passes"].items())
    yield (
        f"so far: {found.counted['hits']} hits, {found.counted['misses']} misses of this view in this "
        f"process{'; left alone or not stored: ' + passes if passes else ''}"
    )
    if found.variants is not None:
        yield f"stored: {len(found.variants)} under this key{':' if found.variants else ''}"
        for one in found.variants:
            yield from _variant_lines(one)
    for note in found.notes:
        yield f"note:   {note}"


def _variant_lines(one: Variant) -> Iterator[str]:
    mark = "*" if one.asked else "-"
    fresh = "fresh for ever" if one.ttl is None else f"ttl {one.ttl:.0f} s"
    status = f"status {one.status}" if one.status is not None else one.kind
    status += f", in {', '.join(one.codings)}" if one.codings else ""
    tags = f", tags {', '.join(one.tags)}" if one.tags else ""
    yield (
        f"      {mark} {one.freshness}, age {one.age:.0f} s, {fresh}, kept {_for(one.kept)}, "
        f"{one.size} bytes, {status}{tags}"
    )
    yield f"        {one.variant}"
