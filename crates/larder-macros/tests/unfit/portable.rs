// says: Serialize
// says: to implement `Holds<Product>`
use std::sync::LazyLock;

use larder::memo::PortableCache;
use larder::memoize;

static HOME: LazyLock<PortableCache> = LazyLock::new(|| unimplemented!());

#[derive(Clone)]
struct Product;

#[memoize(ttl = "2m", cache = HOME)]
fn product(id: u32) -> Product {
    let _ = id;
    Product
}

fn main() {}
