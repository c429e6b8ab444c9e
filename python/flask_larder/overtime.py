"""Loads that a caller waits for only so long: soft and hard timeouts.

Such a load runs on a thread of its own from its beginning, as a refresh behind an answer does, in a
context of its own: an application context, and for a view a request rebuilt from its key. So nothing
that the caller's request closes at its end is pulled from under it. The caller waits, and makes its
answer of what the load has left for it; where it does not wait any more, the load goes on.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .context import Loading
from .options import Uncached
from .reads import Unkeyed
from .running import Call, open_loads
from .steps import Begun, Steps, Wait, run

if TYPE_CHECKING:
    from ._native import Patience, Permit
    from .decorated import Decorated

__all__ = ["limited"]

Finish = Callable[[], Any]


def limited(decorated: Decorated, call: Call, permit: Permit) -> Steps:
    """Loads elsewhere, and answers the caller when that has ended or its time is over."""
    # That of the class: a refresh behind an answer is counted as another thing.
    load = type(decorated).refresher(decorated, call.args, call.kwargs)
    if load is None:
        return (yield from decorated._load(call, permit))
    overtime = _Overtime(decorated, call, permit, load)
    patience = overtime.patience
    if decorated.cache._background.load(overtime.run, overtime.give_up):
        yield Begun()
        answer = yield Wait(call.engine, patience)
    else:
        permit.drop()
        answer = patience.is_over()
    if answer.kind == "ended":
        decorated.signal(False, call.key, call.args, call.kwargs)
        return (yield from overtime.given())
    overtime.leave()
    return decorated.overdue(call, answer)


class _Overtime:
    """One load, and what it leaves for the caller."""

    def __init__(
        self, decorated: Decorated, call: Call, permit: Permit, load: Callable[[], Any]
    ) -> None:
        self._decorated = decorated
        self._call = call
        self._permit = permit
        self._load = load
        self._context = _without_flask(copy_context())
        self._lock = threading.Lock()
        self._is_left = False
        # What makes the caller's answer; or why the function has to be called where the caller is.
        self._finish: Finish | None = None
        self._again: Uncached | None = None
        self.patience: Patience = permit.hand_over()

    def give_up(self) -> None:
        """The process ends before the load has begun."""
        self._permit.drop()
        self._again = Uncached("bypass")
        self.patience.end()

    def leave(self) -> None:
        """The caller does not wait any more."""
        with self._lock:
            self._is_left = True

    def given(self) -> Steps:
        """What the caller gets, once the load has ended."""
        if self._again is not None:
            call = self._call
            return (yield from self._decorated.passed(self._again, call.args, call.kwargs))
        finish = self._finish
        if finish is None:
            raise RuntimeError(f"the load of {self._decorated.name} ended without an answer")
        return finish()

    def run(self) -> None:
        """Loads and stores; on a thread of the pool."""
        try:
            value, error, seconds = self._context.run(self._called)
            finish = run(self._settled(value, error, seconds), self._load)
            with self._lock:
                self._finish, is_left = finish, self._is_left
            if is_left and finish is not None and error is None:
                # For the counters and the trail, as after a refresh.
                finish()
        except BaseException as fault:
            self._permit.drop()
            self._finish = _raising(fault)
            if not isinstance(fault, Exception):
                raise
        finally:
            self.patience.end()

    def _called(self) -> tuple[Any, BaseException | None, float]:
        """What the function answers or raises, and how long that took."""
        call, permit = self._call, self._permit
        token = open_loads.set((permit.number, *open_loads.get()))
        call.loading = Loading(self._decorated, call.args, permit)
        opened = call.loading.open()
        started = perf_counter()
        value, raised = None, None
        try:
            value = self._load()
        except BaseException as error:
            raised = error
        finally:
            Loading.close(opened)
            open_loads.reset(token)
        return value, raised, perf_counter() - started

    def _settled(self, value: Any, error: BaseException | None, seconds: float) -> Steps:
        """Stores what was loaded, and gives what makes the caller's answer."""
        decorated, call, permit = self._decorated, self._call, self._permit
        if not permit.back():
            # Too late, and to be thrown away.
            decorated.stats.count_load(seconds, 0)
            return None
        if isinstance(error, Unkeyed | Uncached):
            # Its request has what is in the key, and no more. That of the caller has all.
            if isinstance(error, Unkeyed):
                decorated.cache._note_unkeyed(decorated, error.read, None)
                error = Uncached(f"unkeyed-input: {error.read}")
            permit.decline(error.reason)
            self._again = error
            return None
        if error is None:
            return (yield from decorated.keeping(call, permit, value, seconds))
        if isinstance(error, Exception):
            return (yield from decorated.failing(call, permit, error))
        permit.drop()
        return _raising(error)


def _raising(error: BaseException) -> Finish:
    def finish() -> Any:
        raise error

    return finish


def _without_flask(context: Context) -> Context:
    """The context variables of the caller but for Flask's own: the request ends with the caller."""
    own = Context()
    for variable, value in context.items():
        # Flask 2.1 keeps its contexts in locals of Werkzeug, which all have this name there.
        if not variable.name.startswith("flask.") and variable.name != "local_storage":
            own.run(variable.set, value)
    return own
