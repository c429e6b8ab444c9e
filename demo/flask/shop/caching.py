"""The site's one cache, and the names that reads and writes agree on."""

from __future__ import annotations

from flask_larder import Cache

cache = Cache()

DAY = 86_400
"""Seconds that the list of categories is kept."""

PRICES = 300
"""Seconds that a price is kept."""

LISTINGS = "listings"
"""The tag of everything that lists products from all over the catalogue."""


def category_tag(category_id: int) -> str:
    """The tag of every page of one category."""
    return f"category:{category_id}"


def product_view(product_id: int) -> str:
    """The base key under which the page of one product is cached."""
    return f"view//product/{product_id}"
