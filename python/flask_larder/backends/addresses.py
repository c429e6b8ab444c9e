"""The URLs of Redis servers, made of Flask-Caching's options, and of a client that is at hand."""

from __future__ import annotations

import inspect
import ipaddress
import ssl
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

__all__ = [
    "TLS_OPTIONS",
    "Access",
    "cluster_url",
    "of_client",
    "sentinel_url",
    "server_url",
    "tls_of",
]

TLS_OPTIONS = (
    "ssl",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
)
"""redis-py's names of what TLS needs to know."""

_FILES = {"ssl_ca_certs": "ca", "ssl_certfile": "cert", "ssl_keyfile": "key"}
"""The options that name files, and what the URL calls them."""

_IN_URL = "use CACHE_REDIS_URL, which says what Larder's own client can do"
_COMPAT = "flask_larder.compat uses any client as it is"


@dataclass(frozen=True)
class Access:
    """What a server wants to know of who comes: a name, a password, the database; and what its TLS
    needs, by the names of a URL, or None for a server without."""

    username: object = None
    password: object = None
    db: object = 0
    tls: Mapping[str, str] | None = None

    def scheme(self, plain: str) -> str:
        """The scheme of a URL, with TLS or without."""
        return plain if self.tls is None else plain.replace("redis", "rediss", 1)

    def login(self) -> str:
        """The name and the password as they stand in front of a host."""
        if not self.password:
            return ""
        return f"{_quoted(self.username or '')}:{_quoted(self.password)}@"

    def number(self) -> int:
        """The number of the database."""
        if isinstance(self.db, bool) or not str(self.db or 0).isdecimal():
            raise ValueError(
                f"CACHE_REDIS_DB={self.db!r} is no database (use a number from 0 upwards)"
            )
        return int(str(self.db or 0))


def _quoted(text: object) -> str:
    return quote(str(text), safe="")


def _asked(options: Mapping[str, Any]) -> str:
    given = {name: value for name, value in options.items() if value not in (None, "")}
    return f"?{urlencode(given, quote_via=quote)}" if given else ""


def _authority(host: str, port: object, option: str) -> str:
    if not str(port).isdecimal() or not 0 < int(str(port)) < 1 << 16:
        raise ValueError(f"{option}={port!r} is no port (use a number up to 65535)")
    named = option.replace("PORT", "HOST")
    _no_login(host, named)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" not in bare:
        return f"{_quoted(host)}:{port}"
    try:
        ipaddress.IPv6Address(bare.partition("%")[0])
    except ValueError:
        cure = "give a host alone, and the port by itself"
        raise ValueError(f"{named} has the host {host!r} ({cure})") from None
    return f"[{bare}]:{port}"


def _no_login(text: str, option: str) -> None:
    if "@" in text:
        # The password is not shown.
        raise ValueError(
            f"{option} has a login in it (set CACHE_REDIS_PASSWORD, and username in CACHE_OPTIONS)"
        )


def server_url(host: str, port: object, access: Access) -> str:
    """The URL of one server."""
    if not host:
        raise ValueError("CACHE_REDIS_HOST is empty (use the name of a host)")
    place = _authority(host, port, "CACHE_REDIS_PORT")
    options = _asked(access.tls or {})
    return f"{access.scheme('redis')}://{access.login()}{place}/{access.number()}{options}"


def _socket_url(path: str, access: Access) -> str:
    known = {"db": access.number(), "username": access.username, "password": access.password}
    return f"unix://{quote(path)}{_asked(known)}"


def sentinel_url(
    sentinels: object, master: object, access: Access, login: tuple[object, object] = (None, None)
) -> str:
    """The URL of the master that sentinels know by its name; `login` is the name and the password that
    they ask for themselves."""
    if not isinstance(master, str) or not master:
        raise ValueError(
            f"CACHE_REDIS_SENTINEL_MASTER={master!r} is no name (use the one that the sentinels have)"
        )
    places = ",".join(_authority(*pair, "CACHE_REDIS_SENTINELS") for pair in _pairs(sentinels))
    user, password = login
    options = _asked({"sentinel_user": user, "sentinel_password": password, **(access.tls or {})})
    where = f"{access.login()}{places}/{_quoted(master)}/{access.number()}"
    return f"{access.scheme('redis+sentinel')}://{where}{options}"


def _pairs(sentinels: object) -> list[tuple[str, object]]:
    cure = 'use a list of pairs, [("10.0.0.1", 26379), ("10.0.0.2", 26379)]'
    if not isinstance(sentinels, Iterable) or isinstance(sentinels, str | bytes | Mapping):
        raise ValueError(f"CACHE_REDIS_SENTINELS={sentinels!r} is no list ({cure})")
    pairs: list[tuple[str, object]] = []
    for one in cast("Iterable[Any]", sentinels):
        match one:
            case [str() as host, (int() | str()) as port] if host:
                pairs.append((host, port))
            case _:
                raise ValueError(f"CACHE_REDIS_SENTINELS has {one!r} in it ({cure})")
    if not pairs:
        raise ValueError(f"CACHE_REDIS_SENTINELS is empty ({cure})")
    return pairs


def cluster_url(nodes: object, access: Access) -> str:
    """The URL of a cluster; `nodes` are some of its servers, "host:port,host:port"."""
    cure = "use host:port, several with commas between them"
    if not isinstance(nodes, str) or not nodes.strip():
        raise ValueError(f"CACHE_REDIS_CLUSTER={nodes!r} names no server ({cure})")
    _no_login(nodes, "CACHE_REDIS_CLUSTER")
    places: list[str] = []
    for node in nodes.split(","):
        host, found, port = node.strip().rpartition(":")
        if not found or not host or not port.isdecimal():
            raise ValueError(f"CACHE_REDIS_CLUSTER has {node.strip()!r} in it ({cure})")
        places.append(_authority(host, port, "CACHE_REDIS_CLUSTER"))
    if access.number():
        raise ValueError(f"CACHE_REDIS_DB={access.db!r}: a cluster has no other database than 0")
    options = _asked(access.tls or {})
    return f"{access.scheme('redis+cluster')}://{access.login()}{','.join(places)}{options}"


def tls_of(options: Mapping[str, Any], asked: bool = False) -> Mapping[str, str] | None:
    """What a URL says of TLS for redis-py's options; None where nobody asks for any."""
    if not asked and not options.get("ssl"):
        for name in TLS_OPTIONS[1:]:
            if options.get(name) is not None:
                raise ValueError(f"{name} is set without TLS (set ssl to True as well)")
        return None
    said: dict[str, str] = {}
    for name, short in _FILES.items():
        if options.get(name) is not None:
            said[short] = str(options[name])
    if not _verifies(options.get("ssl_cert_reqs", "required")):
        return {**said, "verify": "no"}
    if options.get("ssl_check_hostname", True) is False:
        raise ValueError(
            "ssl_check_hostname=False: a certificate is verified with the name in it, or not at all "
            '(use a certificate that names the host, or ssl_cert_reqs="none" on a network you trust)'
        )
    return said


def _verifies(asked: object) -> bool:
    if asked in (None, ssl.CERT_NONE, "none"):
        return False
    if asked in (ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED, "optional", "required"):
        return True
    raise ValueError(f'ssl_cert_reqs={asked!r} is not known (use "required" or "none")')


# A client at hand.

_UNTAKEN = {
    "credential_provider": "use CACHE_REDIS_PASSWORD, and username in CACHE_OPTIONS",
    "redis_connect_func": _IN_URL,
    "ssl_ca_data": "use ssl_ca_certs, the path of a file",
    "ssl_ca_path": "use ssl_ca_certs, the path of a file",
    "ssl_ciphers": "leave it out: TLS 1.2 and 1.3 are spoken, with the ciphers of today",
    "ssl_exclude_verify_flags": "leave it out",
    "ssl_include_verify_flags": "leave it out",
    "ssl_ocsp_context": "leave it out",
    "ssl_ocsp_expected_cert": "leave it out",
    "ssl_password": "use a key that is not encrypted",
    "ssl_validate_ocsp": "leave it out",
    "ssl_validate_ocsp_stapled": "leave it out",
}
"""What a client may have been told that a connection of Larder's cannot do, and the cure."""


def of_client(client: Any) -> tuple[str, float | None]:
    """The URL of the server that a `redis.Redis` is for, and how many seconds it waits for an answer,
    where somebody said so. Its connections are not used: the engine has its own."""
    kind = type(client).__name__
    module: Any = sys.modules.get("redis")
    if module is None or not isinstance(client, module.Redis):
        cure = {
            "RedisCluster": "use RedisClusterCache with CACHE_REDIS_CLUSTER",
            "Sentinel": "use RedisSentinelCache with CACHE_REDIS_SENTINELS",
        }.get(kind, "use a host name, CACHE_REDIS_URL or a redis.Redis")
        raise ValueError(
            f"CACHE_REDIS_HOST is a {kind}, which is no redis.Redis ({cure}; {_COMPAT})"
        )
    pool: Any = getattr(client, "connection_pool")  # noqa: B009
    given: dict[str, Any] = pool.connection_kwargs
    connection = module.connection
    way = pool.connection_class
    if way is module.sentinel.SentinelManagedConnection or hasattr(pool, "sentinel_manager"):
        raise ValueError(
            f"CACHE_REDIS_HOST is a {kind} of a Sentinel (use RedisSentinelCache with "
            "CACHE_REDIS_SENTINELS)"
        )
    if way not in (
        connection.Connection,
        connection.SSLConnection,
        connection.UnixDomainSocketConnection,
    ):
        raise ValueError(
            f"CACHE_REDIS_HOST is a {kind} with connections of the class {way.__name__}, which cannot "
            f"be taken over ({_IN_URL}; {_COMPAT})"
        )
    for name, cure in _UNTAKEN.items():
        if given.get(name):
            raise ValueError(
                f"CACHE_REDIS_HOST is a {kind} with {name}, which cannot be taken over ({cure}; {_COMPAT})"
            )
    tls = tls_of(given, asked=True) if way is connection.SSLConnection else None
    access = Access(given.get("username"), given.get("password"), given.get("db"), tls)
    if way is connection.UnixDomainSocketConnection:
        return _socket_url(given["path"], access), _patience(module, given)
    host, port = given.get("host") or "localhost", given.get("port") or 6379
    return server_url(host, port, access), _patience(module, given)


def _patience(module: Any, given: Mapping[str, Any]) -> float | None:
    """The time for an answer, unless it is the one that redis-py has where nobody says any."""
    asked = given.get("socket_timeout")
    unasked = inspect.signature(module.Redis).parameters["socket_timeout"].default
    return None if asked is None or asked == unasked else float(asked)
