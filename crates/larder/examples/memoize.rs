//! Functions and methods that remember their answers. Run it with `cargo run --example memoize`.

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{KeyPart, KeyWriter, memoize};

/// How often the slow service was asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// A slow service that knows some currencies.
fn ask(from: &str, to: &str) -> Result<Option<f64>, String> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    match (from, to) {
        ("", _) | (_, "") => Err("the service wants two currencies".into()),
        ("EUR", "USD") => Ok(Some(1.1)),
        ("USD", "EUR") => Ok(Some(0.9)),
        _ => Ok(None),
    }
}

/// Kept for an hour; for a day after that it is given while it is asked for again, and for a week in
/// place of an error. An error is not kept, and neither is `None`: a currency may be new tomorrow.
#[memoize(
    ttl = "1h",
    stale_while_revalidate = "1d",
    stale_if_error = "1w",
    tags = ["rates", "rates:{from}"],
)]
fn rate(from: &str, to: &str) -> Result<Option<f64>, String> {
    ask(from, to)
}

/// A shop with prices in its own currency: what two of them answer is not the same.
struct Shop(&'static str);

impl KeyPart for Shop {
    fn write(&self, key: &mut KeyWriter) {
        key.text(self.0);
    }
}

/// What somebody buys: its number, and a note, which does not matter to the price.
struct Item(
    u32,
    #[expect(dead_code, reason = "it is no part of the key")] &'static str,
);

impl Shop {
    /// The price here, in a cache of a thousand prices that is its own.
    #[memoize(ttl = "5m", key(item = item.0), max_entries = 1000)]
    async fn price(&self, item: &Item) -> Result<f64, String> {
        let price = f64::from(100 * item.0);
        if self.0 == "EUR" {
            return Ok(price);
        }
        let rate = rate("EUR", self.0)?.ok_or("no such currency")?;
        Ok(price * rate)
    }
}

/// The price of item 7 in two shops, before the rates change and after it.
async fn visit() -> Result<[f64; 3], Box<dyn std::error::Error>> {
    let (here, there) = (Shop("EUR"), Shop("USD"));
    let (item, again) = (Item(7, "a gift"), Item(7, ""));
    let before = [here.price(&item).await?, there.price(&item).await?];
    there.price(&again).await?; // from the cache: it is item 7 there as well
    larder::memo::bump(["rates:EUR"])?; // every rate from euros
    there.invalidate_price(&item).await?; // this price in this shop
    Ok([before[0], before[1], there.price(&again).await?])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [here, there, after] = visit().await?;
    println!("item 7 costs {here} EUR here, {there:.0} USD there, and {after:.0} USD later");
    println!(
        "the service was asked {} times",
        ASKED.load(Ordering::Relaxed)
    );
    println!(
        "a rate that nobody knows: {:?}, an error: {:?}",
        rate("EUR", "XTS")?,
        rate("", "")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_asked_when_something_was_forgotten() {
        // Any executor does.
        assert_eq!(pollster::block_on(visit()).unwrap()[0], 700.0);
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        assert_eq!(
            (rate("EUR", "USD"), rate("EUR", "USD")),
            (Ok(Some(1.1)), Ok(Some(1.1)))
        );
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        assert_eq!(
            (rate("EUR", "XTS"), rate("EUR", "XTS")),
            (Ok(None), Ok(None))
        );
        assert_eq!(ASKED.load(Ordering::Relaxed), 4);
    }
}
