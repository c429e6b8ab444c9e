// says: `Connection: Clone` is not satisfied
// says: derive(Clone)
// says: to implement `Holds<Connection>`
use larder::memoize;

struct Connection;

#[memoize(ttl = "2m")]
fn connect() -> Connection {
    Connection
}

fn main() {}
