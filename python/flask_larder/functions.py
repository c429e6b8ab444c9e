"""`@cache.memoize`: functions whose answers depend on their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import tracking
from ._native import Key, Policy, Signature
from .context import Loading
from .decorated import Decorated, Options, Uncached
from .signals import cache_memoize_hit, cache_memoize_miss
from .source import source_of

if TYPE_CHECKING:
    from .cache import Cache


@dataclass
class FunctionOptions(Options):
    """The options that only `memoize` has."""

    make_name: Callable[[str], str] | None = None
    hash_method: Callable[..., Any] | None = None
    source_check: bool | None = None
    args_to_ignore: list[str] = field(default_factory=list[str])
    values: tuple[Callable[[], Any], ...] = ()


class Function(Decorated):
    """One memoized function.

    Every answer carries the tag of the function, and one of a method also that of its instance: what
    Flask-Caching calls the version of a function is the generation of its tag.
    """

    sort = "memoize"
    options: FunctionOptions

    def __init__(
        self, cache: Cache, function: Callable[..., Any], options: FunctionOptions
    ) -> None:
        super().__init__(cache, function, options)
        if cache.dialect.typed_keys:
            # What has no name is refused here and not with the first call.
            _ = self.name
        signature = inspect.signature(function)
        first = next(iter(signature.parameters), None)
        self.receiver = first if first in ("self", "cls") else None
        self._parameters = signature.parameters.values()
        self._rule: Signature | None = None
        # The digest of the source that the rule has in its keys.
        self._salt: str | None = None

    @property
    def rule(self) -> Signature:
        """How calls become keys; made when it is first needed, for the cache is configured by then,
        and again when the source is to be part of the keys, or no longer."""
        salt = source_of(self, self.options.source_check)
        if self._rule is None or salt != self._salt:
            name = self.name
            if self.options.make_name is not None:
                name = self.options.make_name(name)
            self._rule = Signature(
                name,
                [
                    (p.name, int(p.kind), p.default is not p.empty, p.default)
                    for p in self._parameters
                ],
                ignored=list(self.options.args_to_ignore),
                receiver=self.receiver is not None,
                salt=salt,
            )
            self._salt = salt
        return self._rule

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        assigned = self.assigned_key()
        if assigned is not None:
            return Key(str(assigned(self.function, *args, **kwargs)))
        key = self.rule.key(args, kwargs)
        if isinstance(key, Key):
            values = tuple(compute() for compute in self.options.values)
            return key.with_values(values) if values else key
        # Without a key because the arguments do not fit: calling the function says so best.
        raise Uncached("bypass" if key is None else f"unkeyable: {key}")

    def readable_key(self, function: Any = None, /, *args: Any, **kwargs: Any) -> str:
        """The key of a call as people read it; the first argument is the function, as in
        Flask-Caching."""
        del function
        try:
            return self.key(args, kwargs).text
        except Uncached as uncached:
            reason = uncached.reason
            if reason == "bypass":
                reason = (
                    f"these are not its arguments (it takes {inspect.signature(self.function)})"
                )
            raise TypeError(f"{self.name}: {reason}") from None

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Policy:
        policy = super().policy(args, kwargs)
        functions = [self.name]
        if self.receiver is not None and self.receiver not in self.options.args_to_ignore and args:
            known, name = self.rule.receiver_of(args[0])
            if known:
                functions.append(name)
        return policy.tagged([], functions)

    def varies(self) -> bool:
        return self.receiver is not None or super().varies()

    def forget(self, receiver: Any = None) -> None:
        """Makes every answer invalid; of a method, those of one instance."""
        name = self.name
        if receiver is not None:
            known, name = self.rule.receiver_of(receiver)
            if not known:
                raise TypeError(f"{self.name}: {name}")
        self.cache._engine().bump([], [name])

    def signal(self, hit: bool, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.cache.enable_signals:
            signal = cache_memoize_hit if hit else cache_memoize_miss
            signal.send(
                cache=self.cache, f=self.function, cache_key=key.text, args=args, kwargs=kwargs
            )

    def watched(self, loading: Loading) -> AbstractContextManager[None]:
        return tracking.watched_part(self, loading) if self.cache.dialect.careful else nullcontext()

    def refresher(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any] | None:
        app = self.cache._app()
        function = self.cache._plain(self.function)

        def load() -> Any:
            with app.app_context():
                return function(*args, **kwargs)

        return load

    def plan(self) -> tuple[Signature, Callable[[Any], Any]] | None:
        return None if self.options.values else (self.rule, _unchanged)


def _unchanged(value: Any) -> Any:
    return value
