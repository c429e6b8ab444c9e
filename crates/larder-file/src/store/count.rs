//! Counting.

use larder_core::codec::Codec;
use larder_core::{Entry, Error, ErrorKind, Fence, Key, Meta, Result, Value};
use rustix::fs::Mode;

use super::scan::troubled;
use super::session::{There, or_failed};
use super::{Inner, failed};
use crate::head::Head;
use crate::sys;
use crate::temp::Temp;

/// How often a count is tried before it gives up. Each time that one fails, another one succeeded.
const ATTEMPTS: u32 = 10_000;

/// What was read before counting: the head, if there was anything, and the bytes to be written.
struct Swap<'a> {
    key: &'a Key,
    old: Option<Head>,
    envelope: &'a [u8],
    keep_until: u64,
}

impl<C> Inner<C> {
    /// Reads, adds, and writes if nobody else has written meanwhile. The codec is foreign code, so it
    /// cannot run within a turn.
    pub(super) fn count<V: Value>(&self, key: &Key, delta: i64, meta: &Meta) -> Result<i64>
    where
        C: Codec<V>,
    {
        for _ in 0..ATTEMPTS {
            let there = self.own::<V>(key)?;
            let (old, meta, head) = match there {
                None => (Some(0), meta.clone(), None),
                Some((entry, head)) => (
                    entry.as_ref().and_then(|entry| entry.value.as_count()),
                    entry.map_or_else(|| meta.clone(), |entry| entry.meta()),
                    Some(head),
                ),
            };
            let count = old.and_then(|old| old.checked_add(delta));
            let count = count.ok_or_else(|| not_a_counter(key))?;
            let value = V::from_count(count).ok_or_else(|| not_a_counter(key))?;
            let keep_until = meta.keep_until.as_millis();
            let entry = Entry::new(meta, value, Fence::direct(0));
            let envelope = self
                .parts
                .envelope
                .seal_entry(key, &entry, &self.parts.codec)?;
            let swap = Swap {
                key,
                old: head,
                envelope: &envelope,
                keep_until,
            };
            if or_failed(self.swap(&swap))? {
                return Ok(count);
            }
        }
        let detail = format!("{key} changed again and again while it was being counted");
        Err(Error::new(ErrorKind::Timeout, detail))
    }

    /// The entry of exactly this key that may still be used, if the codec knows it, and its head.
    fn own<V: Value>(&self, key: &Key) -> Result<Option<(Option<Entry<V>>, Head)>>
    where
        C: Codec<V>,
    {
        let (view, sequence) = self.look().map_err(failed)?;
        let basis = self.basis(&view, sequence);
        let spot = self.parts.names.spot(key);
        let Some(raw) = self.raw(&view, spot).map_err(troubled)? else {
            return Ok(None);
        };
        let content = self.valid(basis, &raw).map_err(troubled)?;
        let mine = content.is_some_and(|(content, _)| {
            content.key == key.as_bytes() && basis.admits(&content.meta)
        });
        if !mine {
            return Ok(None);
        }
        let entry = self.entry(basis, (Some(key), &raw)).map_err(troubled)?;
        Ok(Some((entry, raw.head)))
    }

    /// Writes the entry if what is there is what was read: this one, or nothing that may be used.
    fn swap(&self, swap: &Swap<'_>) -> std::io::Result<bool> {
        let spot = self.parts.names.spot(swap.key);
        self.turn(|session| {
            let there = session.there(spot)?;
            let same = match (swap.old, there) {
                (Some(old), There::Entry(head)) => {
                    old.stamp == head.stamp && session.stands(swap.key, spot)?
                }
                (Some(_), _) => false,
                (None, _) => !session.stands(swap.key, spot)?,
            };
            if !same {
                return Ok(false);
            }
            let head = Head {
                namespace: self.parts.names.namespace,
                generation: session.view.log.generation,
                sequence: session.sequence,
                keep_until: swap.keep_until,
                boot: sys::this_boot(),
                order: match there {
                    There::Entry(head) if head.boot == sys::this_boot() => head.order,
                    _ => 0,
                },
                stamp: sys::stamp(),
            };
            let mode = Mode::from_raw_mode(self.parts.mode as _);
            let mut temp = Temp::new(&session.view.root, mode)?;
            temp.write_at(&head.write(spot), 0)?;
            temp.write_at(swap.envelope, Head::LENGTH as u64)?;
            let bytes = (Head::LENGTH + swap.envelope.len()) as u64;
            session.place((&mut temp, bytes), (spot, head.keep_until), there)?;
            session.make_room(spot)?;
            Ok(true)
        })
    }
}

fn not_a_counter(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotACounter,
        format!("the value of {key} is no integer of its type, or would not be one any more"),
    )
}
