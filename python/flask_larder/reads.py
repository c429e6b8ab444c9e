"""What a view may read of a request, by which names that is known, and what a key holds of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .vary import Inputs

__all__ = ["ATTRIBUTES", "USER_NAMES", "Keyed", "Read", "Unkeyed", "of_environ"]

USER_NAMES = (
    "account",
    "auth",
    "current_account",
    "current_identity",
    "current_user",
    "current_user_id",
    "flask_httpauth_user",
    "identity",
    "login",
    "member",
    "oidc_id_token",
    "principal",
    "user",
    "user_id",
    "username",
    "_jwt_extended_jwt",
    "_jwt_extended_jwt_user",
    "_login_user",
)
"""Attributes of `g`, and of the request, that name a user: CACHE_USER_NAMES where it is not set."""


class Read(NamedTuple):
    """One input of a request: what sort it is of, and which one; `*` is all of a sort."""

    sort: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.sort}:{self.name}" if self.name else self.sort

    @property
    def words(self) -> str:
        """The input as a sentence names it."""
        known = {
            "body": "the body of the request",
            "host": "the host",
            "path": "the path",
            "remote-addr": "the client's address",
            "remote-user": "the user that the server knows",
            "session": "session",
        }
        if self.sort in known:
            return known[self.sort]
        if self.name == "*":
            return f"all of the request's {_ALL.get(self.sort, self.sort)}"
        if self.sort in ("g", "request"):
            return f"{self.sort}.{self.name}"
        return f"the {_LONG.get(self.sort, self.sort)} {self.name}"

    @property
    def cure(self) -> str:
        """What a developer can do about a view that reads this."""
        if self.name == "*":
            return "read what you need by name, and name it in vary="
        if self.sort == "header":
            return f'vary=["{self.name.title()}"]'
        if self.sort in ("cookie", "query"):
            return f'vary=[{self.sort}("{self.name}")]'
        known = {
            "body": "give the view a make_cache_key, or do not cache it",
            "host": "leave out key_prefix",
            "path": "leave out key_prefix, or put %s into it",
            "remote-addr": "vary=[lambda: request.remote_addr]",
            "remote-user": "vary=[lambda: request.remote_user]",
            "session": 'vary=[lambda: session.get("user")], with what matters of it',
        }
        if self.sort in ("g", "request"):
            return f"vary=[lambda: {self.sort}.{self.name}], with what tells one from another"
        return known.get(self.sort, "give the view a make_cache_key")


_ALL = {
    "cookie": "cookies",
    "environ": "environment",
    "header": "headers",
    "request": "attributes",
}
_LONG = {"query": "query parameter", "environ": "variable of the environment"}


def _header(name: str) -> tuple[Read]:
    return (Read("header", name),)


_BODY = (Read("body"),)
_PATH = (Read("path"),)
_HOST = (Read("host"),)
_TYPE = _header("content-type")
_QUERY = Read("query", "*")

ATTRIBUTES: dict[str, tuple[Read, ...]] = {
    "accept_charsets": _header("accept-charset"),
    "accept_encodings": _header("accept-encoding"),
    "accept_languages": _header("accept-language"),
    "accept_mimetypes": _header("accept"),
    "access_control_request_headers": _header("access-control-request-headers"),
    "access_control_request_method": _header("access-control-request-method"),
    "access_route": (Read("remote-addr"), Read("header", "x-forwarded-for")),
    "args": (),
    "authorization": _header("authorization"),
    "base_url": (*_HOST, *_PATH),
    "blueprint": _PATH,
    "blueprints": _PATH,
    "cache_control": _header("cache-control"),
    "content_encoding": _header("content-encoding"),
    "content_length": _header("content-length"),
    "content_md5": _header("content-md5"),
    "content_type": _TYPE,
    "cookies": (),
    "data": _BODY,
    "date": _header("date"),
    "endpoint": _PATH,
    "files": _BODY,
    "form": _BODY,
    "full_path": (*_PATH, _QUERY),
    "get_data": _BODY,
    "get_json": _BODY,
    "headers": (),
    "host": _HOST,
    "host_url": _HOST,
    "if_match": _header("if-match"),
    "if_modified_since": _header("if-modified-since"),
    "if_none_match": _header("if-none-match"),
    "if_range": _header("if-range"),
    "if_unmodified_since": _header("if-unmodified-since"),
    "input_stream": _BODY,
    "is_json": _TYPE,
    "json": _BODY,
    "max_forwards": _header("max-forwards"),
    "mimetype": _TYPE,
    "mimetype_params": _TYPE,
    "origin": _header("origin"),
    "path": _PATH,
    "pragma": _header("pragma"),
    "query_string": (_QUERY,),
    "range": _header("range"),
    "referrer": _header("referer"),
    "remote_addr": (Read("remote-addr"),),
    "remote_user": (Read("remote-user"),),
    "root_url": _HOST,
    "stream": _BODY,
    "url": (*_HOST, *_PATH, _QUERY),
    "url_root": _HOST,
    "url_rule": _PATH,
    "user_agent": _header("user-agent"),
    "values": (),
    "view_args": _PATH,
    "want_form_data_parsed": _TYPE,
}
"""Attributes of Werkzeug's and Flask's requests, and what whoever reads them learns. `headers`, `args`,
`cookies` and `values` tell by themselves what is read of them."""


def of_environ(key: object) -> Read | None:
    """What a variable of the WSGI environment tells of the request; None where that is in every key, or
    none of the client's doing."""
    if not isinstance(key, str):
        return None
    if key == "HTTP_HOST":
        return Read("host")
    if key.startswith("HTTP_"):
        return Read("header", key[5:].replace("_", "-").lower())
    if key.startswith("SSL_CLIENT") or key in ("RAW_URI", "REQUEST_URI"):
        # The target as the client wrote it: in a key are the path and the query that it means.
        return Read("environ", key)
    if key.startswith("REMOTE_") and key not in _VARIABLES:
        return Read("environ", key)
    return _VARIABLES.get(key)


_VARIABLES = {
    "AUTH_TYPE": Read("remote-user"),
    "CONTENT_LENGTH": Read("header", "content-length"),
    "CONTENT_TYPE": Read("header", "content-type"),
    "PATH_INFO": Read("path"),
    "QUERY_STRING": _QUERY,
    "REMOTE_ADDR": Read("remote-addr"),
    "REMOTE_PORT": Read("remote-addr"),
    "REMOTE_USER": Read("remote-user"),
    "wsgi.input": _BODY[0],
}


class Keyed:
    """What the key of one view holds."""

    def __init__(self, inputs: Inputs, **whole: bool) -> None:
        """`whole` says of `host`, `path` and `query` whether all of it is in the key; of `credentials`,
        whether requests that have some share no entry with those that have none."""
        self.headers = frozenset(name.lower() for name in inputs.headers)
        self.cookies = frozenset(inputs.cookies)
        self.parameters = frozenset(inputs.parameters)
        self.values = bool(inputs.values)
        self.learned = frozenset(inputs.learned)
        self.credentials = whole.get("credentials", False)
        self.host = whole.get("host", False)
        self.path = whole.get("path", False)
        self.query = whole.get("query", False)

    def holds(self, read: Read) -> bool:
        """Whether requests that differ in this input have different keys, as far as one can see."""
        if read in self.learned:
            return True
        sort, name = read
        if sort == "header":
            # Who computes a value for the key has thought of who sees the answer.
            told = (self.values or self.credentials) and name == "authorization"
            return told or name in self.headers or (name == "host" and self.host)
        if sort == "cookie":
            return "cookie" in self.headers or name in self.cookies
        if sort == "query":
            return self.query or name in self.parameters
        if sort in ("host", "path"):
            whole: Any = getattr(self, sort)
            return bool(whole) or (sort == "host" and "host" in self.headers)
        # Who looks at all of a request may have seen anything.
        return self.values and name != "*" and sort in ("g", "request", "session", "remote-user")


class Unkeyed(RuntimeError):
    """A view looked at an input that is not in its key, where it must not.

    What a refresh answers would be one user's, stored for all. Name the input in `vary=`.
    """

    def __init__(self, read: Read) -> None:
        self.read = read
        super().__init__(
            f"a view that is refreshed behind the answer read {read.words}, which is not in its key "
            f"({read.cure}; or do without stale=)"
        )
