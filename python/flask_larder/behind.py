"""Refreshes behind the answers: what is stale is served at once, and loaded anew by a thread of the pool."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .context import Loading
from .options import Uncached
from .running import Call, open_loads
from .steps import Steps, Store, run

if TYPE_CHECKING:
    from .decorated import Decorated

__all__ = ["refresh"]


def refresh(decorated: Decorated, call: Call, permit: Any) -> None:
    """Loads behind the answer that is being served."""
    load = decorated.refresher(call.args, call.kwargs)
    if load is None:
        permit.drop()
        return

    def steps() -> Steps:
        started = perf_counter()
        token = open_loads.set((permit.number,))
        call.loading = Loading(decorated, call.args, permit)
        opened = call.loading.open()
        try:
            value = load()
        except Uncached as uncached:
            permit.decline(uncached.reason)
            decorated.stats.count_load(perf_counter() - started, 0)
            outcome = ("refused", uncached.reason, 0)
            return decorated.cache._note_stored(decorated, call.key, outcome)
        except Exception as error:
            # Whoever asked was served long ago; the engine's event is what people learn.
            decorated.stats.count_error()
            return (yield Store(call.engine, partial(permit.fail, error)))
        except BaseException:
            permit.drop()
            raise
        finally:
            Loading.close(opened)
            open_loads.reset(token)
        return (yield from decorated.store(call, permit, value, perf_counter() - started))

    decorated.cache._background.submit(lambda: run(steps(), decorated.function), permit.drop)
