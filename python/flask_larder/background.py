"""Work behind the answers: a few threads, a short queue, a clean end."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable

from .gathered import Gathered

THREADS = 4
"""Threads that refresh behind answers."""
LOADS = 64
"""Threads that load while a caller waits with a timeout, and go on when it does not wait any more."""
QUEUE = 100
GRACE = 5.0
"""Seconds that what is under way gets when the process ends."""

_log = logging.getLogger("flask_larder")
_all: Gathered[Background] = Gathered()

_Work = Callable[[], None]


class _Pool:
    """Threads that start when there is work for them, in the process that has it."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._process = 0
        self._queue: queue.Queue[tuple[_Work, _Work] | None]
        self._threads: list[threading.Thread] = []
        # How many threads there are more than jobs for them.
        self._spare = 0
        self.renew()

    def renew(self) -> None:
        """A fork may come while another thread holds the lock; the child needs one of its own."""
        self._lock = threading.Lock()

    def submit(self, work: _Work, give_up: _Work) -> bool:
        """Runs `work` soon; False when too much is waiting already."""
        with self._lock:
            if self._process != os.getpid():
                # After a fork the threads are the parent's, and so is whatever its queue holds.
                self._queue, self._threads, self._spare = queue.Queue(QUEUE), [], 0
                self._process = os.getpid()
            try:
                self._queue.put_nowait((work, give_up))
            except queue.Full:
                return False
            self._spare -= 1
            if self._spare < 0 and len(self._threads) < self._most:
                self._spare += 1
                number = len(self._threads)
                thread = threading.Thread(
                    target=self._run,
                    args=(self._queue,),
                    name=f"{self._name}-{number}",
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()
            return True

    def _run(self, jobs: queue.Queue[tuple[_Work, _Work] | None]) -> None:
        while (job := jobs.get()) is not None:
            try:
                job[0]()
            except BaseException:
                # The work settles its permit for every error of the user's; what comes here is a
                # fault of ours, and must not take the thread along.
                _log.exception("a refresh failed")
            finally:
                with self._lock:
                    self._spare += 1
                jobs.task_done()

    def join(self) -> None:
        if self._process == os.getpid():
            self._queue.join()

    def close(self) -> None:
        """Gives up what has not begun, and lets the threads end."""
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

    def end(self, deadline: float) -> None:
        """Waits for the threads; what still runs by then is left behind."""
        if self._process != os.getpid():
            return
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._process = 0


class Background:
    """Runs refreshes behind answers, and loads that may outlive the wait for them."""

    def __init__(self) -> None:
        self._refreshes = _Pool("larder-refresh", THREADS)
        # Of their own: a refresh can wait, and somebody waits for each of these.
        self._loads = _Pool("larder-load", LOADS)
        self._pools = (self._refreshes, self._loads)
        _all.add(self)

    def submit(self, work: _Work, give_up: _Work) -> None:
        """Refreshes soon; calls `give_up` instead when too much is waiting already."""
        if not self._refreshes.submit(work, give_up):
            _log.warning("a refresh was skipped: %d are waiting already", QUEUE)
            give_up()

    def load(self, work: _Work, give_up: _Work) -> bool:
        """Loads at once, or as soon as a thread is free; False when too much is waiting already."""
        begun = self._loads.submit(work, give_up)
        if not begun:
            _log.warning("a load did not begin: %d are under way, %d waiting", LOADS, QUEUE)
        return begun

    def join(self) -> None:
        """Waits until everything that was submitted has run. For tests."""
        for pool in self._pools:
            pool.join()

    def stop(self, grace: float = GRACE) -> None:
        """Ends the threads; what has not begun is given up, what has gets `grace` seconds."""
        deadline = time.monotonic() + grace
        for pool in self._pools:
            pool.close()
        for pool in self._pools:
            pool.end(deadline)

    def renew(self) -> None:
        """For the child of a fork."""
        for pool in self._pools:
            pool.renew()


@atexit.register
def _stop_all() -> None:
    deadline = time.monotonic() + GRACE
    for background in _all:
        background.stop(max(0.0, deadline - time.monotonic()))


def _renew() -> None:
    for background in _all:
        background.renew()


os.register_at_fork(after_in_child=_renew)
