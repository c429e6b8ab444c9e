"""A site for two users: whatever it says, it says who it is said to.

Its pages are all ways to learn who asks, times all ways of telling the cache, times all forms of an
answer. None of them may ever reach the other user.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, abort, redirect, render_template_string, request, send_file
from flask import session as browser
from flask.sessions import SecureCookieSessionInterface
from markupsafe import Markup

from flask_larder import Cache, cookie, header, query, value

Form = Callable[[str], Any]
HOST = "shop.example"
FRAGMENT = "{% cache 60, 'box', mark %}{{ text }}{% endcache %}"


@dataclass(frozen=True)
class User:
    """One of the two. The mark is in everything that is said to them, and in nothing else."""

    mark: str
    session: str


@dataclass(frozen=True)
class Way:
    """A way to learn who asks: how a request says it, how a view reads it, and how `vary=` names it."""

    name: str
    said: Callable[[User], dict[str, str]]
    read: Callable[[], str]
    declared: Any = None


@dataclass(frozen=True)
class Room:
    """A view: how it learns who asks, and whether its answers are kept; None where both are right."""

    path: str
    way: Way
    form: str
    kept: bool | None


def by_value() -> str:
    """Who asks, as a function of the application's own knows it."""
    return str(browser.get("user", ""))


WAYS = (
    Way(
        "token",
        lambda user: {"HTTP_AUTHORIZATION": f"Bearer {user.mark}"},
        lambda: request.headers["Authorization"].removeprefix("Bearer "),
        header("Authorization"),
    ),
    Way(
        "session",
        lambda user: {"HTTP_COOKIE": f"session={user.session}"},
        lambda: str(browser["user"]),
        value(by_value),
    ),
)
"""Ways to say who asks that mark a request as one user's, whatever a view reads of it."""
KEYED_WAYS = (
    Way(
        "cookie",
        lambda user: {"HTTP_COOKIE": f"theme=dark; sid={user.mark}"},
        lambda: request.cookies["sid"],
        cookie("sid"),
    ),
    Way(
        "header",
        lambda user: {"HTTP_X_USER": user.mark},
        lambda: request.headers["X-User"],
        "X-User",
    ),
    Way(
        "parameter",
        lambda user: {"QUERY_STRING": f"utm_source=news&user={user.mark}"},
        lambda: request.args["user"],
        query("user"),
    ),
    Way(
        "host",
        lambda user: {"HTTP_HOST": f"{user.mark}.{HOST}"},
        lambda: request.host.split(".")[0],
    ),
    Way(
        "query",
        lambda user: {"QUERY_STRING": f"user={user.mark}"},
        lambda: request.args["user"],
    ),
)
"""Ways that are in the key, of themselves or because they are declared."""
NOBODY = Way("nobody", lambda _user: {}, lambda: "nobody")


def words(mark: str) -> str:
    """A body that says whom it is for from its beginning to its end."""
    return f"{mark};" * 3 + "end:" + mark


def long_words(mark: str) -> str:
    """As `words`, larger than what stores keep in one piece."""
    return f"{mark};" * 200 + "end:" + mark


def pieces(mark: str) -> Iterator[str]:
    """`words`, piece by piece."""
    for _ in range(3):
        yield f"{mark};"
    yield f"end:{mark}"


def aborted(mark: str) -> Any:
    """An answer that is raised."""
    abort(404, description=mark)


def fragment(mark: str) -> str:
    """A fragment of a template, kept by itself."""
    return render_template_string(FRAGMENT, mark=mark, text=words(mark))


FORMS: dict[str, Form] = {
    "text": words,
    "long": long_words,
    "bytes": lambda mark: words(mark).encode(),
    "data": lambda mark: {"for": mark, "text": [words(mark)]},
    "markup": lambda mark: Markup(words(mark)),
    "tuple": lambda mark: (words(mark), 200, {"X-For": mark}),
    "response": lambda mark: Response(words(mark), headers={"X-For": mark, "ETag": f'"{mark}"'}),
    "stream": lambda mark: Response(pieces(mark)),
    "file": lambda mark: send_file(io.BytesIO(words(mark).encode()), "text/plain"),
    "missing": lambda mark: (words(mark), 404),
    "aborted": aborted,
    "moved": lambda mark: redirect(f"/home/{mark}", 301),
    "fragment": fragment,
}
"""Forms of answers that are kept where the key tells users apart."""


def with_header(name: str, text: str) -> Form:
    """An answer with a header that says that it is for one user."""
    return lambda mark: Response(words(mark), headers={name: text.replace("MARK", mark)})


FORBIDDEN: dict[str, Form] = {
    "set-cookie": with_header("Set-Cookie", "seen=MARK; Path=/"),
    "private": with_header("Cache-Control", "private, max-age=60"),
    "no-store": with_header("Cache-Control", "no-store"),
    "vary": with_header("Vary", "X-Somebody, Accept-Language"),
    "vary-all": with_header("Vary", "*"),
    "error": lambda mark: (words(mark), 500),
}
"""Forms of answers that are never kept, whatever the key says."""


def kept(form: str) -> bool | None:
    """Whether answers of this form are kept: None where it depends on more than the form."""
    return None if form in ("file", "missing", "aborted") else True


class Tally:
    """How often something happened, by its name. Any thread may count: `Counter` alone loses one of two that
    are the first of their name at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Counts one more."""
        with self._lock:
            self._counts[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def clear(self) -> None:
        """Begins anew."""
        with self._lock:
            self._counts.clear()


class Site:
    """The application, and how often each view ran."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.app = Flask("two_users")
        self.app.secret_key = "a key for tests"
        self.cache = Cache(self.app, config=config)
        self.ran = Tally()
        self.rooms: list[Room] = []
        for way, (form, make) in itertools.product((*WAYS, *KEYED_WAYS), FORMS.items()):
            vary = None if way.declared is None else [way.declared]
            self.add(Room(f"/keyed/{way.name}/{form}", way, form, kept=kept(form)), make, vary)
        # Views that read what they do not declare, and such as leave it to the cache to find out.
        undeclared = [way for way in (*WAYS, *KEYED_WAYS) if way.declared is not None]
        for way, (form, make) in itertools.product(undeclared, FORMS.items()):
            silent = way.name == "parameter"
            # A query is in the key as a whole where no parameter is declared.
            self.add(
                Room(f"/silent/{way.name}/{form}", way, form, kept=silent and kept(form)),
                make,
                None,
            )
            learned = kept(form) if way in KEYED_WAYS else None
            self.add(Room(f"/learned/{way.name}/{form}", way, form, kept=learned), make, "auto")
        for way, (form, make) in itertools.product((*WAYS, *KEYED_WAYS), FORBIDDEN.items()):
            vary = None if way.declared is None else [way.declared]
            self.add(Room(f"/forbidden/{way.name}/{form}", way, form, kept=False), make, vary)
        for form, make in FORMS.items():
            self.add(Room(f"/public/{form}", NOBODY, form, kept=kept(form)), make, None)

    def add(self, room: Room, make: Form, vary: Any) -> None:
        """A view of its own for a room."""

        def view() -> Any:
            self.ran.add(room.path)
            return make(room.way.read())

        # Some are refreshed behind the answer once they are stale.
        stale = 600 if len(self.rooms) % 2 else None
        cached = self.cache.cached(60, vary=vary, stale=stale)(view)
        self.app.add_url_rule(room.path, room.path, cached, methods=["GET", "POST"])
        self.rooms.append(room)

    def user(self, mark: str) -> User:
        """A user who is known by a mark and has a session."""
        signer = SecureCookieSessionInterface().get_signing_serializer(self.app)
        assert signer is not None
        return User(mark, signer.dumps({"user": mark}))
