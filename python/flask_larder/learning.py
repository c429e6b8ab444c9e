"""`vary="auto"`: what a view was seen to read becomes part of its key.

A view that has read nothing but what its key holds answers alike whenever that is alike, for it would
read the same again. So an entry is valid under every key that holds at least what its load has read,
whoever made it and whatever other workers have learned.
"""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from flask import g

from . import _native, safety
from ._native import Page
from .decorated import Uncached
from .reads import Keyed, Read
from .running import Unfinished
from .vary import Inputs

if TYPE_CHECKING:
    from .context import Loading
    from .views import View

__all__ = ["Known", "before", "judge", "known_of_call", "remember", "told", "values_of"]

MOST = 16
"""Inputs that are learned of one view; one that reads more is not stored."""

_VALUES = frozenset(("g", "remote-addr", "remote-user", "request", "session"))


@dataclass(frozen=True)
class Known:
    """What one view's key holds, with the rule that makes it; one object, so that both fit together."""

    inputs: Inputs
    keyed: Keyed
    rule: _native.ViewKey


# With what knowledge the key of the caller's call was made; others may learn meanwhile.
_called: ContextVar[tuple[View, Known] | None] = ContextVar("larder_known", default=None)


def remember(view: View, known: Known) -> None:
    """The key of a call is made with this knowledge."""
    _called.set((view, known))


def known_of_call(view: View) -> Known:
    """With what knowledge the key of the caller's call was made."""
    called = _called.get()
    return called[1] if called is not None and called[0] is view else view.declared


def before(view: View) -> dict[Read, str | None]:
    """The inputs that a view may change itself, as they are before it runs."""
    reads = [Read("session"), *(Read("g", name) for name in view.cache._user_names)]
    reads += [Read("request", name) for name in view.cache._user_names]
    return {read: _digest(read) for read in reads}


def judge(view: View, loading: Loading) -> Inputs:
    """Puts into the key what the view has read; raises Uncached for what cannot be put there. Returns
    what the answer's key holds."""
    watch = loading.watch
    request = _native.current_request()
    known = known_of_call(view)
    if watch is None:
        return known.inputs
    if request is None:
        # A refresh behind the answer, in a request that has what the key holds and nothing to learn.
        for read in watch.found:
            raise Uncached(f"unkeyed-input: {read}")
        return known.inputs
    session = safety._session()
    read = Read("session")
    looked = read in watch.found or read in watch.keyed.learned
    if looked and getattr(session, "modified", True):
        # Who finds the answer stored would do without the change.
        raise Uncached("session", watch.found.get(read))
    if watch.found:
        known = _learn(view, loading)
        loading.under = known.rule.key(request, view.base(loading.args, {}))
    return known.inputs


def told(page: Any, answer: Any, inputs: Inputs) -> Any:
    """What is stored of an answer, with a `Vary` of what its key holds; the answer gets it too."""
    names = _named_in_vary(inputs)
    if not names or not isinstance(page, Page | Unfinished):
        return page
    answer.vary.update(names)
    if isinstance(page, Unfinished):
        # It takes the headers along when it begins.
        return page
    others = [field for field in page.headers if field[0].lower() != "vary"]
    return Page(page.status, [*others, ("Vary", answer.headers["Vary"])], page.body)


def _learn(view: View, loading: Loading) -> Known:
    watch = loading.watch
    assert watch is not None
    learned, called = view.known, known_of_call(view).inputs
    # Both, for what others learn at the same moment may be written over.
    held = {*_reads_of(learned.inputs), *_reads_of(called)}
    inputs = _with(learned.inputs, {*held, *watch.found})
    for number, (read, place) in enumerate(watch.found.items(), len(held)):
        if not _is_learnable(read, loading) or number >= MOST:
            view.cache._note_unkeyed(view, read, place)
            raise Uncached(f"unkeyed-input: {read}", place)
    if inputs != learned.inputs:
        learned = view.known_with(inputs)
        view.known = learned
        view.disarm()
    return learned


def _is_learnable(read: Read, loading: Loading) -> bool:
    """Whether an input can be in a key, and was not changed by the view itself."""
    if read.sort in ("header", "cookie"):
        return read.name != "*"
    if read.sort not in _VALUES or read.name == "*":
        return False
    found = _digest(read)
    return found != _UNUSABLE and loading.before.get(read, found) == found


def _reads_of(inputs: Inputs) -> set[Read]:
    named = {"header": inputs.headers, "cookie": inputs.cookies}
    return {Read(sort, name) for sort, names in named.items() for name in names} | {*inputs.learned}


def _with(inputs: Inputs, reads: Iterable[Read]) -> Inputs:
    found = set(reads)

    def of(sort: str) -> set[str]:
        return {read.name for read in found if read.sort == sort}

    return replace(
        inputs,
        headers=tuple(sorted({*inputs.headers, *of("header")})),
        cookies=tuple(sorted({*inputs.cookies, *of("cookie")})),
        learned=tuple(sorted({*inputs.learned, *(r for r in found if r.sort in _VALUES)})),
    )


def _named_in_vary(inputs: Inputs) -> list[str]:
    """What HTTP is told of the key: headers as they are, and those that carry the rest."""
    names = {name.title() for name in inputs.headers}
    sorts = {read.sort for read in inputs.learned}
    if inputs.cookies or sorts & {"g", "request", "session"}:
        names.add("Cookie")
    if sorts & {"g", "remote-user", "request"}:
        names.add("Authorization")
    return ["*"] if "remote-addr" in sorts else sorted(names)


# Inputs that are neither headers nor cookies, as values in a key.


def values_of(inputs: Inputs) -> list[Callable[[], Any]]:
    """What computes the values of the inputs that were learned."""
    return [_value(read) for read in inputs.learned]


def _value(read: Read) -> Callable[[], Any]:
    def value() -> tuple[str, str, str | None]:
        digest = _digest(read)
        if digest == _UNUSABLE:
            raise Uncached(f"unkeyed-input: {read}")
        return read.sort, read.name, digest

    return value


_UNUSABLE = "unusable"


def _digest(read: Read) -> str | None:
    """A digest of an input's value, None where there is none; "unusable" for what is no plain value."""
    found = _found(read)
    if found is None:
        return None
    try:
        content = _native.key_of(found)
    except (TypeError, ValueError):
        return _UNUSABLE
    return hashlib.sha256(content).hexdigest()


def _found(read: Read) -> Any:
    request = _native.current_request()
    if read.sort == "session":
        session = safety._session()
        return None if session is None else dict(cast("dict[str, Any]", session))
    if read.sort == "g":
        shared: Any = g
        attributes = object.__getattribute__(shared._get_current_object(), "__dict__")
        return attributes.get(read.name)
    if request is None:
        return None
    if read.sort == "request":
        return object.__getattribute__(request, "__dict__").get(read.name)
    return request.environ.get(read.sort.replace("-", "_").upper())
