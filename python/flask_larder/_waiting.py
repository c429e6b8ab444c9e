"""How greenlets and coroutines wait for the engine; threads wait inside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from ._native import Pending

# A wait looks up this often even if nobody wakes it, as a thread does for signals.
_LOOK = 0.1


class GreenletPark:
    """Lets the gevent hub run until `wake` is called, from any thread."""

    def __init__(self, hub: Any) -> None:
        from gevent.event import Event

        self._hub = hub
        self._event = Event()
        self._watcher = hub.loop.async_()
        self._watcher.start(self._event.set)

    def wake(self) -> None:
        self._watcher.send_ignoring_arg(None)

    def wait(self) -> None:
        self._event.wait(_LOOK)
        self._event.clear()

    def elsewhere(self, work: Callable[[], Any]) -> Any:
        """Does what blocks on a thread of the hub's pool, in the caller's context."""
        return self._hub.threadpool.apply(copy_context().run, (work,))

    def __del__(self) -> None:
        self._watcher.stop()
        self._watcher.close()


def greenlet_park() -> GreenletPark | None:
    """What the caller waits by, if it is a greenlet of a gevent hub in this thread."""
    gevent_hub = sys.modules.get("gevent._hub_local")
    if gevent_hub is None:
        return None
    hub = gevent_hub.get_hub_if_exists()
    # The hub itself cannot wait: it is what runs while others do.
    if hub is None or sys.modules["greenlet"].getcurrent() is hub:
        return None
    return GreenletPark(hub)


def finish_in_greenlet(pending: Pending, park: GreenletPark) -> Any:
    """Waits for work of the engine on a store that does I/O, and lets other greenlets run."""
    try:
        while True:
            done = park.elsewhere(partial(pending.poll, park.wake))
            if done is not None:
                return done[0]
            park.wait()
    except BaseException:
        pending.cancel()
        raise


async def finish(pending: Pending, *, blocks: bool) -> Any:
    """Awaits work of the engine on the running event loop.

    A store that does I/O is polled on a thread of the loop's executor; waiting for somebody else's
    load occupies no thread, so that a leader never lacks one.
    """
    # Most programs never come here, and asyncio takes longer to import than all of this package.
    import asyncio

    loop = asyncio.get_running_loop()
    try:
        while True:
            woken: asyncio.Future[None] = loop.create_future()

            def wake(woken: asyncio.Future[None] = woken) -> None:
                # A loop that is closed has nobody left to wake.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_set, woken)

            if blocks:
                done = await loop.run_in_executor(None, pending.poll, wake)
            else:
                done = pending.poll(wake)
            if done is not None:
                return done[0]
            await woken
    except asyncio.CancelledError:
        pending.cancel()
        raise


def _set(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
