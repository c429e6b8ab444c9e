//! One cache with its clock, its origin and its observer, and callers who come in numbers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use larder_core::store::Memory;
use larder_core::{
    Cache, Key, Kind, Lookup, Permit, Policy, Store, Stored, ThreadPark, Timestamp, drive,
};
use larder_testkit::{Answer, CountingOrigin, HandClock, PATIENCE, Recorder};

pub(crate) struct World<S: Store<u64> = Memory<u64>> {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) cache: Cache<u64, S>,
    pub(crate) origin: CountingOrigin,
    pub(crate) seen: Recorder,
    pub(crate) key: Key,
    pub(crate) policy: Policy,
    pub(crate) start: Timestamp,
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(Kind::User, name)
}

pub(crate) fn world() -> Arc<World> {
    world_over(|memory| memory)
}

/// A world whose store stands around a memory store.
pub(crate) fn world_over<S: Store<u64>>(store: impl FnOnce(Memory<u64>) -> S) -> Arc<World<S>> {
    world_with(store, Policy::new(secs(60)))
}

pub(crate) fn world_with<S: Store<u64>>(
    store: impl FnOnce(Memory<u64>) -> S,
    policy: Policy,
) -> Arc<World<S>> {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone()).build();
    let seen = Recorder::new();
    let cache = Cache::builder(store(memory.expect("no bound is zero")))
        .clock(clock.clone())
        .observer(seen.clone())
        .build();
    Arc::new(World {
        start: larder_core::Clock::now(&*clock),
        clock,
        cache,
        origin: CountingOrigin::new(),
        seen,
        key: key("key"),
        policy,
    })
}

impl<S: Store<u64>> World<S> {
    pub(crate) async fn ask(&self) -> Answer {
        self.origin.ask(&self.cache, &self.key, &self.policy).await
    }

    /// An answer that nobody has to wait for.
    pub(crate) fn ask_now(&self) -> Answer {
        at_once(self.ask())
    }

    pub(crate) fn look_now(&self) -> Lookup<u64, S> {
        at_once(self.cache.lookup(&self.key, &self.policy))
    }

    /// The right to load, which the cache has to give at once.
    pub(crate) fn lead(&self) -> Permit<u64, S> {
        match self.look_now() {
            Lookup::Miss(permit) => permit,
            other => panic!("expected a miss, got {other:?}"),
        }
    }

    pub(crate) fn store_now(&self, permit: Permit<u64, S>, value: u64) -> Stored {
        at_once(permit.store(value, &self.policy))
    }

    /// The value that is stored and fresh.
    pub(crate) fn stored(&self) -> Option<u64> {
        at_once(self.cache.get(&self.key)).expect("the store works")
    }

    /// Moves the clock to so many milliseconds after the start.
    pub(crate) fn at(&self, millis: u64) {
        self.clock
            .set(self.start.plus(Duration::from_millis(millis)));
    }

    /// A caller, looked at only when a test wants it.
    pub(crate) fn caller(self: &Arc<Self>) -> Polled<Lookup<u64, S>> {
        let world = Arc::clone(self);
        Polled(Box::pin(async move {
            world.cache.lookup(&world.key, &world.policy).await
        }))
    }
}

/// Runs a future that must not have to wait.
#[track_caller]
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
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
pub(crate) struct Polled<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Polled<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.0
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    #[track_caller]
    pub(crate) fn waits(&mut self) {
        assert!(self.poll().is_pending(), "it does not wait");
    }

    #[track_caller]
    pub(crate) fn ends(mut self) -> T {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it still waits"),
        }
    }
}

/// How callers come in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crowd {
    /// Each on a thread of its own.
    Threads,
    /// As tasks of one thread.
    Tasks,
    /// As tasks of several threads.
    ThreadedTasks,
}

pub(crate) const CROWDS: [Crowd; 3] = [Crowd::Threads, Crowd::Tasks, Crowd::ThreadedTasks];

impl Crowd {
    /// Lets so many callers come. Once `ready` says so, `then` happens; the answers are those of all
    /// callers.
    pub(crate) fn run<T, F>(
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
        std::thread::yield_now();
    }
    then();
    let answer = |thread: std::thread::JoinHandle<T>| thread.join().expect("no caller panics");
    threads.into_iter().map(answer).collect()
}

impl<S: Store<u64>> World<S> {
    /// Lets so many callers ask for the key, of whom one loads and the others wait; then lets the
    /// origin answer.
    pub(crate) fn crowd(self: &Arc<Self>, crowd: Crowd, callers: usize) -> Vec<Answer> {
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
