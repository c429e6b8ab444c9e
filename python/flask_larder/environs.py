"""The WSGI environment of a request that is watched: notes which of its variables are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .reads import Read, of_environ

__all__ = ["Environ"]

_ALL = Read("environ", "*")


class Environ(dict[str, Any]):
    """Stands before an environment for those who read in it.

    A dict, because whoever takes a WSGI environment may insist on one; what it holds itself is a copy
    for those who look past its methods. What is written goes to the environment.
    """

    __slots__ = ("_inner", "_note")

    def __init__(self, inner: dict[str, Any], note: Callable[[Read], None]) -> None:
        super().__init__(inner)
        self._inner = inner
        self._note = note

    def _noted(self, key: object) -> dict[str, Any]:
        read = of_environ(key)
        if read is not None:
            self._note(read)
        return self._inner

    def _all(self) -> dict[str, Any]:
        self._note(_ALL)
        return self._inner

    # What is read.

    def __getitem__(self, key: str) -> Any:
        return self._noted(key)[key]

    def __contains__(self, key: object) -> bool:
        return key in self._noted(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self._noted(key).get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._all())

    def __len__(self) -> int:
        return len(self._inner)

    def __eq__(self, other: object) -> bool:
        return self is other or self._all() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._all())

    def __or__(self, other: Any) -> Any:
        return self._all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._all()

    def keys(self) -> Any:
        return self._all().keys()

    def values(self) -> Any:
        return self._all().values()

    def items(self) -> Any:
        return self._all().items()

    def copy(self) -> dict[str, Any]:
        return self._all().copy()

    # What is written, with what it tells of what was there.

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._inner[key] = value

    def __delitem__(self, key: str) -> None:
        del self._noted(key)[key]
        super().pop(key, None)

    def __ior__(self, other: Any) -> Environ:  # type: ignore[override, misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        found = self._noted(key).setdefault(key, default)
        super().__setitem__(key, found)
        return found

    def pop(self, key: str, *default: Any) -> Any:  # type: ignore[override]
        found = self._noted(key).pop(key, *default)
        super().pop(key, None)
        return found

    def popitem(self) -> tuple[str, Any]:
        key, value = self._all().popitem()
        super().pop(key, None)
        return key, value

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        self._inner.update(*args, **kwargs)

    def clear(self) -> None:
        super().clear()
        self._inner.clear()
