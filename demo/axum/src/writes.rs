//! Changes to the catalogue, and what each of them removes from the cache.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};

use crate::caching::{LISTINGS, bump, category_tag};
use crate::catalogue::{bought_together, invalidate_price_of, number};
use crate::site::{Answer, Site, Trouble};

pub(crate) type Fields = HashMap<String, String>;

/// Changes a name and a price. Every page that shows them is made anew at its next visit.
pub(crate) async fn edit(
    State(site): State<Site>,
    Path(id): Path<i64>,
    Form(fields): Form<Fields>,
) -> Answer {
    let (name, cents) = (text(&fields, "name", 120)?, cents(&fields)?);
    let (category, companions) = site
        .ask(move |site| {
            let found = "SELECT category_id FROM product WHERE id = ?";
            let Some(found) = site.database.row(found, [id])? else {
                return Err(Trouble::Missing("There is no such product.".into()));
            };
            site.database.write(|transaction| {
                let name = (&name, id);
                transaction.execute("UPDATE product SET name = ? WHERE id = ?", name)?;
                transaction.execute(
                    "UPDATE price SET cents = ? WHERE product_id = ?",
                    (cents, id),
                )?;
                Ok(())
            })?;
            let companions = bought_together(&site.database, id, -1)?;
            Ok((number(&found, "category_id"), companions))
        })
        .await??;
    // Its own page by path, its price by argument, lists by tag, and the pages that name it as
    // "bought together" by their paths.
    site.pages.remove(&format!("/product/{id}")).await?;
    invalidate_price_of(id)?;
    bump(&site.pages, &[category_tag(category), LISTINGS.to_owned()]).await?;
    for other in companions {
        site.pages
            .remove(&format!("/product/{}", number(&other, "id")))
            .await?;
    }
    Ok(Redirect::to(&format!("/product/{id}")).into_response())
}

/// Makes everything with one tag invalid.
pub(crate) async fn purge(State(site): State<Site>, Form(fields): Form<Fields>) -> Answer {
    let tag = fields.get("tag").cloned().unwrap_or_default();
    let category = tag
        .strip_prefix("category:")
        .and_then(|id| id.parse::<u32>().ok());
    let next = match category {
        Some(id) => format!("/category/{id}"),
        None if tag == LISTINGS => "/trending".to_owned(),
        None => {
            let text = format!("A tag is category:<number> or {LISTINGS}.");
            return Err(Trouble::Wrong(text));
        }
    };
    bump(&site.pages, &[tag]).await?;
    Ok(Redirect::to(&next).into_response())
}

/// A field that has to be there, and not too long.
pub(crate) fn text(fields: &Fields, name: &str, longest: usize) -> Result<String, Trouble> {
    let text = fields.get(name).map_or("", |text| text.trim());
    if (1..=longest).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(Trouble::Wrong(format!(
        "The field {name} takes 1 to {longest} characters."
    )))
}

fn cents(fields: &Fields) -> Result<i64, Trouble> {
    let text = fields.get("price").map_or("", |text| text.trim());
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = match (whole.len(), part.len()) {
        (1..=6, 0..=2) if digits(whole) && digits(part) => (whole, format!("{part:0<2}")),
        _ => {
            return Err(Trouble::Wrong(
                "A price is written like 12 or 12.50.".into(),
            ));
        }
    };
    match format!("{whole}{part}").parse() {
        Ok(cents) if cents > 0 => Ok(cents),
        _ => Err(Trouble::Wrong("A price is more than 0.".into())),
    }
}
