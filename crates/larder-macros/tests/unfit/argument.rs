// says: `Order` cannot be part of a key
// says: implement `KeyPart` for it, or take it out of the key
use larder::memoize;

struct Order {
    id: u32,
}

#[memoize(ttl = "2m")]
fn total(order: &Order) -> u32 {
    order.id
}

fn main() {}
