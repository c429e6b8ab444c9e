//! Pages that are the same for everyone, so that one answer serves all visitors.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use minijinja::context;

use crate::account;
use crate::catalogue::{self, PAGE_SIZE, number};
use crate::site::{Answer, Site, Trouble};

type Fields = Query<HashMap<String, String>>;

/// Best sellers and categories, shared by all, beside a box of one user: not cached whole, but put
/// together from parts that are.
pub(crate) async fn home(State(site): State<Site>, headers: HeaderMap) -> Answer {
    let user_id = account::user_id(&headers);
    site.ask(move |site| {
        let (best, categories) = (
            catalogue::best_sellers(&site.database)?,
            catalogue::categories(&site.database)?,
        );
        let (user, recent) = match user_id {
            Some(id) => (
                account::profile_of(&site.database, id)?,
                account::recent_purchases(&site.database, id)?,
            ),
            None => (None, ().into()),
        };
        site.page("home.html", context! { best, categories, user, recent })
    })
    .await?
}

/// One page of a category. `?page=2` is another entry.
pub(crate) async fn category(
    State(site): State<Site>,
    Path(id): Path<i64>,
    Query(fields): Fields,
) -> Answer {
    let page = fields.get("page").map_or("1", String::as_str);
    let page: i64 = page.parse().unwrap_or(0);
    site.ask(move |site| {
        let Some(category) = catalogue::category_of(&site.database, id)? else {
            return Err(Trouble::Missing("There is no such category.".into()));
        };
        let pages = (number(&category, "products") + PAGE_SIZE - 1) / PAGE_SIZE;
        if !(1..=pages).contains(&page) {
            return Err(Trouble::Missing(format!(
                "This category has pages 1 to {pages}."
            )));
        }
        let products = catalogue::products_in(&site.database, id, page)?;
        site.page(
            "category.html",
            context! { category, products, page, pages },
        )
    })
    .await?
}

/// One product. A write removes this page by its path: see `writes`.
pub(crate) async fn product(State(site): State<Site>, Path(id): Path<i64>) -> Answer {
    site.ask(move |site| {
        let Some(product) = catalogue::product_of(&site.database, id)? else {
            return Err(Trouble::Missing("There is no such product.".into()));
        };
        let cents = catalogue::price_of(&site.database, id)?;
        let reviews = catalogue::reviews_of(&site.database, id)?;
        let together = catalogue::bought_together(&site.database, id, 6)?;
        site.page(
            "product.html",
            context! { product, cents, reviews, together },
        )
    })
    .await?
}

/// Search through names, descriptions and suppliers.
pub(crate) async fn search(State(site): State<Site>, Query(fields): Fields) -> Answer {
    let words: String = fields
        .get("q")
        .map_or("", |text| text.trim())
        .chars()
        .take(80)
        .collect();
    site.ask(move |site| {
        let products = match words.as_str() {
            "" => Vec::new(),
            words => catalogue::search(&site.database, words)?,
        };
        let matches = products.first().map_or(0, |row| number(row, "matches"));
        site.page("search.html", context! { words, products, matches })
    })
    .await?
}

/// Fresh for ten seconds. After that the old page is served at once, for up to ten minutes, while a new
/// one is made behind it.
pub(crate) async fn trending(State(site): State<Site>) -> Answer {
    site.ask(|site| {
        let products = catalogue::trending(&site.database)?;
        site.page("trending.html", context! { products })
    })
    .await?
}
