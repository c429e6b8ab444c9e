"""Names, keys and small conversions exactly as Flask-Caching makes them.

Others share stores with Flask-Caching, so what is hashed here, and in which order, is a format.
"""

from __future__ import annotations

import base64
import inspect
import math
import sys
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

from .. import durations

__all__ = [
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_id",
    "join_generator",
    "make_template_fragment_key",
    "normalize_timeout",
    "query_args_as_pairs",
    "wants_args",
    "wants_extra_args",
]

VERSION_TIMEOUT = 0
"""How long the version of a memoized function is kept when it is first written: for ever."""

TEMPLATE_FRAGMENT_KEY_TEMPLATE = "_template_fragment_cache_%s%s"

_ABSENT: Any = object()
_PARAMETERS = "_larder_parameters"


_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."
_NOT_IN_NAMES = dict.fromkeys(c for c in range(0x100) if chr(c) not in _NAME_CHARACTERS)
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def make_template_fragment_key(fragment_name: str, vary_on: list[str] | None = None) -> str:
    """The key of a template fragment. Different values can have one key: `["a_b", "c"]` and
    `["a", "b_c"]`, as Flask-Caching has it."""
    parts = list(vary_on or ())
    return TEMPLATE_FRAGMENT_KEY_TEMPLATE % (fragment_name, "_".join(["", *parts]))


def _signature(f: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        # Annotations may name what exists for type checkers only.
        from annotationlib import Format  # type: ignore[import-not-found, unused-ignore]

        return inspect.signature(f, annotation_format=Format.FORWARDREF)  # type: ignore[call-arg, unused-ignore]
    return inspect.signature(f)


def parameters(f: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """The parameters of a function, those of a plain function read once."""
    if not inspect.isfunction(f):
        return tuple(_signature(f).parameters.values())
    # They are kept on the function: whoever kept them elsewhere would keep what the defaults hold, and
    # with it often the application. Decorators copy what is on a function to another one.
    known = vars(f).get(_PARAMETERS)
    if known is None or known[0] is not f.__code__:
        known = vars(f)[_PARAMETERS] = (f.__code__, tuple(_signature(f).parameters.values()))
    return cast("tuple[inspect.Parameter, ...]", known[1])


def wants_args(f: Callable[..., Any]) -> bool:
    """Whether `f` has any parameter that is not keyword-only."""
    return any(p.kind is not p.KEYWORD_ONLY for p in _signature(f).parameters.values())


def wants_extra_args(f: Callable[..., Any]) -> bool:
    """Whether `f` has more than one parameter that is not keyword-only."""
    return sum(p.kind is not p.KEYWORD_ONLY for p in _signature(f).parameters.values()) > 1


def get_arg_names(f: Callable[..., Any]) -> list[str]:
    """The names of the parameters that can be filled by position or by name."""
    return [p.name for p in parameters(f) if p.kind is p.POSITIONAL_OR_KEYWORD]


def get_arg_default(f: Callable[..., Any], position: int) -> Any:
    """The default of the parameter at `position`, of whatever kind; None without one."""
    default = parameters(f)[position].default
    return None if default is inspect.Parameter.empty else default


def get_id(obj: Any) -> str:
    """What tells an instance from others: its `__caching_id__()`, else its repr."""
    if not isinstance(obj, type) and hasattr(obj, "__caching_id__"):
        return str(obj.__caching_id__())
    return repr(obj)


def _named(text: str) -> str:
    return text.translate(_NOT_IN_NAMES)


def _instance_of(f: Callable[..., Any], args: tuple[Any, ...] | None) -> tuple[Any, ...]:
    # A tuple of one, for the instance may be None itself; empty for functions and classes.
    receiver = getattr(f, "__self__", None)
    if receiver is not None and not inspect.isclass(receiver):
        return (receiver,)
    first = next(iter(parameters(f)), None)
    return args[:1] if args and first is not None and first.name == "self" else ()


def function_namespace(
    f: Callable[..., Any], args: tuple[Any, ...] | None = None
) -> tuple[str, str | None]:
    """The names that versions of `f` stand under: the function's, and its instance's if it has one.

    >>> function_namespace(function_namespace)
    ('flask_larder.compat.utils.function_namespace', None)
    """
    name = f"{f.__module__}.{f.__qualname__}"
    for instance in _instance_of(f, args):
        return _named(name), _named(f"{name}.{get_id(instance)}")
    return _named(name), None


def normalize_timeout(timeout: Any) -> Any:
    """A timeout in whole seconds: text is read as a number, timedelta is rounded up."""
    if isinstance(timeout, str):
        return int(timeout)
    if isinstance(timeout, timedelta):
        return math.ceil(timeout.total_seconds())
    return timeout


def classic_timeout(timeout: Any) -> Any:
    """As `normalize_timeout`, and text may have a unit: "5m"."""
    if isinstance(timeout, str):
        return math.ceil(durations.seconds(timeout, "timeout"))
    return normalize_timeout(timeout)


def join_generator(rv: Iterable[Any]) -> Any:
    """What a generator brings, in one piece: text, bytes, or a list of anything else."""
    items = list(rv)
    if all(isinstance(item, str) for item in items):
        return "".join(items)
    if all(isinstance(item, bytes) for item in items):
        return b"".join(items)
    return items


def query_args_as_pairs(query_args: Any) -> list[tuple[str, str]]:
    """Query arguments as pairs of texts: from a query string, a mapping, or pairs."""
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(query_args, str):
        pairs = parse_qsl(query_args.removeprefix("?"), keep_blank_values=True)
    elif isinstance(query_args, MultiDict):
        pairs = cast("MultiDict[Any, Any]", query_args).items(multi=True)
    elif isinstance(query_args, Mapping):
        pairs = cast("Mapping[Any, Any]", query_args).items()
    else:
        pairs = query_args
    return [(str(name), str(value)) for name, value in pairs]


# Keys of memoized calls.


def bound_arguments(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ignored: Iterable[str] = (),
) -> tuple[tuple[Any, ...], OrderedDict[str, Any]]:
    """The arguments of a call as the key has them: by position where that is possible.

    Positional-only parameters are bound as well, which Flask-Caching leaves out: `f(1, b=2)` and
    `f(9, b=2)` of `def f(a, /, b)` are two keys here. What is given by name leaves its position to the
    next parameter, as there.
    """
    rest = dict(kwargs)
    bound: list[Any] = []
    places = [p for p in parameters(f) if p.kind in _BY_POSITION]
    positions = iter(args)
    for place, parameter in enumerate(places):
        name = parameter.name
        if parameter.kind is not parameter.POSITIONAL_ONLY and name in rest:
            value = rest.pop(name)
        else:
            value = next(positions, _ABSENT)
        if name in ignored:
            value = None
        elif value is _ABSENT:
            value = get_arg_default(f, place)
        elif place == 0 and name in ("self", "cls"):
            value = get_id(value)
        bound.append(value)
    bound.extend(args[len(places) :])
    left = sorted((name, value) for name, value in rest.items() if name not in ignored)
    return tuple(bound), OrderedDict(left)


def memoize_digest(method: Callable[..., Any], name: str, call: str, source: bytes) -> str:
    """The part of a memoized key that stands for the arguments: 96 bits, whatever the method."""
    digest = method((name + call).encode("utf-8") + source).digest()
    return base64.b64encode(digest)[:16].decode()


def fresh_version() -> str:
    """A version that no other function ever had."""
    return base64.b64encode(uuid.uuid4().bytes)[:6].decode()


def version_key(name: str) -> str:
    """Where the version of a namespace is stored."""
    return name + "_memver"
