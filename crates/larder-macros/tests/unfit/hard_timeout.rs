// says: a function with a hard timeout fails when that is over, and this one cannot fail
// says: let it return a `Result` whose error is `From<larder::TimedOut>`
use larder::memoize;

#[memoize(ttl = "2m", hard_timeout = "2s")]
fn product(id: u32) -> u32 {
    id
}

fn main() {}
