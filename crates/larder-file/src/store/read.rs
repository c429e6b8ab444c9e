//! Reading: one look at the log, one file; no lock is held, and nobody is waited for.

use std::sync::Arc;

use larder_core::codec::{Codec, Envelope, Opened, Unreadable};
use larder_core::store::Reading;
use larder_core::{Entry, Fence, Key, Meta, Result, Value};
use rustix::io::Errno;

use super::scan::troubled;
use super::{Inner, failed};
use crate::head::{Head, Look};
use crate::log::Trouble;
use crate::names::Spot;
use crate::sys;
use crate::view::View;

/// What an envelope takes at most beside the value: the key, and tags.
const AROUND: usize = 1 << 20;
/// How much later than now, in milliseconds, an entry may have been stored: the clocks of two machines
/// differ by so much, and of two workers that were started at different times.
const AHEAD: u64 = 5000;

/// What entries are judged by: the directory, the number of the last purge, and the time. It is looked at once
/// for each operation, because the clock may be foreign code, and none runs in a turn.
#[derive(Clone, Copy)]
pub(super) struct Basis<'a> {
    pub(super) view: &'a View,
    pub(super) sequence: u64,
    /// In milliseconds.
    pub(super) now: u64,
}

impl Basis<'_> {
    /// Whether an entry may still be used.
    pub(super) fn admits(&self, meta: &Meta) -> bool {
        self.now < meta.spare_until.as_millis()
    }
}

/// The file of an entry, and what its head says.
pub(super) struct Raw {
    pub(super) head: Head,
    spot: Spot,
    bytes: Vec<u8>,
}

impl Raw {
    pub(super) fn envelope(&self) -> &[u8] {
        &self.bytes[Head::LENGTH..]
    }

    /// The key of the entry, if the envelope is whole.
    pub(super) fn key(&self, envelope: &Envelope) -> Option<Key> {
        let content = envelope.open_any(self.envelope()).ok()?;
        Key::decode(content.key)
    }
}

impl<C> Inner<C> {
    pub(super) fn get<V: Value>(&self, key: &Key) -> Result<Reading<V>>
    where
        C: Codec<V>,
    {
        // The fence comes first: a purge between the two reads then fences the load for nothing,
        // where the other order would let its result pass.
        let (view, sequence) = match self.look() {
            Ok(looked) => looked,
            Err(error) if sys::is_full(&error) => return Ok(nothing()),
            Err(error) => return Err(failed(error)),
        };
        let fence = Fence {
            all: view.log.generation,
            sequence,
            ..Fence::default()
        };
        let entry = self.find(self.basis(&view, sequence), key);
        self.tell_news();
        let entry = entry.map_err(troubled)?;
        Ok(Reading { entry, fence })
    }

    /// What is to be judged by now.
    pub(super) fn basis<'a>(&self, view: &'a View, sequence: u64) -> Basis<'a> {
        let now = self.now();
        Basis {
            view,
            sequence,
            now,
        }
    }

    /// The entry of a key: its own, or that of the base key.
    fn find<V: Value>(&self, basis: Basis<'_>, key: &Key) -> Result<Option<Arc<Entry<V>>>, Trouble>
    where
        C: Codec<V>,
    {
        let spot = self.parts.names.spot(key);
        let own = self.entry_at(basis, (key, spot))?;
        let usable = own
            .as_ref()
            .is_some_and(|entry| basis.admits(&entry.meta()));
        if usable || spot.is_base() {
            if usable {
                basis.view.marks.set(spot);
            }
            return Ok(own.map(Arc::new));
        }
        let base = self.entry_at(basis, (&key.base_key(), spot.of_base()))?;
        if base.is_some() {
            basis.view.marks.set(spot.of_base());
        }
        Ok(base.or(own).map(Arc::new))
    }

    fn entry_at<V: Value>(
        &self,
        basis: Basis<'_>,
        (key, spot): (&Key, Spot),
    ) -> Result<Option<Entry<V>>, Trouble>
    where
        C: Codec<V>,
    {
        match self.raw(basis.view, spot)? {
            Some(raw) => self.entry(basis, (Some(key), &raw)),
            None => Ok(None),
        }
    }

    /// The entry in a file, if it is valid and one of `key`, where it must be one.
    pub(super) fn entry<V: Value>(
        &self,
        basis: Basis<'_>,
        (key, raw): (Option<&Key>, &Raw),
    ) -> Result<Option<Entry<V>>, Trouble>
    where
        C: Codec<V>,
    {
        let Some((mut content, fence)) = self.valid(basis, raw)? else {
            return Ok(None);
        };
        if key.is_some_and(|key| key.as_bytes() != content.key) {
            self.tally.unreadable(Unreadable::OtherKey);
            return Ok(None);
        }
        content.fence = fence;
        let entry = content.into_entry(&self.parts.codec);
        Ok(entry.inspect_err(|_| self.tally.undecodable()).ok())
    }

    /// What is in the file at `spot`, if it is an entry of this namespace. Everything else is a miss,
    /// and is counted.
    pub(super) fn raw(&self, view: &View, spot: Spot) -> Result<Option<Raw>, Trouble> {
        let most = Head::LENGTH + AROUND + self.parts.max_value;
        let bytes = match sys::read(&view.root, spot.path().as_bytes(), most) {
            Ok(Some(bytes)) => bytes,
            Err(Errno::NOENT) => return Ok(None),
            Ok(None)
            | Err(Errno::LOOP | Errno::MLINK | Errno::ISDIR | Errno::NXIO | Errno::NOTDIR) => {
                self.tally.unreadable(Unreadable::Foreign);
                return Ok(None);
            }
            Err(Errno::ACCESS | Errno::PERM | Errno::IO | Errno::AGAIN | Errno::STALE) => {
                self.tally.denied();
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match Head::read(spot, &bytes) {
            Look::Entry(head) => {
                // Whoever walks through the directory meets the entries of others.
                let mine = head.namespace == self.parts.names.namespace;
                Ok(mine.then_some(Raw { head, spot, bytes }))
            }
            look => {
                self.tally.unreadable(look.unreadable());
                Ok(None)
            }
        }
    }

    /// What stands in the envelope, and the fence of the entry, if no purge is against it.
    pub(super) fn valid<'a>(
        &self,
        basis: Basis<'_>,
        raw: &'a Raw,
    ) -> Result<Option<(Opened<'a>, Fence)>, Trouble> {
        let head = raw.head;
        if head.generation != basis.view.log.generation {
            return Ok(None);
        }
        let content = match self.parts.envelope.open_any(raw.envelope()) {
            Ok(content) => content,
            Err(why) => {
                self.tally.unreadable_at(raw.spot, why);
                return Ok(None);
            }
        };
        if content.meta.stored_at.as_millis() > basis.now.saturating_add(AHEAD) {
            return Ok(None);
        }
        if head.sequence != basis.sequence && !self.stands(basis.view, &head, &content)? {
            return Ok(None);
        }
        let fence = Fence {
            all: head.generation,
            sequence: head.sequence,
            order: match head.boot == sys::this_boot() {
                true => head.order,
                false => 0,
            },
            ..Fence::default()
        };
        Ok(Some((content, fence)))
    }

    fn stands(&self, view: &View, head: &Head, content: &Opened<'_>) -> Result<bool, Trouble> {
        let names = self.parts.names;
        let key = Key::decode(content.key);
        let purges = view.log.purges()?;
        let tags = content.meta.tags.iter().map(|tag| names.tag(tag));
        // Removals take files out, so those on record matter only until they have done so.
        Ok(head.sequence >= purges.cleared
            && key.is_some_and(|key| purges.removed(names.spot(&key)) <= head.sequence)
            && purges.bumped(tags) <= head.sequence)
    }
}

/// What is read where there is no room even to begin: a load from here stores nothing.
fn nothing<V>() -> Reading<V> {
    Reading {
        entry: None,
        fence: Fence::default(),
    }
}
