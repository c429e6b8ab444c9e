"""`{% cache timeout, "name", value, … %}` … `{% endcache %}` in templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.ext import Extension
from markupsafe import Markup

from . import _native, tracking
from .context import Loading
from .decorated import Decorated, Options, Uncached, Windows
from .watching import note_part

if TYPE_CHECKING:
    from jinja2.parser import Parser

    from ._native import Engine, Key
    from .cache import Cache

JINJA_CACHE_ATTR_NAME = "_template_fragment_cache"

_PREFIX = "_template_fragment_cache_"


def make_template_fragment_key(fragment_name: str, vary_on: list[Any] | None = None) -> str:
    """The key of a fragment as people read it: what `cache.delete` takes.

    >>> make_template_fragment_key("sidebar", vary_on=[7, "en"])
    '_template_fragment_cache_sidebar:7:en'
    """
    parts = [fragment_name, *(str(value) for value in vary_on or ())]
    return _PREFIX + ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


class Fragment(Decorated):
    """All fragments of one cache: the options are fixed, the key is the call."""

    sort = "fragment"

    def __init__(self, cache: Cache) -> None:
        def fragment(_timeout: object, _name: str, _vary: tuple[Any, ...], render: Any) -> Any:
            return self.rendered(render())

        super().__init__(cache, fragment, Options(cache_none=True, windows=Windows()))

    def part(self, args: tuple[Any, ...]) -> str:
        return str(args[1])

    def watched(self, loading: Loading) -> AbstractContextManager[None]:
        return tracking.watched_part(self, loading) if self.cache.dialect.careful else nullcontext()

    def rendered(self, text: str) -> str:
        """What is kept of a block's text: it is not escaped again, wherever it is served."""
        return Markup(text)

    def own_name(self) -> str:
        """What the counters of the fragments stand under."""
        return "template fragments"

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        _, name, vary, _ = args
        key = _native.fragment_key(self.text(name, vary), vary)
        if isinstance(key, str):
            raise Uncached(f"unkeyable: {key}")
        return key

    def plain_hit(self, engine: Engine, args: tuple[Any, ...]) -> tuple[Any] | None:
        """What is stored and fresh, as a tuple of one; without the steps of other calls."""
        try:
            found = engine.hit(self.key(args, {}), self.stats)
        except Uncached:
            return None
        if found is not None and self.reads:
            note_part(self.reads.get(self.part(args), ()))
        return found

    def text(self, name: str, vary: Sequence[Any]) -> str:
        """The key of a fragment as people read it."""
        return make_template_fragment_key(name, list(vary))

    def policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        timeout = args[0]
        seconds = self.cache._default_timeout() if timeout is None else self._seconds(timeout)
        return self.policy_of(seconds)

    def refresher(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any] | None:
        return None


class CacheExtension(Extension):
    """The `cache` tag.

    The timeout comes first, then the fragment's name, then any values that its text depends on; the
    commas may be left out. `'del'` as the timeout removes the fragment and renders it anew. Without
    a name the template's name and the line of the tag stand in for it.
    """

    tags = {"cache"}  # noqa: RUF012 (Jinja reads a plain set)

    def parse(self, parser: Parser) -> nodes.Node:
        """Reads one tag with its block."""
        line = next(parser.stream).lineno
        arguments = [parser.parse_expression()]
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            if parser.stream.current.type == "block_end":
                break
            arguments.append(parser.parse_expression())
        default = nodes.Const(f"{parser.filename}{line}")
        timeout, name, vary = arguments[0], (arguments[1:2] or [default])[0], arguments[2:]
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        call = self.call_method("_cache", [timeout, name, nodes.List(vary)])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _cache(self, timeout: object, name: Any, vary: list[Any], caller: Callable[[], str]) -> str:
        cache: Cache = getattr(self.environment, JINJA_CACHE_ATTR_NAME)
        return cache._render_fragment(timeout, str(name), vary, caller)
