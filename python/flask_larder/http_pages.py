"""The pages of one view as HTTP wants them: what is stored, and what each request gets of it.

Every rule is one of larder-http, by way of `_native`; here stands when they are asked.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.exceptions import HTTPException

from . import durations
from ._native import Answer, Asked, HttpResponder, HttpRule, Key, Page, Policy
from .endpoints import leads_to
from .http import Http
from .reads import Read
from .responses import respond, responder

if TYPE_CHECKING:
    from .context import Loading
    from .http_views import HttpView
    from .vary import Inputs

# Where a request notes why its view was asked.
_FORWARD = "larder.forward"
# What a view must not see while it makes the answer for everybody.
_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
_READ_CONDITIONS = ("if_none_match", "if_modified_since")
# Who asks for a range makes no answer for others either.
_ABSENT = [
    Read("header", name) for name in ("if-none-match", "if-modified-since", "range", "if-range")
]


class Pages:
    """What a view in one application needs of HTTP."""

    def __init__(self, view: HttpView, http: Http) -> None:
        self._view = view
        self.http = http
        self._rule: tuple[Inputs, HttpRule] | None = None
        # The routes that were seen, by their identity: a route has no hash.
        self._routes: dict[int, tuple[Any, bool]] = {}

    @property
    def rule(self) -> HttpRule:
        """The rules for what the key holds now."""
        inputs = self._view.inputs
        if self._rule is None or self._rule[0] != inputs:
            self._rule = (inputs, _rule_of(inputs, self.http))
        return self._rule[1]

    def answer_client(self, request: Any) -> bool:
        """Whether the view was called to answer this request, and not by other code that wants all of
        what it answers."""
        route = None if request is None else request.url_rule
        if route is None:
            return False
        known = self._routes.get(id(route))
        if known is None:
            found = self._view.cache._app().view_functions.get(route.endpoint)
            known = self._routes[id(route)] = (route, leads_to(found, self._view.wrapper))
        return known[1]

    def responder(self, app: Any) -> HttpResponder:
        """What answers plain hits natively."""
        leading = [
            route
            for route in app.url_map.iter_rules()
            if leads_to(app.view_functions.get(route.endpoint), self._view.wrapper)
        ]
        return HttpResponder(self.rule, responder(app), leading)

    # What is stored.

    def finish(self, page: Page, policy: Policy) -> tuple[Page, Policy] | str:
        """The page with the headers that it lacks, and the policy by what it says of itself; the reason
        where it must not be stored."""
        return self.rule.finish(page, policy)

    def keeps(self, error: Exception) -> bool:
        """Whether an exception is an answer that is kept."""
        if not isinstance(error, HTTPException) or error.code is None:
            return False
        return error.code in self.http.negative

    # What a request gets.

    def hit(self, request: Any, key: Key, answer: Answer) -> Response:
        """The answer to a request from what is stored."""
        served = answer.served or "fresh"
        rule, environ = self.rule, request.environ
        return respond(rule.hit(answer.value, environ, served, answer.age, answer.ttl, key))

    def loaded(self, request: Any, key: Key, page: Page) -> Response:
        """The answer to a request from the page that was made for it."""
        forward = request.environ.get(_FORWARD, "miss")
        return respond(self.rule.loaded(page, request.environ, forward, key))

    def asked(self, request: Any) -> Asked | None:
        """What a request asks of caches, as far as it is listened to."""
        if self.http.requests == "ignore":
            return None
        trusted = self.http.trusted is not None and bool(self.http.trusted(request))
        return self.rule.asked(request.environ, trusted)


def check(inputs: Inputs, http: Http | bool | None) -> None:
    """Refuses a key that tells codings apart where one page serves all of them."""
    if not isinstance(http, Http) or not http.codings:
        return
    if any(name.lower() == "accept-encoding" for name in inputs.headers):
        raise ValueError(
            "Http(compress) and vary='Accept-Encoding': one page serves all codings "
            "(leave Accept-Encoding out of vary)"
        )


def note_forward(request: Any, why: str) -> None:
    """Notes why the view is asked; the first reason counts."""
    request.environ.setdefault(_FORWARD, why)


def forward_of(request: Any) -> str:
    """Why the view was asked."""
    return str(request.environ.get(_FORWARD, "miss"))


def wants_less(request: Any) -> bool:
    """Whether a request gets no body of a page, or may have it already."""
    environ = request.environ
    return environ["REQUEST_METHOD"] == "HEAD" or any(name in environ for name in _CONDITIONS)


def no_lead(request: Any) -> str | None:
    """Why this request must not make the answer for others, though it is one of those that are answered
    from the cache: it asks for less than all of it."""
    environ = request.environ
    if environ["REQUEST_METHOD"] == "HEAD":
        return "method"
    return "range" if "HTTP_RANGE" in environ else None


@contextmanager
def unconditional(
    request: Any, watch: AbstractContextManager[None], loading: Loading
) -> Generator[None]:
    """As `watch`, and hides the conditions of a request, so that its view makes the whole answer:
    whether the client has it already is judged afterwards. What is not there for anybody tells nobody
    from others, so the view may look for it."""
    environ, read = request.environ, request.__dict__
    hidden = {name: environ.pop(name) for name in _CONDITIONS if name in environ}
    known = {name: read.pop(name) for name in _READ_CONDITIONS if name in read}
    try:
        with watch:
            yield
    finally:
        if loading.watch is not None:
            for name in _ABSENT:
                loading.watch.found.pop(name, None)
        for name in _READ_CONDITIONS:
            read.pop(name, None)
        environ.update(hidden)
        read.update(known)


def _rule_of(inputs: Inputs, http: Http) -> HttpRule:
    keyed = [name.lower() for name in inputs.headers]
    if inputs.cookies:
        keyed.append("cookie")
    own = bool(inputs.values or inputs.learned) or not {"cookie", "authorization"}.isdisjoint(keyed)
    spans = {status: durations.span(span, "negative") for status, span in http.negative.items()}
    return HttpRule(
        keyed=keyed,
        known=["cookie"] if inputs.values else [],
        own=own,
        negative=sorted(spans.items()),
        targets=list(http.targets),
        requests=http.requests,
        etag=http.etag,
        key_told=http.key_in_status,
        codings=list(http.codings),
    )
