"""The template tag, under the names that Flask-Caching has for it."""

# The parts of one cache know each other's insides.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import _native
from .._native import Key, Policy
from ..jinja2ext import JINJA_CACHE_ATTR_NAME, CacheExtension, Fragment
from . import utils
from .backends.twofold import Twofold
from .gates import ClassicGate, OwnGate
from .quick import lasting
from .utils import make_template_fragment_key

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["JINJA_CACHE_ATTR_NAME", "CacheExtension", "make_template_fragment_key"]


class CompatFragment(Fragment):
    """All fragments of one cache, stored where Flask-Caching stores them."""

    cache: Cache

    def rendered(self, text: str) -> str:
        """The text as the template has it: plain where nothing is escaped there."""
        return text

    def text(self, name: str, vary: Sequence[Any]) -> str:
        """The readable key of a fragment. Values of any type are welcome in a tag, where
        Flask-Caching fails for all but texts."""
        return make_template_fragment_key(name, [str(value) for value in vary])

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        _, name, vary, _ = args
        text = self.text(name, vary)
        plain = all(isinstance(value, str) for value in vary)
        # Where other programs look into the store, texts lie where Flask-Caching puts them.
        if self.cache._is_classic() or (plain and isinstance(self.cache.cache, Twofold)):
            return Key(text)
        key: Any = _native.fragment_key(text, vary)
        # Values that no key can hold exactly are told apart by their text, as there.
        return key if isinstance(key, Key) else Key(text)

    def policy_of(self, timeout: float | None) -> Policy:
        return super().policy_of(lasting(self.cache, timeout))

    def gate(self, args: tuple[Any, ...]) -> Any:
        lasting = _Lasting(self.cache, utils.normalize_timeout(args[0]))
        if self.cache._is_classic():
            return ClassicGate(self.cache, lasting)
        return OwnGate(self.cache._engine(), lasting)


class _Lasting:
    """One fragment, with the timeout of its tag."""

    keeps_none = False

    def __init__(self, cache: Cache, timeout: Any) -> None:
        self.cache = cache
        self._timeout = timeout

    def classic_timeout(self, value: Any) -> Any:
        """The timeout as the cache's `set` takes it."""
        return self._timeout

    def was_stored(self, args: tuple[Any, ...], timeout: Any) -> None:
        """Nothing to do."""
