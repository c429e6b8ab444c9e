//! A service that shares its pages with a Flask application, through any store that a URL names:
//!
//! ```sh
//! cargo run -p larder-tower --example flask_neighbour -- 127.0.0.1:8001 shared:///var/cache/shop
//! ```
//!
//! In the application, views are decorated with `@cache.cached(60, as_page=True)`; its store, its
//! `CACHE_KEY_PREFIX` and its `SECRET_KEY` are those of the service, which takes the last two from the
//! environment: `LARDER_NAMESPACE` and `LARDER_SECRET`. Clients reach both under one host name, as
//! behind a proxy that sends some paths here. Where `LARDER_PAGES` names a directory, a page is what
//! stands in its file.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::{get, post};
use larder_core::AnyStore;
use larder_core::codec::Packing;
use larder_tower::{CacheLayer, KeyRule, Page, PageCodec};

/// The store that a URL names, with the namespace and the secret of the environment.
fn store(url: &str) -> larder_core::Result<AnyStore<Page>> {
    let namespace = env::var("LARDER_NAMESPACE").unwrap_or_else(|_| "flask_cache_".into());
    larder_stores::open(url)?
        .namespace(namespace)
        .packing(Packing::new().secrets(env::var("LARDER_SECRET").ok()))
        .build_tokio(PageCodec)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, url] = &arguments[..] else {
        return Err("give an address to listen on and the URL of a store".into());
    };
    let layer = CacheLayer::builder(Duration::from_secs(60))
        .store(store(url)?)
        // In Flask: vary=["Accept-Language"].
        .key(KeyRule::flask("http").header("accept-language"))
        .tag("pages")
        .build()?;
    let folder = env::var_os("LARDER_PAGES").map(PathBuf::from);
    let page = |Path(name): Path<String>, uri: Uri| async move {
        match folder {
            // A small file of a local disk is there at once.
            Some(folder) => {
                std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
            }
            None => Ok(format!("the service's {uri}")),
        }
    };
    let pages = layer.cache().clone();
    let forget = |path: String| async move {
        let removed = pages.remove(&path).await;
        removed.map_or_else(|error| error.to_string(), |removed| removed.to_string())
    };
    let app = Router::new()
        .route("/pages/{name}", get(page))
        .layer(layer)
        .route("/forget", post(forget));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
