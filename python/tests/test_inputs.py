"""What a view reads outside its key: it is served, and nothing is stored."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Calls, passes, text_of
from flask import (
    Flask,
    Response,
    copy_current_request_context,
    g,
    jsonify,
    render_template_string,
    request,
    send_file,
    url_for,
)
from werkzeug.wrappers import Request as PlainRequest

from flask_larder import Cache, cookie, query
from flask_larder.testing import HandClock

LINK = "{{ url_for('index') }}"
ALICE = {"Authorization": "Bearer alice"}
BOB = {"Authorization": "Bearer bob"}


def status_of(answer: Any) -> str:
    """What the cache says of an answer."""
    return str(answer.headers["Cache-Status"])


def shown(app: Flask) -> Any:
    """A client without cookies of its own, whose answers say what the cache did."""
    return app.test_client(use_cookies=False)


@pytest.fixture
def told(app: Flask, store: dict[str, Any]) -> Cache:
    """A cache on each store, whose answers say what it did."""
    return Cache(app, config={**store, "CACHE_STATUS_HEADERS": True})


def test_t4_1_credentials_that_are_not_in_the_key(app: Flask, told: Cache) -> None:
    @app.get("/me")
    @told.cached(60)
    def me() -> str:
        return f"account of {request.headers.get('Authorization')}"

    client = shown(app)
    first = client.get("/me", headers=ALICE)
    assert first.text == "account of Bearer alice"
    assert status_of(first) == 'Larder; fwd=bypass; detail="unkeyed-input: header:authorization"'
    assert text_of(client, "/me", headers=BOB) == "account of Bearer bob"
    assert text_of(client, "/me") == "account of None"
    assert text_of(client, "/me", headers=ALICE) == "account of Bearer alice"
    with app.app_context():
        assert told.stats()["entries"] in (0, 1, None)


def test_t4_1_a_header_that_is_not_in_the_key(app: Flask, told: Cache, calls: Calls) -> None:
    @app.get("/")
    @told.cached(60)
    def index() -> str:
        return f"{request.headers.get('X-Any', '')} {calls()}"

    client = shown(app)
    for number, evil in enumerate(["<script>", "", "<script>"], 1):
        answer = client.get("/", headers={"X-Any": evil} if evil else {})
        assert answer.text == f"{evil} {number}"
        assert status_of(answer) == 'Larder; fwd=bypass; detail="unkeyed-input: header:x-any"'
    assert passes(told, app) == {"unkeyed-input: header:x-any": 3}


async def in_a_task(look: Callable[[], object]) -> None:
    """Looks in a task of the running loop."""

    async def inner() -> None:
        await asyncio.sleep(0)
        look()

    await asyncio.gather(inner(), asyncio.sleep(0))


def test_t4_1_coroutine_views(app: Flask, told: Cache, calls: Calls) -> None:
    @app.get("/")
    @told.cached(60)
    async def index() -> str:
        await in_a_task(lambda: request.headers.get("X-Any"))
        return str(calls())

    client = shown(app)
    assert [text_of(client), text_of(client)] == ["1", "2"]
    assert passes(told, app) == {"unkeyed-input: header:x-any": 2}


def all_of(mapping: Any) -> list[Any]:
    return list(mapping.items())


LOOKS: dict[str, tuple[Callable[[], object], str]] = {
    "item": (lambda: request.headers["User-Agent"], "header:user-agent"),
    "get": (lambda: request.headers.get("x-any"), "header:x-any"),
    "in": (lambda: "X-Any" in request.headers, "header:x-any"),
    "getlist": (lambda: request.headers.getlist("X-Any"), "header:x-any"),
    "iteration": (lambda: list(request.headers), "header:*"),
    "items": (lambda: all_of(request.headers), "header:*"),
    "text": (lambda: str(request.headers), "header:*"),
    "dict": (lambda: dict(request.headers), "header:*"),
    "languages": (lambda: request.accept_languages.best_match(["en"]), "header:accept-language"),
    "types": (lambda: request.accept_mimetypes.accept_json, "header:accept"),
    "encodings": (lambda: request.accept_encodings, "header:accept-encoding"),
    "agent": (lambda: request.user_agent.string, "header:user-agent"),
    "referrer": (lambda: request.referrer, "header:referer"),
    "if-none-match": (lambda: request.if_none_match, "header:if-none-match"),
    "if-modified-since": (lambda: request.if_modified_since, "header:if-modified-since"),
    "range": (lambda: request.range, "header:range"),
    "origin": (lambda: request.origin, "header:origin"),
    "control": (lambda: request.cache_control.no_cache, "header:cache-control"),
    "type": (lambda: request.mimetype, "header:content-type"),
    "json": (lambda: request.is_json, "header:content-type"),
    "cookie": (lambda: request.cookies.get("theme"), "cookie:theme"),
    "cookie item": (lambda: request.cookies["theme"], "cookie:theme"),
    "cookies": (lambda: dict(request.cookies), "cookie:*"),
    "cookies unpacked": (lambda: {**request.cookies}, "cookie:*"),
    "are there cookies": (lambda: bool(request.cookies), "cookie:*"),
    "cookie header": (lambda: request.headers.get("Cookie"), "header:cookie"),
    "address": (lambda: request.remote_addr, "remote-addr"),
    "route": (lambda: request.access_route, "remote-addr"),
    "user": (lambda: request.remote_user, "remote-user"),
    "data": (lambda: request.data, "body"),
    "get_data": (lambda: request.get_data(), "body"),
    "form": (lambda: request.form.get("a"), "body"),
    "files": (lambda: request.files, "body"),
    "get_json": (lambda: request.get_json(silent=True), "body"),
    "stream": (lambda: request.stream.read(), "body"),
    "environ": (lambda: request.environ["HTTP_USER_AGENT"], "header:user-agent"),
    "environ get": (lambda: request.environ.get("HTTP_X_ANY"), "header:x-any"),
    "environ cookie": (lambda: "HTTP_COOKIE" in request.environ, "header:cookie"),
    "environ address": (lambda: request.environ["REMOTE_ADDR"], "remote-addr"),
    "environ user": (lambda: request.environ.get("REMOTE_USER"), "remote-user"),
    "environ body": (lambda: request.environ["wsgi.input"], "body"),
    "certificate": (lambda: request.environ.get("SSL_CLIENT_S_DN"), "environ:SSL_CLIENT_S_DN"),
    "environ copied": (lambda: dict(request.environ), "environ:*"),
    "environ items": (lambda: all_of(request.environ), "environ:*"),
    "environ keys": (lambda: [*request.environ], "environ:*"),
    "environ unpacked": (lambda: {**request.environ}, "environ:*"),
    "environ of headers": (lambda: request.headers.environ["HTTP_X"], "header:x"),  # type: ignore[attr-defined]
    "a request of one's own": (lambda: PlainRequest(request.environ).cookies, "header:cookie"),
    "g": (lambda: g.get("user"), "g:user"),
    "g attribute": (lambda: getattr(g, "current_user", None), "g:current_user"),
    "g in": (lambda: "user_id" in g, "g:user_id"),
    "g of a login": (lambda: hasattr(g, "_login_user"), "g:_login_user"),
    "target": (lambda: request.environ.get("RAW_URI"), "environ:RAW_URI"),
    "everything": (lambda: vars(request._get_current_object()), "request:*"),  # type: ignore[attr-defined]
    "attribute": (lambda: getattr(request, "user", None), "request:user"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_every_way_to_look_counts(app: Flask, cache: Cache, calls: Calls, name: str) -> None:
    look, read = LOOKS[name]
    headers = {"User-Agent": "x", "Cookie": "theme=dark", "X": "x"}

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        with contextlib.suppress(KeyError):
            look()
        return str(calls())

    client = shown(app)
    assert [text_of(client, headers=headers) for _ in range(2)] == ["1", "2"]
    counted = passes(cache, app)
    first = f"unkeyed-input: {read}"
    assert counted == {first: 2} or name == "a request of one's own"


@pytest.mark.parametrize("name", LOOKS)
def test_a_hook_that_looks_first_hides_nothing(
    app: Flask, cache: Cache, calls: Calls, name: str
) -> None:
    """Werkzeug keeps what was asked for once; a view that asks again is noted all the same."""
    look, _ = LOOKS[name]
    headers = {"User-Agent": "x", "Cookie": "theme=dark", "X": "x"}

    def looking() -> None:
        with contextlib.suppress(KeyError):
            look()

    app.before_request(looking)

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        looking()
        return str(calls())

    client = shown(app)
    assert [text_of(client, headers=headers) for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize("name", LOOKS)
def test_what_hooks_look_at_alone_does_no_harm(
    app: Flask, stored: Cache, calls: Calls, name: str
) -> None:
    look, _ = LOOKS[name]

    def looking() -> None:
        with contextlib.suppress(KeyError):
            look()

    app.before_request(looking)

    @app.after_request
    def after(response: Response) -> Response:
        looking()
        return response

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return str(calls())

    client = shown(app)
    headers = {"User-Agent": "x", "Cookie": "theme=dark", "X": "x"}
    assert [text_of(client, headers=headers) for _ in range(2)] == ["1", "1"]


KEYED: dict[str, Callable[[], object]] = {
    "path": lambda: (request.path, request.view_args, request.endpoint, request.url_rule),
    "host": lambda: (request.host, request.host_url, request.scheme, request.is_secure),
    "host header": lambda: request.headers["Host"],
    "url": lambda: (request.url, request.base_url, request.full_path, request.root_url),
    "query": lambda: (request.args.get("page"), request.query_string, dict(request.args)),
    "values": lambda: request.values.get("page"),
    "method": lambda: (request.method, request.script_root),
    "environ": lambda: [request.environ[name] for name in ("PATH_INFO", "QUERY_STRING")],
    "server": lambda: request.environ.get("wsgi.multithread"),
    "g": lambda: g.setdefault("numbers", 1),
    "url_for": lambda: url_for("index", _external=True),
    "jsonify": lambda: jsonify(a=1),
    "answer": lambda: request.environ.setdefault("larder.test", 1),
}


@pytest.mark.parametrize("name", KEYED)
def test_what_is_in_the_key_does_not_count(
    app: Flask, stored: Cache, calls: Calls, name: str
) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        KEYED[name]()
        return str(calls())

    assert [text_of(shown(app), "/?page=2") for _ in range(2)] == ["1", "1"]
    assert passes(stored, app) == {}


def test_answers_that_flask_makes_of_the_request(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, response_filter=lambda answer: True)
    def index() -> Response:
        calls()
        whole = send_file(io.BytesIO(b"the file"), "text/plain", etag=False)
        answer = app.make_response(b"".join(whole.response))  # type: ignore[arg-type]
        answer.add_etag()
        return answer.make_conditional(request)

    @app.get("/template")
    @stored.cached(60)
    def template() -> str:
        return render_template_string("{{ number }} {{ url_for('index') }}", number=calls())

    client = shown(app)
    for path in ("/", "/template"):
        first = text_of(client, path)
        assert text_of(client, path) == first
    assert calls.count == 2


def test_an_answer_to_a_condition_is_not_given_to_others(app: Flask, stored: Cache) -> None:
    """A view that answers conditions by Werkzeug's own means reads them, and what it says then is not
    stored."""

    @app.get("/")
    @stored.cached(60)
    def index() -> Response:
        answer = app.make_response("the page")
        answer.set_etag("1")
        return answer.make_conditional(request)

    client = shown(app)
    assert client.get("/", headers={"If-None-Match": '"1"'}).status_code == 304
    assert text_of(client) == "the page"
    assert text_of(client) == "the page"


def test_templates_are_read_like_code(app: Flask, stored: Cache) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        return render_template_string("{{ request.headers['X-Any'] }}{{ g.user }}")

    client = shown(app)
    assert text_of(client, headers={"X-Any": "evil"}) == "evil"
    assert text_of(client) == ""
    assert passes(stored, app) == {"unkeyed-input: header:x-any": 2}


def test_a_query_that_was_narrowed(app: Flask, stored: Cache, calls: Calls) -> None:
    looks: dict[str, Callable[[], object]] = {
        "page": lambda: request.args.get("page"),
        "values": lambda: request.values.get("page"),
        "other": lambda: request.args.get("utm_source"),
        "other value": lambda: request.values.get("utm_source"),
        "in": lambda: "utm_source" in request.args,
        "all": lambda: request.args.to_dict(),
        "text": lambda: request.query_string,
        "url": lambda: request.url,
        "path": lambda: request.full_path,
        "environ": lambda: request.environ["QUERY_STRING"],
        "base": lambda: request.base_url,
    }
    chosen = [""]

    @app.get("/")
    @stored.cached(60, vary=[query("page")])
    def index() -> str:
        looks[chosen[0]]()
        return str(calls())

    client = shown(app)
    expected = {
        "other": "query:utm_source",
        "other value": "query:utm_source",
        "in": "query:utm_source",
        "all": "query:*",
        "text": "query:*",
        "url": "query:*",
        "path": "query:*",
        "environ": "query:*",
    }
    for number, chosen[0] in enumerate(looks):
        before = passes(stored, app)
        assert text_of(client, f"/?page={number}&utm_source=x")
        new = [
            reason for reason, count in passes(stored, app).items() if before.get(reason) != count
        ]
        wanted = expected.get(chosen[0])
        assert new == ([] if wanted is None else [f"unkeyed-input: {wanted}"]), chosen


def test_declared_inputs_may_be_read(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60, vary=["Accept-Language", cookie("theme")])
    def index() -> str:
        tongue = request.accept_languages.best_match(["en", "de"])
        return f"{tongue} {request.cookies.get('theme')} {calls()}"

    client = shown(app)

    def ask(tongue: str, theme: str) -> str:
        return text_of(client, headers={"Accept-Language": tongue, "Cookie": f"theme={theme}; a=1"})

    for _ in range(2):
        assert [ask("en", "dark"), ask("de", "dark"), ask("en", "light")] == [
            "en dark 1",
            "de dark 2",
            "en light 3",
        ]
    assert passes(stored, app) == {}


def test_a_callable_in_the_key_covers_what_it_reads(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    def tongue() -> str | None:
        return request.accept_languages.best_match(["en", "de"])

    @app.get("/")
    @stored.cached(60, vary=[tongue])
    def index() -> str:
        if "other" in request.args:
            request.headers.get("X-Other")
        return f"{tongue()} {calls()}"

    client = shown(app)
    wanted = [("en", "en 1"), ("de-AT,de", "de 2"), ("en-US,en", "en 1"), ("de", "de 2")]
    for accepted, text in wanted:
        assert text_of(client, headers={"Accept-Language": accepted}) == text
    assert passes(stored, app) == {}
    text_of(client, "/?other=1", headers={"Accept-Language": "en"})
    assert passes(stored, app) == {"unkeyed-input: header:x-other": 1}


def test_t4_7_a_user_that_a_hook_has_set(app: Flask, told: Cache) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/me")
    @told.cached(60)
    def me() -> str:
        return f"profile of {g.user}"

    client = shown(app)
    for _ in range(2):
        for name in ("anna", "bert"):
            answer = client.get("/me", headers={"X-User": name})
            assert answer.text == f"profile of {name}"
            assert status_of(answer) == 'Larder; fwd=bypass; detail="unkeyed-input: g:user"'


def test_t4_7_a_user_that_a_hook_has_set_for_a_coroutine(app: Flask, told: Cache) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/me")
    @told.cached(60)
    async def me() -> str:
        await asyncio.sleep(0)
        return f"profile of {g.user}"

    client = shown(app)
    for name in ("anna", "bert", "anna"):
        assert text_of(client, "/me", headers={"X-User": name}) == f"profile of {name}"
    assert passes(told, app, "me") == {"unkeyed-input: g:user": 3}


def test_a_user_in_the_key_may_be_read(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.before_request
    def load_user() -> None:
        g.user = request.headers.get("X-User")

    @app.get("/me")
    @stored.cached(60, vary=[lambda: g.user])
    def me() -> str:
        return f"profile of {g.user} {calls()}"

    client = shown(app)
    got = [text_of(client, "/me", headers={"X-User": name}) for name in ("anna", "bert", "anna")]
    assert got == ["profile of anna 1", "profile of bert 2", "profile of anna 1"]


def test_what_a_view_puts_into_g_itself(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/<name>")
    @stored.cached(60)
    def index(name: str) -> str:
        g.user = name
        return f"{g.user} {g.get('user')} {calls()}"

    assert [text_of(shown(app), "/anna") for _ in range(2)] == ["anna anna 1"] * 2


@pytest.mark.parametrize(("names", "texts"), [([], ["1", "1"]), (["tenant"], ["1", "2"])])
def test_the_names_of_users_can_be_chosen(
    app: Flask, store: dict[str, Any], calls: Calls, names: list[str], texts: list[str]
) -> None:
    cache = Cache(app, config={**store, "CACHE_USER_NAMES": names})

    @app.before_request
    def load() -> None:
        g.tenant = g.user = 1

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return str(calls()) if g.tenant and g.user else ""

    assert [text_of(shown(app)), text_of(shown(app))] == texts


def test_the_names_of_users_are_a_list(app: Flask) -> None:
    with pytest.raises(ValueError, match="CACHE_USER_NAMES='user' is no list"):
        Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_USER_NAMES": "user"})


def test_the_log_names_the_cure_once(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return f"{request.headers.get('X-Any')}{request.cookies.get('theme')}"

    for _ in range(3):
        text_of(shown(app))
    header, theme = [message for message in caplog.messages if "not in its key" in message]
    assert "index read the header x-any" in header
    assert header.endswith('(vary=["X-Any"])')
    assert theme.endswith('(vary=[cookie("theme")])')


def test_in_debug_the_reason_has_file_and_line(app: Flask, store: dict[str, Any]) -> None:
    app.debug = True
    cache = Cache(app, config=store)

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return request.headers.get("X-Any", "")

    @app.get("/template")
    @cache.cached(60)
    def template() -> str:
        return render_template_string("a\nb\n{{ request.headers['X-Any'] }}")

    @app.get("/session")
    @cache.cached(60)
    def looking() -> str:
        from flask import session

        return str(session.get("user"))

    client = shown(app)
    line = index.uncached.__code__.co_firstlineno + 3
    said = status_of(client.get("/"))
    assert f"unkeyed-input: header:x-any ({__file__}:{line})" in said
    assert "header:x-any (<template>:3)" in status_of(client.get("/template"))
    line = looking.uncached.__code__.co_firstlineno + 5
    assert f"session ({__file__}:{line})" in status_of(client.get("/session"))


def test_the_view_finds_what_it_would_find_otherwise(app: Flask, cache: Cache) -> None:
    kept: dict[str, Any] = {}

    def note() -> None:
        real = request._get_current_object()  # type: ignore[attr-defined]
        kept.setdefault("requests", []).append(real)
        kept.setdefault("kinds", []).append((type(real), type(real.headers), type(real.cookies)))

    app.before_request(note)

    @app.get("/")
    @cache.cached(60, vary=[query("page")])
    def index() -> str:
        real = request._get_current_object()  # type: ignore[attr-defined]
        assert real is kept["requests"][0]
        assert isinstance(real, app.request_class)
        assert request.headers is request.headers
        assert request.environ is request.environ
        assert repr(type(real)) == repr(app.request_class)
        assert isinstance(request.environ, dict)
        kept["headers"], kept["args"] = request.headers, request.args
        kept["environ"], kept["cookies"] = request.environ, request.cookies
        assert pickle.loads(pickle.dumps(request.args)) == request.args
        assert type(pickle.loads(pickle.dumps(request.args))) is kept["kinds"][0][2]
        assert copy.copy(request.args) == request.args
        request.environ["larder.test"] = 7
        assert g.pop("nothing", 5) == 5
        with pytest.raises(AttributeError, match="nothing"):
            _ = request.nothing  # type: ignore[attr-defined]
        return "page"

    @app.after_request
    def after(response: Response) -> Response:
        note()
        assert request.environ["larder.test"] == 7
        return response

    assert text_of(shown(app), "/?page=1", headers={"Cookie": "theme=dark"}) == "page"
    assert kept["kinds"][0] == kept["kinds"][1]
    assert type(kept["headers"]) is kept["kinds"][0][1]
    assert type(kept["cookies"]) is type(kept["args"]) is kept["kinds"][0][2]
    # Whoever keeps the environment can go on reading in it.
    assert kept["environ"]["HTTP_COOKIE"] == "theme=dark"
    assert dict(kept["environ"])["larder.test"] == 7


def test_a_request_class_of_the_applications_own(app: Flask, stored: Cache, calls: Calls) -> None:
    class Own(app.request_class):  # type: ignore[name-defined, misc]
        @property
        def tenant(self) -> str:
            return str(self.headers.get("X-Tenant"))

        @property
        def remote_user(self) -> str | None:
            """Overrides what Werkzeug has of that name."""
            return self.cookies.get("user")

    app.request_class = Own

    @app.get("/tenant")
    @stored.cached(60)
    def tenant() -> str:
        return f"{request.tenant} {calls()}"  # type: ignore[attr-defined]

    @app.get("/user")
    @stored.cached(60, vary=[lambda: 1])
    def user() -> str:
        return f"{request.remote_user} {calls()}"

    client = shown(app)
    assert text_of(client, "/tenant", headers={"X-Tenant": "a"}) == "a 1"
    assert text_of(client, "/tenant", headers={"X-Tenant": "b"}) == "b 2"
    assert text_of(client, "/user", headers={"Cookie": "user=a"}) == "a 3"
    assert text_of(client, "/user", headers={"Cookie": "user=b"}) == "b 4"


def test_no_attribute_of_a_request_is_forgotten(app: Flask) -> None:
    """Whatever the installed Flask and Werkzeug offer is known here: as an input, or as none."""
    from flask_larder.reads import ATTRIBUTES

    known = {
        *("application", "charset", "close", "dict_storage_class", "encoding", "encoding_errors"),
        *("environ", "form_data_parser_class", "from_values", "is_multiprocess", "is_multithread"),
        *("is_run_once", "is_secure", "json_module", "list_storage_class", "make_form_data_parser"),
        *("max_content_length", "max_form_memory_size", "max_form_parts", "method"),
        *("on_json_loading_failed", "parameter_storage_class", "root_path", "routing_exception"),
        *("scheme", "script_root", "server", "shallow", "trusted_hosts", "url_charset"),
        *("user_agent_class", "disable_data_descriptor"),
    }
    with app.test_request_context("/"):
        offered = {name for name in dir(request) if not name.startswith("_")}
    assert offered - known - ATTRIBUTES.keys() == set()


def test_threads_note_for_their_request(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        look = copy_current_request_context(lambda: request.headers.get("X-Any"))
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return str(calls())

    assert [text_of(shown(app)), text_of(shown(app))] == ["1", "2"]


def test_requests_side_by_side_are_not_blamed_for_each_other(app: Flask, cache: Cache) -> None:
    meeting = threading.Barrier(2, timeout=30)

    @app.get("/<name>")
    @cache.cached(60)
    def index(name: str) -> str:
        meeting.wait()
        if name == "curious":
            request.headers.get("X-Any")
        meeting.wait()
        return name

    threads = [
        threading.Thread(target=lambda name=name: text_of(shown(app), f"/{name}"))
        for name in ("curious", "plain")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passes(cache, app) == {"unkeyed-input: header:x-any": 1}
    with app.app_context():
        assert cache.stats()["entries"] == 1


def test_cached_functions_and_fragments_within_a_view(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @stored.memoize(60)
    def greeting(name: str) -> str:
        return f"{name} {request.headers.get('X-Any')}"

    @app.get("/function")
    @stored.cached(60)
    def function() -> str:
        return f"{greeting('a')} {calls()}"

    @app.get("/fragment")
    @stored.cached(60)
    def fragment() -> str:
        text = '{% cache 60, "x" %}{{ request.cookies.theme }}{% endcache %}'
        return render_template_string(text) + f" {calls()}"

    client = shown(app)
    for path in ("/function", "/fragment"):
        texts = {text_of(client, path) for _ in range(3)}
        assert len(texts) == 3, path
    assert set(passes(stored, app, "function")) == {"unkeyed-input: header:x-any"}
    assert set(passes(stored, app, ".fragment")) == {"unkeyed-input: cookie:theme"}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_function_that_is_found_stored_counts_as_well(
    app: Flask, stored: Cache, calls: Calls, when: str
) -> None:
    @stored.memoize(60)
    def greeting() -> str:
        return f"hello {request.headers.get('X-Any')}"

    @app.get("/plain")
    def plain() -> str:
        return greeting()

    @app.get("/cached")
    @stored.cached(60)
    def view() -> str:
        if when == "meanwhile":
            text_of(shown(app), "/plain")
        return f"{greeting()} {calls()}"

    client = shown(app)
    for _ in range(3):
        # The first one loads, the second one lets the next hits be answered natively.
        assert text_of(client, "/plain", headers={"X-Any": "a"}) == "hello a"
    assert [text_of(client, "/cached") for _ in range(2)] == ["hello a 1", "hello a 2"]
    assert passes(stored, app, "view") == {"unkeyed-input: header:x-any": 2}


def test_a_cached_view_within_a_view(app: Flask, stored: Cache, calls: Calls) -> None:
    """What is in the key of the inner one, and not in that of the outer one, counts for the outer one;
    also where the inner one is found in the cache."""

    @app.get("/inner")
    @stored.cached(60, key_prefix="inner", vary=["Accept-Language"])
    def inner() -> str:
        return f"{request.headers['Accept-Language']} {calls()}"

    @app.get("/outer")
    @stored.cached(60)
    def outer() -> str:
        return f"outer {inner()}"

    client = shown(app)

    def ask(path: str, tongue: str) -> str:
        return text_of(client, path, headers={"Accept-Language": tongue})

    assert [ask("/inner", "en"), ask("/inner", "de"), ask("/inner", "en")] == [
        "en 1",
        "de 2",
        "en 1",
    ]
    assert [ask("/outer", "en"), ask("/outer", "de"), ask("/outer", "en")] == [
        "outer en 1",
        "outer de 2",
        "outer en 1",
    ]
    assert passes(stored, app, "outer") == {"unkeyed-input: header:accept-language": 3}


def test_flask_may_know_the_path_that_is_not_in_the_key(
    app: Flask, stored: Cache, calls: Calls
) -> None:
    @app.get("/a")
    @stored.cached(60, key_prefix="one")
    def index() -> str:
        return f"{url_for('index')} {render_template_string(LINK)} {calls()}"

    assert [text_of(shown(app), "/a") for _ in range(2)] == ["/a /a 1"] * 2


def test_a_refresh_whose_view_hides_what_it_read_is_not_stored(
    app: Flask, stored: Cache, calls: Calls, clock: HandClock
) -> None:
    @app.get("/")
    @stored.cached(60, stale=600)
    def index() -> str:
        if calls() > 1:
            with contextlib.suppress(RuntimeError):
                request.headers.get("X-Any")
        return str(calls.count)

    client = shown(app)
    assert text_of(client) == "1"
    clock.advance(61)
    assert text_of(client) == "1"
    stored._background.join()
    assert calls.count == 2
    assert passes(stored, app) == {"unkeyed-input: header:x-any": 1}
    # What is stored still, or an answer of its own.
    assert text_of(client) in ("1", "3")


def test_a_prefix_without_the_path(app: Flask, stored: Cache, calls: Calls) -> None:
    @app.get("/a")
    @app.get("/b")
    @stored.cached(60, key_prefix="both")
    def index() -> str:
        return f"{request.path} {calls()}"

    client = shown(app)
    assert [text_of(client, path) for path in ("/a", "/b", "/a")] == ["/a 1", "/b 2", "/a 3"]
    assert passes(stored, app) == {"unkeyed-input: path": 3}


def test_a_view_that_fails_leaves_the_request_as_it_was(app: Flask, stored: Cache) -> None:
    app.testing = False
    kinds: list[type[Any]] = []

    @app.get("/")
    @stored.cached(60)
    def index() -> str:
        raise LookupError(request.headers.get("X-Any"))

    @app.after_request
    def after(response: Response) -> Response:
        kinds.append(type(request._get_current_object()))  # type: ignore[attr-defined]
        return response

    assert shown(app).get("/").status_code == 500
    assert kinds == [app.request_class]
