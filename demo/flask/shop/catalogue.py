"""The questions that the pages put to the database. None of them is quick on purpose
or slow on purpose: they join and add up what a shop wants to know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .caching import DAY, LISTINGS, PRICES, cache
from .database import row, rows

PAGE_SIZE = 24


@cache.memoize(DAY)
def categories() -> list[dict[str, Any]]:
    """Every category with its number of products; they hardly ever change."""
    return rows(
        """SELECT category.id, category.name, category.blurb, count(product.id) AS products
             FROM category LEFT JOIN product ON product.category_id = category.id
            GROUP BY category.id ORDER BY category.name"""
    )


@cache.memoize(PRICES)
def price_of(product_id: int) -> int:
    """The price of a product in cents; 0 for a product that does not exist."""
    found = row("SELECT cents FROM price WHERE product_id = ?", [product_id])
    return found["cents"] if found else 0


@cache.memoize(PRICES, tags=[LISTINGS])
def best_sellers() -> dict[str, Any]:
    """The twelve products with the largest revenue, and when they were counted."""
    found = rows(
        """SELECT product.id, product.name, price.cents, category.name AS category,
                  sum(line.quantity * line.cents_each) AS revenue,
                  sum(line.quantity) AS sold,
                  (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars
             FROM purchase_line AS line
             JOIN product ON product.id = line.product_id
             JOIN category ON category.id = product.category_id
             JOIN price ON price.product_id = product.id
            GROUP BY product.id ORDER BY revenue DESC, product.id LIMIT 12"""
    )
    return {"products": found, "counted": datetime.now(UTC)}


def trending() -> list[dict[str, Any]]:
    """What sold best in the last month on record, compared with the month before."""
    return rows(
        """WITH latest AS (SELECT max(ordered_on) AS day FROM purchase), sold AS (
               SELECT line.product_id,
                      sum(line.quantity) FILTER (WHERE ordered_on > date(day, '-30 days')) AS now,
                      sum(line.quantity) FILTER (WHERE ordered_on <= date(day, '-30 days')) AS before
                 FROM latest
                 JOIN purchase ON ordered_on > date(day, '-60 days')
                 JOIN purchase_line AS line ON line.purchase_id = purchase.id
                GROUP BY line.product_id)
           SELECT product.id, product.name, price.cents, category.name AS category,
                  sold.now AS sold, coalesce(sold.before, 0) AS sold_before,
                  (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars
             FROM sold
             JOIN product ON product.id = sold.product_id
             JOIN category ON category.id = product.category_id
             JOIN price ON price.product_id = product.id
            WHERE sold.now IS NOT NULL
            ORDER BY sold.now DESC, product.id LIMIT 24"""
    )


def category_of(category_id: int) -> dict[str, Any] | None:
    """One category with its range of prices."""
    return row(
        """SELECT category.*, count(*) AS products,
                  min(cents) AS lowest, avg(cents) AS average, max(cents) AS highest
             FROM category
             JOIN product ON product.category_id = category.id
             JOIN price ON price.product_id = product.id
            WHERE category.id = ? GROUP BY category.id""",
        [category_id],
    )


def products_in(category_id: int, page: int) -> list[dict[str, Any]]:
    """One page of a category, best sellers first."""
    return rows(
        """SELECT product.id, product.name, price.cents, supplier.name AS supplier,
                  (SELECT coalesce(sum(quantity), 0) FROM purchase_line
                    WHERE purchase_line.product_id = product.id) AS sold,
                  (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars
             FROM product
             JOIN price ON price.product_id = product.id
             JOIN supplier ON supplier.id = product.supplier_id
            WHERE product.category_id = ?
            ORDER BY sold DESC, product.id LIMIT ? OFFSET ?""",
        [category_id, PAGE_SIZE, (page - 1) * PAGE_SIZE],
    )


def search(words: str) -> dict[str, Any]:
    """Products whose name, description or supplier holds the words: how many, and the first."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found = rows(
        """SELECT product.id, product.name, price.cents, category.name AS category,
                  (SELECT coalesce(sum(quantity), 0) FROM purchase_line
                    WHERE purchase_line.product_id = product.id) AS sold,
                  (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars,
                  count(*) OVER () AS matches
             FROM product
             JOIN category ON category.id = product.category_id
             JOIN supplier ON supplier.id = product.supplier_id
             JOIN price ON price.product_id = product.id
            WHERE product.name LIKE :words ESCAPE '\\'
               OR product.description LIKE :words ESCAPE '\\'
               OR supplier.name LIKE :words ESCAPE '\\'
            ORDER BY sold DESC, product.id LIMIT 24""",
        {"words": f"%{escaped}%"},
    )
    return {"products": found, "matches": found[0]["matches"] if found else 0}


def product_of(product_id: int) -> dict[str, Any] | None:
    """One product with its supplier, its reviews added up and its rank in the category."""
    return row(
        """WITH sold AS (
               SELECT product.id, coalesce(sum(line.quantity), 0) AS pieces
                 FROM product LEFT JOIN purchase_line AS line ON line.product_id = product.id
                WHERE product.category_id = (SELECT category_id FROM product WHERE id = :id)
                GROUP BY product.id)
           SELECT product.*, category.name AS category,
                  supplier.name AS supplier, supplier.country, supplier.lead_days,
                  (SELECT count(*) FROM review WHERE review.product_id = product.id) AS reviews,
                  (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars,
                  mine.pieces AS sold, (SELECT count(*) FROM sold) AS rivals,
                  1 + (SELECT count(*) FROM sold WHERE sold.pieces > mine.pieces) AS place
             FROM product
             JOIN category ON category.id = product.category_id
             JOIN supplier ON supplier.id = product.supplier_id
             JOIN sold AS mine ON mine.id = product.id
            WHERE product.id = :id""",
        {"id": product_id},
    )


def reviews_of(product_id: int) -> list[dict[str, Any]]:
    """The latest reviews of a product with their writers."""
    return rows(
        """SELECT review.stars, review.body, review.written_on, user.handle
             FROM review JOIN user ON user.id = review.user_id
            WHERE review.product_id = ? ORDER BY review.written_on DESC, review.id LIMIT 8""",
        [product_id],
    )


def stars_of(product_id: int) -> list[dict[str, Any]]:
    """How many reviews gave five stars, four, and so on."""
    return rows(
        """WITH scale (stars) AS (VALUES (5), (4), (3), (2), (1))
           SELECT scale.stars, count(review.id) AS reviews
             FROM scale LEFT JOIN review ON review.stars = scale.stars AND review.product_id = ?
            GROUP BY scale.stars ORDER BY scale.stars DESC""",
        [product_id],
    )


def bought_together(product_id: int, limit: int) -> list[dict[str, Any]]:
    """What else is in the purchases that hold this product, most often first."""
    return rows(
        """SELECT product.id, product.name, price.cents, count(*) AS times
             FROM purchase_line AS mine
             JOIN purchase_line AS other ON other.purchase_id = mine.purchase_id
                                        AND other.product_id <> mine.product_id
             JOIN product ON product.id = other.product_id
             JOIN price ON price.product_id = product.id
            WHERE mine.product_id = ?
            GROUP BY product.id ORDER BY times DESC, product.id LIMIT ?""",
        [product_id, limit],
    )
