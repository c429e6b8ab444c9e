//! The near tier: copies in this process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::copy::{self, ALONE, Copy};
use super::signs::Signs;
use crate::entry::{Entry, Fence};
use crate::flight::LoadId;
use crate::key::Key;
use crate::shim::step;
use crate::store::{Memory, Mode, Put, Reading, Removal, Store, Watcher};
use crate::tag::Tag;
use crate::time::{Clock, Timestamp};
use crate::value::Value;

/// The copies, and what is known of how good they are.
pub(super) struct Near<V: Value> {
    copies: Memory<Copy<V>>,
    signs: Signs,
    clock: Arc<dyn Clock>,
    ttl: Duration,
}

/// What is known near by before the far store is read. What a read brings is kept under its ticket:
/// whatever was purged here since, or told of since, keeps it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    sequence: u64,
    era: u64,
    order: u64,
    until: u64,
}

/// What a load starts from: the fence of a read, and the tags that were named to it.
type Start<'a> = (&'a Fence, &'a [Tag]);

impl<V: Value> Near<V> {
    pub(super) fn new(copies: Memory<Copy<V>>, clock: Arc<dyn Clock>, ttl: Duration) -> Self {
        Self {
            copies,
            signs: Signs::new(),
            clock,
            ttl,
        }
    }

    pub(super) fn copies(&self) -> &Memory<Copy<V>> {
        &self.copies
    }

    /// Says whether the far store tells of changes.
    pub(super) fn channel(&self, is_there: bool) {
        self.signs.channel(is_there);
    }

    /// Taken before the far store is read.
    pub(super) fn ticket(&self) -> Ticket {
        let era = self.signs.era();
        step();
        let sequence = self.copies.sequence();
        step();
        Ticket {
            sequence,
            era,
            order: LoadId::next().number(),
            until: self.clock.now().plus(self.ttl).as_millis(),
        }
    }

    /// The copy of exactly this key, if it is as good as a read.
    #[inline]
    fn copy(&self, key: &Key) -> Option<(Arc<Entry<Copy<V>>>, Timestamp)> {
        // In this order: see `Signs`.
        let good_until = self.signs.good_until();
        if good_until == 0 {
            return None;
        }
        let kept = self.copies.own(key)?;
        step();
        let now = self.clock.now();
        let copy = &kept.value;
        let good =
            copy.era == self.signs.era() && now.as_millis() <= good_until && copy.is_good(key, now);
        good.then_some((kept, now))
    }

    /// The entry of a copy, for who will not load.
    #[inline]
    pub(super) fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let (kept, _) = self.copy(key)?;
        Some(Arc::clone(&kept.value.entry))
    }

    /// What a read found that is fresh and whose fence is good for a load with these tags. Anything
    /// else is asked of the far store: it may have been refreshed there.
    pub(super) fn reading(&self, key: &Key, tags: &[Tag]) -> Option<Reading<V>> {
        let (kept, now) = self.copy(key)?;
        let Copy { entry, start, .. } = &kept.value;
        let (fence, named) = start.as_ref()?;
        (now < entry.fresh_until() && **named == *tags).then(|| Reading {
            entry: Some(Arc::clone(entry)),
            fence: fence.clone(),
        })
    }

    /// As [`reading`](Self::reading), for who will only compare the fence.
    pub(super) fn compared(&self, key: &Key) -> Option<Reading<V>> {
        let (kept, now) = self.copy(key)?;
        let Copy { entry, start, .. } = &kept.value;
        let (fence, _) = start.as_ref()?;
        (now < entry.fresh_until()).then(|| Reading {
            entry: Some(Arc::clone(entry)),
            fence: fence.clone(),
        })
    }

    /// As [`reading`](Self::reading), for who will not load.
    pub(super) fn peek(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let (kept, now) = self.copy(key)?;
        let entry = &kept.value.entry;
        (now < entry.fresh_until()).then(|| Arc::clone(entry))
    }

    /// Keeps what the far store answered under a ticket from before; where that is nothing, lets go of
    /// what was stored alone.
    pub(super) fn promote(
        &self,
        key: &Key,
        ticket: Ticket,
        (entry, start): (Option<&Arc<Entry<V>>>, Option<Start<'_>>),
    ) {
        step();
        let now = self.clock.now();
        let usable = entry.filter(|entry| entry.is_usable(now));
        let Some(entry) = usable else {
            if self.copies.own(key).is_some() {
                self.copies.let_go(key);
            }
            return;
        };
        let copy = Copy {
            entry: Arc::clone(entry),
            era: ticket.era,
            until: ticket.until,
            start: start.map(|(fence, tags)| (fence.clone(), tags.into())),
        };
        self.copies.keep(key, copy.kept(ticket.fence()));
    }

    /// What is answered without the far store: what was stored so, and a fence for a load that begins
    /// so.
    pub(super) fn alone(&self, key: &Key, ticket: Ticket) -> Reading<V> {
        Reading {
            entry: self.stored_alone(key),
            fence: copy::alone(ticket.sequence),
        }
    }

    pub(super) fn stored_alone(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let now = self.clock.now();
        let of = |key: &Key| {
            let kept = self.copies.own(key)?;
            let copy = &kept.value;
            (copy.era == ALONE && copy.is_good(key, now)).then(|| Arc::clone(&copy.entry))
        };
        let own = of(key);
        if own.is_some() || key.is_base() {
            return own;
        }
        of(&key.base_key())
    }

    /// All that was stored alone under a base key.
    pub(super) async fn variants_alone(&self, base: &Key) -> Vec<(Key, Arc<Entry<V>>)> {
        let found = self.copies.variants(base).await.unwrap_or_default();
        let now = self.clock.now();
        let alone = found.into_iter().filter(|(key, kept)| {
            let copy = &kept.value;
            copy.era == ALONE && copy.is_good(key, now)
        });
        alone
            .map(|(key, kept)| (key, Arc::clone(&kept.value.entry)))
            .collect()
    }

    /// Stores an entry that the far store does not get: the result of a load that began alone, or a
    /// value that was handed in.
    pub(super) async fn store_alone(&self, key: &Key, entry: Arc<Entry<V>>) -> Put {
        let until = self.clock.now().plus(self.ttl).as_millis();
        let fence = if entry.is_direct() {
            Fence::direct(entry.order())
        } else {
            Fence {
                sequence: entry.sequence(),
                order: entry.order(),
                ..Fence::default()
            }
        };
        let copy = Copy {
            entry,
            era: ALONE,
            until,
            start: None,
        };
        let kept = Arc::new(copy.kept(fence));
        let put = self.copies.put(key, kept, Mode::Replace).await;
        put.unwrap_or(Put::TooLarge)
    }

    /// Purges copies, and keeps out what reads that are under way will bring.
    pub(super) fn purge(&self, what: &Removal<'_>) {
        step();
        self.copies.purge(what);
        step();
    }

    /// As [`purge`](Self::purge), by tags.
    pub(super) fn purge_tags(&self, tags: &[Tag]) {
        step();
        self.copies.purge_tags(tags);
        step();
    }

    /// Gives back the room of copies.
    pub(super) fn let_go(&self, keys: &[Key]) {
        keys.iter().for_each(|key| self.copies.let_go(key));
    }
}

impl Ticket {
    fn fence(self) -> Fence {
        Fence {
            sequence: self.sequence,
            order: self.order,
            ..Fence::default()
        }
    }
}

impl<V: Value> Watcher for Near<V> {
    fn keys(&self, keys: &[Key]) {
        self.purge(&Removal::Keys(keys));
    }

    fn tags(&self, tags: &[Tag]) {
        self.purge_tags(tags);
    }

    fn everything(&self) {
        self.purge(&Removal::All);
    }

    fn alive(&self, at: Timestamp) {
        self.signs.alive(at);
    }

    fn tick(&self, at: Timestamp) {
        self.signs.tick(at);
    }

    fn lost(&self) {
        if self.signs.lost() {
            // The era says so already: this gives their room back.
            self.everything();
        }
    }
}

impl<V: Value> fmt::Debug for Near<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near")
            .field("copies", &self.copies)
            .field("signs", &self.signs)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
