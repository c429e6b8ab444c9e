//! Counters: atomic between clients, and subject to every purge.

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Removal};
use larder_core::{ErrorKind, Key, Kind, Store};
use larder_redis::Transport;

use crate::server::Server;
use crate::support::{Bench, Hand, both, builder, error_kind, now, text, user, variant};

both! {
    fn a_counter_starts_at_nothing_and_keeps_its_times;
    fn a_counter_is_a_number_that_others_can_read;
    fn a_counter_is_purged_like_everything_else;
    fn what_is_no_number_is_not_counted;
    fn a_loaded_number_is_fenced;
}

async fn a_counter_starts_at_nothing_and_keeps_its_times<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    _: &Server,
) {
    for key in [
        user("k"),
        variant(&user("l"), "1"),
        Key::new(Kind::Memoize, "m"),
    ] {
        assert_eq!(a.count(&key, 5).await.unwrap(), 5);
        a.clock.advance(30);
        assert_eq!(b.count(&key, -7).await.unwrap(), -2);
        assert_eq!(a.value(&key).await, Some(Plain::Int(-2)));
        let entry = b.entry(&key).await.unwrap();
        assert_eq!(
            entry
                .meta()
                .age(larder_core::Clock::now(&*b.clock))
                .as_secs(),
            30
        );
        a.clock.advance(30);
        assert_eq!(
            b.count(&key, 1).await.unwrap(),
            1,
            "the old counter has expired"
        );
        assert_eq!(a.count(&key, i64::MAX - 1).await.unwrap(), i64::MAX);
        assert_eq!(a.value(&key).await, Some(Plain::Int(i64::MAX)));
    }
}

async fn a_counter_is_a_number_that_others_can_read<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let mut client = server.client();
    a.write(&user("k"), Plain::Int(41), &[]).await;
    let name = "t[*]?\\_k";
    let sum: i64 = redis::cmd("INCR").arg(name).query(&mut client).unwrap();
    assert_eq!(sum, 42);
    assert_eq!(b.value(&user("k")).await, Some(Plain::Int(42)));
    redis::cmd("SET")
        .arg("t[*]?\\_theirs")
        .arg("7")
        .exec(&mut client)
        .unwrap();
    assert_eq!(b.value(&user("theirs")).await, Some(Plain::Int(7)));
    assert_eq!(b.count(&user("theirs"), 1).await.unwrap(), 8);
    assert!(a.remove(&user("theirs")).await);
    // What was said of an earlier number of ours does not concern a later one of theirs.
    a.write(&user("k"), text("no number"), &[]).await;
    a.clock.advance(60);
    redis::cmd("SET")
        .arg(name)
        .arg("7")
        .exec(&mut client)
        .unwrap();
    let entry = b.entry(&user("k")).await.unwrap();
    assert_eq!(entry.value, Plain::Int(7));
    let freshness = entry.freshness(larder_core::Clock::now(&*b.clock));
    assert_eq!(freshness, larder_core::Freshness::Fresh);
}

async fn a_counter_is_purged_like_everything_else<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    _: &Server,
) {
    let key = user("k");
    a.count(&key, 5).await.unwrap();
    b.remove(&key).await;
    assert_eq!(a.count(&key, 1).await.unwrap(), 1);
    b.purge(Removal::All).await;
    assert_eq!(a.count(&key, 2).await.unwrap(), 2);
    b.remove(&key).await;
    let tagged = a.meta(60, &["t"]);
    let count = |bench: &Bench<T>, delta| {
        let (store, tagged) = (bench.store.clone(), tagged.clone());
        let key = key.clone();
        async move {
            <_ as Store<Plain>>::count(&store, &key, delta, tagged)
                .await
                .unwrap()
        }
    };
    assert_eq!(count(&a, 3).await, 3);
    assert_eq!(count(&b, 3).await, 6);
    b.bump("t").await;
    assert!(a.entry(&key).await.is_none());
    assert_eq!(count(&a, 4).await, 4);
    assert_eq!(b.value(&key).await, Some(Plain::Int(4)));
}

async fn what_is_no_number_is_not_counted<T: Transport>(a: Bench<T>, _: Bench<T>, server: &Server) {
    for key in [
        user("k"),
        variant(&user("l"), "1"),
        Key::new(Kind::View, "v"),
    ] {
        for value in [text("7"), Plain::Bool(true), Plain::None, Plain::Float(1.0)] {
            a.write(&key, value.clone(), &[]).await;
            assert_eq!(error_kind(a.count(&key, 1).await), ErrorKind::NotACounter);
            assert_eq!(a.value(&key).await, Some(value));
        }
        // What cannot be used any more is not in the way.
        a.clock.advance(60);
        assert_eq!(a.count(&key, 1).await.unwrap(), 1);
    }
    redis::cmd("SET")
        .arg("t[*]?\\_x")
        .arg("0099")
        .exec(&mut server.client())
        .unwrap();
    assert_eq!(
        error_kind(a.count(&user("x"), 1).await),
        ErrorKind::NotACounter
    );
    a.write(&user("full"), Plain::Int(i64::MAX), &[]).await;
    assert_eq!(
        error_kind(a.count(&user("full"), 1).await),
        ErrorKind::NotACounter
    );
}

async fn a_loaded_number_is_fenced<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let key = user("k");
    let entry = |fence| larder_core::Entry::new(a.meta(60, &[]), Plain::Int(9), fence);
    let put = |fence| {
        a.store.put(
            &key,
            std::sync::Arc::new(entry(fence)),
            larder_core::store::Mode::Replace,
        )
    };
    let fence = a.fence(&key, &[]).await;
    b.remove(&key).await;
    assert_eq!(put(fence).await.unwrap(), Put::Fenced);
    assert!(b.entry(&key).await.is_none());
    let fence = a.fence(&key, &[]).await;
    assert_eq!(put(fence).await.unwrap(), Put::Stored);
    assert_eq!(b.count(&key, 1).await.unwrap(), 10);
}

#[test]
fn clients_that_count_at_once_lose_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = Hand::new();
    const EACH: i64 = 200;
    for (key, alive) in [
        (user("k"), true),
        (variant(&user("l"), "1"), true),
        (user("m"), false),
    ] {
        let bench = || Bench {
            store: builder(&server.url(), &clock).build(Safe).unwrap(),
            clock: clock.clone(),
        };
        if !alive {
            now(bench().count(&key, 1000)).unwrap();
            clock.advance(60);
        }
        // A variant is written anew by whoever counts, so only a few clients may do so at once.
        let threads: i64 = if key.is_base() { 8 } else { 2 };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let bench = bench();
                    for _ in 0..EACH {
                        now(bench.count(&key, 1)).unwrap();
                    }
                });
            }
        });
        assert_eq!(
            now(bench().value(&key)),
            Some(Plain::Int(threads * EACH)),
            "{key:?}"
        );
    }
}
