//! Counting.

use larder_core::codec::Codec;
use larder_core::{Entry, Error, ErrorKind, Fence, Key, Meta, Result, Value};

use super::Inner;
use super::write::WATERMARK;
use super::writing::Need;
use crate::layout::Head;

/// How often a count is tried before it gives up. Each time that one fails, another one succeeded.
const ATTEMPTS: u32 = 10_000;

impl<C> Inner<C> {
    /// Reads, adds, and writes if nobody else has written meanwhile. The codec is foreign code, so it
    /// cannot run within the write transaction.
    pub(super) fn count<V: Value>(&self, key: &Key, delta: i64, meta: &Meta) -> Result<i64>
    where
        C: Codec<V>,
    {
        let times = self.times()?;
        let fresh = times.stored(meta);
        for _ in 0..ATTEMPTS {
            let there = self.own(key)?;
            let (old, meta, bytes) = match there {
                None => (Some(0), fresh.clone(), None),
                Some((raw, bytes)) => {
                    let meta = raw.meta().clone();
                    let entry = self.decode::<V>(raw, times);
                    let old = entry.and_then(|entry| entry.value.as_count());
                    (old, meta, Some(bytes))
                }
            };
            let count = old.and_then(|old| old.checked_add(delta));
            let count = count.ok_or_else(|| not_a_counter(key))?;
            let value = V::from_count(count).ok_or_else(|| not_a_counter(key))?;
            let entry = Entry::new(meta, value, Fence::direct(0));
            if self.swap(key, &entry, (bytes.as_deref(), times.now))? {
                return Ok(count);
            }
        }
        let detail = format!("{key} changed again and again while it was being counted");
        Err(Error::new(ErrorKind::Timeout, detail))
    }

    /// Writes the entry if `old` is what is there: these bytes, or nothing that may be used.
    /// Times are as they are stored.
    fn swap<V: Value>(
        &self,
        key: &Key,
        entry: &Entry<V>,
        (old, now): (Option<&[u8]>, u64),
    ) -> Result<bool>
    where
        C: Codec<V>,
    {
        let envelope = self.envelope.seal_entry(key, entry, &self.codec)?;
        let spot = self.layout.spot(key);
        let swapped = self.write(Need::Room, |writing| {
            let there = writing.opened.records.get(&writing.txn, &spot.key())?;
            let same = match (old, there) {
                (Some(old), there) => there == Some(old),
                (None, _) => {
                    let own = (spot, Some(key));
                    !writing.view().stands(own, &self.envelope, now)?
                }
            };
            let order = there.and_then(|there| Head::read(&spot.key(), there));
            let order = order.map_or(0, |(head, _)| head.order);
            if !same {
                return Ok(false);
            }
            let state = writing.state()?;
            let head = Head {
                keep_until: entry.keep_until().as_millis(),
                sequence: state.sequence,
                namespace: self.layout.namespace,
                order,
            };
            writing.insert(spot, &head, &envelope)?;
            writing.expire(now)?;
            writing.make_room(Some(spot), WATERMARK)?;
            Ok(true)
        })?;
        swapped.ok_or_else(|| {
            let detail = format!("there is no room to count {key} (give the store a larger size)");
            Error::new(ErrorKind::Store, detail)
        })
    }
}

fn not_a_counter(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotACounter,
        format!("the value of {key} is no integer of its type, or would not be one any more"),
    )
}
