"""The cart: it lives in the session and is never cached."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response

from .account import current_user, recent_purchases
from .caching import PRICES
from .catalogue import price_of
from .database import row

blueprint = Blueprint("cart", __name__)

MOST_PIECES = 99


@blueprint.get("/cart")
def show() -> Response:
    """The cart as it is now. Its prices are those of the price cache."""
    lines = [
        _line(int(product_id), pieces) for product_id, pieces in session.get("cart", {}).items()
    ]
    page = render_template(
        "cart.html",
        lines=lines,
        total=sum(line["sum"] for line in lines),
        minutes=PRICES // 60,
        user=current_user(),
        recent_purchases=recent_purchases,
    )
    return _never_kept(make_response(page))


@blueprint.post("/cart")
def change() -> Response:
    """Set how many pieces of a product are in the cart; 0 takes it out."""
    product_id, pieces = _number("product_id"), _number("pieces")
    if pieces > MOST_PIECES or row("SELECT 1 FROM product WHERE id = ?", [product_id]) is None:
        abort(400, f"A cart takes up to {MOST_PIECES} pieces of a product that exists.")
    cart = dict(session.get("cart", {}))
    cart.pop(str(product_id), None)
    if pieces:
        cart[str(product_id)] = pieces
    if len(cart) > 50:
        abort(400, "A cart takes up to 50 different products.")
    session["cart"] = cart
    return redirect(url_for("cart.show"), 303)


@blueprint.get("/me.json")
def me() -> Response:
    """Who is signed in and how full the cart is: what a page shared by all cannot say."""
    user = current_user()
    return _never_kept(
        jsonify(handle=user.get("handle"), pieces=sum(session.get("cart", {}).values()))
    )


def _line(product_id: int, pieces: int) -> dict[str, Any]:
    product = row("SELECT name FROM product WHERE id = ?", [product_id])
    cents = price_of(product_id)
    return {
        "id": product_id,
        "name": product["name"] if product else "no longer sold",
        "pieces": pieces,
        "cents": cents,
        "sum": pieces * cents,
    }


def _never_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _number(field: str) -> int:
    text = request.form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        abort(400, f"The field {field} takes a whole number.")
    return int(text)
