"""A request rebuilt from a key, for refreshing a view when the request itself is over."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from flask.sessions import SessionMixin

from .context import innermost
from .narrowing import AbsentSession, narrowed_environ, put_session
from .reads import Keyed, Read
from .vary import Inputs
from .watching import Refusing, Unkeyed, watched

if TYPE_CHECKING:
    from .views import View

__all__ = ["rebuilt_request"]


def rebuilt_request(
    app: Any, request: Any, view: View, keyed: Keyed
) -> Callable[[], AbstractContextManager[None]]:
    """A context manager that makes a request with the inputs of the key, and no others, current.

    What else the view looks for is refused by an Unkeyed; with narrow=True it is absent.
    """
    if view.in_charge():
        # Of a key of the developer's own nobody knows what it holds, but for what vary= declares.
        declared = Inputs(view.inputs.headers, view.inputs.cookies)
        keyed = Keyed(declared, host=True, path=True, query=True, credentials=True)
    environ = narrowed_environ(request.environ, keyed)
    environ["REQUEST_METHOD"] = "GET"

    @contextmanager
    def rebuilt() -> Generator[None]:
        context = app.request_context(environ)
        put_session(context, AbsentSession() if view.options.narrow else _NoSession())
        with context:
            if view.options.narrow:
                yield
                return
            watch = Refusing(keyed, view.cache._user_names)
            loading = innermost()
            if loading is not None and not view.in_charge():
                # A view may catch the error; its answer is not stored all the same.
                loading.watch = watch
            with watched(context.request, watch):
                yield

    return rebuilt


class _NoSession(dict[str, Any], SessionMixin):
    """Stands where the session would: whoever looks at it learns that it is not there."""

    accessed = False
    modified = False

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Unkeyed(Read("session"))

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = _refuse
    get = pop = keys = values = items = _refuse
    setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]
