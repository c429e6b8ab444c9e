"""Pages that are the same for everyone, so that one answer serves all visitors.

The home page is the exception that shows how: it holds a part for the signed-in
user, so it is not cached whole but put together from parts that are.
"""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from . import catalogue
from .account import current_user, recent_purchases
from .caching import LISTINGS, PRICES, cache

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    """Best sellers and categories, shared by all, beside the sidebar of one user."""
    return render_template(
        "home.html",
        best=catalogue.best_sellers(),
        categories=catalogue.categories(),
        user=current_user(),
        recent_purchases=recent_purchases,
    )


@blueprint.get("/category/<int:category_id>")
@cache.cached(timeout=PRICES, tags=["category:{category_id}"])
def category(category_id: int) -> str:
    """One page of a category. The query is in the key: ?page=2 is another entry."""
    found = catalogue.category_of(category_id)
    page = _page_number()
    if found is None:
        abort(404, "There is no such category.")
    pages = -(-found["products"] // catalogue.PAGE_SIZE)
    if not 1 <= page <= pages:
        abort(404, f"This category has pages 1 to {pages}.")
    return render_template(
        "category.html",
        category=found,
        products=catalogue.products_in(category_id, page),
        page=page,
        pages=pages,
    )


@blueprint.get("/product/<int:product_id>")
@cache.cached(timeout=PRICES)
def product(product_id: int) -> str:
    """One product. A write removes this page by its base key: see `writes`."""
    found = catalogue.product_of(product_id)
    if found is None:
        abort(404, "There is no such product.")
    return render_template(
        "product.html",
        product=found,
        cents=catalogue.price_of(product_id),
        stars=catalogue.stars_of(product_id),
        reviews=catalogue.reviews_of(product_id),
        together=catalogue.bought_together(product_id, limit=6),
    )


@blueprint.get("/search")
@cache.cached(timeout=PRICES, tags=[LISTINGS])
def search() -> str:
    """Search through names, descriptions and suppliers."""
    words = request.args.get("q", "").strip()[:80]
    return render_template(
        "search.html", words=words, found=catalogue.search(words) if words else None
    )


@blueprint.get("/trending")
@cache.cached(timeout=10, stale="10m", tags=[LISTINGS])
def trending() -> str:
    """Fresh for ten seconds. After that the old page is served at once, for up to
    ten minutes, while a new one is made behind it.
    """
    return render_template("trending.html", products=catalogue.trending())


def _page_number() -> int:
    text = request.args.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        abort(404, "A page is a whole number from 1 on.")
    return int(text)
