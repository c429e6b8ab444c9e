//! `get_or_load` on a cache of one's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::shop::until;
use larder::store::Memory;
use larder::{AnyStore, Cache, Key, Kind, Load, LoadError, Policy};
use larder_testkit::HandClock;

fn cache() -> (Cache<String>, Arc<HandClock>) {
    let clock = HandClock::new();
    let memory = Memory::builder()
        .clock(clock.clone())
        .build::<String>()
        .unwrap();
    let cache = Cache::builder(AnyStore::from(memory))
        .clock(clock.clone())
        .build();
    (cache, clock)
}

fn key() -> Key {
    Key::new(Kind::User, "k")
}

fn policy() -> Policy {
    Policy::new(Duration::from_secs(60)).stale_while_revalidate(Duration::from_secs(3600))
}

/// A load that counts.
fn numbered(calls: &Arc<AtomicUsize>) -> impl Fn() -> String + Clone + Send + 'static {
    let calls = Arc::clone(calls);
    move || format!("v{}", calls.fetch_add(1, Ordering::SeqCst) + 1)
}

#[test]
fn a_value_is_loaded_once_and_refreshed_behind_the_answer() {
    let (cache, clock) = cache();
    let calls = Arc::default();
    let get = || cache.get_or_load_blocking(&key(), &policy(), numbered(&calls));
    assert_eq!((get(), get()), ("v1".to_owned(), "v1".to_owned()));
    clock.advance(Duration::from_secs(61));
    assert_eq!(get(), "v1");
    until(|| get() == "v2");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_failure_goes_to_the_caller_and_a_stale_value_in_its_place() {
    let (cache, clock) = cache();
    let policy = Policy::new(Duration::from_secs(60)).stale_if_error(Duration::from_secs(3600));
    let get = |answer: Result<&str, u8>| {
        let answer = answer.map(str::to_owned);
        cache.try_get_or_load_blocking(&key(), &policy, move || answer)
    };
    assert_eq!(get(Err(1)), Err(LoadError::Failed(Arc::new(1))));
    assert_eq!(get(Ok("v1")), Ok("v1".to_owned()));
    clock.advance(Duration::from_secs(61));
    assert_eq!(get(Err(2)), Ok("v1".to_owned()));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(get(Err(3)), Err(LoadError::Failed(Arc::new(3))));
}

#[tokio::test]
async fn futures_are_loaded_the_same_way() {
    let (cache, clock) = cache();
    let (calls, policy) = (Arc::default(), policy());
    let get = async || {
        let load = numbered(&calls);
        cache
            .get_or_load(&key(), &policy, || async move { load() })
            .await
    };
    assert_eq!(
        (get().await, get().await),
        ("v1".to_owned(), "v1".to_owned())
    );
    clock.advance(Duration::from_secs(61));
    assert_eq!(get().await, "v1");
    while get().await == "v1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(get().await, "v2");
    clock.advance(Duration::from_secs(86_400));
    let failed = cache
        .try_get_or_load(&key(), &policy, || async { Err("down") })
        .await;
    assert_eq!(failed, Err(LoadError::Failed(Arc::new("down"))));
}

#[test]
fn a_load_that_asks_for_its_own_key_runs_in_place() {
    let (cache, _) = cache();
    let inner = cache.clone();
    let value = cache.get_or_load_blocking(&key(), &policy(), move || {
        inner.get_or_load_blocking(&key(), &policy(), || "inner".to_owned()) + " and outer"
    });
    assert_eq!(value, "inner and outer");
}

#[test]
fn a_load_that_panics_leaves_nothing_behind() {
    let (cache, _) = cache();
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.get_or_load_blocking(&key(), &policy(), || panic!("as the test wants it"))
    }));
    assert!(broken.is_err());
    let value = cache.get_or_load_blocking(&key(), &policy(), || "well".to_owned());
    assert_eq!(value, "well");
}
