//! Which load of this process started last, key by key.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::key::Key;

/// Remembers the latest load that stored each key, so that one that started earlier and ends later
/// does not overwrite it: for stores that cannot compare loads themselves. Loads of other processes
/// cannot be compared.
///
/// Nobody waits for a lock here, because a fork may have left it closed for ever: what cannot be
/// remembered at once is not remembered.
///
/// ```
/// use larder_core::store::Orders;
/// use larder_core::{Key, Kind};
///
/// let orders = Orders::new();
/// let key = Key::new(Kind::User, "k");
/// assert!(orders.claim(&key, 2));
/// assert!(!orders.claim(&key, 1), "it started earlier");
/// ```
#[derive(Debug)]
pub struct Orders([Mutex<HashMap<u128, u64>>; 16]);

/// Keys remembered in each part; when it is full, it starts anew.
const REMEMBERED: usize = 1024;

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}

impl Orders {
    /// No load is remembered yet.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// Whether no load with a higher number has stored this key. Then this one counts as the latest.
    /// The number 0 is that of a load whose start nobody knows, and is always let through.
    pub fn claim(&self, key: &Key, order: u64) -> bool {
        if order == 0 {
            return true;
        }
        let digest = key.digest();
        let part = &self.0[(digest % 16) as usize];
        let Ok(mut latest) = part.try_lock() else {
            return true;
        };
        if latest.get(&digest).is_some_and(|&stored| stored > order) {
            return false;
        }
        if latest.len() >= REMEMBERED {
            latest.clear();
        }
        latest.insert(digest, order);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Orders;
    use crate::key::{Key, Kind};

    #[test]
    fn the_load_that_started_last_stays() {
        let (orders, key) = (Orders::new(), Key::new(Kind::User, "k"));
        assert!(orders.claim(&key, 5));
        assert!(!orders.claim(&key, 4));
        assert!(orders.claim(&key, 5) && orders.claim(&key, 6) && orders.claim(&key, 0));
        assert!(orders.claim(&Key::new(Kind::User, "other"), 1));
    }
}
