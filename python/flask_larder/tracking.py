"""What a view reads of its request outside its key: watched while it runs, judged when it is done."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _native, learning, safety
from .decorated import Decorated, Uncached
from .reads import Keyed, Read
from .steps import Steps
from .vary import Inputs
from .watching import Watch, is_watched, note_read, watched

if TYPE_CHECKING:
    from .context import Loading
    from .views import View, ViewOptions

_NOTHING = Keyed(Inputs())


def keyed_of(options: ViewOptions, inputs: Inputs) -> Keyed:
    """What the key of a view holds that has no key of the developer's own."""
    prefix, query = options.key_prefix, options.query_string
    path = isinstance(prefix, str) and "%s" in prefix
    whole = not inputs.parameters if query is None else bool(query)
    return Keyed(inputs, host=True, path=path, query=whole, credentials=True)


@contextmanager
def watched_view(view: View, loading: Loading) -> Generator[None]:
    """Notes what the view reads that its key does not hold."""
    request = _native.current_request()
    if request is None:
        yield
        return
    located = bool(view.cache._app().debug)
    keyed = view.keyed
    if view.inputs.auto:
        keyed, loading.before = learning.known_of_call(view).keyed, learning.before(view)
    loading.watch = Watch(keyed, view.cache._user_names, located=located)
    for part in view.cache._readers:
        # What they have read has to be told, which natively answered hits do not.
        part.disarm()
    with safety.watched_session(), watched(request, loading.watch):
        yield
    if view.inputs.auto and safety._session_was_touched():
        loading.watch.note(Read("session"))


def stream_watch(view: View, loading: Loading) -> Watch:
    """What notes the reads of a stream, once its view has returned; a view that was narrowed is watched
    from here on."""
    watch = loading.watch
    if watch is None:
        watch = loading.watch = Watch(view.keyed, view.cache._user_names)
    if view.inputs.values:
        # At the end there is no request any more in which they could be asked.
        view.told |= _read_by_values(view)
    return watch


@contextmanager
def watched_stream(view: View, watch: Watch, request: Any, shared: Any) -> Generator[None]:
    """Notes what a stream reads while it makes a piece."""
    for part in view.cache._readers:
        part.disarm()
    with watched(request, watch, shared):
        yield


def judge(view: View, loading: Loading) -> None:
    """Raises Uncached where the view has read what its key does not hold."""
    watch = loading.watch
    if watch is None or not watch.found:
        return
    left = [read for read in watch.found if read not in view.told]
    if left and view.inputs.values:
        view.told |= _read_by_values(view)
        left = [read for read in left if read not in view.told]
    if not left:
        return
    for read in left:
        view.cache._note_unkeyed(view, read, watch.found[read])
    raise Uncached(f"unkeyed-input: {left[0]}", watch.found[left[0]])


def _read_by_values(view: View) -> frozenset[Read]:
    """What the callables in vary= read: who computes a value of an input has put it into the key."""
    request = _native.current_request()
    if request is None:
        return frozenset()
    watch = Watch(_NOTHING, view.cache._user_names, located=False)
    with watched(request, watch):
        for compute in view.inputs.values:
            compute()
    return frozenset(watch.found)


@contextmanager
def watched_part(part: Decorated, loading: Loading) -> Generator[None]:
    """Notes what a memoized function or a fragment reads, for the views that will call it and find its
    answer stored. It is stored all the same: its arguments, or its name, are a key that people chose."""
    request = _native.current_request()
    if request is None:
        yield
        return
    watch = loading.watch = Watch(_NOTHING, part.cache._user_names)
    try:
        with watched(request, watch):
            yield
    finally:
        name = part.part(loading.args)
        known = part.reads.get(name, frozenset())
        if not watch.found.keys() <= known and (name in part.reads or len(part.reads) < _MOST):
            part.reads[name] = known | watch.found.keys()
            part.disarm()
            part.cache._readers.add(part)


_MOST = 1000
"""Fragments of which it is remembered what they read."""


def note_key(view: View, request: Any) -> None:
    """What a view's answer depends on by its key, another view depends on that calls it."""
    if not is_watched(request):
        return
    inputs = view.inputs
    for name in inputs.headers:
        note_read(request, Read("header", name.lower()))
    for sort, names in (("cookie", inputs.cookies), ("query", inputs.parameters)):
        for name in names:
            note_read(request, Read(sort, name))
    if view.keyed.query:
        note_read(request, Read("query", "*"))


def passed(view: View, uncached: Uncached, steps: Steps) -> Steps:
    """Calls a view for a request with credentials that its key does not hold: only such a view may be
    stored for others as did not look at them, so the reason says whether it did."""
    request = _native.current_request()
    watch = Watch(_NOTHING, view.cache._user_names, located=bool(view.cache._app().debug))
    reason = uncached.reason
    try:
        with watched(request, watch):
            return (yield from steps)
    finally:
        read = Read("header", reason)
        if read in watch.found:
            uncached = Uncached(f"unkeyed-input: {read}", watch.found[read])
            view.cache._note_unkeyed(view, read, watch.found[read])
        view.cache._note_pass(view, uncached.detail)
