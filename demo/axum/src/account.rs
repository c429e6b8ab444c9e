//! What belongs to one user: signing in, the profile, the orders, the cart.
//!
//! Who is signed in stands in a cookie as it is: there are no passwords here, and nothing to protect.

use std::fmt::Write;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use larder::memoize;
use minijinja::{Value, context};

use crate::catalogue::{number, price_of};
use crate::database::Database;
use crate::site::{Answer, Site, Trouble};
use crate::writes::{Fields, text};

/// The signed-in user, if there is one.
pub(crate) fn user_id(headers: &HeaderMap) -> Option<i64> {
    cookie(headers, "user")?.parse().ok()
}

/// A user with everything that their orders and reviews add up to.
#[memoize(ttl = "1d", skip(database))]
pub(crate) fn profile_of(database: &Database, user_id: i64) -> rusqlite::Result<Option<Value>> {
    database.row(
        "SELECT user.*, count(DISTINCT purchase.id) AS purchases,
                coalesce(sum(line.quantity * line.cents_each), 0) AS spent,
                min(purchase.ordered_on) AS since,
                (SELECT count(*) FROM review WHERE review.user_id = user.id) AS reviews
           FROM user
           LEFT JOIN purchase ON purchase.user_id = user.id
           LEFT JOIN purchase_line AS line ON line.purchase_id = purchase.id
          WHERE user.id = ? GROUP BY user.id",
        [user_id],
    )
}

/// What a user bought last.
#[memoize(ttl = "5m", skip(database))]
pub(crate) fn recent_purchases(database: &Database, user_id: i64) -> rusqlite::Result<Value> {
    let found = database.rows(
        "SELECT product.id, product.name, purchase.ordered_on
           FROM purchase
           JOIN purchase_line AS line ON line.purchase_id = purchase.id
           JOIN product ON product.id = line.product_id
          WHERE purchase.user_id = ?
          ORDER BY purchase.ordered_on DESC, product.id LIMIT 5",
        [user_id],
    )?;
    Ok(found.into())
}

/// The user's own page: the handler runs each time, its numbers come from the cache.
pub(crate) async fn profile(State(site): State<Site>, headers: HeaderMap) -> Answer {
    let user = signed_in(&site, &headers).await?;
    match user {
        Some(user) => {
            site.ask(|site| site.page("profile.html", context! { user }))
                .await?
        }
        None => Ok(Redirect::to("/sign-in").into_response()),
    }
}

/// Changes the profile, then drops what the cache knows of this one user.
pub(crate) async fn edit_profile(
    State(site): State<Site>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Answer {
    let Some(id) = user_id(&headers) else {
        return Err(Trouble::Wrong("Sign in first.".into()));
    };
    let (city, about) = (text(&fields, "city", 60)?, text(&fields, "about", 300)?);
    site.ask(move |site| {
        let update = "UPDATE user SET city = ?, about = ? WHERE id = ?";
        site.database.write(|transaction| {
            transaction.execute(update, (&city, &about, id))?;
            Ok(())
        })
    })
    .await??;
    invalidate_profile_of(id)?;
    Ok(Redirect::to("/profile").into_response())
}

/// Cached whole, once for each user.
pub(crate) async fn orders(State(site): State<Site>, headers: HeaderMap) -> Answer {
    let Some(user) = signed_in(&site, &headers).await? else {
        return Ok(Redirect::to("/sign-in").into_response());
    };
    site.ask(move |site| {
        let lines = site.database.rows(
            "SELECT category.id, category.name, sum(line.quantity) AS pieces,
                    sum(line.quantity * line.cents_each) AS spent
               FROM purchase
               JOIN purchase_line AS line ON line.purchase_id = purchase.id
               JOIN product ON product.id = line.product_id
               JOIN category ON category.id = product.category_id
              WHERE purchase.user_id = ?
              GROUP BY category.id ORDER BY spent DESC, category.id LIMIT 12",
            [number(&user, "id")],
        )?;
        site.page("orders.html", context! { user, lines })
    })
    .await?
}

/// A list of users to try the site as.
pub(crate) async fn sign_in(State(site): State<Site>) -> Answer {
    site.ask(|site| {
        let samples = "SELECT id, handle, city FROM user WHERE id IN (1, 1308, 2615)";
        let samples = site.database.rows(samples, [])?;
        site.page("sign-in.html", context! { samples })
    })
    .await?
}

/// Becomes a user by handle; an empty handle signs out.
pub(crate) async fn start_session(State(site): State<Site>, Form(fields): Form<Fields>) -> Answer {
    let handle = fields.get("handle").cloned().unwrap_or_default();
    let found = site
        .ask(move |site| {
            site.database
                .row("SELECT id FROM user WHERE handle = ?", [handle])
        })
        .await??;
    let cookie = match found {
        Some(user) => format!(
            "user={}; Path=/; HttpOnly; SameSite=Lax",
            number(&user, "id")
        ),
        None => "user=; Path=/; Max-Age=0".to_owned(),
    };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// The cart as it is now. Its prices are those of the price cache.
pub(crate) async fn cart(State(site): State<Site>, headers: HeaderMap) -> Answer {
    let cart = cart_of(&headers);
    site.ask(move |site| {
        let mut lines = Vec::new();
        for (id, pieces) in cart {
            let name = "SELECT id, name FROM product WHERE id = ?";
            if let Some(product) = site.database.row(name, [id])? {
                let cents = price_of(&site.database, id)?;
                lines.push(context! { product, pieces, cents, sum => cents * pieces });
            }
        }
        let total: i64 = lines.iter().map(|line| number(line, "sum")).sum();
        never_kept(site.page("cart.html", context! { lines, total })?)
    })
    .await?
}

/// Sets how many pieces of a product are in the cart; 0 takes it out.
pub(crate) async fn change_cart(headers: HeaderMap, Form(fields): Form<Fields>) -> Answer {
    let number = |name: &str| fields.get(name).and_then(|text| text.parse::<i64>().ok());
    let (Some(id), Some(pieces @ 0..=99)) = (number("product_id"), number("pieces")) else {
        return Err(Trouble::Wrong(
            "A cart takes up to 99 pieces of a product.".into(),
        ));
    };
    let mut cart = cart_of(&headers);
    cart.retain(|(other, _)| *other != id);
    if pieces > 0 {
        cart.push((id, pieces));
    }
    let mut cookie = "cart=".to_owned();
    for (id, pieces) in cart.iter().take(50) {
        write!(cookie, "{id}.{pieces}_")?;
    }
    cookie.push_str("; Path=/; HttpOnly; SameSite=Lax");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/cart")).into_response())
}

/// Who is signed in and how full the cart is: what a page shared by all cannot say.
pub(crate) async fn me(State(site): State<Site>, headers: HeaderMap) -> Answer {
    let pieces: i64 = cart_of(&headers).iter().map(|(_, pieces)| pieces).sum();
    let user = signed_in(&site, &headers).await?;
    let handle = user.and_then(|user| user.get_attr("handle").ok());
    // A handle is letters, digits and points.
    let handle = handle.map_or("null".to_owned(), |handle| format!("\"{handle}\""));
    let json = format!("{{\"handle\": {handle}, \"pieces\": {pieces}}}");
    never_kept(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn signed_in(site: &Site, headers: &HeaderMap) -> Result<Option<Value>, Trouble> {
    match user_id(headers) {
        Some(id) => Ok(site
            .ask(move |site| profile_of(&site.database, id))
            .await??),
        None => Ok(None),
    }
}

/// The products in the cart and how many of each.
fn cart_of(headers: &HeaderMap) -> Vec<(i64, i64)> {
    let cart = cookie(headers, "cart").unwrap_or_default();
    let lines = cart.split('_').filter_map(|line| line.split_once('.'));
    lines
        .filter_map(|(id, pieces)| Some((id.parse().ok()?, pieces.parse().ok()?)))
        .filter(|(_, pieces)| (1..=99).contains(pieces))
        .collect()
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn never_kept(mut response: Response) -> Answer {
    let value = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    Ok(response)
}
