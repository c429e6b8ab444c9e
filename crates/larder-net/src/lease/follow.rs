//! Those who wait for a lease of another process to be over.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Leases, Lender, Record};

/// The first look comes soon: what was given up before this process began to listen, nobody says.
const SOON: Duration = Duration::from_millis(5);
/// Who has to look for themselves look so often at least.
const OFTEN: Duration = Duration::from_millis(50);
/// Who is told looks now and then all the same: a holder that died tells nobody.
const SELDOM: Duration = Duration::from_secs(1);

/// Somebody who waits, as the rounds see it.
#[derive(Debug)]
pub(super) struct Following {
    record: Record,
    since: Instant,
    /// Which of the looks is the current one; an earlier one that is still to come does nothing.
    turn: AtomicU64,
    state: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    over: bool,
    waker: Option<Waker>,
}

/// The future of somebody who waits. Nothing looks for it any more when it is dropped.
pub(super) struct Follower(Arc<Following>);

impl Following {
    pub(super) fn new(record: Record) -> Arc<Self> {
        Arc::new(Self {
            record,
            since: Instant::now(),
            turn: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How long to wait before the next look at a record that lives for `left` more.
    fn pause(&self, is_told: bool, left: Duration) -> Duration {
        if is_told {
            return left.min(SELDOM).max(SOON);
        }
        // The longer it has taken, the less the delay of one look matters; spread, so that processes
        // do not look in step.
        let step = (self.since.elapsed() / 8).clamp(SOON, OFTEN);
        let dice = RandomState::new().hash_one(std::process::id()) % 1024;
        let share = f64::from(u32::try_from(dice).unwrap_or(0)) / 1024.0;
        step.mul_f64(1.0 - share / 2.0).max(SOON)
    }
}

impl Follower {
    pub(super) const fn new(following: Arc<Following>) -> Self {
        Self(following)
    }
}

impl Future for Follower {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.over {
            return Poll::Ready(());
        }
        let old = state.waker.replace(context.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

/// All who wait, by the names of the leases. Those who have gone are found and forgotten by the way.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<Vec<u8>, Vec<Weak<Following>>>);

impl Followers {
    pub(super) fn add(&mut self, following: &Arc<Following>) {
        let of_this = self.0.entry(following.record.name.clone()).or_default();
        of_this.retain(|other| other.strong_count() > 0);
        of_this.push(Arc::downgrade(following));
    }

    /// Takes those who follow this lease.
    pub(super) fn take(&mut self, name: &[u8]) -> Vec<Arc<Following>> {
        let taken = self.0.remove(name).unwrap_or_default();
        taken.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn all(&mut self) -> Vec<Arc<Following>> {
        self.forget_gone();
        let all = self.0.values().flatten();
        all.filter_map(Weak::upgrade).collect()
    }

    /// Forgets those who have gone.
    pub(super) fn forget_gone(&mut self) {
        self.0.retain(|_, of_this| {
            of_this.retain(|following| following.strong_count() > 0);
            !of_this.is_empty()
        });
    }
}

impl<L: Lender> Leases<L> {
    /// Looks after a lease soon, and again until it is over or nobody waits any more.
    pub(super) fn look_soon(&self, following: &Arc<Following>) {
        self.look_at(following, Instant::now() + SOON);
    }

    fn look_at(&self, following: &Arc<Following>, at: Instant) {
        let turn = 1 + following.turn.fetch_add(1, Ordering::Relaxed);
        let (leases, following) = (self.clone(), Arc::downgrade(following));
        let work = async move {
            // Who has gone meanwhile is not held on to while the server is asked.
            let Some(record) = following
                .upgrade()
                .filter(|following| following.turn.load(Ordering::Relaxed) == turn)
                .filter(|following| !following.lock().over)
                .map(|following| following.record.clone())
            else {
                return;
            };
            let left = leases.lender().left(&record).await;
            let Some(following) = following.upgrade() else {
                return;
            };
            match left {
                Ok(Some(left)) => {
                    let pause = following.pause(leases.lender().is_told(), left);
                    if following.turn.load(Ordering::Relaxed) == turn {
                        leases.look_at(&following, Instant::now() + pause);
                    }
                }
                // A server that is away keeps nobody waiting.
                Ok(None) | Err(_) => following.end(),
            }
        };
        self.lender().later(at, Box::pin(work));
    }
}
