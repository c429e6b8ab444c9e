//! Signs of life of a channel: whether what is near may be used at this moment.

use crate::shim::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};
use crate::time::Timestamp;

/// How old the latest sign of life may be, in milliseconds.
const ALIVE: u64 = 1000;
/// How old the latest look at the channel may be, in milliseconds.
const LOOKED: u64 = 100;

/// What a channel has said of itself.
///
/// # Invariants
///
/// - The **era** moves whenever the channel is lost and whenever it is opened, so a copy of an era that
///   is not over was made, and kept, while everything was told.
/// - It moves before `good_until` is raised. Who reads `good_until` first and the era behind it never
///   takes a copy of an old era for good by the signs of a new one.
#[derive(Debug)]
pub(super) struct Signs {
    state: Mutex<State>,
    good_until: AtomicU64,
    era: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Whether the store tells of changes at all.
    channel: bool,
    lost: bool,
    alive: u64,
    looked: u64,
    /// In which process the channel was opened: a fork leaves its thread behind.
    process: u32,
}

impl Signs {
    /// No sign so far.
    pub(super) fn new() -> Self {
        let state = State {
            channel: true,
            lost: true,
            alive: 0,
            looked: 0,
            process: 0,
        };
        Self {
            state: Mutex::new(state),
            good_until: AtomicU64::new(0),
            era: AtomicU64::new(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when copies are good, this millisecond included, if nothing else is said meanwhile.
    #[inline]
    pub(super) fn good_until(&self) -> u64 {
        self.good_until.load(Ordering::Acquire)
    }

    /// Which era it is. Never 0.
    #[inline]
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Says whether there is a channel. Without one, copies are good for as long as they are kept.
    pub(super) fn channel(&self, is_there: bool) {
        let silent = self.good_until() == u64::MAX;
        if silent == is_there {
            let mut state = self.lock();
            state.channel = is_there;
            self.publish(&state);
        }
    }

    /// Everything from before `at` has been told.
    pub(super) fn alive(&self, at: Timestamp) {
        let mut state = self.lock();
        let process = std::process::id();
        if state.lost || state.process != process {
            self.end_era(&mut state);
            state.lost = false;
            state.process = process;
        }
        state.alive = state.alive.max(at.as_millis());
        self.publish(&state);
    }

    /// What had come by `at` has been told.
    pub(super) fn tick(&self, at: Timestamp) {
        let mut state = self.lock();
        state.looked = state.looked.max(at.as_millis());
        self.publish(&state);
    }

    /// Nothing is told any more. Answers whether that is new.
    pub(super) fn lost(&self) -> bool {
        let mut state = self.lock();
        let ends = !state.lost;
        if ends {
            self.end_era(&mut state);
            self.publish(&state);
        }
        ends
    }

    fn end_era(&self, state: &mut State) {
        state.lost = true;
        state.alive = 0;
        state.looked = 0;
        self.era.fetch_add(1, Ordering::AcqRel);
    }

    fn publish(&self, state: &State) {
        let good_until = match state {
            State { channel: false, .. } => u64::MAX,
            State { lost: true, .. } => 0,
            _ => (state.alive + ALIVE).min(state.looked + LOOKED),
        };
        self.good_until.store(good_until, Ordering::Release);
    }
}
