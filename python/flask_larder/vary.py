"""What a view's answer depends on besides its path.

@cache.cached(60, vary=["Accept-Language", cookie("theme"), lambda: current_user.id])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import refusing

if TYPE_CHECKING:
    from .reads import Read

__all__ = ["Input", "Inputs", "cookie", "header", "query", "value"]


@dataclass(frozen=True)
class Input:
    """One thing that an answer depends on. Made by `header`, `cookie`, `query` and `value`."""

    sort: str
    name: str = ""
    compute: Callable[[], Any] | None = None


def header(name: str) -> Input:
    """A header of the request, by its name in any case."""
    return Input("header", name)


def cookie(name: str) -> Input:
    """One cookie of the request; the others make no difference."""
    return Input("cookie", name)


def query(name: str) -> Input:
    """One query parameter; with at least one of these, the others make no difference."""
    return Input("query", name)


def value(compute: Callable[[], Any]) -> Input:
    """What `compute` answers while the request is being handled: the user, the tenant."""
    return Input("value", compute=compute)


@dataclass(frozen=True)
class Inputs:
    """The declared inputs of one view, sorted out once."""

    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    values: tuple[Callable[[], Any], ...] = field(default=())
    # Whether what the view reads is put into the key, and what that is so far besides headers and
    # cookies, which stand above.
    auto: bool = False
    learned: tuple[Read, ...] = ()

    @classmethod
    def declared(cls, vary: str | Iterable[Input | str | Callable[[], Any]] | None) -> Inputs:
        """Reads a `vary=` list: texts are header names, callables are values. The text "auto" stands for
        whatever the view reads."""
        if vary == "auto":
            return cls(auto=True)
        refusing.single_text(vary, "vary")
        found: dict[str, list[Any]] = {"header": [], "cookie": [], "query": [], "value": []}
        for item in vary or ():
            if isinstance(item, Input):
                found[item.sort].append(item.compute or item.name)
            elif isinstance(item, str):
                found["header"].append(item)
            elif callable(item):
                found["value"].append(item)
            else:
                kind = type(item).__name__
                raise TypeError(
                    f"vary has a {kind} (use a header name, cookie(), query() or a callable)"
                )
        headers, cookies, parameters, values = (tuple(each) for each in found.values())
        return cls(headers, cookies, parameters, values)

    def tells_credentials(self) -> bool:
        """Whether the key tells requests with different credentials apart, as far as one can see."""
        return bool(self.values) or "authorization" in self._header_names()

    def tells_sessions(self, cookie: str) -> bool:
        """Whether the key tells sessions apart, which `cookie` carries, as far as one can see."""
        known = any(read.sort == "session" for read in self.learned)
        told = known or bool(self.values) or cookie in self.cookies
        return told or "cookie" in self._header_names()

    def _header_names(self) -> set[str]:
        return {name.lower() for name in self.headers}

    @property
    def wsgi_headers(self) -> list[str]:
        """The headers by their names in a WSGI environment."""
        names = (name.upper().replace("-", "_") for name in self.headers)
        plain = ("CONTENT_TYPE", "CONTENT_LENGTH")
        return [name if name in plain else f"HTTP_{name}" for name in names]
