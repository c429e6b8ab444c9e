//! Replicas that take over: a master is killed under load, and one that has not told its replica everything.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::store::{Put, Removal};
use larder_core::{Error, ErrorKind, Key, Result, Tag};
use larder_redis::Medium;
use larder_testkit::PATIENCE;

use crate::server::{Cluster, MASTERS};
use crate::support::{Bench, Done, benches, benches_in, namespace, now, tasks_in, user, variant};

/// After this time a node counts as failed.
const FAILED: Duration = Duration::from_secs(1);
const KEYS: usize = 24;

fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Store | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Postponed
    )
}

/// The origin of one key, and what is known of it.
struct Origin {
    key: Key,
    tags: [Tag; 1],
    /// Which master has the key.
    master: usize,
    state: AtomicI64,
    /// The last state whose change was purged, as the store has confirmed.
    purged: AtomicI64,
}

/// What happens under load.
#[derive(Default)]
struct Tally {
    done: Done,
    hits: AtomicU64,
    purges: AtomicU64,
    errors: AtomicU64,
}

fn origins(cluster: &Cluster, bench: &Bench) -> Vec<Origin> {
    let origin = |number: usize| {
        let base = user(format!("key {number}"));
        let master = cluster.master_of(&bench.store.name_of(&base));
        Origin {
            key: if number.is_multiple_of(2) {
                base
            } else {
                variant(&base)
            },
            tags: [Tag::new(format!("tag {number}"))],
            master,
            state: AtomicI64::new(0),
            purged: AtomicI64::new(0),
        }
    };
    (0..KEYS).map(origin).collect()
}

/// Reads, loads and purges until it is told to end. What it reads is never older than the last purge that
/// was confirmed before the read began.
async fn work<M: Medium>(bench: &Bench<M>, origins: &[Origin], tally: &Tally, mut dice: usize) {
    while !tally.done.is_said() {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let roll = dice >> 33;
        let origin = &origins[roll % KEYS];
        let result = match roll / KEYS % 16 {
            0 => purge(bench, origin, roll).await,
            _ => read(bench, origin, tally).await,
        };
        match result {
            Ok(purged) => drop(tally.purges.fetch_add(purged, Ordering::Relaxed)),
            Err(error) => {
                assert!(is_outage(&error), "{error:?}");
                tally.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn purge<M: Medium>(bench: &Bench<M>, origin: &Origin, roll: usize) -> Result<u64> {
    let state = origin.state.fetch_add(1, Ordering::SeqCst) + 1;
    let key = std::slice::from_ref(&origin.key);
    match roll / KEYS / 16 % 8 {
        0 => drop(bench.remove(Removal::All).await?),
        1..5 => drop(bench.remove(Removal::Keys(key)).await?),
        _ => bench.bump(&origin.tags).await?,
    }
    origin.purged.fetch_max(state, Ordering::SeqCst);
    Ok(1)
}

async fn read<M: Medium>(bench: &Bench<M>, origin: &Origin, tally: &Tally) -> Result<u64> {
    let least = origin.purged.load(Ordering::SeqCst);
    if let Some(found) = bench.get(&origin.key).await? {
        assert!(
            found >= least,
            "{} has {found}, and {least} was purged",
            origin.key
        );
        tally.hits.fetch_add(1, Ordering::Relaxed);
        return Ok(0);
    }
    let fence = bench.fence(&origin.key, &origin.tags).await?;
    let state = origin.state.load(Ordering::SeqCst);
    bench
        .load(&origin.key, (state, &origin.tags), fence)
        .await?;
    Ok(0)
}

/// Keys that the first master does not have.
fn keys_beside(cluster: &Cluster, bench: &Bench) -> Vec<Key> {
    let keys = (0..KEYS).map(|number| user(format!("beside {number}")));
    let is_beside = |key: &Key| cluster.master_of(&bench.store.name_of(key)) != 0;
    keys.filter(is_beside).collect()
}

/// Asks for keys without tags that other masters have: these are served all the time.
fn others(bench: &Bench, keys: &[Key], tally: &Tally) -> (u64, Duration) {
    let (mut served, mut longest) = (0, Duration::ZERO);
    while !tally.done.is_said() {
        for key in keys {
            let start = Instant::now();
            served += u64::from(bench_has(bench, key));
            longest = longest.max(start.elapsed());
        }
    }
    (served, longest)
}

/// Whether the key was found, or was stored.
fn bench_has(bench: &Bench, key: &Key) -> bool {
    now(bench.get(key)).unwrap().is_some() || now(bench.put(key, 1, &[])).unwrap() == Put::Stored
}

#[test]
fn a_master_is_killed_under_load() {
    let Some(mut cluster) = Cluster::start(FAILED) else {
        return;
    };
    let short = Duration::from_millis(200);
    let namespace = namespace();
    let benches = benches_in(&cluster, &namespace, [short; 2]);
    let tasks = tasks_in(&cluster, &namespace, short);
    let [calm] = crate::support::benches(&cluster, [PATIENCE]);
    let origins = origins(&cluster, &benches[0]);
    let beside = keys_beside(&cluster, &calm);
    let tally = Tally::default();
    let victim = origins.iter().find(|origin| origin.master == 0).unwrap();
    let (took, served, longest) = thread::scope(|scope| {
        let ending = tally.done.at_the_end();
        for (number, bench) in benches.iter().enumerate() {
            let (origins, tally) = (&origins, &tally);
            scope.spawn(move || now(work(bench, origins, tally, number + 1)));
        }
        scope.spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(work(&tasks, &origins, &tally, 7));
        });
        let served = scope.spawn(|| others(&calm, &beside, &tally));
        let warm = || tally.hits.load(Ordering::Relaxed) > 200;
        cluster.await_that("they work", warm);
        cluster.servers[0].program.kill();
        let start = Instant::now();
        let bench = &benches[0];
        let is_back = || {
            let key = user(victim.key.base());
            now(bench.put(&key, i64::MAX, &[])).is_ok() && now(bench.get(&key)).is_ok()
        };
        cluster.await_that("the replica takes over", is_back);
        let took = start.elapsed();
        let (hits, purges) = (&tally.hits, &tally.purges);
        let before = (hits.load(Ordering::Relaxed), purges.load(Ordering::Relaxed));
        cluster.await_that("they work again", || {
            hits.load(Ordering::Relaxed) > before.0 + 200
                && purges.load(Ordering::Relaxed) > before.1 + 20
        });
        drop(ending);
        let (served, longest) = served.join().expect("the other nodes serve all the time");
        (took, served, longest)
    });
    let errors = tally.errors.load(Ordering::Relaxed);
    eprintln!(
        "a master was killed: served again after {took:?}, {errors} errors; on the other nodes {served} \
         reads, the longest {longest:?}"
    );
    assert!(errors > 0, "it was noticed");
    assert!(served > 0 && longest < PATIENCE / 2, "{longest:?}");
}

#[test]
fn a_replica_that_lacks_the_last_purges_brings_nothing_back() {
    let Some(mut cluster) = Cluster::start(FAILED) else {
        return;
    };
    let [bench, other] = benches(&cluster, [PATIENCE; 2]);
    let keys: Vec<Key> = (0..60).map(|number| user(format!("{number}"))).collect();
    let tag = |number: usize| [Tag::new(format!("tag {}", number % 30))];
    for (number, key) in keys.iter().enumerate() {
        now(bench.put(key, 1, &tag(number))).unwrap();
        now(bench.put(&variant(key), 1, &[])).unwrap();
    }
    let fence_of = |key: &Key| now(other.fence(&variant(key), &[])).unwrap();
    let fences: Vec<_> = keys.iter().map(fence_of).collect();
    let _: i64 = cluster.servers[0].tell(&["WAIT", "1", "20000"]);
    cluster.servers[MASTERS].program.freeze();
    let _: i64 = cluster.servers[0].tell(&["CLIENT", "KILL", "TYPE", "replica"]);
    // What is purged from here on the replica does not hear.
    let of_master = |key: &&Key| cluster.master_of(&bench.store.name_of(key)) == 0;
    let removed: Vec<Key> = keys.iter().take(10).filter(of_master).cloned().collect();
    assert!(!removed.is_empty());
    now(bench.remove(Removal::Keys(&removed))).unwrap();
    let variants: Vec<Key> = keys.iter().map(variant).collect();
    now(bench.remove(Removal::Keys(&variants))).unwrap();
    for number in 0..30 {
        now(bench.bump(&tag(number))).unwrap();
    }
    let all: Vec<Key> = keys.iter().chain(&variants).cloned().collect();
    let of_dead: Vec<&Key> = all.iter().filter(of_master).collect();
    cluster.servers[0].program.kill();
    cluster.servers[MASTERS].program.thaw();
    for bench in [&bench, &other] {
        let takes_over = || now(bench.get(of_dead[0])).is_ok();
        cluster.await_that("the replica takes over", takes_over);
    }
    let restored: i64 = cluster.servers[MASTERS].tell(&["DBSIZE"]);
    assert!(restored > 0, "it has what its master had");
    for bench in [&bench, &other] {
        for key in &all {
            assert_eq!(now(bench.get(key)).unwrap(), None, "{key}");
        }
    }
    for (key, fence) in keys.iter().zip(fences) {
        let put = now(other.load(&variant(key), (1, &[]), fence)).unwrap();
        assert_eq!(put, Put::Fenced, "{key} was loaded before its removal");
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(now(bench.put(key, 2, &tag(number))).unwrap(), Put::Stored);
        assert_eq!(now(other.get(key)).unwrap(), Some(2));
    }
}
