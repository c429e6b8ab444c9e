"""What a view does for HTTP, besides what every decorated function does."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flask import Response

from . import _native
from ._native import Answer, Engine, Key, Page, Policy, ViewKey
from .decorated import Decorated, Uncached
from .endpoints import endpoints_of
from .http import Http
from .http_pages import Pages, forward_of, no_lead, note_forward, wants_less
from .steps import Steps, Store
from .vary import Inputs

if TYPE_CHECKING:
    from .cache import Cache
    from .views import ViewOptions


class HttpView(Decorated):
    """The part of a view that serves its pages as HTTP wants them, where that is asked for."""

    options: ViewOptions

    def __init__(self, cache: Cache, function: Callable[..., Any], options: ViewOptions) -> None:
        super().__init__(cache, function, options)
        # By application: how many views it had when this was found out, and what.
        self._pages: WeakKeyDictionary[Any, tuple[int, Pages | None]] = WeakKeyDictionary()

    @property
    def rule(self) -> ViewKey:
        """How requests become keys."""
        raise NotImplementedError

    def base(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The base key, where the rule alone does not give it."""
        raise NotImplementedError

    @property
    def inputs(self) -> Inputs:
        """What the answer depends on besides its path, as far as that is known."""
        return self.options.inputs

    def pages(self) -> Pages | None:
        """How the pages of this view are stored and served as HTTP wants it; None where they are not:
        where nobody asked for that, and for functions that no URL of the application leads to."""
        if not self.cache._serves_http:
            return None
        app = self.cache._app()
        known = self._pages.get(app)
        if known is None or known[0] != len(app.view_functions):
            given = self.options.http
            http = self.cache._http() if given is None else Http.of(given, "http")
            served = http is not None and endpoints_of(app, self.wrapper)
            made = Pages(self, http) if http is not None and served else None
            known = self._pages[app] = (len(app.view_functions), made)
        return known[1]

    def _client(self) -> tuple[Pages, Any] | None:
        """The pages, and the request of a client that the view was called to answer."""
        pages, request = self.pages(), _native.current_request()
        return (pages, request) if pages is not None and pages.answer_client(request) else None

    def writes_status(self) -> bool:
        return self._client() is not None

    def forward(self) -> str:
        client = self._client()
        return "miss" if client is None else forward_of(client[1])

    def answer_of(self, call: Any, answer: Answer) -> Any:
        client = self._client()
        if client is None or not isinstance(answer.value, Page):
            return self.outgoing(answer.value)
        return client[0].hit(client[1], call.key, answer)

    def renewed(self, keep: Any) -> Any:
        pages = self.pages()
        return pages.rule.coded(keep) if pages is not None and isinstance(keep, Page) else keep

    def finished(self, keep: Any, policy: Policy) -> tuple[Any, Policy]:
        pages = self.pages()
        if pages is None or not isinstance(keep, Page):
            return keep, policy
        made = pages.finish(keep, policy)
        if isinstance(made, str):
            raise Uncached(made)
        return made

    def loaded(self, call: Any, value: Any, keep: Any) -> Any:
        client = self._client()
        if client is None or not isinstance(keep, Page):
            return value
        return client[0].loaded(client[1], call.key, keep)

    def aside(self, answer: Answer) -> tuple[str, Any] | None:
        client = self._client()
        if client is None:
            return None
        pages, request = client
        asked = pages.asked(request)
        if asked is not None and asked.only_if_cached:
            return "only-if-cached", Response(status=504)
        if answer.permit is not None and answer.permit.has_previous:
            note_forward(request, "stale")
        reason = no_lead(request)
        return None if reason is None else (reason, None)

    def _ask(
        self,
        engine: Engine,
        key: Key,
        policy: Policy,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Steps:
        client = self._client()
        asked = None if client is None else client[0].asked(client[1])
        if client is None or asked is None:
            if client is not None and self._looks_up():
                return (yield from self._ask_for(client, engine, key, policy, (args, kwargs)))
            return (yield from super()._ask(engine, key, policy, args, kwargs))
        if asked.no_store:
            raise Uncached("no-store")
        answer: Answer = yield from super()._ask(engine, key, policy, args, kwargs)
        if answer.kind not in ("hit", "stale") or asked.accepts(answer.age, answer.ttl):
            return answer
        if answer.permit is not None:
            answer.permit.drop()
        note_forward(client[1], "request")
        return (yield Store(engine, lambda: engine.refresh(key, policy)))

    def _ask_for(
        self,
        client: tuple[Pages, Any],
        engine: Engine,
        key: Key,
        policy: Policy,
        called: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> Steps:
        """What is stored for a client, as little of it as that takes: no body where none is sent, and of
        a page in codings the one that is."""
        rule, environ = client[0].rule, client[1].environ
        if wants_less(client[1]):
            head = yield Store(engine, lambda: engine.head(key, policy, rule, environ))
            if head is not None:
                return head
        elif rule.compresses:
            coded = yield Store(
                engine, lambda: _native.coded_hit(engine, key, policy, rule, environ)
            )
            if coded is not None:
                return coded
        answer: Answer = yield from super()._ask(engine, key, policy, *called)
        if rule.compresses and answer.kind in ("hit", "stale") and isinstance(answer.value, Page):
            read = (engine, key, policy, answer, environ)
            coded = yield Store(engine, lambda: _native.in_coding(*read))
            return answer if coded is None else coded
        return answer

    def _looks_up(self) -> bool:
        """Whether nobody but the store has a say in what is served."""
        options = self.options
        plain = options.forced_update is None and options.is_stale is None
        return plain and not self.cache._overrides("get")

    def kept(self, call: Any, value: Any) -> tuple[Any, Policy]:
        keep, policy = super().kept(call, value)
        client = self._client()
        if client is None or not client[0].http.no_vary_search or not isinstance(keep, Page):
            return keep, policy
        if self.rule.learn_search(client[1], keep):
            # The key of the call was made with what was known when it began.
            key = self.rule.key(client[1], self.base(call.args, call.kwargs))
            call.loading.under = key if key != call.key else call.loading.under
        return keep, policy

    def _failed(self, call: Any, permit: Any, error: Exception) -> Steps:
        client = self._client()
        if client is None or not client[0].keeps(error):
            return (yield from super()._failed(call, permit, error))
        app = self.cache._app()
        value = app.make_response(app.handle_user_exception(error))
        return (yield from self.store(call, permit, value, perf_counter() - call.started))
