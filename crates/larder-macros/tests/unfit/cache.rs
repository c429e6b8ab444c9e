// says: expected `&Cache<_, _>`
use larder::memoize;

#[memoize(ttl = "2m", cache = 7)]
fn product(id: u32) -> u32 {
    id
}

fn main() {}
