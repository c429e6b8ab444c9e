//! Memoized functions, asynchronous ones.

use std::sync::LazyLock;

use crate::shop::{Calls, Shop, advance, cache, shop};
use larder::memoize;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

#[tokio::test]
async fn an_answer_is_kept_and_forgotten() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "2m", tags = ["product:{id}"], cache = cache())]
    async fn product(id: u32, language: &str) -> Result<String, std::io::Error> {
        yield_now().await;
        Ok(format!("{id} {language} {}", CALLS.next()))
    }
    assert_eq!(product(7, "en").await.unwrap(), "7 en 1");
    assert_eq!(product(7, "en").await.unwrap(), "7 en 1");
    assert_eq!(product(7, "de").await.unwrap(), "7 de 2");
    assert!(invalidate_product(7, "en").await.unwrap());
    assert_eq!(product(7, "en").await.unwrap(), "7 en 3");
    shop().bump("product:7");
    assert_eq!(product(7, "de").await.unwrap(), "7 de 4");
    assert!(invalidate_product_all().await.unwrap());
    assert_eq!(product(7, "de").await.unwrap(), "7 de 5");
    advance(120);
    assert_eq!(product(7, "de").await.unwrap(), "7 de 6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_1_a_hundred_tasks_cause_one_call() {
    static CALLS: Calls = Calls::new();
    static GATE: Semaphore = Semaphore::const_new(0);
    static SHARED: LazyLock<Shop> = LazyLock::new(Shop::open);
    #[memoize(ttl = "1h", cache = &SHARED.cache)]
    async fn slow(number: u32) -> u32 {
        CALLS.next();
        GATE.acquire().await.unwrap().forget();
        number
    }
    let tasks: Vec<_> = (0..100).map(|_| tokio::spawn(slow(7))).collect();
    while SHARED.clock.alarms() < 99 {
        yield_now().await;
    }
    GATE.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.unwrap(), 7);
    }
    assert_eq!(CALLS.get(), 1);
}

#[tokio::test]
async fn t1_3_an_error_goes_to_everyone_who_waited() {
    static CALLS: Calls = Calls::new();
    static GATE: Semaphore = Semaphore::const_new(0);
    #[memoize(ttl = "1h", cache = cache())]
    async fn slow() -> Result<usize, String> {
        let call = CALLS.next();
        GATE.acquire().await.unwrap().forget();
        Err(format!("call {call}"))
    }
    let tasks: Vec<_> = (0..10).map(|_| tokio::spawn(slow())).collect();
    while shop().clock.alarms() < 9 {
        yield_now().await;
    }
    GATE.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Err("call 1".to_owned()));
    }
    GATE.add_permits(1);
    assert_eq!(slow().await, Err("call 2".to_owned()));
}

#[tokio::test]
async fn one_who_waited_for_a_cancelled_call_calls_in_its_place() {
    static CALLS: Calls = Calls::new();
    static GATE: Semaphore = Semaphore::const_new(0);
    #[memoize(ttl = "1h", cache = cache())]
    async fn slow() -> usize {
        let call = CALLS.next();
        GATE.acquire().await.unwrap().forget();
        call
    }
    let leader = tokio::spawn(slow());
    while CALLS.get() < 1 {
        yield_now().await;
    }
    let follower = tokio::spawn(slow());
    while shop().clock.alarms() < 1 {
        yield_now().await;
    }
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    GATE.add_permits(1);
    assert_eq!(follower.await.unwrap(), 2);
}

#[tokio::test]
async fn a_function_that_calls_itself_does_not_wait_for_itself() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", cache = cache())]
    async fn same(number: usize) -> usize {
        match CALLS.next() {
            1 => {
                yield_now().await;
                Box::pin(same(number)).await + 1
            }
            call => call,
        }
    }
    assert_eq!(same(1).await, 3);
    assert_eq!(same(1).await, 3);
}

#[tokio::test]
async fn a_stale_answer_is_given_while_a_task_refreshes_it() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1m", stale_while_revalidate = "1h", cache = cache())]
    async fn rate(from: String) -> usize {
        drop(from);
        yield_now().await;
        CALLS.next()
    }
    assert_eq!(rate("a".to_owned()).await, 1);
    advance(61);
    assert_eq!(rate("a".to_owned()).await, 1);
    while rate("a".to_owned()).await == 1 {
        yield_now().await;
    }
    assert_eq!((rate("a".to_owned()).await, CALLS.get()), (2, 2));
}
