//! Writing an entry.

use std::io;

use larder_core::codec::Codec;
use larder_core::store::{Mode, Put};
use larder_core::{Entry, Fence, Key, Result, Value};
use rustix::fs::Mode as FileMode;

use super::read::Raw;
use super::session::{Session, Stop, There, or_failed};
use super::{Inner, failed};
use crate::head::Head;
use crate::log::Purge;
use crate::names::Spot;
use crate::sys;
use crate::temp::Temp;

/// What is to be written, and where.
struct Order<'a, V> {
    key: &'a Key,
    spot: Spot,
    entry: &'a Entry<V>,
    mode: Mode,
}

/// How many blocks a write that found the disk full asks the evictor for, beside its own.
const RELIEF: u64 = 16;

impl<C> Inner<C> {
    pub(super) fn put<V: Value>(&self, key: &Key, entry: &Entry<V>, mode: Mode) -> Result<Put>
    where
        C: Codec<V>,
    {
        let order = Order {
            key,
            spot: self.parts.names.spot(key),
            entry,
            mode,
        };
        if entry.value.weight() > self.parts.max_value {
            return or_failed(self.turn_away(&order));
        }
        // The codec is foreign code, and runs before the turn begins.
        let envelope = self
            .parts
            .envelope
            .seal_entry(key, entry, &self.parts.codec)?;
        if envelope.len() > self.parts.max_value {
            return or_failed(self.turn_away(&order));
        }
        let (view, sequence) = self.look().map_err(failed)?;
        if !entry.is_direct() && entry.sequence() > sequence {
            return Ok(Put::Fenced);
        }
        let written = match self.write(&view.root, &envelope) {
            Err(error) if sys::is_full(&error) => {
                or_failed(self.relieve(envelope.len() as u64))?;
                self.write(&view.root, &envelope)
            }
            written => written,
        };
        let mut temp = written.map_err(failed)?;
        let length = envelope.len() as u64;
        or_failed(self.turn(|session| self.store(session, &order, (&mut temp, length))))
    }

    /// Writes a file that has no head yet and no place.
    fn write(
        &self,
        root: &std::sync::Arc<std::os::fd::OwnedFd>,
        envelope: &[u8],
    ) -> io::Result<Temp> {
        let temp = Temp::new(root, FileMode::from_raw_mode(self.parts.mode as _))?;
        temp.write_at(envelope, Head::LENGTH as u64)?;
        Ok(temp)
    }

    fn store<V>(
        &self,
        session: &mut Session<'_, C>,
        order: &Order<'_, V>,
        (temp, length): (&mut Temp, u64),
    ) -> Result<Put, Stop> {
        let (spot, fence, meta) = (order.spot, &order.entry.fence(), &order.entry.meta());
        let Some(sequence) = session.unpurged(spot, (fence, &meta.tags))? else {
            return Ok(Put::Fenced);
        };
        if order.mode == Mode::IfAbsent && session.stands(order.key, spot)? {
            return Ok(Put::Exists);
        }
        let there = session.there(spot)?;
        if session.is_overtaken(order.key, (spot, there), fence)? {
            return Ok(Put::Superseded);
        }
        let head = Head {
            namespace: self.parts.names.namespace,
            generation: session.view.log.generation,
            sequence,
            keep_until: meta.keep_until.as_millis(),
            boot: sys::this_boot(),
            order: fence.order,
            stamp: sys::stamp(),
        };
        temp.write_at(&head.write(spot), 0)?;
        let bytes = Head::LENGTH as u64 + length;
        if session.place((temp, bytes), (spot, head.keep_until), there)? {
            session.replace_variants(spot)?;
        }
        session.make_room(spot)?;
        Ok(Put::Stored)
    }

    /// A value that cannot be stored makes what it was to replace out of date all the same.
    fn turn_away<V>(&self, order: &Order<'_, V>) -> io::Result<Put> {
        if order.mode == Mode::Replace {
            self.turn(|session| {
                let mine = order.entry.order();
                match session.there(order.spot)? {
                    There::Entry(head) if is_later(&head, mine) => Ok(()),
                    There::Nothing => Ok(()),
                    _ => session.drop_file(order.spot),
                }
            })?;
        }
        Ok(Put::TooLarge)
    }

    /// Evicts where the disk has no room.
    fn relieve(&self, bytes: u64) -> io::Result<()> {
        self.turn(|session| {
            let blocks = bytes.div_ceil(crate::page::BLOCK) + RELIEF;
            session.relieve(blocks)
        })
    }
}

/// Whether a load of this machine that started later than `order` wrote the entry.
fn is_later(head: &Head, order: u64) -> bool {
    head.boot == sys::this_boot() && head.order > order
}

impl<C> Session<'_, C> {
    /// Whether a load of this machine that started later has stored the key already, or the base key
    /// that serves it.
    fn is_overtaken(
        &self,
        key: &Key,
        (spot, there): (Spot, There),
        fence: &Fence,
    ) -> Result<bool, Stop> {
        if fence.order == 0 {
            // Nobody knows when it was loaded.
            return Ok(false);
        }
        if matches!(there, There::Entry(head) if is_later(&head, fence.order)) {
            return Ok(true);
        }
        if spot.is_base() {
            return Ok(false);
        }
        let base = spot.of_base();
        match self.there(base)? {
            There::Entry(head) if is_later(&head, fence.order) => {
                self.stands(&key.base_key(), base)
            }
            _ => Ok(false),
        }
    }

    /// Whether a valid entry of `key` lies at `spot` that may still be used.
    pub(super) fn stands(&self, key: &Key, spot: Spot) -> Result<bool, Stop> {
        self.stands_for(Some(key), spot)
    }

    /// As [`stands`](Self::stands), of whatever key the entry is.
    pub(super) fn stands_for(&self, key: Option<&Key>, spot: Spot) -> Result<bool, Stop> {
        let inner = self.inner;
        let raw: Option<Raw> = inner.raw(&self.view, spot)?;
        let Some(raw) = raw else { return Ok(false) };
        let basis = self.basis();
        let valid = inner.valid(basis, &raw)?;
        Ok(valid.is_some_and(|(content, _)| {
            key.is_none_or(|key| key.as_bytes() == content.key) && basis.admits(&content.meta)
        }))
    }

    /// What is stored under a base key serves every variant: their own have to go, and those that are
    /// being loaded come too late.
    fn replace_variants(&mut self, base: Spot) -> Result<(), Stop> {
        let mut family = self.inner.family(&self.view, base)?;
        family.retain(|spot| !spot.is_base());
        if family.is_empty() {
            return Ok(());
        }
        self.purge([Purge::Variants(base.base)].into_iter())?;
        for spot in family {
            self.drop_file(spot)?;
        }
        Ok(())
    }
}
