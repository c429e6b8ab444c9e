//! A shop with one slow page and one slow function. Run it with `cargo run --example shop`; it prints
//! its address and what to try. `Cache-Status` and `Age` in the answers say what the cache did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Form, Router};
use larder::memoize;
use larder::tower::{CacheLayer, PageCache};

/// Prices in cents, as a database would have them.
type Prices = Arc<Mutex<HashMap<u32, u32>>>;

#[derive(Clone)]
struct Shop {
    prices: Prices,
    pages: PageCache,
}

/// How many primes there are below a number: some honest work, kept for an hour.
#[memoize(ttl = "1h")]
fn primes_below(limit: u32) -> usize {
    let is_prime = |number: &u32| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
    (2..limit).filter(is_prime).count()
}

async fn product(State(shop): State<Shop>, Path(id): Path<u32>) -> String {
    let started = Instant::now();
    let limit = 4000 + 100 * (id % 100);
    let primes = tokio::task::spawn_blocking(move || primes_below(limit)).await;
    let primes = primes.unwrap_or_default();
    let price = shop
        .prices
        .lock()
        .map_or(0, |prices| prices.get(&id).copied().unwrap_or(100));
    let took = started.elapsed().as_secs_f64() * 1000.0;
    format!("Product {id} costs {price} cents. ({primes} primes below {limit}; {took:.1} ms)\n")
}

async fn set_price(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
    Form(fields): Form<HashMap<String, u32>>,
) -> Result<&'static str, String> {
    let price = *fields.get("price").ok_or("say price=<cents>")?;
    if let Ok(mut prices) = shop.prices.lock() {
        prices.insert(id, price);
    }
    // Every form of the page is made anew at its next visit.
    let removed = shop.pages.remove(&format!("/product/{id}")).await;
    removed.map_err(|error| error.to_string())?;
    Ok("saved\n")
}

fn app() -> Result<Router, larder::Error> {
    let pages = CacheLayer::builder(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(600))
        .build()?;
    let shop = Shop {
        prices: Prices::default(),
        pages: pages.cache().clone(),
    };
    Ok(Router::new()
        .route("/product/{id}", get(product).post(set_price))
        .layer(pages)
        .with_state(shop))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let site = format!("http://{}", listener.local_addr()?);
    println!("Try, twice each: curl -i {site}/product/7");
    println!("Then:            curl -d price=250 {site}/product/7");
    println!("Stop with Ctrl-C.");
    axum::serve(listener, app()?)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}
