"""Group 2: plain views, of functions, classes, blueprints and resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
)
from flask.views import MethodView, View
from flask_caching import Cache
from flask_restful import Api, Resource
from journal import ran
from notebook import Notebook

HERE = Path(__file__).with_name("__init__.py")
SETTINGS = ["simple", "simple debug", "redis", "redis client", "null", "files", "memcached"]

cache = Cache()
shop = Blueprint("shop", __name__, url_prefix="/shop")


@shop.route("/items/<int:item_id>")
@cache.cached(timeout=60)
def item(item_id: int) -> Any:
    return jsonify(item=item_id, ran=ran("item"))


class Receipt(Response):
    """A response with more to it than a page has."""

    total = 0


class Page(View):
    @cache.cached(timeout=50)
    def dispatch_request(self) -> str:
        return f"page {ran('page')}"


class Numbers(MethodView):
    @cache.cached(timeout=50)
    def get(self, number: int) -> str:
        return f"number {number} {ran('number')}"

    def post(self, number: int) -> tuple[str, int]:
        return f"posted {number} {ran('posted')}", 201


class Users(Resource):
    @cache.cached(timeout=50)
    def get(self, name: str) -> Any:
        return {"name": name, "ran": ran("user")}, 200, {"X-User": name}

    def put(self, name: str) -> Any:
        return {"put": name}, 202


def add_bodies(app: Flask) -> None:
    """One view for each kind of thing that a view can return."""

    def generated() -> Any:
        yield from (f"line {number} {ran('line')}\n" for number in range(2))

    def custom() -> Response:
        response = make_response(f"<b>{ran('custom')}</b>", 203)
        response.headers["X-Custom"] = "yes"
        response.headers.add("X-Twice", "1")
        response.headers.add("X-Twice", "2")
        response.set_cookie("flavour", "vanilla")
        response.cache_control.max_age = 10
        response.add_etag()
        return response

    def closing() -> Response:
        response = make_response(f"closing {ran('closing')}")
        response.call_on_close(lambda: ran("closed"))
        return response

    def receipt() -> Response:
        response = Receipt(f"receipt {ran('receipt')}", 202)
        response.total = 12
        return response

    bodies: dict[str, Any] = {
        "streamed": lambda: Response(f"part {n} {ran('part')}\n" for n in range(2)),
        "sent": lambda: (ran("sent"), send_file(HERE, mimetype="text/plain", conditional=True))[1],
        "closing": closing,
        "receipt": receipt,
        "text": lambda: f"é {ran('text')}",
        "bytes": lambda: b"\x00\xff" + str(ran("bytes")).encode(),
        "dict": lambda: {"ran": ran("dict")},
        "status": lambda: (f"made {ran('status')}", 201),
        "headers": lambda: (f"headed {ran('headers')}", 200, {"X-Head": "1"}),
        "pair": lambda: (f"pair {ran('pair')}", {"X-Pair": "2"}),
        "generator": generated,
        "response": custom,
        "redirect": lambda: (ran("redirect"), redirect("/text"))[1],
        "empty": lambda: (ran("empty"), ("", 204))[1],
        "problem": lambda: (f"problem {ran('problem')}", 500),
        "json": lambda: (jsonify(ran=ran("json")), 404),
    }
    for name, body in bodies.items():
        view = cache.cached(timeout=50)(named(body, f"view_{name}"))
        app.add_url_rule(f"/{name}", view_func=view, methods=["GET", "POST", "PUT"])


def named(body: Any, name: str) -> Any:
    def view() -> Any:
        return body()

    view.__name__ = name
    return view


def create_app(config: dict[str, Any], see: Notebook) -> Flask:
    app = Flask("views")
    app.config.from_mapping(config)
    cache.init_app(app)

    @app.route("/")
    @cache.cached(timeout=50)
    def index() -> str:
        return f"index {ran('index')}"

    @app.route("/by-position")
    @cache.cached(50)
    def by_position() -> str:
        return f"by position {ran('by_position')}"

    @app.route("/bare/<path:rest>")
    @cache.cached()
    def bare(rest: str) -> str:
        return f"{rest} {request.host} {ran('bare')}"

    @app.route("/aborts/<int:status>")
    @cache.cached(timeout=50)
    def aborts(status: int) -> str:
        ran("aborts")
        abort(status)

    @app.route("/breaks")
    @cache.cached(timeout=50)
    def breaks() -> str:
        raise ValueError(ran("breaks"))

    @app.route("/nothing")
    @cache.cached(timeout=50)
    def nothing() -> Any:
        ran("nothing")
        return None

    @app.route("/awaited")
    @cache.cached(timeout=50)
    async def awaited() -> str:
        return f"awaited {ran('awaited')}"

    @app.errorhandler(404)
    def not_found(error: Any) -> Any:
        return f"not found {ran('handler')}", 404, {"X-Handled": "yes"}

    @app.after_request
    def stamp(response: Response) -> Response:
        response.headers["X-Stamp"] = str(ran(f"after {request.path}"))
        return response

    # A blueprint of a module serves several applications, as the cache does.
    app.register_blueprint(shop)
    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/numbers/<int:number>", view_func=Numbers.as_view("numbers"))
    Api(app).add_resource(Users, "/users/<string:name>")
    add_bodies(app)
    return app


def observe(see: Notebook) -> None:
    client = create_app(see.config, see).test_client()
    paths = ["/", "/by-position", "/page", "/numbers/7", "/numbers/8", "/users/ann", "/users/bob"]
    paths += ["/shop/items/3", "/bare/a/b", "/bare/caf%C3%A9%20noir", "/text", "/bytes", "/dict"]
    paths += ["/status", "/headers", "/pair", "/generator", "/response", "/redirect", "/empty"]
    paths += ["/problem", "/json", "/aborts/404", "/aborts/410", "/nowhere", "/breaks", "/awaited"]
    paths += ["/nothing", "/streamed", "/sent", "/closing", "/receipt"]
    for path in paths:
        see.get(f"{path} first", client, path)
        see.get(f"{path} second", client, path)
    see.get("another host", client, "/bare/a/b", base_url="http://other.example/")
    see.get("a query makes no difference", client, "/?page=2")
    for method in ("HEAD", "POST", "PUT", "OPTIONS", "DELETE"):
        see.request(f"{method} of a page in store", client, method, "/text")
    see.request("POST to a class", client, "POST", "/numbers/7")
    see.request("PUT to a resource", client, "PUT", "/users/ann")
    see.get("without the cookie", client, "/response", headers={"Cookie": ""})
    see.get("conditional", client, "/response", headers={"If-None-Match": "*"})
    if see.timed:
        see.advance(51)
        for path in ("/", "/page", "/numbers/7", "/users/ann", "/response", "/shop/items/3"):
            see.get(f"{path} after 51 s", client, path)
        see.advance(260)
        see.get("/bare/a/b after the default of 300 s", client, "/bare/a/b")
    see.lives("lifetime", "view//", 50)
    see.lives("lifetime by default", "view//bare/a/b", 300)
    with client.application.test_request_context("/text"):
        see.call("what is in store", cache.get, "view//text")
        see.call("a response in store", cache.get, "view//response")
        see.call("a tuple in store", cache.get, "view//status")
        see.call("an error in store", cache.get, "view//aborts/404")
