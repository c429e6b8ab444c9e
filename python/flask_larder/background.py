"""Refreshes behind the answers: a few threads, a short queue, a clean end."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable

THREADS = 4
QUEUE = 100
GRACE = 5.0
"""Seconds that refreshes under way get when the process ends."""

_log = logging.getLogger("flask_larder")
_all: weakref.WeakSet[Background] = weakref.WeakSet()


class Background:
    """Runs refreshes. Threads start with the first one, in the process that asks for it."""

    def __init__(self) -> None:
        self._process = 0
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[Callable[[], None], Callable[[], None]] | None]
        self._threads: list[threading.Thread] = []
        _all.add(self)

    def submit(self, work: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Runs `work` soon; calls `give_up` instead when too much is waiting already."""
        if self._process != os.getpid():
            self._start()
        try:
            self._queue.put_nowait((work, give_up))
        except queue.Full:
            _log.warning("a refresh was skipped: %d are waiting already", QUEUE)
            give_up()

    def _start(self) -> None:
        # After a fork the threads are the parent's, and so is whatever its queue holds.
        with self._lock:
            if self._process == os.getpid():
                return
            self._queue = queue.Queue(QUEUE)
            self._threads = [
                threading.Thread(target=self._run, name=f"larder-refresh-{number}", daemon=True)
                for number in range(THREADS)
            ]
            for thread in self._threads:
                thread.start()
            self._process = os.getpid()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job[0]()
            except BaseException:
                # The work settles its permit for every error of the user's; what comes here is a
                # fault of ours, and must not take the thread along.
                _log.exception("a refresh failed")
            finally:
                self._queue.task_done()

    def join(self) -> None:
        """Waits until everything that was submitted has run. For tests."""
        if self._process == os.getpid():
            self._queue.join()

    def stop(self, grace: float = GRACE) -> None:
        """Ends the threads; what has not begun is given up, what has gets `grace` seconds."""
        if self._process != os.getpid():
            return
        while True:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job[1]()
            self._queue.task_done()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(grace / len(self._threads))
        self._process = 0


@atexit.register
def _stop_all() -> None:
    for background in list(_all):
        background.stop()


# A fork may come while another thread holds the lock; the child needs one of its own.
def _renew() -> None:
    for background in list(_all):
        background._lock = threading.Lock()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_renew)
