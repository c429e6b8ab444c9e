//! The catalogue site on axum: `make demo-rust`, or `cargo run --release -p demo-axum`.
//!
//! `caching` says what is kept, and for how long; `catalogue` asks the database; `pages`, `account` and
//! `writes` answer requests; `stats` counts what the cache did.

mod account;
mod caching;
mod catalogue;
mod database;
mod pages;
mod site;
mod stats;
#[cfg(test)]
mod tests;
mod timing;
mod writes;

use std::error::Error;
use std::time::Instant;

use tokio::net::TcpListener;

const FIRST_PORT: u16 = 5000;

fn what_to_try(site: &str) -> String {
    format!(
        "
What to try. The footer of every page says what it took; so does the log below.

  cold, then warm   curl -s -o /dev/null -w '%{{time_total}} s\\n' '{site}/search?q=lamp'    (twice)
                    or with the headers: curl -s -D - -o /dev/null {site}/category/1
  ?page=2           {site}/category/1?page=2    an entry of its own
  kept a day        the categories on {site}/ ; prices are kept 5 minutes
  a write           {site}/product/1    open \"Edit this product\", save: seen at once, here and in every list
                    curl -s -o /dev/null -d 'name=New name' -d 'price=12.50' {site}/product/1/edit
  sign in           {site}/sign-in    become somebody
  profile           {site}/profile    kept for each user, dropped when it is saved
  orders            {site}/orders    cached whole, once for each user
  cart              {site}/cart    never cached
  purge by tag      curl -s -o /dev/null -d tag=category:1 {site}/purge    or the button under a category
  stale             {site}/trending    reload after 10 s: the old page at once, the new one next time
  statistics        {site}/stats
"
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if !database::location().exists() {
        println!("Building the catalogue: 50,000 products, 400,000 reviews. About 10 s, once ...");
        let started = Instant::now();
        database::ensure()?;
        println!("... done in {:.1} s.", started.elapsed().as_secs_f64());
    }
    let app = site::app(database::Database::open(database::location()))?;
    let listener = listen().await?;
    let site = format!("http://{}", listener.local_addr()?);
    println!("{}", what_to_try(&site));
    println!("Serving on {site}/ - stop with Ctrl-C.");
    axum::serve(listener, app)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    println!("Stopped.");
    Ok(())
}

/// A socket on the first free port.
async fn listen() -> Result<TcpListener, Box<dyn Error>> {
    for port in FIRST_PORT..FIRST_PORT + 100 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener);
        }
    }
    Err(format!("no free port from {FIRST_PORT} on").into())
}
