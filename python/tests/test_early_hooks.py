"""Whatever could make another answer of a hit keeps it from being answered early."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from typing import Any

import flask
import pytest
from early_support import ask, counted, early_app, warmed
from flask import Blueprint, Flask, Request, Response, views
from flask.sessions import SecureCookieSessionInterface
from werkzeug.routing import BaseConverter, ValidationError
from werkzeug.wrappers import Response as WerkzeugResponse

from flask_larder import Cache, Http
from flask_larder.early import level

Change = Callable[[Flask], object]
SKIP = "skip-hooks"
SIGNALS = ("request_", "appcontext_")


def nothing(*_args: Any, **_kwargs: Any) -> None:
    """A hook that does nothing, as far as Larder can know."""


def unchanged(response: Any) -> Any:
    """A hook for answers."""
    return response


def put(attribute: str, hook: Any, scope: str | None = None) -> Change:
    """Registers a hook as extensions do, also after the first request."""
    return lambda app: getattr(app, attribute).setdefault(scope, []).append(hook)


class Interface(SecureCookieSessionInterface):
    """A session interface of the application's own."""


class OwnRequest(Request):
    """A request class of the application's own."""


def listening(name: str) -> Change:
    """Connects a receiver to a signal, for as long as the application lives."""

    def connect(app: Flask) -> None:
        getattr(flask, name).connect(hears, app)

    return connect


def hears(*_args: Any, **_kwargs: Any) -> None:
    """A receiver of a signal."""


@pytest.fixture(autouse=True, scope="module")
def _silence() -> None:
    """What other tests have left behind hears no signal."""
    gc.collect()


@pytest.fixture(autouse=True)
def _left_silent() -> Generator[None]:
    """Nor does what a test here leaves behind."""
    yield
    for name in HOOKS:
        if name.startswith(SIGNALS):
            getattr(flask, name).disconnect(hears)


def overriding(name: str) -> Change:
    """Puts a method of the application's own in the place of Flask's, on the object."""
    return lambda app: setattr(app, name, getattr(app, name))


HOOKS: dict[str, Change] = {
    "before_request": put("before_request_funcs", nothing),
    "after_request": put("after_request_funcs", unchanged),
    "teardown_request": put("teardown_request_funcs", nothing),
    "url_value_preprocessor": put("url_value_preprocessors", nothing),
    "teardown_appcontext": lambda app: app.teardown_appcontext_funcs.append(nothing),
    "before_request of the blueprint": put("before_request_funcs", nothing, "shop"),
    "after_request of the blueprint": put("after_request_funcs", unchanged, "shop"),
    "teardown_request of the blueprint": put("teardown_request_funcs", nothing, "shop"),
    "url_value_preprocessor of the blueprint": put("url_value_preprocessors", nothing, "shop"),
    "session interface": lambda app: setattr(app, "session_interface", Interface()),
    "request_started": listening("request_started"),
    "request_finished": listening("request_finished"),
    "request_tearing_down": listening("request_tearing_down"),
    "appcontext_pushed": listening("appcontext_pushed"),
    "appcontext_popped": listening("appcontext_popped"),
    "appcontext_tearing_down": listening("appcontext_tearing_down"),
}
"""What "skip-hooks" skips."""

ALWAYS: dict[str, Change] = {
    "debug": lambda app: app.config.update(DEBUG=True),
    "request class": lambda app: setattr(app, "request_class", OwnRequest),
    **{name: overriding(name) for name in ("full_dispatch_request", "finalize_request")},
    **{name: overriding(name) for name in ("process_response", "make_response")},
    **{name: overriding(name) for name in ("dispatch_request", "create_url_adapter")},
}
"""What nothing skips."""


def site(early: Any) -> tuple[Flask, Cache]:
    """A cached view in a blueprint."""
    app, cache = early_app(early=early)
    blueprint = Blueprint("shop", __name__)
    blueprint.add_url_rule("/", "view", cache.cached(60)(lambda: "text"))
    app.register_blueprint(blueprint)
    return app, cache


def said_before(app: Flask, cache: Cache) -> str:
    """Why hits are not answered early, as `explain` says it."""
    found = cache.explain("http://a.example/")
    assert (found.level == "early") == (found.level_why is None)
    assert f"level:  {found.level}" in str(found)
    return found.level_why or ""


@pytest.mark.parametrize("early", [True, SKIP])
@pytest.mark.parametrize("name", [*HOOKS, *ALWAYS])
def test_each_hook_forbids_it_whenever_it_comes(name: str, early: Any) -> None:
    change = {**HOOKS, **ALWAYS}[name]
    forbidden = early is True or name in ALWAYS
    app, cache = site(early)
    change(app)
    assert warmed(app).early != forbidden
    assert (said_before(app, cache) != "") == forbidden

    app, cache = site(early)
    if name.startswith(SIGNALS):
        getattr(flask, name).disconnect(hears)
    assert warmed(app).early
    assert said_before(app, cache) == ""
    change(app)
    # Seen by the very next request, and by all others.
    assert not (forbidden and ask(app).early)
    assert warmed(app).early != forbidden
    assert (said_before(app, cache) != "") == forbidden


def test_hooks_of_other_blueprints_do_not_matter() -> None:
    app, _ = site(True)
    put("before_request_funcs", nothing, "office")(app)
    put("after_request_funcs", unchanged, "office")(app)
    assert warmed(app).early


def test_a_hook_beside_one_of_larders_own_forbids_it() -> None:
    app, cache = early_app()
    counted(cache, app, http=True)
    assert app.after_request_funcs[None]
    assert warmed(app).early
    put("after_request_funcs", unchanged)(app)
    assert not ask(app).early
    app.after_request_funcs[None].remove(unchanged)
    assert warmed(app).early
    # Another list in the place of the first one, as long as it was.
    app.after_request_funcs[None] = [unchanged]
    assert not ask(app).early


def test_a_hook_that_is_taken_away_again_forbids_it_no_longer() -> None:
    app, _ = site(True)
    assert warmed(app).early

    with flask.request_started.connected_to(hears):
        assert not warmed(app).early
    assert warmed(app).early


def test_a_hook_that_answers_is_not_passed_by() -> None:
    app, _ = site(True)
    assert warmed(app).early
    put("before_request_funcs", lambda: ("closed", 503))(app)
    assert ask(app).status == "503 SERVICE UNAVAILABLE"


def test_a_class_that_is_patched_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = site(True)
    assert warmed(app).early
    own = Flask.full_dispatch_request

    def patched(self: Flask) -> Response:
        answer = own(self)
        answer.headers["X-Seen"] = "1"
        return answer

    monkeypatch.setattr(Flask, "full_dispatch_request", patched)
    said = ask(app)
    assert (said.early, ("X-Seen", "1") in said.headers) == (False, True)
    assert not warmed(app).early


@pytest.mark.parametrize(
    "name",
    ["wsgi_app", "finalize_request", "process_response", "ensure_sync", "do_teardown_request"],
)
def test_a_subclass_that_overrides_something_forbids_it(name: str) -> None:
    kind = type("Own", (Flask,), {name: lambda self, *args: getattr(Flask, name)(self, *args)})
    app, cache = early_app(app=kind("own"))
    counted(cache, app)
    assert not warmed(app).early
    assert name in said_before(app, cache) or name == "wsgi_app"


def test_a_middleware_within_forbids_it_and_one_without_does_not() -> None:
    def middleware(inner: Any) -> Any:
        def outer(environ: Any, start_response: Any) -> Any:
            environ["PATH_INFO"] = environ["PATH_INFO"].replace("/old", "")
            return inner(environ, start_response)

        return outer

    app = Flask("within")
    app.wsgi_app = middleware(app.wsgi_app)  # type: ignore[method-assign]
    app, cache = early_app(app=app)
    counted(cache, app)
    assert not warmed(app).early
    assert "WSGI middleware" in said_before(app, cache)
    app, cache = early_app()
    counted(cache, app)
    app.wsgi_app = middleware(app.wsgi_app)  # type: ignore[method-assign]
    assert warmed(app, "/old/").early


def test_a_request_with_a_session_goes_to_flask_where_sessions_are_refreshed() -> None:
    app, _ = site(True)

    @app.get("/login")
    def login() -> str:
        flask.session["user"] = "anna"
        flask.session.permanent = True
        return "in"

    cookie = dict(ask(app, "/login").headers)["Set-Cookie"].partition(";")[0]
    assert warmed(app).early
    said = ask(app, HTTP_COOKIE=cookie)
    assert (said.early, "Set-Cookie" in dict(said.headers)) == (False, True)
    assert not ask(app, HTTP_COOKIE=f"a=b; {cookie}").early
    assert ask(app, HTTP_COOKIE="theme=session").early
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert warmed(app, HTTP_COOKIE=cookie).early
    app.config["SESSION_COOKIE_NAME"] = "other"
    app.config["SESSION_REFRESH_EACH_REQUEST"] = True
    assert warmed(app, HTTP_COOKIE=cookie).early
    assert not warmed(app, HTTP_COOKIE=cookie.replace("session", "other")).early


def test_a_route_with_a_converter_of_its_own_forbids_it() -> None:
    class Known(BaseConverter):
        """Knows what there is."""

        there = True

        def to_python(self, value: str) -> str:
            if not self.there:
                raise ValidationError(value)
            return value

    app, cache = early_app()
    app.url_map.converters["known"] = Known
    counted(cache, app, "/<known:name>")
    assert warmed(app, "/page").status == "200 OK"
    Known.there = False
    assert ask(app, "/page").status == "404 NOT FOUND"
    Known.there = True
    assert "converter" in str(cache.explain("http://a.example/page").level_why)


def test_a_changed_url_map_is_obeyed() -> None:
    app, cache = early_app()
    counted(cache, app, "/<path:rest>")
    assert warmed(app, "/page").early
    rule = app.url_rule_class("/page", endpoint="other", methods=["GET"])
    app.view_functions["other"] = lambda: "other"
    app.url_map.add(rule)
    assert ask(app, "/page").body == b"other"
    assert warmed(app, "/page").body == b"other"
    # Another request may make Flask take note of a new route before the old page is asked for.
    assert warmed(app, "/more").early
    app.url_map.add(app.url_rule_class("/more", endpoint="other", methods=["GET"]))
    ask(app, "/unknown/of/all")
    assert ask(app, "/more").body == b"other"
    app.url_map = app.url_map_class([app.url_rule_class("/x", endpoint="other")])
    assert ask(app, "/again").status == "404 NOT FOUND"


def test_a_view_that_is_overridden_later_is_called() -> None:
    app, cache = early_app()
    counted(cache, app)
    assert warmed(app).early
    endpoint = next(name for name in app.view_functions if name != "static")
    own = app.view_functions[endpoint]
    app.view_functions[endpoint] = lambda: "overridden"
    assert ask(app).body == b"overridden"
    app.view_functions[endpoint] = own
    assert ask(app).body == b"call 1"
    app.view_functions = {**app.view_functions, endpoint: lambda: "all of them"}
    assert ask(app).body == b"all of them"


def guarded(view: Any) -> Any:
    """A decorator above `cached`."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        if flask.request.headers.get("X-Key") != "right":
            flask.abort(403)
        return view(*args, **kwargs)

    checked.__wrapped__ = view  # type: ignore[attr-defined]
    return checked


@pytest.mark.parametrize("early", [True, SKIP])
def test_a_decorator_above_is_not_passed_by(early: Any) -> None:
    app, cache = early_app(early=early)
    app.add_url_rule("/", "view", guarded(cache.cached(60)(lambda: "text")))
    assert warmed(app, HTTP_X_KEY="right").body == b"text"
    assert ask(app, HTTP_X_KEY="right").early is False
    assert ask(app).status == "403 FORBIDDEN"
    assert "decorated once more" in said_before(app, cache)


@pytest.mark.parametrize("early", [True, SKIP])
def test_a_class_is_asked_itself(early: Any) -> None:
    app, cache = early_app(early=early)

    class Page(views.MethodView):
        """A page."""

        @cache.cached(60)
        def get(self) -> str:
            return "text"

    app.add_url_rule("/", view_func=Page.as_view("page"))
    said = warmed(app)
    assert (said.early, said.body) == (False, b"text")


OPTIONS: dict[str, dict[str, Any]] = {
    "unless": {"unless": lambda *_args, **_kwargs: False},
    "forced_update": {"forced_update": lambda *_args, **_kwargs: False},
    "is_stale": {"is_stale": lambda *_args, **_kwargs: False},
    "function": {"make_cache_key": lambda *_args, **_kwargs: "key"},
    "by a function": {"key_prefix": lambda: "key"},
    "vary=": {"vary": [lambda: flask.request.host]},
    "response_hit_indication": {"response_hit_indication": True},
    "source_check": {"source_check": True},
}


@pytest.mark.parametrize("early", [True, SKIP])
@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_asked_at_each_request_is_asked(name: str, early: Any) -> None:
    app, cache = early_app(early=early)
    app.add_url_rule("/", "view", cache.cached(60, **OPTIONS[name])(lambda: "text"))
    said = warmed(app)
    assert (said.early, said.body) == (False, b"text")
    assert name in said_before(app, cache)


def test_a_key_function_that_is_assigned_later_is_asked() -> None:
    app, cache = early_app()
    wrapped: Any = cache.cached(60)(lambda: "text")
    app.add_url_rule("/", "view", wrapped)
    assert warmed(app).early
    asked: list[int] = []
    wrapped.make_cache_key = lambda *_args, **_kwargs: asked.append(1) or "own"
    assert not warmed(app).early
    assert asked


SETTINGS: dict[str, dict[str, Any]] = {
    "CACHE_STATUS_HEADERS": {"CACHE_STATUS_HEADERS": True},
    "CACHE_ENABLE_SIGNALS": {"CACHE_ENABLE_SIGNALS": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_say_something_with_each_hit_forbid_it(name: str) -> None:
    app, cache = early_app(SETTINGS[name])
    counted(cache, app)
    assert not warmed(app).early
    assert name in said_before(app, cache)


def test_signals_that_are_switched_on_later_are_sent() -> None:
    app, cache = early_app()
    counted(cache, app)
    assert warmed(app).early
    cache.enable_signals = True
    assert not warmed(app).early


def test_a_store_that_is_exchanged_is_asked() -> None:
    app, cache = early_app()
    counted(cache, app)
    assert warmed(app).body == b"call 1"
    other, spare = early_app()
    app.extensions["cache"][cache] = other.extensions["cache"][spare]
    assert ask(app).body == b"call 2"
    assert warmed(app).early


REQUESTS: dict[str, dict[str, Any]] = {
    "credentials": {"HTTP_AUTHORIZATION": "Basic YTpi"},
    "post": {"REQUEST_METHOD": "POST"},
    "socket": {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"},
    "contexts": {"werkzeug.debug.preserve_context": nothing},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_flasks_goes_there(name: str) -> None:
    app, cache = early_app(early=SKIP)
    counted(cache, app)
    assert warmed(app).early
    assert not warmed(app, **REQUESTS[name]).early
    assert ask(app).early


def test_what_a_request_asks_of_caches_is_obeyed() -> None:
    app, cache = early_app()
    calls = counted(cache, app, http=Http(requests="full"))
    assert warmed(app).early
    assert not ask(app, HTTP_CACHE_CONTROL="no-cache").early
    assert calls == [1, 2]


def test_a_response_class_that_has_a_say_is_asked() -> None:
    class Own(Response):
        """Says how long it is when it is sent."""

        def __call__(self, environ: Any, start_response: Any) -> Any:
            self.headers["X-Sent"] = "1"
            return WerkzeugResponse.__call__(self, environ, start_response)

    app = Flask("classes")
    app.response_class = Own
    app, cache = early_app(app=app)
    counted(cache, app)
    said = warmed(app)
    assert (said.early, ("X-Sent", "1") in said.headers) == (False, True)


def test_a_mime_type_of_the_application_is_sent() -> None:
    class Own(Response):
        """Another type than HTML."""

        default_mimetype = "text/x-own"

    app = Flask("types")
    app.response_class = Own
    app, cache = early_app(app=app)
    counted(cache, app)
    said = warmed(app)
    assert (said.early, dict(said.headers)["Content-Type"]) == (True, "text/x-own; charset=utf-8")
    Own.default_mimetype = "text/x-other"
    for said in (ask(app), warmed(app)):
        assert dict(said.headers)["Content-Type"] == "text/x-other; charset=utf-8"
    assert ask(app).early


def test_hooks_that_change_where_a_request_goes_teach_nothing_wrong() -> None:
    app, cache = early_app(early=SKIP)
    counted(cache, app, "/page")
    counted(cache, app, "/other")

    def rewrite() -> None:
        environ = flask.request.environ
        environ["PATH_INFO"] = "/elsewhere"

    put("before_request_funcs", rewrite)(app)
    assert not warmed(app, "/page").early
    found = level(app)
    assert found is not None
    assert found.known == 0
