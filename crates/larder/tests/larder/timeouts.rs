//! Soft and hard timeouts of `get_or_load` and of memoized functions: a load outlives the wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use crate::shop::until;
use larder::memo::{Kept, MemoCache};
use larder::store::Memory;
use larder::{AnyStore, Cache, Key, Kind, Load, LoadError, Policy, TimedOut, Value, memoize};
use larder_core::{ThreadPark, drive};
use larder_testkit::{Gate, HandClock};

fn cache<V: Value>() -> (Cache<V>, Arc<HandClock>) {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone()).build::<V>().unwrap();
    let cache = Cache::builder(AnyStore::from(memory))
        .clock(clock.clone())
        .build();
    (cache, clock)
}

fn key() -> Key {
    Key::new(Kind::User, "k")
}

fn policy() -> Policy {
    Policy::new(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(3600))
        .soft_timeout(Duration::from_millis(100))
        .hard_timeout(Duration::from_secs(2))
}

/// A load that counts, and that a gate holds up.
#[derive(Clone, Default)]
struct Slow {
    calls: Arc<AtomicUsize>,
    gate: Gate,
}

impl Slow {
    fn call(&self) -> Result<String, &'static str> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let Ok(()) = drive(self.gate.pass(), &ThreadPark);
        Ok(format!("v{call}"))
    }

    async fn called(self) -> Result<String, &'static str> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.pass().await;
        Ok(format!("v{call}"))
    }
}

fn timeout() -> LoadError<&'static str> {
    LoadError::TimedOut(TimedOut::after(Duration::from_secs(2)))
}

#[test]
fn a_load_that_blocks_goes_on_when_its_caller_has_left() {
    let (cache, clock) = cache::<String>();
    let slow = Slow::default();
    let ask = || {
        let slow = slow.clone();
        cache.try_get_or_load_blocking(&key(), &policy(), move || slow.call())
    };
    // Whoever asks is given until after the gate has somebody before it.
    let overtime = |span: Duration| {
        slow.gate.close();
        let answer = thread::scope(|scope| {
            let asking = scope.spawn(ask);
            slow.gate.await_waiting(1);
            clock.advance(span);
            asking.join().unwrap()
        });
        slow.gate.reopen();
        answer
    };
    assert_eq!(overtime(Duration::from_secs(2)), Err(timeout()));
    // It is stored before it ends, and whoever came between would take it for a refresh under way.
    let Ok(ended) = drive(cache.loads_end(Duration::from_secs(5)), &ThreadPark);
    assert!(ended);
    assert_eq!(ask(), Ok("v1".to_owned()));
    clock.advance(Duration::from_secs(61));
    assert_eq!(overtime(Duration::from_millis(100)), Ok("v1".to_owned()));
    until(|| ask() == Ok("v2".to_owned()));
    assert_eq!(slow.calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_panic_on_the_other_thread_reaches_the_caller() {
    let (cache, _) = cache::<String>();
    let asking = thread::spawn(move || {
        cache.try_get_or_load_blocking::<_, &str>(&key(), &policy(), || panic!("as the test wants"))
    });
    assert!(asking.join().is_err());
}

#[tokio::test]
async fn a_future_goes_on_as_a_task() {
    let (cache, clock) = cache::<String>();
    let slow = Slow::default();
    slow.gate.close();
    let asking = {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            cache
                .try_get_or_load(&key(), &policy(), || slow.called())
                .await
        })
    };
    while slow.gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(asking.await.unwrap(), Err(timeout()));
    slow.gate.reopen();
    assert!(cache.loads_end(Duration::from_secs(5)).await);
    assert_eq!(cache.get(&key()).await.unwrap().as_deref(), Some("v1"));
}

#[tokio::test]
async fn a_future_is_dropped_where_nobody_wants_what_comes_late() {
    let (cache, clock) = cache::<String>();
    let slow = Slow::default();
    slow.gate.close();
    let asking = {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            let policy = policy().discard_late();
            cache
                .try_get_or_load(&key(), &policy, || slow.called())
                .await
        })
    };
    while slow.gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(asking.await.unwrap(), Err(timeout()));
    assert_eq!(slow.gate.waiting(), 0, "it still runs");
    assert_eq!(cache.get(&key()).await.unwrap(), None);
}

#[test]
fn a_call_that_cannot_fail_has_no_hard_timeout() {
    let (cache, clock) = cache::<String>();
    let slow = Slow::default();
    slow.gate.close();
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let slow = slow.clone();
            cache.get_or_load_blocking(&key(), &policy(), move || slow.call().unwrap())
        });
        slow.gate.await_waiting(1);
        clock.advance(Duration::from_secs(3));
        slow.gate.reopen();
        asking.join().unwrap()
    });
    assert_eq!(answer, "v1");
}

static WORLD: LazyLock<(MemoCache, Arc<HandClock>)> = LazyLock::new(cache::<Kept>);
static SLOW: LazyLock<Slow> = LazyLock::new(Slow::default);

#[derive(Clone, Debug, PartialEq)]
struct Late(TimedOut);

impl From<TimedOut> for Late {
    fn from(error: TimedOut) -> Self {
        Self(error)
    }
}

#[memoize(
    ttl = "60s",
    stale_while_revalidate = "1h",
    soft_timeout = "100ms",
    hard_timeout = "2s",
    cache = WORLD.0
)]
fn rate(currency: &str) -> Result<String, Late> {
    Ok(format!("{currency} {}", SLOW.call().unwrap_or_default()))
}

#[test]
fn a_memoized_function_goes_on_when_its_caller_has_left() {
    let clock = &WORLD.1;
    let overtime = |span: Duration| {
        SLOW.gate.close();
        let answer = thread::scope(|scope| {
            let asking = scope.spawn(|| rate("EUR"));
            SLOW.gate.await_waiting(1);
            clock.advance(span);
            asking.join().unwrap()
        });
        SLOW.gate.reopen();
        answer
    };
    let late = Late(TimedOut::after(Duration::from_secs(2)));
    assert_eq!(overtime(Duration::from_secs(2)), Err(late));
    let Ok(ended) = drive(WORLD.0.loads_end(Duration::from_secs(5)), &ThreadPark);
    assert!(ended);
    assert_eq!(rate("EUR").unwrap(), "EUR v1");
    clock.advance(Duration::from_secs(61));
    assert_eq!(overtime(Duration::from_millis(100)).unwrap(), "EUR v1");
    until(|| rate("EUR").unwrap() == "EUR v2");
}
