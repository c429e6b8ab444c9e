"""Direct use of a cache: values by keys that people chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from . import _native
from ._native import AtHand, Page
from .backends import Backend
from .overridden import Read, Written
from .responses import respond
from .views import View

if TYPE_CHECKING:
    from ._native import Engine
    from .decorated import Decorated
    from .dialect import Dialect
    from .gathered import Gathered

R = TypeVar("R")


class Direct(AtHand):
    """The part of `Cache` that reads, writes and removes by key.

    `get`, `get_many` and `set` are native: they answer what needs nobody, and leave the rest to the
    methods here.
    """

    dialect: Dialect
    _decorated: Gathered[Decorated]
    _view_starts: tuple[str, ...] | None

    @property
    def cache(self) -> Any:
        """The store of the current application."""
        raise NotImplementedError

    def _engine(self) -> Engine:
        raise NotImplementedError

    def _on_event(self, name: str, key: str | None, detail: str) -> None:
        raise NotImplementedError

    # While a store is away, reads find nothing and writes keep nothing; what removes
    # something raises an OSError instead, because an answer that should be gone may still be there.

    def _softly(self, work: Callable[[], R], otherwise: R) -> R:
        """What `work` answers; `otherwise` while the store is away."""
        try:
            return work()
        except OSError as error:
            if not self.dialect.careful:
                raise
            self._on_event("store-failed", None, str(error))
            return otherwise

    def _get(self, key: str) -> Any:
        """`get`, for what is not at hand."""
        try:
            if isinstance(key, Read):
                return key.look_up()
            backend = self.cache
            if self._may_be_view(key) and isinstance(backend, Backend):
                variant = self._variant(backend, key)
                if variant is not None:
                    return variant[0]
            found = backend.get(key)
        except OSError as error:
            return self._unread(error)
        return respond(found) if type(found) is Page else found

    def _unread(self, error: OSError) -> None:
        if not self.dialect.careful:
            raise error
        self._on_event("store-failed", None, str(error))

    def _may_be_view(self, key: Any) -> bool:
        """Whether a view of this cache may have this key; asked for every `get`."""
        starts = self._view_starts
        if starts is None:
            views = (one for one in self._decorated if isinstance(one, View))
            starts = self._view_starts = tuple({start for view in views for start in view.starts()})
        return type(key) is not str or key.startswith(starts)

    def _variant(self, backend: Backend, key: str) -> tuple[Any] | None:
        """What this request would get for a view's key, as a tuple of one."""
        request = _native.current_request()
        if request is None:
            return None
        for decorated in self._decorated:
            if isinstance(decorated, View) and decorated.answers_to(key, request):
                found = backend.engine.get(decorated.rule.key(request, key))
                if found is not None:
                    value = found[0]
                    return (respond(value) if isinstance(value, Page) else value,)
        return None

    def _set(self, key: str, value: Any, timeout: object) -> Any:
        """`set`, for what takes more than to store it in this process."""
        if isinstance(key, Written):
            return key.keep(value, timeout)
        try:
            return self.cache.set(key, value, timeout=timeout)
        except OSError as error:
            self._unread(error)
            return False

    def add(self, key: str, value: Any, timeout: object = None) -> Any:
        """Stores a value where none is. False if one is there."""
        return self._softly(lambda: self.cache.add(key, value, timeout=timeout), False)

    def has(self, key: str) -> bool:
        """Whether there is a value, None included."""
        return self._softly(lambda: self.cache.has(key), False)

    def delete(self, key: str) -> bool:
        """Removes a key; a view's key with all its variants. Whether it was there."""
        return self.cache.delete(key)

    def delete_many(self, *keys: str) -> list[Any]:
        """Removes keys, and what matches those with `*` or `?` in them. Answers what is gone."""
        return self.cache.delete_many(*keys)

    def delete_prefix(self, prefix: str) -> list[Any]:
        """Removes every key that begins so. Answers them."""
        return self.cache.delete_prefix(prefix)

    def _get_many(self, *keys: str) -> list[Any]:
        """`get_many`, where not all is at hand."""
        found = self._softly(lambda: self.cache.get_many(*keys), [None] * len(keys))
        # Once it is known how the keys of views begin, values at hand are found without coming here.
        self._may_be_view("")
        if not self.dialect.careful:
            return found
        return [self._or_variant(*pair) for pair in zip(keys, found, strict=True)]

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """The values by their keys, None for what is not there. Of a view's key: as `get`."""
        found = self._softly(lambda: self.cache.get_dict(*keys), dict.fromkeys(keys))
        if not self.dialect.careful:
            return found
        return {key: self._or_variant(key, value) for key, value in found.items()}

    def _or_variant(self, key: str, found: Any) -> Any:
        """What was found; where that is nothing, and the key may be a view's, what `get` finds."""
        if type(found) is Page:
            return respond(found)
        return Direct.get(self, key) if found is None and self._may_be_view(key) else found

    def _set_many(self, mapping: Mapping[str, Any], timeout: object) -> list[Any]:
        """`set_many`, for what takes more than to store it in this process."""
        return self._softly(lambda: self.cache.set_many(mapping, timeout=timeout), [])

    def clear(self) -> bool:
        """Removes everything of this cache, and nothing else in the store."""
        return self.cache.clear()

    def unlink(self, *keys: str) -> Any:
        """As `delete_many`, on a store that has a cheaper way in its own words."""
        unlink = getattr(self.cache, "unlink", None)
        return unlink(*keys) if callable(unlink) else self.delete_many(*keys)
