"""The versions of memoized functions in a store that several processes share: read with what stands
under them, in one trip where the store is a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..._native import Engine, Policy, now
from .. import utils

__all__ = ["EngineSpace", "Space", "Unreachable", "Versions"]

# A version lives so long where nothing is stored under it: longer than any load.
_UNUSED = 600.0
_REMEMBERED = 10_000


class Unreachable(ConnectionError):
    """The store did not answer. The OSErrors of people's own code, in a `__repr__`, are others."""


class Space(Protocol):
    """The entries of one namespace."""

    @property
    def engine(self) -> Engine:
        """The engine over these entries."""
        ...

    def read(self, keys: tuple[str, ...], functions: Sequence[str]) -> list[tuple[Any] | None]:
        """The fresh values of these keys as tuples of one, or None, in their order; in one trip if no
        entry has other tags than `functions`."""
        ...

    def lend(self, key: str, value: Any, seconds: float, *, replace: bool) -> tuple[Any] | None:
        """Stores a value for `seconds`. Where `replace` does not hold, what is there stays, and is
        answered as a tuple of one."""

    def prolong(self, keys: tuple[str, ...], seconds: float | None) -> None:
        """Makes what was lent live for `seconds` more at least; None is for ever."""


class EngineSpace:
    """The entries of any engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, keys: tuple[str, ...], functions: Sequence[str]) -> list[tuple[Any] | None]:
        """As of a space; entries here have no tags of functions."""
        del functions
        return self.engine.get_many(*keys)

    def lend(self, key: str, value: Any, seconds: float, *, replace: bool) -> tuple[Any] | None:
        """As of a space."""
        policy = Policy(seconds)
        if not replace:
            if self.engine.add(key, value, policy)[0]:
                return None
            there = self.engine.get(key)
            if there is not None:
                return there
        self.engine.set(key, value, policy)
        return None

    def prolong(self, keys: tuple[str, ...], seconds: float | None) -> None:
        """As of a space."""
        policy = Policy(seconds)
        for key in keys:
            self.engine.prolong(key, policy)


class Versions:
    """The versions in one namespace, and which of them this process has seen last.

    Every call reads the versions anew. What was seen last is only a guess at the key of the answer, so
    that it can be asked for in the same trip; where the guess was wrong, that is one trip more.
    """

    def __init__(self, space: Space, *, tagged: bool) -> None:
        self.space = space
        # Whether entries carry their versions as tags too, by which the store gives back the room of
        # what was forgotten.
        self.tagged = tagged
        self._seen: dict[str, str] = {}
        # Until when, by the clock of this process, a version lives at least.
        self._until: dict[tuple[str, str], float] = {}

    def find(self, digest: str, keys: list[str]) -> tuple[str, tuple[object] | None]:
        """The key of a call, made of its digest and the versions under `keys`, and what is stored
        there as a tuple of one. None also where nobody has looked."""
        guess = digest + "".join(self._seen.get(key, "") for key in keys)
        try:
            *found, answer = self.space.read((*keys, guess), keys)
            text = digest + "".join(self._completed(keys, found))
        except OSError as error:
            raise Unreachable(str(error)) from error
        return text, answer if text == guess else None

    def current(self, keys: list[str]) -> list[str]:
        """The versions under `keys`; those that are not there are made up and stored."""
        try:
            return self._completed(keys, self.space.read(tuple(keys), ()))
        except OSError as error:
            raise Unreachable(str(error)) from error

    def _completed(self, keys: list[str], found: Sequence[tuple[object] | None]) -> list[str]:
        versions: list[str] = []
        for key, item in zip(keys, found, strict=True):
            version = None if item is None else item[0]
            versions.append(version if isinstance(version, str) else self._made(key))
            self._see(key, versions[-1])
        return versions

    def _see(self, key: str, version: str) -> None:
        if self._seen.get(key) != version:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = version

    def _made(self, key: str) -> str:
        """A version for a key that has none. Of several callers who make one up at the same time all
        get the same: with one for each of them, each would load for itself."""
        version = utils.fresh_version()
        there = self.space.lend(key, version, _UNUSED, replace=False)
        if there is None:
            self._note(key, version, now() + _UNUSED)
            return version
        return there[0] if isinstance(there[0], str) else self.renew(key)

    def renew(self, key: str) -> str:
        """Stores another version under `key`. Answers it."""
        version = utils.fresh_version()
        self.space.lend(key, version, _UNUSED, replace=True)
        self._note(key, version, now() + _UNUSED)
        return version

    def outlive(self, keys: list[str], timeout: float) -> None:
        """Lets the versions under `keys` live as long as what was stored for `timeout` seconds; 0 is
        for ever. That costs a trip now and then: they are given twice the time."""
        end = now() + timeout if timeout > 0 else float("inf")
        known = [(key, self._seen.get(key, "")) for key in keys]
        due = [pair for pair in known if self._until.get(pair, 0.0) < end]
        if not due:
            return
        names = tuple(key for key, _ in due)
        if timeout > 0:
            self.space.prolong(names, 2 * timeout + _UNUSED)
            end += timeout
        else:
            self.space.prolong(names, None)
        for key, version in due:
            self._note(key, version, end)

    def _note(self, key: str, version: str, until: float) -> None:
        if len(self._until) >= _REMEMBERED:
            self._until.clear()
        self._until[key, version] = until
