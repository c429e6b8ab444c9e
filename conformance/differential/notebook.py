"""Writes down what one side answers, in a form that can be compared with the other side's."""

from __future__ import annotations

import inspect
import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import journal
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

OBJECT = re.compile(r"<(?:[\w<>]+[.])*(\w+) object at 0x[0-9a-f]+>")
ADDRESS = re.compile(r"0x[0-9a-f]+")
# Date is the time of day.
UNSTABLE = {"Date"}
FIRST_WORDS = 3
# What Flask-Caching puts before every key in Redis, unless it is told otherwise.
PREFIX = "flask_cache_"


class Listener(logging.Handler):
    """Keeps each log record's logger, level and first words."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage().split()[:FIRST_WORDS]
        self.heard.append(f"{record.name} {record.levelname}: {stable(' '.join(words))}")

    def take(self) -> list[str]:
        """What was logged since the last time."""
        taken, self.heard = self.heard, []
        return taken


@dataclass
class Notebook:
    """One group under one setting. A step that comes again is numbered."""

    group: str
    setting: str
    config: dict[str, Any]
    contract: str
    listener: Listener
    clock: Any
    redis: Any = None
    port: int = 0
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeats: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))

    @property
    def timed(self) -> bool:
        """Whether the store's time can be moved by hand."""
        return self.redis is None and self.config["CACHE_TYPE"] != "MemcachedCache"

    @property
    def debug(self) -> bool:
        """Whether the application is in debug mode."""
        return bool(self.config.get("DEBUG"))

    @property
    def keeps(self) -> bool:
        """Whether the store keeps anything."""
        return self.config["CACHE_TYPE"] != "NullCache"

    def since(self, version: str) -> bool:
        """Whether the original of this pair is of that version or newer."""
        return self.contract >= version

    def advance(self, seconds: float) -> None:
        """Moves the clock of both stores."""
        self.clock.seconds += seconds

    def get(self, step: str, client: Any, path: str, **options: Any) -> None:
        """Asks for a page and writes down the whole answer."""
        self.request(step, client, "GET", path, **options)

    def request(self, step: str, client: Any, method: str, path: str, **options: Any) -> None:
        """Sends a request and writes down status, headers, body, or what was raised."""

        def answer() -> dict[str, Any]:
            response = client.open(path, method=method, **options)
            found = whole(response)
            response.close()
            return found

        self._observe(step, answer)

    def call(
        self,
        step: str,
        function: Callable[..., Any],
        *args: Any,
        naming: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> Any:
        """Calls a function; its result goes into the notebook and to the caller.

        Of an error the class is written down, and which of the words in `naming` it has.
        """
        results: list[Any] = []

        def answer() -> dict[str, Any]:
            results.append(function(*args, **kwargs))
            return {"result": shown(results[0])}

        self._observe(step, answer, naming)
        return results[0] if results else None

    def value(self, step: str, value: Any) -> None:
        """Writes a value down."""
        self.call(step, lambda: value)

    def lives(self, step: str, key: str, seconds: int) -> None:
        """Writes down whether Redis will keep `key` for about so many seconds."""
        if self.redis is not None:
            left = self.redis.pttl(PREFIX + key) / 1000
            self.value(step, "as told" if seconds - 30 < left <= seconds else round(left, -1))

    def _observe(
        self, step: str, answer: Callable[[], dict[str, Any]], naming: tuple[str, ...] = ()
    ) -> None:
        name = base = f"{self.group} [{self.setting}] {step}"
        while name in self.written:
            self.repeats[base] += 1
            name = f"{base} ({self.repeats[base]})"
        journal.take()
        self.listener.take()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fields = answer()
            except Exception as error:
                fields = {"raises": class_of(error)}
                fields |= {f"names {word}": word in str(error) for word in naming}
        fields["ran"] = journal.take()
        fields["logs"] = self.listener.take()
        # What is left open is found when the collector comes by, whosever step that is.
        kinds = [each.category for each in caught if each.category is not ResourceWarning]
        fields["warnings"] = [kind.__name__ for kind in kinds]
        self.written[name] = fields


def class_of(error: BaseException) -> str:
    """An error's class, without the module: that is where the sides differ by design."""
    kind = type(error).__name__
    return f"{kind} {error.code}" if isinstance(error, HTTPException) else kind


def whole(response: Any) -> dict[str, Any]:
    """A finished response, each header a field of its own."""
    fields: dict[str, Any] = {"status": response.status, "body": stable(response.get_data(True))}
    for name, value in response.headers:
        if name not in UNSTABLE:
            fields.setdefault(f"header {name}", []).append(value)
    return fields


def shown(value: Any) -> Any:
    """A result as a text that is the same in every process."""
    if inspect.isfunction(value):
        return "a function"
    if isinstance(value, Response):
        return f"{type(value).__name__} {value.status} {value.get_data(as_text=True)!r}"
    if isinstance(value, BaseException):
        return class_of(value)
    return stable(repr(value))


def stable(text: str) -> str:
    """A text without addresses, and without the modules of nameless objects."""
    return ADDRESS.sub("0x", OBJECT.sub(r"<\1>", text))
