// says: can't use generic parameters from outer item
use larder::memoize;

struct Table<T>(T);

impl<T: Default> Table<T> {
    #[memoize(ttl = "2m")]
    fn first(id: u32) -> usize {
        let _: T = T::default();
        id as usize
    }
}

fn main() {}
