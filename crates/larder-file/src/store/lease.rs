//! Who loads, and whose answers are for one user each.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use larder_core::store::{Held, Hold, Lease};
use larder_core::{Clock, Key, Result};

use super::{Inner, failed};
use crate::lease::{Lead, Leases, Taken};
use crate::view::{DECLINED_LENGTH, View};

/// How long a declined key is remembered, in seconds.
const ALONE: u64 = 60;

/// The right to load a key.
struct Right {
    view: Arc<View>,
    clock: Arc<dyn Clock>,
    number: u64,
    _lead: Lead,
}

impl<C> Inner<C> {
    pub(super) fn lease(&self, key: &Key) -> Result<Lease> {
        let (view, _) = self.look().map_err(failed)?;
        let number = self.parts.names.spot(key).hash();
        let is_declined = || {
            let declined = view.declined.as_ref();
            declined.is_some_and(|file| is_declined(file, number, seconds(&*self.parts.clock)))
        };
        if is_declined() {
            return Ok(Lease::Alone);
        }
        let taken = self.leases().take(&view.root, number).map_err(failed)?;
        let lead = match taken {
            Taken::Follow(follow) => return Ok(Lease::Follow(Box::pin(follow))),
            Taken::Busy => return Ok(Lease::Alone),
            Taken::Lead(lead) => lead,
        };
        // Whoever led before says so before it lets go.
        if is_declined() {
            return Ok(Lease::Alone);
        }
        Ok(Lease::Lead(Held::new(Right {
            clock: Arc::clone(&self.parts.clock),
            number,
            _lead: lead,
            view,
        })))
    }

    /// What this process leads and waits for; what its parent did is forgotten.
    fn leases(&self) -> Arc<Leases> {
        let leases = self.leases.load_full();
        if !leases.is_inherited() {
            return leases;
        }
        leases.forget_inherited();
        self.leases.compare_and_swap(&leases, Leases::new());
        self.leases.load_full()
    }
}

impl Hold for Right {
    fn decline(self: Box<Self>) {
        if let Some(file) = &self.view.declined {
            let until = (seconds(&*self.clock) + ALONE) & SECONDS;
            let word = self.number & !SECONDS | until;
            // Who is not told loads one after the other.
            let _ = file.write_all_at(&word.to_le_bytes(), place(self.number));
        }
    }
}

/// A word has the upper half of a key's number, and the seconds until when it holds.
const SECONDS: u64 = u32::MAX as u64;

fn place(number: u64) -> u64 {
    number % (DECLINED_LENGTH / 8) * 8
}

/// Whether some process found out lately that the answers of this key are for one user each.
fn is_declined(file: &File, number: u64, now: u64) -> bool {
    let mut word = [0; 8];
    if file.read_exact_at(&mut word, place(number)).is_err() {
        return false;
    }
    let word = u64::from_le_bytes(word);
    let left = (word & SECONDS).saturating_sub(now & SECONDS);
    word & !SECONDS == number & !SECONDS && (1..=ALONE).contains(&left)
}

fn seconds(clock: &dyn Clock) -> u64 {
    clock.now().as_millis() / 1000
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Right")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
