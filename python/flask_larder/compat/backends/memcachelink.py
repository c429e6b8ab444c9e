"""Where memcached servers are, as Flask-Caching's users write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ... import durations
from ..._native import Engine, Packing, open_memcached

__all__ = ["Servers", "servers_of"]

# A direct call raises when this is over: so it is more than a page has.
_DEADLINE = 1.0
# A server says itself what is too large for it.
_MAX_VALUE = 500 * 1024 * 1024
# What stands for no prefix: nobody's prefix, and never part of a name on the server.
_NO_PREFIX = "\0"


@dataclass(frozen=True)
class Servers:
    """Servers by their addresses. `given` is what the program wrote, for other clients."""

    given: list[Any]
    addresses: list[str]
    weights: list[int]
    strange: str = ""
    """What the engine's client does not know in an address."""
    login: tuple[str, str] | None = None

    def with_login(self, username: str | None, password: str | None) -> Servers:
        """The same servers, which ask for a user and a password."""
        if not username or not password:
            return self
        return replace(self, login=(username, password))

    def open(self, prefix: str, packing: Packing, deadline: object, on_event: Any) -> Engine:
        """The engine over what lies under a prefix. It does not connect."""
        seconds = _DEADLINE if deadline is None else durations.span(deadline, "deadline")
        return open_memcached(
            self.addresses,
            weights=self.weights,
            login=self.login,
            namespace=prefix or _NO_PREFIX,
            packing=packing,
            deadline=seconds or _DEADLINE,
            max_value=_MAX_VALUE,
            on_event=on_event,
        )


def servers_of(given: Any) -> Servers | None:
    """The servers that CACHE_MEMCACHED_SERVERS names; None where it is a client."""
    if given is None:
        given = ["127.0.0.1:11211"]
    if isinstance(given, str):
        given = [each.strip() for each in given.split(",")]
    if not isinstance(given, list | tuple):
        return None
    several = list(cast("Sequence[Any]", given))
    read = [_address(each) for each in several]
    strange = [address for address, weight in read if weight < 1]
    weights = [weight for _, weight in read]
    return Servers(several, [address for address, _ in read], weights, ", ".join(strange))


def _address(given: Any) -> tuple[str, int]:
    """An address and its weight; the weight is 0 where the engine's client does not know the form.

    The forms are those of pylibmc (`host`, `host:port`, `host:port:weight`, `/path`), and of
    python-memcached (`(address, weight)`).
    """
    if isinstance(given, tuple):
        address, weight = (*cast("tuple[Any, ...]", given), None, None)[:2]
        if isinstance(address, str) and isinstance(weight, int):
            return _address(address)[0], weight
    if not isinstance(given, str):
        return f"{given}", 0
    if given.startswith("udp:"):
        return given, 0
    text = given.removeprefix("inet:").removeprefix("inet6:")
    if text.startswith(("/", "unix:")):
        return text, 1
    host, bracket, rest = text.rpartition("]")
    parts = rest.split(":") if bracket else text.split(":")
    weighed = len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit()
    if weighed and (bracket or parts[0]):
        return f"{host}{bracket}{parts[0]}:{parts[1]}", int(parts[2])
    return text, 1
