//! What the cache did so far in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use larder::{Event, Key, Kind, Observer, Store, memo};
use minijinja::{Value, context};

use crate::site::{Answer, Site};

/// Counts what happens to pages and functions. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Arc<Mutex<BTreeMap<String, Counts>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hits: u64,
    stale: u64,
    collapsed: u64,
    misses: u64,
    stored: u64,
    refused: u64,
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> Vec<Value> {
        let row = |(name, counts): (&String, &Counts)| {
            let Counts {
                hits,
                stale,
                collapsed,
                misses,
                stored,
                refused,
            } = *counts;
            context! { name, hits, stale, collapsed, misses, stored, refused }
        };
        self.lock().iter().map(row).collect()
    }
}

impl Observer for Counters {
    fn observe(&self, event: &Event<'_>) {
        let (key, count): (&Key, fn(&mut Counts) -> &mut u64) = match event {
            Event::Hit(key) => (key, |counts| &mut counts.hits),
            Event::StaleHit(key) => (key, |counts| &mut counts.stale),
            Event::Collapsed(key) => (key, |counts| &mut counts.collapsed),
            Event::Miss(key) => (key, |counts| &mut counts.misses),
            Event::Stored(key) => (key, |counts| &mut counts.stored),
            Event::Refused(key, _) => (key, |counts| &mut counts.refused),
            _ => return,
        };
        *count(self.lock().entry(name(key)).or_default()) += 1;
    }
}

/// What a row is called: the first part of a path, or the name of a function.
fn name(key: &Key) -> String {
    let base = key.to_string();
    match key.kind() {
        Kind::View => format!("/{}", base.split('/').nth(1).unwrap_or_default()),
        _ => {
            let function = base.rsplit("::").next().unwrap_or(&base);
            function.split('@').next().unwrap_or(function).to_owned() + "()"
        }
    }
}

/// Every kind of page and every memoized function, with its counts.
pub(crate) async fn show(State(site): State<Site>) -> Answer {
    site.ask(|site| {
        let (pages, functions) = (
            site.pages.engine().store().size(),
            memo::cache().store().size(),
        );
        site.page(
            "stats.html",
            context! {
                rows => site.counters.rows(),
                entries => pages.entries + functions.entries,
                bytes => pages.bytes + functions.bytes,
                evicted => pages.evicted + functions.evicted,
            },
        )
    })
    .await?
}
