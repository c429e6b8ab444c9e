"""How a Redis server is reached: by the engine where it can, and by redis-py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ... import durations
from ..._native import Engine, Packing, RedisLink
from ...backends.addresses import TLS_OPTIONS, Access, cluster_url, sentinel_url, tls_of
from ...backends.opening import Near
from .twofold import say_once

__all__ = ["Link", "of_cluster", "of_host", "of_sentinels", "of_url"]

Options = dict[str, Any]

# A direct call raises when this is over, where redis-py would wait much longer: so it is more than a
# page has.
_DEADLINE = 1.0
# A string in Redis has at most 512 MB; the envelope is small.
_MAX_VALUE = 500 * 1024 * 1024

# What the engine has settings of its own for.
_TIMES = ("socket_timeout", "socket_connect_timeout")
_OWN = (*_TIMES, *TLS_OPTIONS, "deadline", "max_connections", "username", "unix_socket_path")
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
    "skip_full_coverage_check",
)


@dataclass(frozen=True)
class Link:
    """A server. `url` is the engine's, or None for one that redis-py alone can reach."""

    url: str | None
    deadline: float
    connections: int | None
    make_client: Callable[[], Any]
    # What makes a client for reads alone, where there are two.
    make_reader: Callable[[], Any] | None = None

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

    def engine(self, prefix: str, packing: Packing, near: Near | None, on_event: Any) -> Engine:
        """An engine over what lies under a prefix, with connections of its own."""
        assert self.url is not None
        return Engine.open(
            self.url if near is None else near.before(self.url),
            namespace=prefix,
            packing=packing,
            deadline=self.deadline,
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
    path, tls = options.get("unix_socket_path"), tls_of(options)
    where = _unix(path) if path else f"{_scheme(tls)}://{_bracketed(host)}:{port}"
    url = _with_access(where, (options.get("username"), password), db, tls)
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
    asks = parts.scheme == "rediss"
    known = parts.scheme in ("redis", "rediss", "unix")
    if not known or not _fits({**merged, **({"ssl": True} if asks else {})}, ("db", "password")):
        return _theirs(make_client)
    tls = tls_of(merged, asked=asks)
    user = unquote(parts.username) if parts.username else merged.get("username")
    password = unquote(parts.password) if parts.password else merged.get("password")
    if parts.scheme == "unix":
        where, number = _unix(unquote(parts.path)), asked.get("db")
    else:
        host = unquote(parts.hostname) if parts.hostname else "localhost"
        path = parts.path.strip("/")
        where = f"{_scheme(tls)}://{_bracketed(host)}:{parts.port or 6379}"
        number = asked.get("db") or (path if path.isdigit() else None)
    return _ours(_with_access(where, (user, password), number or db, tls), merged, make_client)


def of_sentinels(
    sentinels: Any, master: str, access: tuple[str | None, Any], own: Options, options: Options
) -> Link:
    """The server that sentinels call `master`; `access` is its password and database, `own` what the
    sentinels themselves are told, and `options` what redis-py tells the server's client."""
    _refuse_decoding(options)
    given = {name: value for name, value in options.items() if name != "deadline"}
    password, db = access

    def make(way: str) -> Any:
        redis_module()
        from redis import sentinel

        watchers: Any = getattr(sentinel, "Sentinel")  # noqa: B009
        made = watchers(sentinels, password=password, db=db, sentinel_kwargs=own, **given)
        return getattr(made, way)(master)

    def make_client() -> Any:
        return make("master_for")

    def make_reader() -> Any:
        return make("slave_for")

    if not _fits(options) or not _fits(own, ("password",)):
        return replace(_theirs(make_client), make_reader=make_reader)
    tls = tls_of(options) if options.get("ssl") else None
    known = Access(_user(options.get("username"), password), password, db, tls)
    url = sentinel_url(sentinels, master, known, (own.get("username"), own.get("password")))
    return replace(_ours(url, options, make_client), make_reader=make_reader)


def of_cluster(nodes: Any, password: str | None, url: str | None, options: Options) -> Link:
    """The cluster of which `nodes` are some servers, or one that a URL names as redis-py reads it."""
    _refuse_decoding(options)
    given = {"skip_full_coverage_check": True, **options}
    given.pop("deadline", None)
    known = nodes_of(nodes) if not url else []

    def make_client() -> Any:
        redis_module()
        from redis import cluster

        make: Any = getattr(cluster, "RedisCluster")  # noqa: B009
        if url:
            return make.from_url(url, **given)
        node: Any = getattr(cluster, "ClusterNode")  # noqa: B009
        return make(startup_nodes=[node(*one) for one in known], password=password, **given)

    asked = dict(parse_qsl(urlsplit(url or "").query))
    merged = {**options, **_read(asked)}
    asks = (url or "").startswith("rediss:")
    if not _fits({**merged, **({"ssl": True} if asks else {})}, ("password",)):
        return _theirs(make_client)
    user, tls = merged.get("username"), tls_of(merged, asked=asks)
    if url:
        parts = urlsplit(url)
        user = unquote(parts.username) if parts.username else user
        password = unquote(parts.password) if parts.password else merged.get("password")
        nodes = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    return _ours(
        cluster_url(nodes, Access(_user(user, password), password, 0, tls)), merged, make_client
    )


def nodes_of(text: Any) -> list[tuple[str, int]]:
    """The servers that CACHE_REDIS_CLUSTER names; a ValueError for what names none."""
    found: list[tuple[str, int]] = []
    for node in str(text).split(","):
        host, between, port = node.strip().rpartition(":")
        if not between or not port.isdigit():
            raise ValueError(
                f"CACHE_REDIS_CLUSTER has {node.strip()!r} (use host:port, several with commas "
                "between them)"
            )
        found.append((host, int(port)))
    return found


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
    others += _strange_tls(options)
    if others:
        say_once(
            f"RedisCache goes through redis-py, for Larder's own client does not know the option "
            f"{others[0]}: values are pickles that are trusted"
        )
    return not others


def _strange_tls(options: Options) -> list[str]:
    """The options about TLS that the engine's client cannot do, or that are there without TLS."""
    if not options.get("ssl"):
        return [name for name in TLS_OPTIONS[1:] if name in options]
    try:
        tls_of(options)
    except ValueError:
        return ["ssl_check_hostname"]
    return []


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


def _user(user: str | None, password: str | None) -> str | None:
    # As redis-py logs in: a server that has no password takes this name with any.
    return "default" if password and not user else user


def _scheme(tls: Mapping[str, str] | None) -> str:
    return "redis" if tls is None else "rediss"


def _with_access(
    where: str,
    access: tuple[str | None, str | None],
    db: Any,
    tls: Mapping[str, str] | None = None,
) -> str:
    user, password = _user(*access), access[1]
    given = {"db": int(db or 0), "username": user, "password": password, **(tls or {})}
    return f"{where}?{urlencode({name: value for name, value in given.items() if value})}"
