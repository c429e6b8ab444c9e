"""A request rebuilt from a key, for refreshing a view when the request itself is over."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask.sessions import SessionMixin
from werkzeug.datastructures import EnvironHeaders, ImmutableMultiDict

from .vary import Inputs


class Unkeyed(RuntimeError):
    """A refresh looked at an input that is not in the view's key.

    The refreshed answer would be one user's, stored for all. Name the input in `vary=`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"a view that is refreshed behind the answer read {name}, which is not in its key "
            f"(name it in vary=, or do without stale=)"
        )


def rebuilt_request(
    app: Any, request: Any, inputs: Inputs, *, custom: bool
) -> Callable[[], AbstractContextManager[None]]:
    """A context manager that makes a request with the inputs of the key, and no others, current."""
    headers = {name: request.headers[name] for name in inputs.headers if name in request.headers}
    cookies = {name: request.cookies[name] for name in inputs.cookies if name in request.cookies}
    query = request.query_string.decode("latin-1")
    given = {"path": request.path, "base_url": request.root_url, "query_string": query}
    del custom

    @contextmanager
    def rebuilt() -> Generator[None]:
        context = app.test_request_context(method="GET", headers=headers, **given)
        # The attribute has an underscore since Flask 3.1.3, where `session` notes who looks at it.
        place = "_session" if "_session" in vars(context) else "session"
        setattr(context, place, _NoSession())
        request: Any = context.request
        request.__class__ = _addressless(request.__class__)
        context.request.headers = _KeyedHeaders(context.request.environ, inputs)
        context.request.cookies = _KeyedCookies(cookies)
        with context:
            yield

    return rebuilt


@functools.cache
def _addressless(request_class: type[Any]) -> type[Any]:
    """The application's class of requests, for a request that no client sent."""

    def refuse(_request: Any) -> Any:
        raise Unkeyed("the client's address")

    return type(request_class.__name__, (request_class,), {"remote_addr": property(refuse)})


class _NoSession(dict[str, Any], SessionMixin):
    """Stands where the session would: whoever looks at it learns that it is not there."""

    accessed = False
    modified = False

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Unkeyed("session")

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = _refuse
    get = pop = keys = values = items = _refuse
    setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]


class _KeyedHeaders(EnvironHeaders):
    """The headers of the key."""

    def __init__(self, environ: Any, inputs: Inputs) -> None:
        super().__init__(environ)
        self._keyed = {name.lower() for name in inputs.headers} | {"host"}

    def __getitem__(self, key: str | int, _get_mode: bool = False) -> Any:
        if isinstance(key, str) and key.lower() not in self._keyed:
            raise Unkeyed(f"the header {key}")
        return super().__getitem__(key)  # pyright: ignore[reportArgumentType, reportCallIssue]

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if key.lower() not in self._keyed:
            raise Unkeyed(f"the header {key}")
        return super().get(key, default, type)


class _KeyedCookies(ImmutableMultiDict[str, str]):
    """The cookies of the key."""

    def __getitem__(self, key: str) -> str:
        if key not in self.keys():
            raise Unkeyed(f"the cookie {key}")
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if key not in self.keys():
            raise Unkeyed(f"the cookie {key}")
        return super().get(key, default, type)
