//! What one transaction sees: entries, and the purges that are against them.

use heed::RoTxn;
use larder_core::codec::{Envelope, Opened as Content};
use larder_core::{Key, Tags};

use super::writing::damaged;
use crate::layout::{self, Head, Layout, Purged, Spot, State};
use crate::opened::Records;

/// What the purges of a namespace say, seen from one transaction.
pub(super) struct View<'a> {
    pub(super) txn: &'a RoTxn<'a>,
    pub(super) records: Records,
    pub(super) layout: &'a Layout,
}

impl<'a> View<'a> {
    pub(super) fn state(&self) -> heed::Result<Option<State>> {
        let key = self.layout.state();
        match self.records.get(self.txn, &key)? {
            None => Ok(None),
            Some(bytes) => State::read(&key, bytes).map(Some).ok_or_else(damaged),
        }
    }

    /// The number of the last purge of `what`.
    pub(super) fn latest(&self, state: &State, what: Purged) -> heed::Result<u64> {
        let key = self.layout.purge(what);
        match (self.records.get(self.txn, &key)?, what) {
            (Some(bytes), _) => layout::read_purge(&key, bytes).ok_or_else(damaged),
            (None, Purged::Tag(_)) => Ok(state.bumped_floor),
            (None, _) => Ok(state.removed_floor),
        }
    }

    /// Whether none of the tags was bumped after the purge `seen`.
    pub(super) fn tags_stand(&self, state: &State, tags: &Tags, seen: u64) -> heed::Result<bool> {
        if seen == state.sequence {
            return Ok(true);
        }
        for tag in tags.iter() {
            if self.latest(state, self.layout.tag(tag))? > seen {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The bytes of an entry: its head, and its envelope. What has a damaged head is absent.
    pub(super) fn entry(&self, spot: Spot) -> heed::Result<Option<(Head, &'a [u8])>> {
        let key = spot.key();
        let bytes = self.records.get(self.txn, &key)?;
        Ok(bytes.and_then(|bytes| Head::read(&key, bytes)))
    }

    /// Whether an entry is valid. Removals take entries out, so only a clear, which does so later,
    /// and tags can be against it.
    pub(super) fn is_valid(
        &self,
        state: &State,
        head: &Head,
        content: &Content<'_>,
    ) -> heed::Result<bool> {
        Ok(head.sequence >= state.cleared
            && self.tags_stand(state, &content.meta.tags, head.sequence)?)
    }

    /// Whether something valid lies at `spot` that may still be used at `now`; `key` is whose it has
    /// to be, unless it is anybody's.
    pub(super) fn stands(
        &self,
        (spot, key): (Spot, Option<&Key>),
        envelope: &Envelope,
        now: u64,
    ) -> heed::Result<bool> {
        let (Some(state), Some((head, bytes))) = (self.state()?, self.entry(spot)?) else {
            return Ok(false);
        };
        let content = match key {
            Some(key) => envelope.open(key, bytes),
            None => envelope.open_any(bytes),
        };
        match content {
            Ok(content) if now < content.meta.spare_until.as_millis() => {
                self.is_valid(&state, &head, &content)
            }
            _ => Ok(false),
        }
    }
}
