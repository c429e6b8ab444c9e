//! The questions that the pages put to the database. None of them is quick on purpose or slow on
//! purpose: they join and add up what a shop wants to know.

use larder::memoize;
use minijinja::Value;
use rusqlite::{Result, named_params};

use crate::database::Database;

pub(crate) const PAGE_SIZE: i64 = 24;

/// Every category with its number of products; they hardly ever change.
#[memoize(ttl = "1d", skip(database))]
pub(crate) fn categories(database: &Database) -> Result<Value> {
    let found = database.rows(
        "SELECT category.id, category.name, category.blurb, count(product.id) AS products
           FROM category LEFT JOIN product ON product.category_id = category.id
          GROUP BY category.id ORDER BY category.name",
        [],
    )?;
    Ok(found.into())
}

/// The price of a product in cents; 0 for a product that does not exist.
#[memoize(ttl = "5m", skip(database))]
pub(crate) fn price_of(database: &Database, product_id: i64) -> Result<i64> {
    let found = database.row("SELECT cents FROM price WHERE product_id = ?", [product_id])?;
    Ok(found.map_or(0, |row| number(&row, "cents")))
}

/// The twelve products with the largest revenue, and when they were counted.
#[memoize(ttl = "5m", tags = ["listings"], skip(database))]
pub(crate) fn best_sellers(database: &Database) -> Result<Value> {
    let found = database.rows(
        "SELECT product.id, product.name, price.cents, category.name AS category,
                sum(line.quantity * line.cents_each) AS revenue, sum(line.quantity) AS sold,
                (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars,
                strftime('%H:%M:%S', 'now') AS counted
           FROM purchase_line AS line
           JOIN product ON product.id = line.product_id
           JOIN category ON category.id = product.category_id
           JOIN price ON price.product_id = product.id
          GROUP BY product.id ORDER BY revenue DESC, product.id LIMIT 12",
        [],
    )?;
    Ok(found.into())
}

/// What sold best in the last month on record, compared with the month before.
pub(crate) fn trending(database: &Database) -> Result<Vec<Value>> {
    database.rows(
        "WITH latest AS MATERIALIZED (SELECT max(ordered_on) AS day FROM purchase),
         sold AS MATERIALIZED (
             SELECT line.product_id,
                    sum(line.quantity) FILTER (WHERE ordered_on > date(day, '-30 days')) AS now,
                    sum(line.quantity) FILTER (WHERE ordered_on <= date(day, '-30 days')) AS before
               FROM latest
               CROSS JOIN purchase ON ordered_on > date(day, '-60 days')
               CROSS JOIN purchase_line AS line ON line.purchase_id = purchase.id
              GROUP BY line.product_id)
         SELECT product.id, product.name, price.cents, category.name AS category,
                sold.now AS sold, coalesce(sold.before, 0) AS sold_before,
                (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars
           FROM sold
           JOIN product ON product.id = sold.product_id
           JOIN category ON category.id = product.category_id
           JOIN price ON price.product_id = product.id
          WHERE sold.now IS NOT NULL
          ORDER BY sold.now DESC, product.id LIMIT 24",
        [],
    )
}

/// One category with its range of prices.
pub(crate) fn category_of(database: &Database, category_id: i64) -> Result<Option<Value>> {
    database.row(
        "SELECT category.*, count(*) AS products,
                min(cents) AS lowest, avg(cents) AS average, max(cents) AS highest
           FROM category
           JOIN product ON product.category_id = category.id
           JOIN price ON price.product_id = product.id
          WHERE category.id = ? GROUP BY category.id",
        [category_id],
    )
}

/// One page of a category, best sellers first.
pub(crate) fn products_in(database: &Database, category_id: i64, page: i64) -> Result<Vec<Value>> {
    database.rows(
        "SELECT product.id, product.name, price.cents, supplier.name AS supplier,
                (SELECT coalesce(sum(quantity), 0) FROM purchase_line
                  WHERE purchase_line.product_id = product.id) AS sold,
                (SELECT avg(stars) FROM review WHERE review.product_id = product.id) AS stars
           FROM product
           JOIN price ON price.product_id = product.id
           JOIN supplier ON supplier.id = product.supplier_id
          WHERE product.category_id = ?
          ORDER BY sold DESC, product.id LIMIT ? OFFSET ?",
        [category_id, PAGE_SIZE, (page - 1) * PAGE_SIZE],
    )
}

/// Products whose name, description or supplier holds the words: the best of them, each with how many
/// there are.
pub(crate) fn search(database: &Database, words: &str) -> Result<Vec<Value>> {
    let escaped = words
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    database.rows(
        "SELECT product.id, product.name, price.cents, category.name AS category,
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
          ORDER BY sold DESC, product.id LIMIT 24",
        named_params! { ":words": format!("%{escaped}%") },
    )
}

/// One product with its supplier, its reviews added up and its rank in the category.
pub(crate) fn product_of(database: &Database, product_id: i64) -> Result<Option<Value>> {
    database.row(
        "WITH sold AS (
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
          WHERE product.id = :id",
        named_params! { ":id": product_id },
    )
}

/// The latest reviews of a product with their writers.
pub(crate) fn reviews_of(database: &Database, product_id: i64) -> Result<Vec<Value>> {
    database.rows(
        "SELECT review.stars, review.body, review.written_on, user.handle
           FROM review JOIN user ON user.id = review.user_id
          WHERE review.product_id = ? ORDER BY review.written_on DESC, review.id LIMIT 8",
        [product_id],
    )
}

/// What else is in the purchases that hold this product, most often first. A negative limit is none.
pub(crate) fn bought_together(
    database: &Database,
    product_id: i64,
    limit: i64,
) -> Result<Vec<Value>> {
    database.rows(
        "SELECT product.id, product.name, price.cents, count(*) AS times
           FROM purchase_line AS mine
           JOIN purchase_line AS other ON other.purchase_id = mine.purchase_id
                                      AND other.product_id <> mine.product_id
           JOIN product ON product.id = other.product_id
           JOIN price ON price.product_id = product.id
          WHERE mine.product_id = ?
          GROUP BY product.id ORDER BY times DESC, product.id LIMIT ?",
        [product_id, limit],
    )
}

/// A whole number of a row; 0 where it is none.
pub(crate) fn number(row: &Value, column: &str) -> i64 {
    let value = row.get_attr(column).unwrap_or_default();
    i64::try_from(value).unwrap_or_default()
}
