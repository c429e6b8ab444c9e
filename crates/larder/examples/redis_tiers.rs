//! Memoized answers in Redis, with copies of them in each process. Run it twice, beside a server, with
//! `cargo run --example redis_tiers --features redis,serde`; `CACHE_URL` says where the server is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use larder::memo::{PortableCache, PortableCodec};
use larder::{Cache, memoize};
use serde::{Deserialize, Serialize};

/// Copies of at most 64 MB in this process, in front of all that the server has. What other processes
/// change there is told by the server; without word from it a copy is used for five seconds at most.
const URL: &str = "memory://?size=64MB&ttl=5s + redis://127.0.0.1:6379/0";

static ANSWERS: OnceLock<PortableCache> = OnceLock::new();
static CALLS: AtomicU32 = AtomicU32::new(0);

/// The cache of this process.
fn answers() -> &'static PortableCache {
    ANSWERS.get_or_init(|| {
        let url = std::env::var("CACHE_URL").unwrap_or_else(|_| URL.to_owned());
        open(&url).expect("CACHE_URL names a store")
    })
}

fn open(url: &str) -> larder::Result<PortableCache> {
    let store = larder::open(url)?
        .namespace("example_")
        .build_tokio(PortableCodec)?;
    Ok(Cache::new(store))
}

/// serde writes it, with the names of its fields: a version of the program that does not know them
/// asks anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u32,
    name: String,
    cents: u64,
}

/// Asked for once by all processes together, and known to all versions of the program by its `name`.
#[memoize(ttl = "10m", name = "shop.product", tags = ["product:{id}"], skip(_home), cache = _home)]
async fn product(_home: &PortableCache, id: u32) -> Result<Option<Product>, String> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    Ok((id < 1000).then(|| Product {
        id,
        name: format!("lamp {id}"),
        cents: 4900,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for visit in ["the first", "the second"] {
        let began = Instant::now();
        let found = product(answers(), 7).await?;
        let name = found.map_or("nothing".into(), |product| product.name);
        println!("{visit} visit: {name}, after {:?}", began.elapsed());
    }
    println!(
        "this process asked {} times; run it again",
        CALLS.load(Ordering::Relaxed)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testkit::Program;

    #[tokio::test]
    async fn two_processes_load_once_and_a_purge_reaches_both() {
        let port = Program::free_port();
        let arguments = [
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ];
        let arguments = arguments.map(str::to_owned);
        let Some(_server) = Program::start("redis-server", &arguments, Some(port)) else {
            return;
        };
        let url = format!("memory://?ttl=5s + redis://127.0.0.1:{port}/0?deadline=20s");
        let (one, other) = (open(&url).unwrap(), open(&url).unwrap());
        let expected = Some(Product {
            id: 7,
            name: "lamp 7".into(),
            cents: 4900,
        });
        for cache in [&one, &other, &one, &other] {
            assert_eq!(product(cache, 7).await.unwrap(), expected);
        }
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        one.bump(&[larder::Tag::new("product:7")]).await.unwrap();
        assert_eq!(product(&one, 7).await.unwrap(), expected);
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
        assert!(invalidate_product(&other, 7).await.unwrap());
        assert_eq!(product(&other, 7).await.unwrap(), expected);
        assert_eq!(CALLS.load(Ordering::Relaxed), 3);
        assert_eq!(product(&other, 1000).await.unwrap(), None);
    }
}
