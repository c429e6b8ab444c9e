"""Loads under way: those that a caller is in the middle of, and streams that are not sent to their end.

Whoever asks for a key waits for the stream that fills it. A thread that has such a stream open itself
would wait for itself: a test that has not read its first answer, a server that answers several requests
in turns. It is treated like a load that asks for its own key.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._native import Engine, Key, Policy
    from .context import Loading

# The loads that the caller is in the middle of, innermost first. A context variable, because a load
# may spread over threads and tasks, and one thread may be in the middle of many.
open_loads: ContextVar[tuple[int, ...]] = ContextVar("larder_chain", default=())

# The numbers of the loads by the threads that began them. A dict and not a thread's own variable, because
# a stream may be read to its end, or dropped, by another thread.
_open: dict[int, set[int]] = {}


def begun(number: int) -> int:
    """Notes a load whose answer this thread begins to send. Gives the thread, for `ended`."""
    thread = threading.get_ident()
    _open.setdefault(thread, set()).add(number)
    return thread


def ended(thread: int, number: int) -> None:
    """Forgets a load, in whatever thread."""
    numbers = _open.get(thread)
    if numbers is not None:
        numbers.discard(number)
        if not numbers:
            # The thread may be adding to it, and then does not know this one stream for its own: it
            # waits as others do.
            _open.pop(thread, None)


def begun_here() -> tuple[int, ...]:
    """The loads that this thread has begun to send."""
    return tuple(_open.get(threading.get_ident(), ())) if _open else ()


def would_wait() -> tuple[int, ...]:
    """The loads that would wait for a caller who waits now: those that it is in the middle of, and those
    whose streams this thread has not sent to their end."""
    return (*open_loads.get(), *begun_here())


class Unfinished:
    """A value that is still coming, when its function has returned: whoever gets it fills the entry."""

    def begin(self, call: Any, permit: Any, times: tuple[Policy, float]) -> Any:
        """What the caller gets, and what settles the permit; `times` are the policy and the seconds
        that the load took so far."""
        raise NotImplementedError


class Call:
    """One call, on its way to an answer; a plain class, because one is made for each."""

    __slots__ = ("args", "engine", "key", "kwargs", "loading", "policy", "started")

    loading: Loading

    def __init__(
        self,
        engine: Engine,
        key: Key,
        policy: Policy,
        call: tuple[tuple[Any, ...], dict[str, Any]],
        started: float,
    ) -> None:
        self.engine = engine
        self.key = key
        self.policy = policy
        self.args, self.kwargs = call
        # When it began, for the price of a hit.
        self.started = started
