//! The site put together: routes, layers, templates and what handlers share.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use larder::tower::PageCache;
use minijinja::{AutoEscape, Environment, Value, context};

use crate::caching::Layers;
use crate::database::Database;
use crate::stats::Counters;
use crate::{account, pages, stats, timing, writes};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) pages: PageCache,
    pub(crate) counters: Counters,
    templates: Arc<Environment<'static>>,
}

/// Why a request has no proper answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    Missing(String),
    Wrong(String),
    Broken(String),
}

/// The time, in the form that browsers read.
const NOW: &str = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS at";

pub(crate) type Answer = Result<Response, Trouble>;

pub(crate) fn app(database: Database) -> Result<Router, Box<dyn Error>> {
    let (layers, pages, counters) = Layers::build()?;
    let site = Site {
        database,
        pages,
        counters,
        templates: Arc::new(templates()?),
    };
    Ok(Router::new()
        .route(
            "/category/{id}",
            get(pages::category).layer(layers.shared.clone()),
        )
        .route("/product/{id}", get(pages::product).layer(layers.shared))
        .route("/search", get(pages::search).layer(layers.listings))
        .route("/trending", get(pages::trending).layer(layers.trending))
        .route("/orders", get(account::orders).layer(layers.personal))
        .route("/", get(pages::home))
        .route("/product/{id}/edit", post(writes::edit))
        .route("/purge", post(writes::purge))
        .route(
            "/sign-in",
            get(account::sign_in).post(account::start_session),
        )
        .route(
            "/profile",
            get(account::profile).post(account::edit_profile),
        )
        .route("/cart", get(account::cart).post(account::change_cart))
        .route("/me.json", get(account::me))
        .route("/stats", get(stats::show))
        .route("/static/shop.css", get(style))
        .route("/static/shop.js", get(script))
        .fallback(async || Trouble::Missing("There is no such page.".into()))
        .layer(from_fn(timing::stopwatch))
        .with_state(site))
}

async fn style() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/css")];
    (kind, include_str!("../../flask/shop/static/shop.css"))
}

async fn script() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/javascript")];
    (kind, include_str!("../../flask/shop/static/shop.js"))
}

macro_rules! template {
    ($environment:ident, $($name:literal),*) => {
        $($environment.add_template($name, include_str!(concat!("../templates/", $name)))?;)*
    };
}

fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut all = Environment::new();
    all.set_auto_escape_callback(|_| AutoEscape::Html);
    all.add_filter("money", |cents: f64| format!("{:.2} €", cents / 100.0));
    all.add_filter("rating", |stars: Value| match f64::try_from(stars) {
        Ok(stars) => format!("★ {stars:.1}"),
        Err(_) => "no reviews".to_owned(),
    });
    template!(
        all,
        "base.html",
        "macros.html",
        "home.html",
        "category.html",
        "product.html",
        "search.html",
        "trending.html",
        "orders.html",
        "profile.html",
        "cart.html",
        "sign-in.html",
        "stats.html"
    );
    Ok(all)
}

impl Site {
    /// A page of a template.
    pub(crate) fn page(&self, template: &str, content: Value) -> Answer {
        let made = self.database.row(NOW, [])?;
        let template = self.templates.get_template(template)?;
        let html = template.render(context! { made, ..content })?;
        Ok(Html(html).into_response())
    }

    /// Runs `work`, which asks the database, on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let site = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&site)).await;
        task.map_err(|error| Trouble::Broken(error.to_string()))
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Missing(text) => (StatusCode::NOT_FOUND, text),
            Self::Wrong(text) => (StatusCode::BAD_REQUEST, text),
            Self::Broken(text) => {
                eprintln!("{text}");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Something broke.".to_owned(),
                )
            }
        };
        (status, text).into_response()
    }
}

impl<E: Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Broken(error.to_string())
    }
}
