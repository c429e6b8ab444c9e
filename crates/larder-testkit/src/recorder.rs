//! An observer that keeps what it was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::{Event, Key, Observer, Reason};

/// An event, as it was when it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its name: `hit`, `stale-hit`, `collapsed`, `miss`, `gave-up`, `stored`, `fenced`, `refused`,
    /// `load-failed`, `load-failed-hidden`, `purged`, `purge-owed`, `purges-paid`, `store-failed`, or
    /// `other`.
    pub name: &'static str,
    /// The key that it happened to, where it happened to one.
    pub key: Option<Key>,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
}

/// An observer that keeps what it was told. Cheap to clone; all clones are one.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
/// use larder_testkit::Recorder;
///
/// let recorder = Recorder::new();
/// let memory = Memory::builder().build::<u64>()?;
/// let cache = Cache::builder(memory).observer(recorder.clone()).build();
/// let policy = Policy::new(Duration::from_secs(1));
/// let Ok(stored) = drive(cache.put(&Key::new(Kind::User, "k"), 1, &policy), &ThreadPark);
/// stored?;
/// assert_eq!(recorder.names(), ["stored"]);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<Recorded>>>);

impl Recorder {
    /// A recorder that has been told nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far, in its order.
    pub fn all(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// The names of everything so far, in their order.
    pub fn names(&self) -> Vec<&'static str> {
        self.lock().iter().map(|event| event.name).collect()
    }

    /// How many events of this name there were.
    pub fn count(&self, name: &str) -> usize {
        self.lock()
            .iter()
            .filter(|event| event.name == name)
            .count()
    }

    /// The reasons so far, in their order.
    pub fn reasons(&self) -> Vec<Reason> {
        let events = self.lock();
        events
            .iter()
            .filter_map(|event| event.reason.clone())
            .collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }
}

impl Observer for Recorder {
    fn observe(&self, event: &Event<'_>) {
        let (name, key, reason) = match event {
            Event::Hit(key) => ("hit", Some(key), None),
            Event::StaleHit(key) => ("stale-hit", Some(key), None),
            Event::Collapsed(key) => ("collapsed", Some(key), None),
            Event::Miss(key) => ("miss", Some(key), None),
            Event::GaveUp(key) => ("gave-up", Some(key), None),
            Event::Stored(key) => ("stored", Some(key), None),
            Event::VariantEvicted(key) => ("variant-evicted", Some(key), None),
            Event::Fenced(key) => ("fenced", Some(key), None),
            Event::Refused(key, reason) => ("refused", Some(key), Some(*reason)),
            Event::LoadFailed { key, hidden, .. } => {
                let hidden = ["load-failed", "load-failed-hidden"][usize::from(*hidden)];
                (hidden, Some(key), None)
            }
            Event::LateLoadFailed { key, .. } => ("background-error", Some(key), None),
            Event::SoftTimeout(key) => ("soft-timeout", Some(key), None),
            Event::HardTimeout(key) => ("hard-timeout", Some(key), None),
            Event::Purged => ("purged", None, None),
            Event::PurgeOwed { .. } => ("purge-owed", None, None),
            Event::PurgesPaid(_) => ("purges-paid", None, None),
            Event::StoreFailed(_) => ("store-failed", None, None),
            _ => ("other", None, None),
        };
        self.lock().push(Recorded {
            name,
            key: key.copied().cloned(),
            reason: reason.cloned(),
        });
    }
}
