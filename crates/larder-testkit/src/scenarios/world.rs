//! One cache with its clock, its origin and its observer, and callers who come in numbers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use larder_core::{
    Cache, Key, Kind, Lookup, Permit, Policy, Store, Stored, ThreadPark, Timestamp, drive,
};

use super::Ground;
use crate::{Answer, CountingOrigin, HandClock, PATIENCE, Recorder};

/// Between two looks whether something holds: whoever makes it hold runs meanwhile.
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

/// One cache with its clock, its origin and its observer.
pub struct World<S: Store<u64>> {
    /// The time of cache, store and breaker.
    pub clock: Arc<HandClock>,
    /// The cache.
    pub cache: Cache<u64, S>,
    /// Where the values come from: the number of the call.
    pub origin: CountingOrigin,
    /// What the cache told.
    pub seen: Recorder,
    /// What is asked for.
    pub key: Key,
    /// Under what policy.
    pub policy: Policy,
    /// The time at which the world began.
    pub start: Timestamp,
}

/// So many seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A key that somebody chose.
pub fn key(name: &str) -> Key {
    Key::new(Kind::User, name)
}

impl<S: Store<u64>> Ground<S> {
    /// A world with an empty store, under a policy of a minute.
    pub fn world(&self) -> Arc<World<S>> {
        self.world_with(Policy::new(secs(60)))
    }

    /// A world with an empty store.
    pub fn world_with(&self, policy: Policy) -> Arc<World<S>> {
        let clock = HandClock::new();
        self.processes(1, &clock, &policy).remove(0)
    }

    /// So many worlds over one place, which is empty: what one stores, all of them have.
    pub fn processes(
        &self,
        count: usize,
        clock: &Arc<HandClock>,
        policy: &Policy,
    ) -> Vec<Arc<World<S>>> {
        let place = Self::new_place();
        let one = |_| World::over(self.store(clock, place), clock, policy);
        (0..count).map(one).collect()
    }
}

impl<S: Store<u64>> World<S> {
    /// A world over a store that goes by `clock`.
    pub fn over(store: S, clock: &Arc<HandClock>, policy: &Policy) -> Arc<Self> {
        let seen = Recorder::new();
        let cache = Cache::builder(store)
            .clock(clock.clone())
            .observer(seen.clone())
            .build();
        Arc::new(Self {
            start: larder_core::Clock::now(&**clock),
            clock: Arc::clone(clock),
            cache,
            origin: CountingOrigin::new(),
            seen,
            key: key("key"),
            policy: policy.clone(),
        })
    }
}

impl<S: Store<u64>> World<S> {
    /// The whole way of a caller.
    pub async fn ask(&self) -> Answer {
        self.origin.ask(&self.cache, &self.key, &self.policy).await
    }

    /// An answer that nobody has to wait for.
    pub fn ask_now(&self) -> Answer {
        self.now(self.ask())
    }

    /// Runs a future that must not have to wait. With a store that has leases it may: for as long as
    /// the server needs to hear that the last one was given up.
    #[track_caller]
    pub fn now<T>(&self, future: impl Future<Output = T>) -> T {
        if !self.cache.store().leases() {
            return at_once(future);
        }
        let Ok(output) = drive(future, &ThreadPark);
        output
    }

    /// A lookup that nobody has to wait for.
    pub fn look_now(&self) -> Lookup<u64, S> {
        self.now(self.cache.lookup(&self.key, &self.policy))
    }

    /// The right to load, which the cache has to give at once.
    pub fn lead(&self) -> Permit<u64, S> {
        match self.look_now() {
            Lookup::Miss(permit) => permit,
            other => panic!("expected a miss, got {other:?}"),
        }
    }

    /// Settles a permit with a value.
    pub fn store_now(&self, permit: Permit<u64, S>, value: u64) -> Stored {
        at_once(permit.store(value, &self.policy))
    }

    /// The value that is stored and fresh.
    pub fn stored(&self) -> Option<u64> {
        at_once(self.cache.get(&self.key)).expect("the store works")
    }

    /// Moves the clock to so many milliseconds after the start.
    pub fn at(&self, millis: u64) {
        self.clock
            .set(self.start.plus(Duration::from_millis(millis)));
    }

    /// A caller, looked at only when a test wants it.
    pub fn caller(self: &Arc<Self>) -> Polled<Lookup<u64, S>> {
        let world = Arc::clone(self);
        let patient = self.cache.store().leases();
        let lookup = async move { world.cache.lookup(&world.key, &world.policy).await };
        Polled {
            patient,
            ..Polled::new(lookup)
        }
    }
}

/// Runs a future that must not have to wait.
#[track_caller]
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("this must not have to wait"),
    }
}

/// A future that a test polls by hand.
pub struct Polled<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    /// Whether a store outside the process may keep it waiting for a moment.
    patient: bool,
}

impl<T> fmt::Debug for Polled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").finish_non_exhaustive()
    }
}

impl<S: Store<u64>> fmt::Debug for World<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl<T> Polled<T> {
    /// A future that has not been polled.
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            future: Box::pin(future),
            patient: false,
        }
    }

    /// Polls once, with a waker that does nothing.
    pub fn poll(&mut self) -> Poll<T> {
        self.future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Polls once, and asserts that it is not ready.
    #[track_caller]
    pub fn waits(&mut self) {
        assert!(self.poll().is_pending(), "it does not wait");
    }

    /// What it ends with, once something outside of this thread has happened.
    #[track_caller]
    pub fn ends_soon(mut self) -> T {
        let began = Instant::now();
        loop {
            if let Poll::Ready(output) = self.poll() {
                return output;
            }
            assert!(began.elapsed() < PATIENCE, "it still waits");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What it ends with, and asserts that it does so now; that of a caller of a store with leases as
    /// soon as the server has heard of everything.
    #[track_caller]
    pub fn ends(mut self) -> T {
        if self.patient {
            return self.ends_soon();
        }
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it still waits"),
        }
    }
}

/// How callers come in numbers.
#[derive(Clone, Copy, Debug)]
pub enum Crowd {
    /// Each on a thread of its own.
    Threads,
    /// As tasks of one thread.
    Tasks,
    /// As tasks of several threads.
    ThreadedTasks,
}

/// All of them.
pub const CROWDS: [Crowd; 3] = [Crowd::Threads, Crowd::Tasks, Crowd::ThreadedTasks];

impl Crowd {
    /// Lets so many callers come. Once `ready` says so, `then` happens; the answers are those of all
    /// callers.
    pub fn run<T, F>(
        self,
        callers: usize,
        call: impl Fn(usize) -> F,
        ready: impl Fn() -> bool,
        then: impl FnOnce(),
    ) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let runtime = match self {
            Self::Threads => return on_threads(callers, call, ready, then),
            Self::Tasks => tokio::runtime::Builder::new_current_thread().build(),
            Self::ThreadedTasks => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(4)
                .build(),
        };
        runtime.expect("a runtime").block_on(async {
            let tasks: Vec<_> = (0..callers).map(|n| tokio::spawn(call(n))).collect();
            let began = Instant::now();
            while !ready() {
                assert!(began.elapsed() < PATIENCE, "the callers never got ready");
                tokio::task::yield_now().await;
                std::thread::sleep(BETWEEN_LOOKS);
            }
            then();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.expect("no caller panics"));
            }
            answers
        })
    }
}

fn on_threads<T, F>(
    callers: usize,
    call: impl Fn(usize) -> F,
    ready: impl Fn() -> bool,
    then: impl FnOnce(),
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let threads: Vec<_> = (0..callers)
        .map(|number| {
            let call = call(number);
            std::thread::spawn(move || {
                let Ok(answer) = drive(call, &ThreadPark);
                answer
            })
        })
        .collect();
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed() < PATIENCE, "the callers never got ready");
        std::thread::sleep(BETWEEN_LOOKS);
    }
    then();
    let answer = |thread: std::thread::JoinHandle<T>| thread.join().expect("no caller panics");
    threads.into_iter().map(answer).collect()
}

impl<S: Store<u64>> World<S> {
    /// Lets so many callers ask for the key, of whom one loads and the others wait; then lets the
    /// origin answer.
    pub fn crowd(self: &Arc<Self>, crowd: Crowd, callers: usize) -> Vec<Answer> {
        self.origin.gate().close();
        let answers = crowd.run(
            callers,
            |_| {
                let world = Arc::clone(self);
                async move { world.ask().await }
            },
            || self.clock.alarms() == callers - 1 && self.origin.gate().waiting() == 1,
            || self.origin.gate().reopen(),
        );
        assert_eq!(self.clock.alarms(), 0, "somebody left an alarm behind");
        answers
    }
}
