// says: `Shop` cannot be part of a key
// says: `skip(shop)`
use larder::memoize;

struct Shop;

impl Shop {
    #[memoize(ttl = "2m")]
    fn price(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
