"""How a Redis server is reached: by the engine where it can, and by redis-py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ... import durations
from ..._native import Packing, RedisLink
from .twofold import say_once

__all__ = ["Link", "of_host", "of_url"]

Options = dict[str, Any]

# A direct call raises when this is over, where redis-py would wait much longer: so it is more than a
# page has.
_DEADLINE = 1.0
# A string in Redis has at most 512 MB; the envelope is small.
_MAX_VALUE = 500 * 1024 * 1024

# What the engine has settings of its own for.
_TIMES = ("socket_timeout", "socket_connect_timeout")
_OWN = (*_TIMES, "deadline", "max_connections", "username", "unix_socket_path")
# What changes how redis-py works and no answer: the engine finds broken connections by itself.
_IDLE = (
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_read_size",
    "health_check_interval",
    "retry_on_timeout",
    "client_name",
    "lib_name",
    "lib_version",
    "decode_responses",
)


@dataclass(frozen=True)
class Link:
    """A server. `url` is the engine's, or None for one that redis-py alone can reach."""

    url: str | None
    deadline: float
    connections: int | None
    make_client: Callable[[], Any]

    @classmethod
    def to_client(cls, client: Any) -> Link:
        """A server that is reached by a client at hand, and by nothing else."""
        return cls(None, _DEADLINE, None, lambda: client)

    def open(self, packing: Packing, on_event: Any) -> RedisLink:
        """The engine's link; it does not connect."""
        assert self.url is not None
        return RedisLink(
            self.url,
            packing=packing,
            deadline=self.deadline,
            connections=self.connections,
            max_value=_MAX_VALUE,
            on_event=on_event,
        )


def redis_module() -> Any:
    """redis-py, or a RuntimeError that says how to get it."""
    try:
        import redis
    except ImportError as error:
        raise RuntimeError("no redis module found (install it: pip install redis)") from error
    return redis


def of_host(host: str, port: Any, password: str | None, db: Any, options: Options) -> Link:
    """The server at a host and port, or at the `unix_socket_path` among redis-py's `options`."""
    _refuse_decoding(options)
    given = {name: value for name, value in options.items() if name != "deadline"}

    def make_client() -> Any:
        return redis_module().Redis(host=host, port=port, password=password, db=db, **given)

    if not _fits(options):
        return _theirs(make_client)
    path = options.get("unix_socket_path")
    where = _unix(path) if path else f"redis://{_bracketed(host)}:{port}"
    url = _with_access(where, (options.get("username"), password), db)
    return _ours(url, options, make_client)


def of_url(url: str, db: Any, options: Options) -> Link:
    """The server at a URL as redis-py reads it: what it says goes before `db` and `options`."""
    _refuse_decoding(options)
    given = {name: value for name, value in options.items() if name != "deadline"}

    def make_client() -> Any:
        return redis_module().from_url(url, **{"db": db, **given})

    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    merged = {**options, **_read(asked)}
    if parts.scheme not in ("redis", "unix") or not _fits(merged, ("db", "password")):
        if parts.scheme == "rediss":
            say_once(
                "CACHE_REDIS_URL asks for TLS, which Larder's own client cannot speak: redis-py is "
                "used, and values are pickles that are trusted"
            )
        return _theirs(make_client)
    user = unquote(parts.username) if parts.username else merged.get("username")
    password = unquote(parts.password) if parts.password else merged.get("password")
    if parts.scheme == "unix":
        where, number = _unix(unquote(parts.path)), asked.get("db")
    else:
        host = unquote(parts.hostname) if parts.hostname else "localhost"
        path = parts.path.strip("/")
        where = f"redis://{_bracketed(host)}:{parts.port or 6379}"
        number = asked.get("db") or (path if path.isdigit() else None)
    return _ours(_with_access(where, (user, password), number or db), merged, make_client)


def delete_by_client(backend: Any, prefix: str) -> list[Any]:
    """Removes every key that begins so, by way of a back end's own client. Answers them."""
    begin, client = backend._get_prefix(), backend._write_client
    found = list(client.scan_iter(match=_literally(begin + prefix) + "*"))
    if found:
        client.delete(*found)
    return [(key.decode() if isinstance(key, bytes) else key)[len(begin) :] for key in found]


def _literally(text: str) -> str:
    """A text as a pattern of Redis that matches it and nothing else."""
    return "".join(f"\\{sign}" if sign in "*?[]\\^-" else sign for sign in text)


def _refuse_decoding(options: Options) -> None:
    if options.get("decode_responses"):
        raise ValueError("decode_responses is not supported by RedisCache.")


def _read(asked: dict[str, str]) -> Options:
    """The options in a URL, with the types that they have outside of one."""
    kinds: dict[str, Callable[[str], Any]] = dict.fromkeys(_TIMES, float)
    kinds["max_connections"] = int
    return {name: kinds.get(name, str)(value) for name, value in asked.items()}


def _fits(options: Options, more: tuple[str, ...] = ()) -> bool:
    """Whether the engine does what these options ask for."""
    others = [name for name in options if name not in (*_OWN, *_IDLE, *more)]
    if others:
        say_once(
            f"RedisCache goes through redis-py, for Larder's own client does not know the option "
            f"{others[0]}: values are pickles that are trusted"
        )
    return not others


def _theirs(make_client: Callable[[], Any]) -> Link:
    return Link(None, _DEADLINE, None, make_client)


def _ours(url: str, options: Options, make_client: Callable[[], Any]) -> Link:
    times = [options[name] for name in _TIMES if options.get(name) is not None]
    deadline = options.get("deadline")
    if deadline is None:
        # One time for all that an operation does, connecting included.
        deadline = max(times) if times else _DEADLINE
    seconds = durations.span(deadline, "deadline") or _DEADLINE
    return Link(url, seconds, options.get("max_connections"), make_client)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


def _unix(path: str) -> str:
    return f"unix://{quote(path)}"


def _with_access(where: str, access: tuple[str | None, str | None], db: Any) -> str:
    user, password = access
    if password and not user:
        # As redis-py logs in: a server that has no password takes this name with any.
        user = "default"
    given = {"db": int(db or 0), "username": user, "password": password}
    return f"{where}?{urlencode({name: value for name, value in given.items() if value})}"
