//! Stored entries as people look at them: their times, never their content.

use larder_core::{Entry, Freshness, Key as CoreKey, Timestamp, Value};
use pyo3::prelude::*;

use crate::key::Key;
use crate::value::{Page, PyValue};

/// One stored entry, as it was when it was looked at. Times are in seconds from then on; `None` is for
/// ever.
#[pyclass(frozen, get_all, module = "flask_larder._native")]
pub(crate) struct EntrySeen {
    key: Py<Key>,
    /// "fresh", "stale", "spare", "throttled", "lapsed" or "expired".
    freshness: &'static str,
    /// Seconds since it was stored.
    age: f64,
    /// Seconds that it stays fresh, negative when it is no longer.
    ttl: Option<f64>,
    /// Seconds until it is no longer served while it is refreshed.
    stale: Option<f64>,
    /// Seconds until it is worth nothing.
    kept: Option<f64>,
    /// Seconds that it took to load.
    cost: f64,
    /// The bytes that it takes, roughly.
    size: usize,
    /// The tags that people chose.
    tags: Vec<String>,
    /// The status of a finished response.
    status: Option<u16>,
    /// The codings that a finished response is stored in besides.
    codings: Vec<&'static str>,
    /// The name of the type of any other value.
    kind: String,
}

impl EntrySeen {
    pub(crate) fn new(
        py: Python<'_>,
        key: CoreKey,
        entry: &Entry<PyValue>,
        now: Timestamp,
    ) -> PyResult<Self> {
        let meta = &entry.meta();
        // What cannot be had back is there all the same.
        let value = entry
            .value
            .give(py)
            .unwrap_or_else(|_| py.None().into_bound(py));
        let page = value.cast_exact::<Page>().ok();
        let tags = meta.tags.iter().filter(|tag| !tag.is_function());
        Ok(Self {
            key: Py::new(py, Key(key))?,
            freshness: match meta.freshness(now) {
                Freshness::Fresh => "fresh",
                Freshness::Stale => "stale",
                Freshness::Spare => "spare",
                Freshness::Throttled => "throttled",
                Freshness::Lapsed => "lapsed",
                Freshness::Expired => "expired",
            },
            age: meta.age(now).as_secs_f64(),
            ttl: left(meta.fresh_until, now),
            stale: left(meta.stale_until, now),
            kept: left(meta.keep_until, now),
            cost: meta.cost.as_secs_f64(),
            size: entry.value.weight(),
            tags: tags
                .map(|tag| String::from_utf8_lossy(tag.name()).into_owned())
                .collect(),
            status: page.map(|page| page.get().status()),
            codings: page.map_or_else(Vec::new, |page| {
                let all = page.get().codings().all();
                all.iter().map(|coding| coding.token()).collect()
            }),
            kind: value.get_type().name()?.to_string(),
        })
    }
}

/// The seconds from `now` until a time; `None` for one that never comes.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn left(until: Timestamp, now: Timestamp) -> Option<f64> {
    let (until_millis, now) = (until.as_millis() as f64, now.as_millis() as f64);
    (until != Timestamp::NEVER).then_some((until_millis - now) / 1000.0)
}
