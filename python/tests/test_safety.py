"""What one user must not see of another's: sessions, credentials, cookies and headers."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Calls, text_of
from flask import (
    Flask,
    Response,
    copy_current_request_context,
    g,
    make_response,
    render_template_string,
    request,
    session,
)
from flask.sessions import SessionInterface, SessionMixin

from flask_larder import Cache, cookie, header, query, value
from flask_larder._context import request_context as current_context

KEY = "key"


def log_in(app: Flask, name: str) -> Any:
    """A client whose session names a user."""
    client = app.test_client()
    with client.session_transaction() as data:
        data["user"] = name
    return client


def reasons(cache: Cache, app: Flask, name: str) -> dict[str, int]:
    """Why answers of the function that ends in `name` were not stored, and how often."""
    with app.app_context():
        functions = cache.stats()["functions"]
    (found,) = [
        counters for full, counters in functions.items() if full.split("#")[0].endswith(name)
    ]
    passes: dict[str, int] = found["passes"]
    return passes


def test_the_classic_accident_does_not_happen(app: Flask, stored: Cache) -> None:
    """A profile page cached under one key for two users: each of them sees the own profile."""

    @app.get("/profile")
    @stored.cached(60)
    def profile() -> str:
        return f"profile of {session['user']}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    for _ in range(2):
        assert text_of(anna, "/profile") == "profile of anna"
        assert text_of(bert, "/profile") == "profile of bert"
    assert reasons(stored, app, "profile") == {"session": 4}


@pytest.mark.parametrize(
    "look",
    [
        lambda: session.get("user"),
        lambda: session["user"],
        lambda: "user" in session,
        lambda: list(session),
        lambda: session.setdefault("seen", 1),
        lambda: session.update(seen=1),
        lambda: session.pop("user"),
    ],
)
def test_every_way_to_look_at_the_session_counts(
    app: Flask, cache: Cache, calls: Calls, look: Any
) -> None:
    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        look()
        return str(calls())

    client = log_in(app, "anna")
    assert [text_of(client), text_of(app.test_client())][0] == "1"
    assert reasons(cache, app, "index")["session"] >= 1
    assert text_of(log_in(app, "bert")) == str(calls.count)


class Row(dict[str, Any], SessionMixin):
    """A session of another package, which notes nothing of who looks at it."""


class Rows(SessionInterface):
    """Keeps the session of each user that names itself."""

    def open_session(self, app: Flask, request: Any) -> Row:
        user = request.headers.get("User")
        return Row(user=user) if user else Row()

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Nothing changes."""


def test_sessions_of_other_packages_are_watched_too(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    app.session_interface = Rows()

    @app.get("/profile")
    @stored.cached(60)
    def profile() -> str:
        return "in" if "user" in session else "out"

    @app.get("/news")
    @stored.cached(60)
    def news() -> str:
        return str(calls())

    client = app.test_client()
    anna = {"User": "anna"}
    assert [text_of(client, "/profile"), text_of(client, "/profile", headers=anna)] == ["out", "in"]
    assert reasons(stored, app, "profile") == {"session": 2}
    assert [text_of(client, "/news") for _ in range(2)] == ["1", "1"]


def test_a_template_that_looks_at_no_session_is_stored(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    """Flask hands the session to every template."""

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return render_template_string("{{ number }}", number=calls())

    for name in ("anna", "bert"):
        assert text_of(log_in(app, name)) == "1"


@pytest.mark.parametrize(
    "template",
    [
        "{{ session.user }}",
        "{{ session['user'] }}",
        "{{ session.get('user', '') }}",
        "{% if 'user' in session %}in{% endif %}",
        "{% for name in session %}{{ name }}{% endfor %}",
        "{% if session %}in{% endif %}",
    ],
)
def test_a_template_that_looks_at_the_session_is_not_stored(
    app: Flask, stored: Cache, template: str
) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return render_template_string(template)

    shown = text_of(log_in(app, "anna"))
    assert shown in ("anna", "in", "user")
    assert text_of(app.test_client()) == ""
    assert reasons(stored, app, "index") == {"session": 2}


def test_watching_is_no_looking(app: Flask, stored: Cache, calls: Calls) -> None:
    """A view that looks at no session is stored, also for those who are logged in."""

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return str(calls())

    for name in ("anna", "bert"):
        answer = log_in(app, name).get("/")
        assert answer.get_data(as_text=True) == "1"
        assert "Vary" not in answer.headers


def test_a_view_may_keep_the_request_context(app: Flask, stored: Cache) -> None:
    """What watches the session is taken away again, and is no part of a copied context."""
    kinds: list[type[Any]] = []

    def context_type() -> type[Any]:
        return type(current_context())

    app.before_request(lambda: kinds.append(context_type()))

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return copy_current_request_context(lambda: request.path)()

    @app.after_request
    def note(response: Response) -> Response:
        kinds.append(context_type())
        return response

    assert text_of(app.test_client()) == "/"
    assert kinds[0] is kinds[1]


def test_a_hook_that_looks_at_an_empty_session_does_no_harm(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = session.get("user")

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return str(calls())

    app.add_url_rule("/plain", "plain", lambda: "plain")
    # What Flask says itself for the hook that looked; nothing in some versions.
    flask_says = app.test_client().get("/plain").headers.get("Vary")
    for _ in range(3):
        client = app.test_client()
        assert text_of(client) == "1"
        assert client.get("/").headers.get("Vary") == flask_says


def test_what_a_hook_found_in_the_session_never_crosses(app: Flask, stored: Cache) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = session.get("user")

    @app.get("/profile")
    @stored.cached(60)
    def profile() -> str:
        return f"profile of {g.user}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    for _ in range(2):
        assert text_of(anna, "/profile") == "profile of anna"
        assert text_of(bert, "/profile") == "profile of bert"
    assert reasons(stored, app, "profile") == {"session": 4}


@pytest.mark.parametrize("vary", [[cookie("theme")], ["Accept-Language"], [query("page")]])
def test_a_key_that_says_something_else_does_not_help(
    app: Flask, stored: Cache, vary: list[Any]
) -> None:
    @app.get("/profile")
    @stored.cached(60, vary=vary)
    def profile() -> str:
        return f"profile of {session['user']}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    assert text_of(anna, "/profile") == "profile of anna"
    assert text_of(bert, "/profile") == "profile of bert"


@pytest.mark.parametrize("vary", [[cookie("session")], ["Cookie"], [lambda: session["user"]]])
def test_a_key_with_the_session_in_it_tells_users_apart(
    app: Flask, stored: Cache, vary: list[Any], calls: Calls
) -> None:
    @app.get("/profile")
    @stored.cached(60, vary=vary)
    def profile() -> str:
        return f"profile of {session['user']} {calls()}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    got = [text_of(who, "/profile") for who in (anna, bert, anna, bert)]
    assert [text.split()[2] for text in got] == ["anna", "bert"] * 2
    assert calls.count == 2


def test_a_key_that_says_who_sees_it_keeps_users_apart(app: Flask, stored: Cache) -> None:
    seen: list[str] = []

    @app.get("/profile")
    @stored.cached(60, vary=[lambda: session["user"]])
    def profile() -> str:
        seen.append(session["user"])
        return f"profile of {session['user']}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    for _ in range(2):
        assert text_of(anna, "/profile") == "profile of anna"
        assert text_of(bert, "/profile") == "profile of bert"
    assert seen == ["anna", "bert"]


def test_a_custom_key_puts_the_developer_in_charge(app: Flask, stored: Cache) -> None:
    seen: list[str] = []

    @app.get("/profile")
    @stored.cached(60, make_cache_key=lambda: f"profile-{session['user']}")
    def profile() -> str:
        seen.append(session["user"])
        return f"profile of {session['user']}"

    anna, bert = log_in(app, "anna"), log_in(app, "bert")
    assert [text_of(who, "/profile") for who in (anna, bert, anna)][::2] == ["profile of anna"] * 2
    assert seen == ["anna", "bert"]


def test_a_custom_key_and_declared_inputs_make_the_key_together(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, make_cache_key=lambda: "mine", vary=["Accept-Language"])
    def index() -> str:
        return f"{request.headers['Accept-Language']} {calls()}"

    client = app.test_client()
    got = [text_of(client, headers={"Accept-Language": tongue}) for tongue in ("en", "de", "en")]
    assert got == ["en 1", "de 2", "en 1"]
    assert text_of(client, "/?page=2", headers={"Accept-Language": "en"}) == "en 1"
    with app.app_context():
        assert stored.delete("mine")


def test_requests_with_credentials_are_left_alone(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        who = request.authorization.username if request.authorization else "nobody"
        return f"{who} {calls()}"

    client = app.test_client()
    assert text_of(client, auth=("anna", "x")) == "anna 1"
    assert text_of(client, auth=("bert", "x")) == "bert 2"
    assert text_of(client) == "nobody 3"
    assert text_of(client) == "nobody 3"
    assert text_of(client, auth=("anna", "x")) == "anna 4"
    assert reasons(stored, app, "index") == {"unkeyed-input: header:authorization": 3}


def test_credentials_that_are_in_the_key(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=["Authorization"])
    def index() -> str:
        assert request.authorization is not None
        return f"{request.authorization.username} {calls()}"

    client = app.test_client()
    got = [text_of(client, auth=(who, "x")) for who in ("anna", "bert", "anna", "bert")]
    assert got == ["anna 1", "bert 2", "anna 1", "bert 2"]


def test_headers_in_the_key(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=[header("Accept-Language")])
    def index() -> Response:
        answer = make_response(f"{request.headers.get('Accept-Language')} {calls()}")
        answer.headers["Vary"] = "accept-language"
        return answer

    client = app.test_client()

    def ask(tongue: str | None) -> str:
        return text_of(client, headers={"Accept-Language": tongue} if tongue is not None else {})

    assert [ask("en"), ask("de"), ask(None)] == ["en 1", "de 2", "None 3"]
    assert [ask("en"), ask("de"), ask(None)] == ["en 1", "de 2", "None 3"]
    assert ask("") == " 4"


def test_cookies_in_the_key(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=[cookie("theme")])
    def index() -> str:
        return f"{request.cookies.get('theme')} {calls()}"

    client = app.test_client(use_cookies=False)

    def ask(line: str) -> str:
        return text_of(client, headers={"Cookie": line} if line else {})

    assert [ask("theme=dark; sid=1"), ask("sid=2; theme=dark")] == ["dark 1", "dark 1"]
    assert [ask("theme=light"), ask("sid=3"), ask("")] == ["light 2", "None 3", "None 3"]


def test_single_query_parameters_in_the_key(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=[query("page")])
    def index() -> str:
        return f"{request.args.get('page')} {calls()}"

    client = app.test_client()
    assert text_of(client, "/?page=1&utm_source=a") == "1 1"
    assert text_of(client, "/?utm_source=b&page=1") == "1 1"
    assert text_of(client, "/?page=2") == "2 2"
    assert text_of(client, "/?page=1&page=2") == "1 3"
    assert text_of(client, "/") == "None 4"


def test_computed_values_in_the_key(app: Flask, stored: Cache, calls: Calls) -> None:
    tenant: list[Any] = [1]

    @app.get("/")
    @stored.cached(60, vary=[value(lambda: tenant[0])])
    def index() -> str:
        return f"{tenant[0]!r} {calls()}"

    client = app.test_client()
    for number, tenant[0] in enumerate([1, "1", True, 1.0, None, ("a_b", "c"), ("a", "b_c")], 1):
        assert text_of(client) == f"{tenant[0]!r} {number}"
    tenant[0] = 1
    assert text_of(client) == "1 1"


@pytest.mark.parametrize("vary", ["Accept", [7], [None]])
def test_what_vary_does_not_take(cache: Cache, vary: Any) -> None:
    with pytest.raises(TypeError, match="vary"):
        cache.cached(60, vary=vary)


def test_memoize_varies_on_values_only(app: Flask, stored: Cache, calls: Calls) -> None:
    tongue = ["en"]

    @stored.memoize(60, vary=[lambda: tongue[0]])
    def greeting(name: str) -> str:
        return f"{tongue[0]} {name} {calls()}"

    with app.app_context():
        assert [greeting("a"), greeting("a")] == ["en a 1"] * 2
        tongue[0] = "de"
        assert [greeting("a"), greeting("b")] == ["de a 2", "de b 3"]
        tongue[0] = "en"
        assert greeting("a") == "en a 1"
    with pytest.raises(TypeError, match="callables"):
        stored.memoize(60, vary=["Accept-Language"])


def test_views_with_a_vary_inside_the_key_are_stored(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/")
    @stored.cached(60, vary=["Accept-Encoding"])
    def index() -> tuple[str, dict[str, str]]:
        return str(calls()), {"Vary": "Accept-Encoding"}

    client = app.test_client()
    assert [text_of(client), text_of(client)] == ["1", "1"]


def test_tampered_entries_are_misses(app: Flask, redis_url: str, calls: Calls) -> None:
    import pickle

    import redis
    from conftest import redis_config

    config = redis_config(redis_url)
    stored = Cache(app, config=config)
    opened: list[str] = []

    class Trap:
        def __reduce__(self) -> Any:
            return (opened.append, ("code was run",))

    number = stored.memoize(60)(lambda: calls())
    with app.app_context():
        assert number() == 1
        server = redis.Redis.from_url(redis_url)
        keys = list(server.scan_iter(config["CACHE_KEY_PREFIX"] + "*"))
        assert keys
        for found in keys:
            if server.type(found) == b"string":
                server.set(found, pickle.dumps(Trap()))
        server.close()
        assert number() in (1, 2)
        assert stored.get("absent") is None
    assert opened == []


def test_what_a_view_says_to_head_is_never_given_to_get(app: Flask, stored: Cache) -> None:
    @app.get("/page")
    @stored.cached(60)
    def page() -> str:
        return "" if request.method == "HEAD" else "the page"

    client = app.test_client()
    assert client.head("/page").status_code == 200
    assert text_of(client, "/page") == "the page"
    assert client.head("/page").content_length == len("the page")
