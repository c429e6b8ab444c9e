"""Changes to the catalogue, and what each of them removes from the cache."""

from __future__ import annotations

import re

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug.wrappers import Response

from .caching import LISTINGS, cache, category_tag, product_view
from .catalogue import bought_together, price_of
from .database import row, write

blueprint = Blueprint("writes", __name__)

EVERY_COMPANION = -1
"""SQLite reads a negative limit as no limit."""


@blueprint.post("/product/<int:product_id>/edit")
def edit_product(product_id: int) -> Response:
    """Change a name and a price. Every page that shows them is made anew at its next visit."""
    found = row("SELECT category_id FROM product WHERE id = ?", [product_id])
    if found is None:
        abort(404, "There is no such product.")
    name, cents = _name(), _cents()
    write(
        ("UPDATE product SET name = ? WHERE id = ?", [name, product_id]),
        ("UPDATE price SET cents = ? WHERE product_id = ?", [cents, product_id]),
    )
    forget_product(product_id, found["category_id"])
    return redirect(url_for("pages.product", product_id=product_id), 303)


def forget_product(product_id: int, category_id: int) -> None:
    """Remove what shows this product: its own page and price by key, lists by tag,
    and the pages that name it as "bought together" by their keys in one call.

    The sidebars are left alone: which users bought it last is more work to find
    out than an old name in that box, for five minutes at most, is worth.
    """
    cache.delete(product_view(product_id))
    cache.delete_memoized(price_of, product_id)
    cache.invalidate_tags(category_tag(category_id), LISTINGS)
    companions = [
        product_view(other["id"]) for other in bought_together(product_id, EVERY_COMPANION)
    ]
    if companions:
        cache.delete_many(*companions)


@blueprint.post("/purge")
def purge() -> Response:
    """Invalidate one tag. Every page that carries it is made anew at its next visit."""
    tag = request.form.get("tag", "")
    category = re.fullmatch(r"category:([0-9]{1,6})", tag)
    if category is None and tag != LISTINGS:
        abort(400, f"A tag is category:<number> or {LISTINGS}.")
    cache.invalidate_tags(tag)
    if category is None:
        return redirect(url_for("pages.trending"), 303)
    return redirect(url_for("pages.category", category_id=int(category[1])), 303)


def _name() -> str:
    name = request.form.get("name", "").strip()
    if not 1 <= len(name) <= 120:
        abort(400, "A name has 1 to 120 characters.")
    return name


def _cents() -> int:
    price = request.form.get("price", "").strip()
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,2})?", price) is None:
        abort(400, "A price is written like 12 or 12.50.")
    whole, _, part = price.partition(".")
    cents = int(whole) * 100 + int(part.ljust(2, "0") or 0)
    if cents == 0:
        abort(400, "A price is more than 0.")
    return cents
