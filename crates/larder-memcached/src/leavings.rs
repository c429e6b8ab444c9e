//! What removals leave behind: entries that are no longer valid and only take up room.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use larder_net::Medium;

use crate::fleet::Fleet;

/// How long entries lie before they are deleted, all in one trip.
const PAUSE: Duration = Duration::from_millis(20);
/// More than this are not remembered: the server makes room of the rest when it needs some.
const MOST: usize = 10_000;

/// Names, with the versions that are to go: what somebody has written there since stays.
#[derive(Debug, Default)]
pub(crate) struct Leavings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The process that deletes them: a fork leaves its thread behind.
    process: u32,
    versions: Vec<(Vec<u8>, u64)>,
    is_coming: bool,
}

impl Leavings {
    /// Nobody waits for the lock, which a fork may have left closed for ever.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        let mut state = match self.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if state.process != std::process::id() {
            *state = State {
                process: std::process::id(),
                ..State::default()
            };
        }
        Some(state)
    }
}

/// Sees to it that these versions are deleted soon.
pub(crate) fn leave<M: Medium>(fleet: &Arc<Fleet<M>>, versions: Vec<(Vec<u8>, u64)>) {
    if versions.is_empty() {
        return;
    }
    let Some(mut state) = fleet.leavings.lock() else {
        return;
    };
    let room = MOST.saturating_sub(state.versions.len());
    state.versions.extend(versions.into_iter().take(room));
    let is_coming = mem::replace(&mut state.is_coming, true);
    drop(state);
    if is_coming {
        return;
    }
    let coming = Coming(Arc::clone(fleet));
    M::later(
        Instant::now() + PAUSE,
        Box::pin(async move {
            let versions = coming.take();
            let _ = coming.0.delete_versions(&versions).await;
        }),
    );
}

/// A deletion that is to come. Where it is dropped instead, the next removal brings another one.
struct Coming<M: Medium>(Arc<Fleet<M>>);

impl<M: Medium> Coming<M> {
    fn take(&self) -> Vec<(Vec<u8>, u64)> {
        let Some(mut state) = self.0.leavings.lock() else {
            return Vec::new();
        };
        state.is_coming = false;
        mem::take(&mut state.versions)
    }
}

impl<M: Medium> Drop for Coming<M> {
    fn drop(&mut self) {
        if let Some(mut state) = self.0.leavings.lock() {
            state.is_coming = false;
        }
    }
}
