//! The time in the environment, which all processes share.
//!
//! A process reads the wall once, when it starts, and counts the time that the machine is up from
//! then on. Where the wall is set between the starts of two workers, they differ about the time by as
//! much. So entries are stored in the time of whoever used the environment first: the map says what
//! the wall was for that process when the machine started.

use std::sync::atomic::Ordering;

use larder_core::{Clock, Meta, Result, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use super::Inner;
use crate::map::{Map, Word};
use crate::opened::Opened;

/// Differences up to this, in milliseconds, come from reading two clocks one after the other.
const SAME: u64 = 1000;

/// How this process tells the time of the environment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How much later this process thinks it is, in milliseconds.
    ahead: i64,
    /// Now, as it would be stored.
    pub(super) now: u64,
}

impl<C> Inner<C> {
    pub(super) fn times(&self) -> Result<Times> {
        Ok(self.times_in(&*self.opened()?))
    }

    pub(super) fn times_in(&self, opened: &Opened) -> Times {
        let ahead = if self.clock.is_machine() {
            *opened
                .ahead
                .get_or_init(|| ahead(&opened.map, &*self.clock))
        } else {
            0
        };
        Times {
            ahead,
            now: moved(self.clock.now(), -ahead).as_millis(),
        }
    }
}

impl Times {
    /// A meta of this process as it is stored.
    pub(super) fn stored(self, meta: &Meta) -> Meta {
        each(meta, -self.ahead)
    }

    /// A meta that was stored as it is for this process.
    pub(super) fn local(self, meta: Meta) -> Meta {
        if self.ahead == 0 {
            return meta;
        }
        each(&meta, self.ahead)
    }

    /// Whether times are the same here and there.
    pub(super) fn agree(self) -> bool {
        self.ahead == 0
    }
}

/// How much later it is for `clock` than for whoever set the word; sets it where nobody has.
fn ahead(map: &Map, clock: &dyn Clock) -> i64 {
    let mine = started(clock);
    let word = map.word(Word::Started);
    let theirs = match word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => mine,
        Err(theirs) => theirs,
    };
    if mine.abs_diff(theirs) <= SAME {
        return 0;
    }
    mine.wrapping_sub(theirs).cast_signed()
}

/// What the wall was for `clock` when the machine started, in milliseconds. Read again where this
/// thread had to stand aside between the two clocks.
fn started(clock: &dyn Clock) -> u64 {
    let mut started = 0;
    for _ in 0..10 {
        let before = up();
        let now = clock.now().as_millis();
        started = now.saturating_sub(before).max(1);
        if up() - before < SAME / 4 {
            break;
        }
    }
    started
}

/// How long the machine has been up, in milliseconds.
fn up() -> u64 {
    let up = clock_gettime(ClockId::Boottime);
    up.tv_sec.cast_unsigned() * 1000 + up.tv_nsec.cast_unsigned() / 1_000_000
}

fn each(meta: &Meta, by: i64) -> Meta {
    Meta {
        stored_at: moved(meta.stored_at, by),
        fresh_until: moved(meta.fresh_until, by),
        stale_until: moved(meta.stale_until, by),
        spare_until: moved(meta.spare_until, by),
        keep_until: moved(meta.keep_until, by),
        retry_at: moved(meta.retry_at, by),
        ..meta.clone()
    }
}

/// A point in time so much later. What never comes stays so, and what was always past too.
fn moved(at: Timestamp, by: i64) -> Timestamp {
    if at == Timestamp::NEVER || at == Timestamp::EPOCH {
        return at;
    }
    let millis = at.as_millis().saturating_add_signed(by);
    Timestamp::from_millis(millis.clamp(1, u64::MAX - 1))
}
