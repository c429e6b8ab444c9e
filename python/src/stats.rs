//! What caching did for one function.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Counters of one cached function, in this process.
#[pyclass(frozen, module = "flask_larder._native")]
#[derive(Debug, Default)]
pub struct FunctionStats {
    hits: AtomicU64,
    stale_hits: AtomicU64,
    collapsed: AtomicU64,
    misses: AtomicU64,
    errors: AtomicU64,
    load_nanos: AtomicU64,
    saved_nanos: AtomicU64,
    bytes: AtomicU64,
    sampled: AtomicU64,
    sampled_nanos: AtomicU64,
    passes: Mutex<BTreeMap<String, u64>>,
}

/// One hit in this many is timed: often enough to know the price, seldom enough not to raise it.
const SAMPLE: u64 = 64;

/// Who counts holds the interpreter lock, so that nobody comes in between: a read and a write, which cost
/// a third of an atomic addition.
fn add(_py: Python<'_>, counter: &AtomicU64, amount: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(sum, Ordering::Relaxed);
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl FunctionStats {
    /// Starts a hit; the time only for one that is sampled.
    #[inline]
    pub(crate) fn start(&self) -> Option<Instant> {
        let hits = self.hits.load(Ordering::Relaxed);
        hits.is_multiple_of(SAMPLE).then(Instant::now)
    }

    /// Counts a hit that spared a load of `cost`.
    #[inline]
    pub(crate) fn hit(&self, py: Python<'_>, cost: Duration, started: Option<Instant>) {
        add(py, &self.hits, 1);
        add(py, &self.saved_nanos, nanos(cost));
        if let Some(started) = started {
            add(py, &self.sampled, 1);
            add(py, &self.sampled_nanos, nanos(started.elapsed()));
        }
    }
}

#[pymethods]
impl FunctionStats {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Counts a hit of the given sort ("fresh", "collapsed", "stale", "stale-error") that spared a
    /// load of `cost` seconds and took `seconds` itself.
    fn count_hit(&self, py: Python<'_>, sort: &str, cost: f64, seconds: f64) {
        match sort {
            "collapsed" => add(py, &self.collapsed, 1),
            "fresh" => {}
            _ => add(py, &self.stale_hits, 1),
        }
        self.hit(
            py,
            Duration::try_from_secs_f64(cost).unwrap_or_default(),
            None,
        );
        add(py, &self.sampled, 1);
        add(
            py,
            &self.sampled_nanos,
            nanos(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        );
    }

    /// Counts a load of `seconds` that brought a value of `weight` bytes.
    fn count_load(&self, py: Python<'_>, seconds: f64, weight: u64) {
        add(py, &self.misses, 1);
        add(
            py,
            &self.load_nanos,
            nanos(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        );
        add(py, &self.bytes, weight);
    }

    /// Counts a load that failed.
    fn count_error(&self, py: Python<'_>) {
        add(py, &self.misses, 1);
        add(py, &self.errors, 1);
    }

    /// Counts an answer that was not stored, or not taken from the cache, for this reason.
    fn count_pass(&self, reason: &str) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        *passes.entry(reason.to_owned()).or_default() += 1;
    }

    /// The counters as a dict, times in seconds.
    #[expect(clippy::cast_precision_loss, reason = "statistics")]
    fn as_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = |counter: &AtomicU64| get(counter) as f64 / 1e9;
        let (hits, misses) = (get(&self.hits), get(&self.misses));
        let per_hit = match get(&self.sampled) {
            0 => 0.0,
            sampled => seconds(&self.sampled_nanos) / sampled as f64,
        };
        let hit_seconds = per_hit * hits as f64;
        let dict = pyo3::types::PyDict::new(py);
        dict.set_item("hits", hits)?;
        dict.set_item("misses", misses)?;
        dict.set_item("stale_hits", get(&self.stale_hits))?;
        dict.set_item("collapsed", get(&self.collapsed))?;
        dict.set_item("errors", get(&self.errors))?;
        dict.set_item("load_seconds", seconds(&self.load_nanos))?;
        dict.set_item("hit_seconds", hit_seconds)?;
        dict.set_item("bytes", get(&self.bytes))?;
        dict.set_item("seconds_saved", seconds(&self.saved_nanos) - hit_seconds)?;
        let passes = self
            .passes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        dict.set_item("passes", passes)?;
        Ok(dict.into_any().unbind())
    }
}
