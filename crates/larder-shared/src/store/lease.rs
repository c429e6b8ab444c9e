//! Who loads, and whose answers are for one user each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::store::{Held, Hold, Lease};
use larder_core::{Key, Result};

use super::{Inner, Shared};
use crate::lease::{self, Lead, Taken};
use crate::opened::Opened;

/// How long a declined key is remembered, in seconds.
const ALONE: u64 = 60;

/// The right to load a key. It keeps nothing open but its lock.
struct Right<C> {
    store: Shared<C>,
    number: u64,
    _lead: Lead,
}

pub(super) fn lease<C: Send + Sync + 'static>(store: &Shared<C>, key: &Key) -> Result<Lease> {
    let inner = &store.0;
    let opened = inner.opened()?;
    let number = inner.layout.spot(key).hash();
    if inner.is_declined(&opened, number) {
        return Ok(Lease::Alone);
    }
    let locks = inner.room.settings.directory.join("locks");
    let lead = match lease::take(&locks, number)? {
        Taken::Follow(follow) => return Ok(Lease::Follow(Box::pin(follow))),
        Taken::Lead(lead) => lead,
    };
    // Whoever led before says so before it lets go.
    if inner.is_declined(&opened, number) {
        return Ok(Lease::Alone);
    }
    Ok(Lease::Lead(Held::new(Right {
        store: Shared(Arc::clone(inner)),
        number,
        _lead: lead,
    })))
}

impl<C: Send + Sync + 'static> Hold for Right<C> {
    fn decline(self: Box<Self>) {
        let inner = &self.store.0;
        // Where there is no map, nobody who could be told is there either.
        if let Ok(opened) = inner.opened() {
            let until = inner.seconds(&opened) + ALONE;
            let word = tag(self.number) | until & SECONDS;
            let place = opened.map.declined(self.number);
            place.store(word, Ordering::Release);
        }
    }
}

/// A word has the upper half of a key's number, and the seconds until when it holds.
const SECONDS: u64 = u32::MAX as u64;

fn tag(number: u64) -> u64 {
    number & !SECONDS
}

impl<C> Inner<C> {
    /// Whether some process found out lately that the answers of this key are for one user each.
    fn is_declined(&self, opened: &Opened, number: u64) -> bool {
        let word = opened.map.declined(number).load(Ordering::Acquire);
        let left = (word & SECONDS).saturating_sub(self.seconds(opened) & SECONDS);
        word & !SECONDS == tag(number) && (1..=ALONE).contains(&left)
    }

    fn seconds(&self, opened: &Opened) -> u64 {
        self.times_in(opened).now / 1000
    }
}

impl<C> fmt::Debug for Right<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Right").finish_non_exhaustive()
    }
}
