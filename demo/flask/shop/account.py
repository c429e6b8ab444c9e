"""What belongs to one user: signing in, the profile, the orders, the sidebar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from flask_larder import make_template_fragment_key

from .caching import DAY, PRICES, cache
from .database import row, rows, write

blueprint = Blueprint("account", __name__)

SAMPLE_USERS = (1, 1308, 2615)
"""Users with many orders, offered on the sign-in page."""


def current_user_id() -> int:
    """The id of the signed-in user; 0 when nobody is."""
    return int(session.get("user_id", 0))


def current_user() -> dict[str, Any]:
    """The signed-in user's profile; only an id of 0 when nobody is signed in."""
    user_id = current_user_id()
    return profile_of(user_id) if user_id else {"id": 0}


@cache.memoize(DAY)
def profile_of(user_id: int) -> dict[str, Any]:
    """A user with everything that their orders and reviews add up to."""
    return row(
        """SELECT user.*, count(DISTINCT purchase.id) AS purchases,
                  coalesce(sum(line.quantity * line.cents_each), 0) AS spent,
                  min(purchase.ordered_on) AS since,
                  (SELECT count(*) FROM review WHERE review.user_id = user.id) AS reviews
             FROM user
             LEFT JOIN purchase ON purchase.user_id = user.id
             LEFT JOIN purchase_line AS line ON line.purchase_id = purchase.id
            WHERE user.id = ? GROUP BY user.id""",
        [user_id],
    ) or {"id": 0}


def recent_purchases(user_id: int) -> dict[str, Any]:
    """What the sidebar shows. Only the template fragment calls it, when it has to."""
    found = rows(
        """SELECT product.id, product.name, purchase.ordered_on
             FROM purchase
             JOIN purchase_line AS line ON line.purchase_id = purchase.id
             JOIN product ON product.id = line.product_id
            WHERE purchase.user_id = ?
            ORDER BY purchase.ordered_on DESC, product.id LIMIT 5""",
        [user_id],
    )
    return {"products": found, "read": datetime.now(UTC)}


@blueprint.get("/profile")
def profile() -> str | Response:
    """The user's own page: the view runs each time, its numbers come from the cache."""
    user = current_user()
    if not user["id"]:
        return redirect(url_for("account.sign_in"))
    return render_template("profile.html", user=user, recent_purchases=recent_purchases)


@blueprint.post("/profile")
def edit_profile() -> Response:
    """Change the profile, then drop what the cache knows of this one user."""
    user_id = current_user_id()
    if not user_id:
        abort(403, "Sign in first.")
    city, about = _text("city", 60), _text("about", 300)
    write(("UPDATE user SET city = ?, about = ? WHERE id = ?", [city, about, user_id]))
    cache.delete_memoized(profile_of, user_id)
    cache.delete(make_template_fragment_key("sidebar", [user_id]))
    return redirect(url_for("account.profile"), 303)


@blueprint.get("/orders")
@cache.cached(timeout=PRICES, vary=[current_user_id])
def orders() -> str | Response:
    """Cached whole, once for each user: `vary` puts the user's id into the key."""
    user_id = current_user_id()
    if not user_id:
        return redirect(url_for("account.sign_in"))
    by_category = rows(
        """SELECT category.id, category.name, sum(line.quantity) AS pieces,
                  sum(line.quantity * line.cents_each) AS spent
             FROM purchase
             JOIN purchase_line AS line ON line.purchase_id = purchase.id
             JOIN product ON product.id = line.product_id
             JOIN category ON category.id = product.category_id
            WHERE purchase.user_id = ?
            GROUP BY category.id ORDER BY spent DESC, category.id LIMIT 12""",
        [user_id],
    )
    by_month = rows(
        """SELECT substr(purchase.ordered_on, 1, 7) AS month, count(DISTINCT purchase.id) AS purchases,
                  sum(line.quantity * line.cents_each) AS spent
             FROM purchase JOIN purchase_line AS line ON line.purchase_id = purchase.id
            WHERE purchase.user_id = ? GROUP BY month ORDER BY month DESC""",
        [user_id],
    )
    user = profile_of(user_id)
    return render_template(
        "orders.html", handle=user["handle"], by_category=by_category, by_month=by_month
    )


@blueprint.get("/sign-in")
def sign_in() -> str:
    """A list of users to try the site as; there are no passwords here."""
    marks = ", ".join("?" for _ in SAMPLE_USERS)
    samples = rows(f"SELECT id, handle, city FROM user WHERE id IN ({marks})", SAMPLE_USERS)
    return render_template("sign-in.html", samples=samples, user=current_user())


@blueprint.post("/sign-in")
def start_session() -> Response:
    """Become a user by handle; an empty handle signs out."""
    handle = request.form.get("handle", "")
    session.clear()
    if handle:
        found = row("SELECT id FROM user WHERE handle = ?", [handle])
        if found is None:
            abort(400, "No user has this handle.")
        session["user_id"] = found["id"]
    return redirect(url_for("pages.home"), 303)


def _text(field: str, longest: int) -> str:
    text = request.form.get(field, "").strip()
    if not 1 <= len(text) <= longest:
        abort(400, f"The field {field} takes 1 to {longest} characters.")
    return text
