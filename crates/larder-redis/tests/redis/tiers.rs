//! Two tiers over a real server: copies near by, and the channel that ends them (t7, t8.4).
//!
//! The time is that of the machine here, for signs of life come by it. What has to happen is waited for
//! with patience; what must not happen is looked at after everything has been told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{TierEvent, Tiered};
use larder_core::{Cache, ErrorKind, Lookup, Policy, Store, Stored, Tag};
use larder_redis::{Blocking, Redis, RedisBuilder};
use larder_testkit::PATIENCE;
use redis::{Connection, Value, cmd};

use crate::server::Server;
use crate::support::{now, text, user};

type Tiers = Tiered<Plain, Redis<Safe, Blocking>>;

/// One process over the server.
struct Process {
    tiers: Tiers,
    cache: Cache<Plain, Tiers>,
    told: Arc<Mutex<Vec<String>>>,
}

fn key() -> larder_core::Key {
    user("k")
}

fn minute() -> Policy {
    Policy::new(Duration::from_secs(60)).tag("t")
}

fn redis(url: &str) -> RedisBuilder {
    Redis::builder(url).namespace("tiers_")
}

impl Process {
    fn new(server: &Server) -> Self {
        Self::over(redis(&server.url()).deadline(Duration::from_secs(20)))
    }

    fn over(redis: RedisBuilder) -> Self {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let teller = Arc::clone(&told);
        let tiers = Tiered::builder(redis.build(Safe).unwrap())
            // What ends a copy in here is what is told, not its age.
            .ttl(Duration::from_secs(600))
            .observer(move |event| {
                teller.lock().unwrap().push(match event {
                    TierEvent::Alone(_) => "alone".to_owned(),
                    TierEvent::Back => "back".to_owned(),
                    TierEvent::PurgesPaid(paid) => format!("paid {paid}"),
                    _ => "other".to_owned(),
                });
            });
        let tiers: Tiers = tiers.build().unwrap();
        Self {
            cache: Cache::builder(tiers.clone()).build(),
            tiers,
            told,
        }
    }

    fn put(&self, value: i64) {
        let put = now(self.cache.put(&key(), Plain::Int(value), &minute()));
        assert_eq!(put.unwrap(), Stored::Stored);
    }

    fn get(&self) -> Option<i64> {
        let found = now(self.cache.get(&key())).unwrap();
        found.map(|value| number(&value))
    }

    fn at_hand(&self) -> Option<i64> {
        let entry = self.tiers.at_hand(&key())?;
        Some(number(&entry.value))
    }

    /// Reads until there is a copy that may be used: until the channel has been opened.
    fn warm(&self) -> i64 {
        until(|| {
            self.get();
            self.at_hand()
        })
    }
}

fn number(value: &Plain) -> i64 {
    match value {
        Plain::Int(number) => *number,
        other => panic!("{other:?} was not stored here"),
    }
}

/// Waits for what is bound to come.
fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The connections on which the server tells of changes.
fn channels(client: &mut Connection) -> Vec<String> {
    let list: String = cmd("CLIENT").arg("LIST").query(client).unwrap();
    let channels = list.lines().filter(|line| {
        let mut fields = line.split(' ');
        let flags = fields.find_map(|field| field.strip_prefix("flags="));
        flags.is_some_and(|flags| flags.contains('B'))
    });
    let id = |line: &str| Some(line.split(' ').next()?.strip_prefix("id=")?.to_owned());
    channels.filter_map(id).collect()
}

#[test]
fn t7_1_a_near_hit_asks_the_server_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let process = Process::new(&server);
    process.put(1);
    process.warm();
    let mut client = server.client();
    let calls = |client: &mut Connection| -> usize {
        let stats: String = cmd("INFO").arg("commandstats").query(client).unwrap();
        let reads = stats.lines().filter(|line| {
            ["get", "mget", "evalsha", "eval", "fcall"]
                .iter()
                .any(|name| line.starts_with(&format!("cmdstat_{name}:")))
        });
        let count = |line: &str| -> usize {
            let (_, rest) = line.split_once("calls=").unwrap();
            rest.split(',').next().unwrap().parse().unwrap()
        };
        reads.map(count).sum()
    };
    let before = calls(&mut client);
    assert!(before > 0);
    let mut hits = 0;
    let start = Instant::now();
    while hits < 1000 {
        assert!(start.elapsed() < PATIENCE);
        // A machine that stops this process for long makes a read of what should be a hit.
        if process.at_hand() == Some(1) {
            assert!(now(process.cache.lookup(&key(), &minute())).is_hit());
            hits += 1;
        }
    }
    let reads = calls(&mut client) - before;
    assert!(reads < 100, "{reads} reads for 1,000 hits");
}

/// Whether a lookup found what it looked for.
trait IsHit {
    fn is_hit(&self) -> bool;
}

impl<V: larder_core::Value, S: Store<V>> IsHit for Lookup<V, S> {
    fn is_hit(&self) -> bool {
        matches!(self, Self::Hit(_))
    }
}

#[test]
fn t7_2_a_write_is_seen_by_the_other_process() {
    let Some(server) = Server::start() else {
        return;
    };
    let [one, other] = [Process::new(&server), Process::new(&server)];
    let mut times = Vec::new();
    for round in 0..50 {
        one.put(round);
        assert_eq!(until(|| (other.warm() == round).then_some(round)), round);
        let start = Instant::now();
        match round % 3 {
            0 => one.put(-1),
            1 => assert!(now(one.cache.remove(&key())).unwrap()),
            _ => now(one.cache.bump(&[Tag::new("t")])).unwrap(),
        }
        until(|| (other.at_hand() != Some(round)).then_some(()));
        times.push(start.elapsed());
        // It is gone, and not just out of use because this process was stopped for a moment.
        until(|| {
            other.at_hand();
            (other.tiers.near_size().entries == 0).then_some(())
        });
        let expected = (round % 3 == 0).then_some(-1);
        assert_eq!(other.get(), expected, "the far store has nothing older");
    }
    times.sort();
    println!(
        "a change was seen in the other process after {:?} at the median, {:?} at most",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

#[test]
fn t7_2_one_reads_ones_own_writes() {
    let Some(server) = Server::start() else {
        return;
    };
    let process = Process::new(&server);
    process.put(0);
    process.warm();
    for value in 1..500 {
        process.put(value);
        assert!(process.at_hand().is_none_or(|found| found == value));
        assert_eq!(process.get(), Some(value));
    }
    assert!(now(process.cache.remove(&key())).unwrap());
    assert_eq!((process.at_hand(), process.get()), (None, None));
}

#[test]
fn t7_6_a_channel_that_is_killed_takes_the_copies_with_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let [one, other] = [Process::new(&server), Process::new(&server)];
    one.put(1);
    other.warm();
    let mut client = server.client();
    for round in 2..6 {
        let channels = channels(&mut client);
        assert!(!channels.is_empty());
        for id in channels {
            // It may be gone already.
            let _: Result<Value, _> = cmd("CLIENT")
                .arg("KILL")
                .arg("ID")
                .arg(id)
                .query(&mut client);
        }
        until(|| other.at_hand().is_none().then_some(()));
        until(|| (other.tiers.near_size().entries == 0).then_some(()));
        one.put(round);
        // Whoever reads from here on never finds what was near before.
        assert_eq!(other.get(), Some(round));
        assert_eq!(other.warm(), round);
    }
}

#[test]
fn t7_7_a_frozen_server_costs_its_limit_and_the_origin_goes_on() {
    let Some(server) = Server::start() else {
        return;
    };
    // Longer than a server that is well takes to answer.
    let limited = redis(&server.url()).deadline(Duration::from_secs(1));
    let [one, other] = [Process::over(limited), Process::new(&server)];
    other.put(1);
    one.warm();
    server.freeze();
    until(|| one.at_hand().is_none().then_some(()));
    // No answer ever comes, and this ends all the same.
    let lookup = now(one.cache.lookup(&key(), &minute()));
    let Lookup::Miss(permit) = lookup else {
        panic!("expected a miss, got {lookup:?}");
    };
    assert_eq!(now(permit.store(Plain::Int(2), &minute())), Stored::Stored);
    for _ in 0..100 {
        let lookup = now(one.cache.lookup(&key(), &minute()));
        let Lookup::Hit(hit) = lookup else {
            panic!("expected a hit, got {lookup:?}");
        };
        assert_eq!(number(hit.value()), 2, "what was loaded alone");
    }
    assert_eq!(one.told.lock().unwrap()[..], ["alone"]);
    server.thaw();
    until(|| (one.get() == Some(1)).then_some(()));
    assert_eq!(one.warm(), 1, "what was loaded alone is nobody's");
    assert!(one.told.lock().unwrap().contains(&"back".to_owned()));
}

#[test]
fn t8_4_a_server_that_comes_back_with_what_was_purged_is_purged_before_it_is_read() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let one = Process::new(&server);
    one.put(1);
    one.warm();
    let mut client = server.client();
    cmd("SAVE").exec(&mut client).unwrap();
    drop(client);
    server.kill();
    let removed = now(one.cache.remove(&key())).unwrap_err();
    assert_ne!(removed.kind(), ErrorKind::Unsupported);
    assert_eq!(one.at_hand(), None, "copies go at once");
    assert_eq!(one.tiers.debts(), 1);
    assert_eq!(one.get(), None);
    server.restart();
    let entries: usize = cmd("DBSIZE").query(&mut server.client()).unwrap();
    assert!(entries > 0, "it has come back with what it had");
    until(|| {
        assert_eq!(one.get(), None, "it is never read again");
        one.told
            .lock()
            .unwrap()
            .contains(&"paid 1".to_owned())
            .then_some(())
    });
    assert_eq!(one.get(), None);
    assert_eq!(one.tiers.debts(), 0);
    one.put(2);
    assert_eq!(one.warm(), 2);
}

#[test]
fn t7_11_what_cannot_be_read_is_a_miss_behind_a_near_tier_too() {
    let Some(server) = Server::start() else {
        return;
    };
    let process = Process::new(&server);
    process.put(1);
    process.warm();
    let mut client = server.client();
    cmd("SET")
        .arg("tiers_k")
        .arg("garbage")
        .exec(&mut client)
        .unwrap();
    until(|| process.at_hand().is_none().then_some(()));
    assert_eq!(process.get(), None);
    assert!(process.tiers.far().unreadables().foreign > 0);
    now(process.cache.put(&key(), text("new"), &minute())).unwrap();
    assert_eq!(now(process.cache.get(&key())).unwrap(), Some(text("new")));
}

/// When each version was acknowledged.
#[derive(Default)]
struct History(Mutex<Vec<Instant>>);

impl History {
    fn acknowledged(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// How long before `at` a newer version than this one had been acknowledged.
    fn late(&self, version: i64, at: Instant) -> Duration {
        let next = usize::try_from(version + 1).unwrap();
        let acknowledged = self.0.lock().unwrap().get(next).copied();
        acknowledged.map_or(Duration::ZERO, |then| at.saturating_duration_since(then))
    }
}

/// Writes one version after the other in one process and reads them in two, while `fault` does its
/// worst. Answers how late a copy was used at most.
fn storm(server: &Server, fault: impl Fn(&mut Connection)) -> Duration {
    // A sign of life is a second old at most, and came before whatever has not been told of; clocks are
    // coarse.
    const BOUND: Duration = Duration::from_millis(1050);
    let processes = [Process::new(server), Process::new(server)];
    let history = History::default();
    let over = AtomicBool::new(false);
    let latest = Mutex::new(Duration::ZERO);
    let mut client = server.client();
    processes[0].put(0);
    history.acknowledged();
    let read = |process: &Process, own: bool| {
        while !over.load(Ordering::Relaxed) {
            let at = Instant::now();
            let found = process.at_hand().or_else(|| process.get());
            let late = history.late(found.expect("it is never removed"), at);
            assert!(late < BOUND, "a copy was used after {late:?}");
            assert!(!own || late.is_zero(), "one reads one's own writes");
            let mut latest = latest.lock().unwrap();
            *latest = late.max(*latest);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| read(&processes[0], true));
        scope.spawn(|| read(&processes[1], false));
        scope.spawn(|| {
            for version in 1.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                processes[0].put(version);
                history.acknowledged();
                thread::sleep(Duration::from_millis(3));
            }
        });
        for _ in 0..15 * larder_testkit::effort() {
            thread::sleep(Duration::from_millis(100));
            fault(&mut client);
        }
        over.store(true, Ordering::Relaxed);
    });
    latest.into_inner().unwrap()
}

#[test]
fn t7_2_nobody_uses_a_copy_longer_than_it_may_whatever_becomes_of_the_channel() {
    let Some(server) = Server::start() else {
        return;
    };
    let quiet = storm(&server, |_| {});
    let killed = storm(&server, |client| {
        for id in channels(client) {
            let _: Result<Value, _> = cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(client);
        }
    });
    let frozen = storm(&server, |_| {
        server.freeze();
        thread::sleep(Duration::from_millis(150));
        server.thaw();
    });
    println!(
        "copies were used {quiet:?} after a newer version at most; {killed:?} with channels that are \
         killed, {frozen:?} with a server that stops"
    );
}
