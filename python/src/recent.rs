//! Calls that were answered a moment ago: from what they were made of to the entry, without a key and
//! without a look into the table of the store.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::Memory;
use larder_core::{Entry, Freshness, Key as CoreKey, KeyWriter, Timestamp, Value};
use pyo3::prelude::*;

use crate::cell::Cell;
use crate::value::PyValue;

/// How many calls of one function are remembered; a power of two.
const PLACES: usize = 32;
/// The longest call that is remembered, in bytes.
const LONGEST: usize = 512;
/// The largest entry that is remembered, in bytes: what has left the store is held here until its place
/// is taken, or asked for.
const LARGEST: usize = 16 << 10;
/// One in this many hits goes by the store, which evicts what nobody asks it for.
const ASK: u8 = 8;

/// What was found of a call.
pub(crate) enum Near<'py> {
    /// The stored object itself, which nobody can change, and what it took to load.
    Object(Bound<'py, PyAny>, Duration),
    /// A fresh entry, and the key that it is stored under.
    Entry(CoreKey, Arc<Entry<PyValue>>),
    /// The key only: the store has to be asked.
    Key(CoreKey),
    Unknown,
}

/// The calls of one function that were answered last. What is remembered is asked for under exactly the
/// bytes that its key was made of, and holds as long as the memory store stands by the entry.
#[derive(Default)]
pub(crate) struct Recent(Cell<Places>);

#[derive(Default)]
struct Places {
    /// Memory for the next call to be written into.
    spare: KeyWriter,
    places: Vec<Option<Known>>,
}

struct Known {
    call: Box<[u8]>,
    key: CoreKey,
    entry: Arc<Entry<PyValue>>,
    uses: u8,
}

impl Recent {
    /// An empty writer, for who writes down a call. It is to be handed back.
    #[inline]
    pub(crate) fn writer(&self, py: Python<'_>) -> KeyWriter {
        let spare = |places: &mut Places| std::mem::take(&mut places.spare);
        self.0.with(py, spare).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn hand_back(&self, py: Python<'_>, mut writer: KeyWriter) {
        writer.clear();
        // A huge call leaves its memory to nobody.
        if writer.capacity() <= 2 * LONGEST {
            let old = self
                .0
                .with(py, |places| std::mem::replace(&mut places.spare, writer));
            drop(old);
        }
    }

    /// What is known of a call. `whole` says that the entry is needed, and not only its value.
    #[inline]
    pub(crate) fn find<'py>(
        &self,
        py: Python<'py>,
        memory: &Memory<PyValue>,
        call: &[u8],
        (now, whole): (Timestamp, bool),
    ) -> Near<'py> {
        let look = |places: &mut Places| {
            let Some(Some(known)) = places.places.get_mut(place_of(call)) else {
                return Near::Unknown;
            };
            if *known.call != *call {
                return Near::Unknown;
            }
            let entry = &known.entry;
            known.uses = (known.uses + 1) % ASK;
            if known.uses == 0
                || !memory.still_holds(entry)
                || entry.freshness(now) != Freshness::Fresh
            {
                return Near::Key(known.key.clone());
            }
            match entry.value.shared() {
                Some(object) if !whole => Near::Object(object.bind(py).clone(), entry.cost()),
                _ => Near::Entry(known.key.clone(), Arc::clone(entry)),
            }
        };
        self.0.with(py, look).unwrap_or(Near::Unknown)
    }

    /// Remembers what a call was answered with, if the store has it under the very key of the call.
    pub(crate) fn note(
        &self,
        py: Python<'_>,
        memory: &Memory<PyValue>,
        call: &[u8],
        (key, entry): (CoreKey, &Arc<Entry<PyValue>>),
    ) {
        if call.len() > LONGEST || entry.value.weight() > LARGEST {
            return;
        }
        let place = place_of(call);
        let is_known = |places: &mut Places| {
            let known = places.places.get(place).and_then(Option::as_ref);
            known.is_some_and(|known| Arc::ptr_eq(&known.entry, entry) && *known.call == *call)
        };
        if self.0.with(py, is_known) != Some(false) {
            return;
        }
        // The entry of a base key serves this one until it has an entry of its own, and then no more.
        if !memory.own(&key).is_some_and(|own| Arc::ptr_eq(&own, entry)) {
            return;
        }
        let known = Some(Known {
            call: call.into(),
            key,
            entry: Arc::clone(entry),
            uses: 0,
        });
        let keep = |places: &mut Places| {
            if places.places.is_empty() {
                places.places.resize_with(PLACES, || None);
            }
            std::mem::replace(&mut places.places[place], known)
        };
        let replaced = self.0.with(py, keep);
        // A value may run people's code as it dies.
        drop(replaced);
    }
}

/// The place of a call. Calls that share one push each other out, and are told apart.
#[inline]
fn place_of(call: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = call.len() as u64;
    let mut chunks = call.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(ODD);
    }
    for &byte in chunks.remainder() {
        hash = (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(ODD);
    }
    (hash >> 32) as usize % PLACES
}
