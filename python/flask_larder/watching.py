"""Notes what a view reads of its request, while it runs.

The classes of the request, of what it hands out and of `g` are exchanged for ones that note what is
read, and put back afterwards: the view finds the very objects that it would find otherwise, and whoever
keeps one of them has an ordinary object again. A note belongs to the request, so that threads, tasks
and functions that are called from the view note for it too.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, cast

from . import _native
from ._context import current_globals
from .environs import Environ
from .reads import ATTRIBUTES, Keyed, Read, Unkeyed

__all__ = [
    "Refusing",
    "Unkeyed",
    "Watch",
    "is_watched",
    "is_watching",
    "note_part",
    "note_read",
    "place_of_reader",
    "watched",
]

_MOST = 32
"""Inputs that are noted of one load."""

_OURS = frozenset(("flask", "werkzeug", "flask_larder"))
"""Packages that read a request to do their own work."""


class Watch:
    """What one load has read that is not in its key."""

    __slots__ = ("_before", "_located", "_names", "found", "keyed")

    def __init__(self, keyed: Keyed, names: frozenset[str], *, located: bool = False) -> None:
        self.keyed = keyed
        self._located = located
        self._names = names
        # The names of users that hooks had set before the load.
        self._before: dict[str, frozenset[str]] = {}
        # Inputs, first one first, and where each was read, in debug.
        self.found: dict[Read, str | None] = {}

    def note(self, read: Read) -> None:
        """Something was read."""
        if self.keyed.holds(read):
            return
        if read not in self.found and len(self.found) < _MOST:
            self.found[read] = place_of_reader() if self._located else None

    def begin(self, sort: str, thing: Any) -> None:
        """The load begins, and `thing` has these attributes."""
        if sort not in self._before:
            # A stream begins anew with each piece; what the load has set since is no input.
            self._before[sort] = self._names.intersection(_attributes(thing))

    def note_name(self, sort: str, name: str, thing: Any) -> None:
        """An attribute was read, which may be that of a user; that there is none tells as much. What the
        load itself has put there is no input."""
        if name not in self._names:
            return
        if name in self._before.get(sort, ()) or name not in _attributes(thing):
            self.note(Read(sort, name))


def _attributes(thing: Any) -> dict[str, Any]:
    found: dict[str, Any] = object.__getattribute__(thing, "__dict__")
    return found


class Refusing(Watch):
    """Lets nothing be read that is not in the key."""

    __slots__ = ()

    def note(self, read: Read) -> None:
        """Raises Unkeyed for what is not in the key."""
        super().note(read)
        if not self.keyed.holds(read):
            raise Unkeyed(read)


def place_of_reader() -> str | None:
    """File and line of the code of the application that is reading at the moment."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            # The code of a template is generated; people know its lines.
            line = template.get_corresponding_lineno(frame.f_lineno)
            return f"{template.filename or template.name}:{line}"
        if name.partition(".")[0] not in _OURS | {"jinja2"}:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


class _Quiet(threading.local):
    """Whether this thread is within a read that was noted already, as a whole."""

    depth = 0


_quiet = _Quiet()
# What is watched at present, by the identity of each object whose class was exchanged.
_watched: dict[int, _Watched] = {}
_lock = threading.Lock()


def _renew() -> None:
    global _lock
    _lock = threading.Lock()


# A fork may come while another thread holds the lock; the child needs one of its own.
os.register_at_fork(after_in_child=_renew)


class watched:
    """Lets a `Watch` note what is read of a request, and of `g`, in this block; `shared` is that `g` where
    the block has another one, or none.

    A class rather than a generator, because every load of a request pays for it.
    """

    __slots__ = ("_request", "_shared", "_state", "_watch")

    _state: _Watched

    def __init__(self, request: Any, watch: Watch, shared: Any = None) -> None:
        self._request = request
        self._watch = watch
        self._shared = shared

    def __enter__(self) -> None:
        request, watch = self._request, self._watch
        shared = current_globals() if self._shared is None else self._shared
        watch.begin("request", request)
        if shared is not None:
            watch.begin("g", shared)
        attributes = _attributes(request)
        with _lock:
            self._state = state = _watched.get(id(request)) or _Watched(request)
            state.watches.append(watch)
            state.exchange(request, _request_class)
            if shared is not None:
                state.exchange(shared, _globals_class)
            for name in _PARTS:
                if name in attributes:
                    state.exchange_part(name, attributes[name])

    def __exit__(self, *_error: object) -> None:
        state = self._state
        with _lock:
            state.watches.remove(self._watch)
            if not state.watches:
                state.restore()


def is_watched(request: Any) -> bool:
    """Whether somebody notes at present what is read of this request."""
    return id(request) in _watched


def is_watching() -> bool:
    """Whether any request is watched at present."""
    return bool(_watched)


def note_read(request: Any, read: Read) -> None:
    """Says that an input was read, for those who watch the request."""
    state = _watched.get(id(request))
    if state is not None:
        state.note(read)


def note_part(reads: Iterable[Read]) -> None:
    """A stored answer was found that was made of what these inputs were then."""
    request = _native.current_request()
    if request is not None:
        for read in reads:
            note_read(request, read)


class _Watched:
    """One request that is watched, with all that it has handed out."""

    def __init__(self, request: Any) -> None:
        self.watches: list[Watch] = []
        self._request = request
        self._environ: Environ | None = None
        self._exchanged: list[tuple[Any, type[Any]]] = []

    def exchange(self, thing: Any, made: Callable[[type[Any]], type[Any]]) -> None:
        """Gives a thing the class that notes, if it has its own one."""
        if id(thing) in _watched:
            return
        own: type[Any] = thing.__class__
        # Not by assignment: whatever is assigned to `g` becomes one of its names.
        object.__setattr__(thing, "__class__", made(own))
        self._exchanged.append((thing, own))
        _watched[id(thing)] = self

    def exchange_part(self, name: str, part: Any) -> None:
        """As `exchange`, for something that the request hands out, unless the keys hold all of it."""
        everything = _WHOLE_PARTS[name]
        for watch in self.watches:
            if not watch.keyed.holds(everything):
                self.exchange(part, _PARTS[name])
                return

    def restore(self) -> None:
        """Gives everything its class back."""
        for thing, own in self._exchanged:
            object.__setattr__(thing, "__class__", own)
            del _watched[id(thing)]

    def note(self, read: Read) -> None:
        """Something was read."""
        for watch in list(self.watches):
            watch.note(read)

    def note_name(self, sort: str, name: str, thing: Any) -> None:
        """An attribute was read, which may be that of a user."""
        for watch in list(self.watches):
            watch.note_name(sort, name, thing)

    def read(self, name: str, look: Callable[[str], Any], *, whole: bool) -> Any:
        """An attribute of the request; `whole` if the table says all that reading it tells."""
        reader = sys._getframe(2)
        if name == "environ":
            return look(name) if _is_ours(reader) else self.environment(look(name))
        if _is_flasks(reader):
            # As `url_for` does, to know which blueprint it is in.
            with _silence():
                return look(name)
        for read in ATTRIBUTES[name]:
            self.note(read)
        if name == "values":
            # What is found there is found in the arguments, which note it.
            self._hand_out("args", look)
            if look("method") in ("POST", "PUT", "PATCH"):
                self.note(Read("body"))
        return self._hand_out(name, look) if whole else look(name)

    def _hand_out(self, name: str, look: Callable[[str], Any]) -> Any:
        with _silence():
            value = look(name)
        if name in _PARTS:
            with _lock:
                if self.watches:
                    self.exchange_part(name, value)
        return value

    def environment(self, environ: dict[str, Any]) -> Environ:
        """The WSGI environment, for those who read in it."""
        if self._environ is None:
            self._environ = Environ(environ, self._note_in_environ)
        return self._environ

    def _note_in_environ(self, read: Read) -> None:
        if not _quiet.depth:
            self.note(read)


@contextmanager
def _silence() -> Generator[None]:
    _quiet.depth += 1
    try:
        yield
    finally:
        _quiet.depth -= 1


def _state_of(thing: Any) -> _Watched | None:
    return None if _quiet.depth else _watched.get(id(thing))


def _is_ours(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS


def _twin(own: type[Any], members: dict[str, Any]) -> type[Any]:
    # It stands for the other wherever a class is shown or looked up.
    shown = {name: getattr(own, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(own.__name__, (own,), {"__slots__": (), **shown, **members})


def _is_flasks(frame: Any) -> bool:
    # Its class of requests reads for whoever reads its attributes.
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] == "flask" and name != "flask.wrappers"


# The request.


@functools.cache
def _request_class(own: type[Any]) -> type[Any]:
    """A class of requests that note which of their attributes are read."""
    look = cast("Callable[[Any, str], Any]", own.__getattribute__)
    plain = frozenset(name for name in ATTRIBUTES if _is_of_framework(own, name))

    def read(self: Any, name: str) -> Any:
        known = name in ATTRIBUTES or name == "environ"
        state = _watched.get(id(self))
        if state is None or _quiet.depth:
            return look(self, name)
        if known:
            return state.read(name, functools.partial(look, self), whole=name in plain)
        if name == "__dict__" and not _is_ours(sys._getframe(1)):
            # All that was asked for once lies there.
            state.note(Read("request", "*"))
        elif not name.startswith("__"):
            state.note_name("request", name, self)
        return look(self, name)

    return _twin(own, {"__getattribute__": read})


def _is_of_framework(own: type[Any], name: str) -> bool:
    """Whether an attribute is what Flask and Werkzeug make it, and not an application's own."""
    for base in own.__mro__:
        if name in vars(base):
            return base.__module__.partition(".")[0] in _OURS
    return True


# What a request hands out.

_KEYED = frozenset(
    (
        "__contains__",
        "__getitem__",
        "get",
        "get_all",
        "getlist",
        "has_key",
        "pop",
        "poplist",
        "setdefault",
        "setlistdefault",
    )
)
_WHOLE = frozenset(
    (
        "__bool__",
        "__copy__",
        "__deepcopy__",
        "__eq__",
        "__ior__",
        "__iter__",
        "__len__",
        "__ne__",
        "__or__",
        "__reduce_ex__",
        "__repr__",
        "__reversed__",
        "__ror__",
        "__str__",
        "best_match",
        "copy",
        "deepcopy",
        "items",
        "iteritems",
        "keys",
        "lists",
        "listvalues",
        "popitem",
        "popitemlist",
        "to_dict",
        "to_list",
        "to_wsgi_list",
        "values",
    )
)


def _mapping_class(sort: str, own: type[Any]) -> type[Any]:
    """A class of mappings that note which of their keys are looked for."""
    # A class with an equality of its own has no hash otherwise.
    members: dict[str, Any] = {"__hash__": own.__hash__}
    for name in _KEYED | _WHOLE:
        method = getattr(own, name, None)
        if callable(method):
            members[name] = _noting(method, sort, keyed=name in _KEYED)
    reduce = members["__reduce_ex__"]

    def reduce_ex(self: Any, protocol: Any) -> Any:
        # What is pickled is of the class that can be found by its name.
        made, args, *rest = reduce(self, protocol)
        made, *args = (own if part is twin else part for part in (made, *args))
        return (made, tuple(args), *rest)

    twin = _twin(own, {**members, "__reduce_ex__": reduce_ex})
    return twin


def _noting(method: Callable[..., Any], sort: str, *, keyed: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        state = _state_of(self)
        if state is None:
            return method(self, *args, **kwargs)
        key: Any = args[0] if args else kwargs.get("key", "*")
        if not keyed or not isinstance(key, str):
            key = "*"
        state.note(Read(sort, key.lower() if sort == "header" else key))
        with _silence():
            return method(self, *args, **kwargs)

    return read


@functools.cache
def _headers_class(own: type[Any]) -> type[Any]:
    made = _mapping_class("header", own)

    def environ(self: Any) -> Any:
        inner = _attributes(self)["environ"]
        state = _state_of(self)
        return inner if state is None or _is_ours(sys._getframe(1)) else state.environment(inner)

    def assign(self: Any, environ: Any) -> None:
        vars(self)["environ"] = environ

    made.environ = property(environ, assign)  # type: ignore[attr-defined]
    return made


_cookies_class = functools.cache(functools.partial(_mapping_class, "cookie"))
_query_class = functools.cache(functools.partial(_mapping_class, "query"))
_PARTS: dict[str, Callable[[type[Any]], type[Any]]] = {
    "headers": _headers_class,
    "cookies": _cookies_class,
    "args": _query_class,
}
_WHOLE_PARTS = {
    "headers": Read("header", "*"),
    "cookies": Read("cookie", "*"),
    "args": Read("query", "*"),
}


@functools.cache
def _globals_class(own: type[Any]) -> type[Any]:
    """A class of `g` that notes when a name is read that may be a user's."""
    look = cast("Callable[[Any, str], Any]", own.__getattribute__)

    def read(self: Any, name: str) -> Any:
        state = _state_of(self)
        if state is not None:
            if name == "__dict__" and not _is_ours(sys._getframe(1)):
                _note_all(state, self)
            elif not name.startswith("__"):
                state.note_name("g", name, self)
        return look(self, name)

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def read_by(self: Any, *args: Any, **kwargs: Any) -> Any:
            state = _state_of(self)
            name: Any = args[0] if args else kwargs.get("name")
            if state is not None and isinstance(name, str):
                state.note_name("g", name, self)
            elif state is not None:
                _note_all(state, self)
            with _silence():
                return method(self, *args, **kwargs)

        return read_by

    names = ("__contains__", "__iter__", "get", "pop", "setdefault")
    found = {name: noting(getattr(own, name)) for name in names if hasattr(own, name)}
    return _twin(own, {"__getattribute__": read, **found})


def _note_all(state: _Watched, thing: Any) -> None:
    for name in list(_attributes(thing)):
        state.note_name("g", name, thing)
