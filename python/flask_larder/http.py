"""How pages are served as HTTP wants them: the options of `CACHE_HTTP` and `cached(http=...)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from . import durations, refusing

__all__ = ["Http"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CODINGS = ("br", "zstd", "gzip")
_REQUESTS = ("ignore", "trusted", "full")


def _is_status(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 200 <= given <= 599


@dataclass(frozen=True)
class Http:
    """What `cached(http=Http(...))` serves, and what it obeys. `http=True` is `Http()`.

        @app.get("/products/<int:number>")
        @cache.cached("5m", http=Http(negative={404: "10s"}))
        def product(number): ...

    Raises a TypeError or a ValueError for what is no such option, naming it.
    """

    negative: Mapping[int, object] = field(default_factory=dict[int, object])
    """How long answers with other statuses than the usual ones are kept: `{404: "10s", 410: "1h"}`.

    200, 203, 204, 301 and 308 are kept without being named; 206 and 304 never are.
    """

    requests: Literal["ignore", "trusted", "full"] = "ignore"
    """How far `Cache-Control` of requests is obeyed: not at all, if `trusted` says so of the request, or
    whoever asks."""

    trusted: Callable[[Any], object] | None = None
    """Whether a request is one whose `Cache-Control` is obeyed, for `requests="trusted"`: it gets the
    request, and answers true or false."""

    targets: Sequence[str] = ()
    """Fields of answers that are meant for this cache, the most wanted first: `["CDN-Cache-Control"]`
    (RFC 9213). One that is there stands in the place of `Cache-Control` and `Expires`."""

    no_vary_search: bool = False
    """Whether the field `No-Vary-Search` of answers is obeyed, which names query parameters that make no
    difference (draft-ietf-httpbis-no-vary-search)."""

    key_in_status: bool = False
    """Whether `Cache-Status` tells the key. It may name what others should not read."""

    etag: bool = True
    """Whether an answer that has no `ETag` gets one, made of its body."""

    compress: bool | Sequence[str] = False
    """The content codings that pages are stored in besides, and served in to clients that accept them, the
    most preferred first: `["br", "gzip"]`; True is `["br", "zstd", "gzip"]`.

    Each is made once, when the page is stored. What is no text or like one, shorter than 1 KiB, coded
    already or says `no-transform` stays as it is.
    """

    def __post_init__(self) -> None:
        self._check_kinds()
        for coding in self.codings:
            if coding not in _CODINGS:
                raise ValueError(
                    f"Http(compress): {coding!r} is no coding (use some of {_CODINGS})"
                )
        for status, span in self.negative.items():
            if not _is_status(status) or status in (206, 304):
                raise ValueError(f"Http(negative): {status!r} is no status that can be kept")
            if durations.span(span, f"negative[{status}]") == 0:
                raise ValueError(f"Http(negative): {status} is kept for 0 seconds (leave it out)")
        if self.requests not in _REQUESTS:
            raise ValueError(f"Http(requests={self.requests!r}) (use one of {_REQUESTS})")
        if (self.requests == "trusted") != (self.trusted is not None):
            raise ValueError(
                'Http: trusted= and requests="trusted" go together (give both, or neither)'
            )
        if self.trusted is not None and not callable(self.trusted):
            raise TypeError(f"Http(trusted={self.trusted!r}) cannot be called (give a function)")
        for name in self.targets:
            if not isinstance(cast("object", name), str) or _NAME.fullmatch(name) is None:
                raise ValueError(f"Http(targets): {name!r} is no name of a header")

    def _check_kinds(self) -> None:
        """Refuses what is of another kind than its option, before anybody looks into it."""
        compress: object = () if isinstance(self.compress, bool) else self.compress
        lists: dict[str, object] = {"compress": compress, "targets": self.targets}
        for name, given in lists.items():
            refusing.single_text(given, name)
            if given is None or isinstance(given, bytes):
                raise TypeError(f"{name} is {type(given).__name__} (use a list)")
        if not isinstance(cast("object", self.negative), Mapping):
            kind = type(self.negative).__name__
            raise TypeError(f'Http(negative) is {kind} (use a dict: {{404: "10s"}})')
        for name in ("no_vary_search", "key_in_status", "etag"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"Http({name}={getattr(self, name)!r}) is neither True nor False")

    @property
    def codings(self) -> Sequence[str]:
        """What `compress` stands for."""
        if isinstance(self.compress, bool):
            return _CODINGS if self.compress else ()
        return tuple(dict.fromkeys(self.compress))

    @classmethod
    def of(cls, given: object, option: str) -> Http | None:
        """The options that True, False, None or an `Http` stand for."""
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, cls):
            return given
        kind = type(given).__name__
        raise TypeError(f"{option} is {kind} (use True, False or an Http)")
