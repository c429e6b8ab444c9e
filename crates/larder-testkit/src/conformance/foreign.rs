//! Values whose own code calls the store again: for stores that keep the values themselves.

use std::cell::Cell;
use std::fmt;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use larder_core::store::{Mode, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Policy, Store, Tag, ThreadPark, Value, drive,
};

use crate::{HandClock, PATIENCE};

/// A value that calls back whenever it is cloned, weighed, counted or dropped, as an object of another
/// language may do whose destructor, or whose `__len__`, uses the cache.
pub struct Reentrant {
    call: Arc<Callback>,
    weight: usize,
}

type Callback = OnceLock<Box<dyn Fn() + Send + Sync>>;

thread_local! {
    /// A call that comes from within a call would go on for ever.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

impl Reentrant {
    fn call(&self) {
        if !CALLING.replace(true) {
            if let Some(call) = self.call.get() {
                call();
            }
            CALLING.set(false);
        }
    }
}

impl Clone for Reentrant {
    fn clone(&self) -> Self {
        self.call();
        Self {
            call: Arc::clone(&self.call),
            weight: self.weight,
        }
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.call();
    }
}

impl Value for Reentrant {
    fn weight(&self) -> usize {
        self.call();
        self.weight
    }

    fn as_count(&self) -> Option<i64> {
        self.call();
        None
    }
}

impl fmt::Debug for Reentrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reentrant").finish_non_exhaustive()
    }
}

/// No lock is held while a value's own code runs. `make` makes a store with room for at most 64
/// entries, so that this evicts; it must keep the values themselves.
///
/// # Panics
///
/// When the store deadlocks, which is known by [`PATIENCE`].
///
/// ```
/// use larder_core::store::Memory;
/// use larder_testkit::conformance::foreign_code_runs_outside_locks;
///
/// foreign_code_runs_outside_locks(|clock| {
///     Memory::builder().max_entries(64).clock(clock).build().expect("no bound is zero")
/// });
/// ```
pub fn foreign_code_runs_outside_locks<S: Store<Reentrant>>(
    make: impl FnOnce(Arc<dyn Clock>) -> S,
) {
    let clock = HandClock::new();
    let store = Arc::new(make(Arc::clone(&clock) as Arc<dyn Clock>));
    let call = Arc::new(Callback::default());
    let (inner, used) = (Arc::clone(&store), Arc::clone(&call));
    let again = move || use_every_operation(&*inner, &Arc::default(), 10);
    assert!(used.set(Box::new(again)).is_ok());

    let (done, finished) = channel();
    std::thread::spawn(move || {
        for round in 0..20 {
            use_every_operation(&*store, &call, 100);
            clock.advance(Duration::from_secs(7 * round));
        }
        // Its callback holds the store, and the store its entries.
        let _ = drive(store.remove(Removal::All), &ThreadPark);
        let _ = done.send(());
    });
    let outcome = finished.recv_timeout(PATIENCE);
    assert!(outcome.is_ok(), "the store calls a value under a lock");
}

fn use_every_operation<S: Store<Reentrant>>(store: &S, call: &Arc<Callback>, keys: u64) {
    let meta = Policy::new(Duration::from_secs(60))
        .tag("t")
        .stamp(
            larder_core::Timestamp::from_millis(1_700_000_000_000),
            Duration::ZERO,
        )
        .expect("the policy keeps values");
    let work = async {
        for number in 0..keys {
            let base = Key::new(Kind::User, format!("key {}", number % 90));
            let mut writer = KeyWriter::new();
            writer.text("variant");
            for key in [base.with_variant(&writer), base.clone()] {
                let value = Reentrant {
                    call: Arc::clone(call),
                    weight: 100,
                };
                let entry = Arc::new(Entry::new(meta.clone(), value, Fence::direct(u64::MAX)));
                let mode = [Mode::Replace, Mode::IfAbsent][number as usize % 2];
                store.put(&key, entry, mode).await?;
                store.get(&key, &[]).await?;
            }
            let _ = store.count(&base, 1, meta.clone()).await;
            store.variants(&base).await?;
            if number % 9 == 0 {
                store.remove(Removal::Keys(&[base])).await?;
            }
        }
        store.bump(&[Tag::new("t")]).await?;
        store.get_many(&[Key::new(Kind::User, "key 1")]).await?;
        store.remove(Removal::Prefix(Kind::User, b"key 5")).await?;
        store.remove(Removal::All).await
    };
    let Ok(outcome) = drive(work, &ThreadPark);
    outcome.expect("the store failed");
}
