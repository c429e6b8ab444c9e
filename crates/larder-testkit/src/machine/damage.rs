//! What a store is filled with before its files are damaged.

use larder_core::codec::Plain;

use super::{Bench, Opening, key};

/// What is written to a store, and purged again.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// How many keys there are.
    pub keys: u64,
    /// What is written to each.
    pub text: fn(u64) -> String,
}

impl Contents {
    /// Fills a store. Every third key is bumped, every seventh is removed, by `remove`.
    pub fn fill<O: Opening>(&self, bench: &Bench<O>, remove: impl Fn(u64)) {
        for which in 0..self.keys {
            let name = key(which.to_string());
            let tag = format!("tag {}", which % 3);
            let (_, fence) = bench.read(&name);
            bench.load(&name, Plain::text((self.text)(which)), &[&tag], fence);
        }
        bench.bump("tag 0");
        (0..self.keys).step_by(7).for_each(remove);
    }

    /// Reads everything: what is found is what was written and not purged. How much that is.
    pub fn look<O: Opening>(&self, bench: &Bench<O>, what: &str) -> usize {
        let found = (0..self.keys).filter(|&which| {
            let Some(found) = bench.get_text(which.to_string()) else {
                return false;
            };
            assert_eq!(found, (self.text)(which), "{what}");
            assert!(!is_gone(which), "{what}: {which} is back");
            true
        });
        found.count()
    }
}

fn is_gone(which: u64) -> bool {
    which.is_multiple_of(3) || which.is_multiple_of(7)
}
