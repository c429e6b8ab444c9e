//! Writing an entry.

use larder_core::codec::Codec;
use larder_core::store::{Mode, Put};
use larder_core::{Entry, Fence, Key, Result, Tags, Value};

use super::Inner;
use super::writing::{Need, Writing, begun};
use crate::layout::{Head, Purged, Spot, State};

/// How many percent of the pages may be in use before something is evicted.
pub(super) const WATERMARK: u64 = 70;

/// What is to be written, and where.
struct Order<'a> {
    key: &'a Key,
    spot: Spot,
    fence: &'a Fence,
    tags: &'a Tags,
    keep_until: u64,
    mode: Mode,
    /// In milliseconds, as all times in here as it is stored.
    now: u64,
}

impl<C> Inner<C> {
    pub(super) fn put<V: Value>(&self, key: &Key, entry: &Entry<V>, mode: Mode) -> Result<Put>
    where
        C: Codec<V>,
    {
        let times = self.times()?;
        let stored;
        let entry = if times.agree() {
            entry
        } else {
            let meta = times.stored(&entry.meta());
            stored = Entry::new(meta, entry.value.clone(), entry.fence());
            &stored
        };
        let order = Order {
            key,
            spot: self.layout.spot(key),
            fence: &entry.fence(),
            tags: entry.tags(),
            keep_until: entry.keep_until().as_millis(),
            mode,
            now: times.now,
        };
        if entry.value.weight() > self.max_value {
            return self.turn_away(&order);
        }
        // The codec is foreign code, and runs before the transaction begins.
        let envelope = self.envelope.seal_entry(key, entry, &self.codec)?;
        if envelope.len() > self.max_value {
            return self.turn_away(&order);
        }
        let put = self.write(Need::Room, |writing| {
            let put = self.store(writing, &order, &envelope)?;
            if put == Put::Stored {
                writing.expire(order.now)?;
                writing.make_room(Some(order.spot), WATERMARK)?;
            }
            Ok(put)
        })?;
        match put {
            Some(put) => Ok(put),
            None => self.turn_away(&order),
        }
    }

    fn store(
        &self,
        writing: &mut Writing<'_>,
        order: &Order<'_>,
        envelope: &[u8],
    ) -> heed::Result<Put> {
        let known = writing.view().state()?;
        let mut new = known.is_none();
        let mut state = known.unwrap_or_else(begun);
        let Some(sequence) = unpurged(writing, &state, order)? else {
            return Ok(Put::Fenced);
        };
        let own = (order.spot, Some(order.key));
        if order.mode == Mode::IfAbsent && writing.view().stands(own, &self.envelope, order.now)? {
            return Ok(Put::Exists);
        }
        if self.is_overtaken(writing, order)? {
            return Ok(Put::Superseded);
        }
        let head = Head {
            keep_until: order.keep_until,
            sequence,
            namespace: self.layout.namespace,
            order: order.fence.order,
        };
        writing.insert(order.spot, &head, envelope)?;
        if order.spot.is_base() {
            new |= replace_variants(writing, &mut state, order.spot)?;
        }
        if new {
            writing.save(&state)?;
        }
        Ok(Put::Stored)
    }

    /// Whether a load that started later, in whatever process, has stored the key already, or the base
    /// key that serves it.
    fn is_overtaken(&self, writing: &Writing<'_>, order: &Order<'_>) -> heed::Result<bool> {
        let view = writing.view();
        if order.fence.order == 0 {
            // Nobody knows when it was loaded.
            return Ok(false);
        }
        let later = |spot| -> heed::Result<bool> {
            let there = view.entry(spot)?;
            Ok(there.is_some_and(|(head, _)| head.order > order.fence.order))
        };
        if later(order.spot)? {
            return Ok(true);
        }
        let base = order.spot.of_base();
        if order.spot.is_base() || !later(base)? {
            return Ok(false);
        }
        let key = order.key.base_key();
        view.stands((base, Some(&key)), &self.envelope, order.now)
    }

    /// A value that cannot be stored makes what it was to replace out of date all the same.
    fn turn_away(&self, order: &Order<'_>) -> Result<Put> {
        if order.mode == Mode::Replace {
            self.write(Need::Room, |writing| {
                let there = writing.view().entry(order.spot)?;
                if there.is_some_and(|(head, _)| head.order > order.fence.order) {
                    return Ok(false);
                }
                writing.delete(order.spot)
            })?;
        }
        Ok(Put::TooLarge)
    }
}

/// The number of the last purge that the load has seen, if it has seen all that concern it.
fn unpurged(writing: &Writing<'_>, state: &State, order: &Order<'_>) -> heed::Result<Option<u64>> {
    if order.fence.is_direct() {
        return Ok(Some(state.sequence));
    }
    let seen = order.fence.sequence;
    if order.fence.all != state.generation || seen > state.sequence || seen < state.cleared {
        return Ok(None);
    }
    if seen == state.sequence {
        return Ok(Some(seen));
    }
    let (view, spot) = (writing.view(), order.spot);
    let mut stands = view.latest(state, Purged::Key(spot.base))? <= seen;
    if !spot.is_base() {
        stands = stands
            && view.latest(state, Purged::Key(spot.variant))? <= seen
            && view.latest(state, Purged::Variants(spot.base))? <= seen;
    }
    let stands = stands && view.tags_stand(state, order.tags, seen)?;
    Ok(stands.then_some(seen))
}

/// What is stored under a base key serves every variant: their own have to go, and those that are
/// being loaded come too late. Whether there were any.
fn replace_variants(
    writing: &mut Writing<'_>,
    state: &mut State,
    base: Spot,
) -> heed::Result<bool> {
    if !writing.has_variants(base)? {
        return Ok(false);
    }
    let mut any = false;
    for spot in writing.family(base)? {
        if !spot.is_base() {
            any |= writing.delete(spot)?;
        }
    }
    if any {
        state.sequence += 1;
        writing.note(state, Purged::Variants(base.base))?;
    }
    Ok(any)
}
