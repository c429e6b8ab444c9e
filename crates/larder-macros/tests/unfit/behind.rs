// says: `Database: Clone` is not satisfied
// says: derive(Clone)
use larder::memoize;

struct Database;

#[memoize(ttl = "2m", stale_while_revalidate = "1h", skip(database))]
fn product(database: &Database, id: u32) -> u32 {
    let _: &Database = database;
    id
}

fn main() {}
