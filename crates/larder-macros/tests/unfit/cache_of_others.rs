// says: a cache of `u32` does not hold answers of type
// says: a `MemoCache` holds whatever is `Clone + Send + Sync + 'static`
use std::sync::LazyLock;

use larder::{Cache, memoize};

static HOME: LazyLock<Cache<u32>> = LazyLock::new(|| unimplemented!());

#[memoize(ttl = "2m", cache = HOME)]
fn product(id: u32) -> u32 {
    id
}

fn main() {}
