//! Two tiers in one URL: `memory://?size=64MB&ttl=5s + redis://host`.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::{Memory, TierEvent, Tiered};
use larder_core::{AnyStore, Clock, Result, Value};

use crate::event::{Observer, StoreEvent};
use crate::place::Place;
use crate::said::wrong;
use crate::url::Parts;

/// The near tier of a URL; what is `None` has the default.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NearPlace {
    size: Option<usize>,
    entries: Option<usize>,
    ttl: Option<Duration>,
}

/// What stands between two tiers in a URL.
const BETWEEN: &str = " + ";

/// The near and the far part of a URL of two tiers; `None` for one of a single store.
pub(crate) fn split(text: &str) -> Result<Option<(&str, &str)>> {
    let tiers: Vec<&str> = text.split(BETWEEN).map(str::trim).collect();
    match tiers[..] {
        [near, far] => Ok(Some((near, far))),
        [_] if written_together(text) => Err(wrong(
            text,
            "has a + between two stores without a space on either side",
            "write memory:// + redis://host",
        )),
        [_] => Ok(None),
        _ => {
            let detail = format!("names {} stores, and there are two tiers", tiers.len());
            Err(wrong(tiers[0], detail, "use memory:// + one other store"))
        }
    }
}

/// Whether two stores were meant: `memory://+redis://host`. What begins with `memory:` has no place in
/// which another `://` could stand.
fn written_together(text: &str) -> bool {
    let rest = text.strip_prefix("memory:");
    rest.is_some_and(|rest| rest.contains('+') && rest.matches("://").count() > 0)
}

impl NearPlace {
    pub(crate) fn read(parts: &Parts<'_>) -> Result<Self> {
        if parts.scheme() != "memory" {
            return Err(parts.wrong(
                "stands in front of another store, and only memory:// can",
                "use memory:// + the other store",
            ));
        }
        parts.without_place()?;
        parts.check_options(&["size", "entries", "ttl"])?;
        let ttl = parts.duration("ttl")?;
        if ttl.is_some_and(|ttl| ttl < Duration::from_millis(1)) {
            return Err(parts.wrong(
                "has a ttl of 0, with which no copy is ever used",
                "use 1ms or more, or the far store alone",
            ));
        }
        Ok(Self {
            size: parts.room("size")?,
            entries: parts.count("entries")?,
            ttl,
        })
    }
}

/// Refuses what only a near tier has.
pub(crate) fn refuse_alone(parts: &Parts<'_>) -> Result<()> {
    match parts.option("ttl") {
        None => Ok(()),
        Some(_) => Err(parts.wrong(
            "has the option ttl, which is for the near one of two tiers",
            "write memory://?ttl=5s + the store behind it, or leave it out",
        )),
    }
}

/// Refuses far stores in front of which a near tier is of no use.
pub(crate) fn check_far(text: &str, place: &Place) -> Result<()> {
    let (detail, cure) = match place {
        Place::Memory { .. } | Place::Null => (
            "is the far one of two tiers, and nothing is far about it",
            "use memory:// alone",
        ),
        Place::Shared { .. } => (
            "is the far one of two tiers, and has a near tier of its own, which is never out of date",
            "use shared:// alone, with its option near",
        ),
        _ => return Ok(()),
    };
    Err(wrong(text, detail, cure))
}

/// What is to stand in front of a store.
pub(crate) struct Tiers {
    pub(crate) near: Option<NearPlace>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) observer: Option<Observer>,
}

impl Tiers {
    /// The store with its near tier, or as it is where it has none.
    pub(crate) fn in_front_of<V: Value>(self, far: AnyStore<V>) -> Result<AnyStore<V>> {
        let Some(place) = self.near else {
            return Ok(far);
        };
        let mut near = Memory::builder();
        if let Some(bytes) = place.size {
            near = near.max_bytes(bytes);
        }
        if let Some(entries) = place.entries {
            near = near.max_entries(entries);
        }
        let mut builder = Tiered::builder(far).near(near);
        if let Some(ttl) = place.ttl {
            builder = builder.ttl(ttl);
        }
        if let Some(clock) = self.clock {
            builder = builder.clock(clock);
        }
        if let Some(observer) = self.observer {
            builder = builder.observer(move |event| match event {
                TierEvent::Alone(error) => observer(&StoreEvent::Alone(error.to_string())),
                TierEvent::Back => observer(&StoreEvent::Back),
                TierEvent::PurgesPaid(paid) => observer(&StoreEvent::PurgesPaid(*paid)),
                _ => {}
            });
        }
        Ok(AnyStore::new(builder.build()?))
    }
}
