"""The tags of an answer, as `tags=` declares them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from string import Formatter
from typing import Any, cast

from . import refusing

Given = Iterable[str] | Callable[..., Iterable[str]] | None


class Tags:
    """Names, names with fields in them that a call's arguments fill, or what computes the names."""

    def __init__(self, given: Given, function: Callable[..., Any]) -> None:
        self._compute = given if callable(given) else None
        if self._compute is None:
            refusing.single_text(given, "tags")
        self._names = () if callable(given) else tuple(str(name) for name in given or ())
        self._signature: inspect.Signature | None = None
        if any("{" in name or "}" in name for name in self._names):
            self._signature = inspect.signature(function)
            self._check(self._signature)

    def __bool__(self) -> bool:
        return self._compute is not None or bool(self._names)

    @property
    def vary(self) -> bool:
        """Whether two calls may have different tags."""
        return self._compute is not None or self._signature is not None

    def _check(self, signature: inspect.Signature) -> None:
        """Refuses a field that no argument can fill, where it is declared."""
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        if inspect.Parameter.VAR_KEYWORD in kinds:
            return
        for name in self._names:
            for field in fields_of(name):
                if root_of(field) not in signature.parameters:
                    known = ", ".join(signature.parameters) or "none"
                    raise ValueError(
                        f"tag {name!r}: {field!r} is no argument of the function (it has {known})"
                    )

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """The tags of one call."""
        if self._compute is not None:
            return named(self._compute(*args, **kwargs))
        if self._signature is None:
            return list(self._names)
        fields = _arguments(self._signature, args, kwargs)
        try:
            return [name.format_map(fields) for name in self._names]
        except KeyError as error:
            raise ValueError(f"a tag needs the argument {error}, which this call lacks") from None


def named(computed: Any) -> list[str]:
    """The tags that a function has answered; a TypeError for one text, whose letters would be tags."""
    if isinstance(computed, str) or not isinstance(computed, Iterable):
        raise TypeError(f"tags: a function answered {computed!r} (let it answer a list of tags)")
    return [str(tag) for tag in cast("Iterable[Any]", computed)]


def fields_of(name: str) -> list[str]:
    """The fields of a tag, as they are written; a ValueError for a tag that is no format."""
    try:
        return [field for _, field, _, _ in Formatter().parse(name) if field is not None]
    except ValueError as error:
        raise ValueError(f"tag {name!r} is no format: {error}") from None


def root_of(field: str) -> str:
    """The name that a field begins with: what has its attributes and items taken."""
    return re.split(r"[.\[]", field, maxsplit=1)[0]


def _arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by the names of their parameters, defaults included."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    fields = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            fields.update(fields.pop(parameter.name))
    return fields
