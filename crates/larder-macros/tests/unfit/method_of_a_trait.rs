// says: method `invalidate_price` is not a member of trait `Prices`
use larder::memoize;

trait Prices {
    fn price(&self, id: u32) -> u32;
}

impl Prices for String {
    #[memoize(ttl = "2m")]
    fn price(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
