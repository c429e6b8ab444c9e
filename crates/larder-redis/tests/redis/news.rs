//! What a store tells of changes that others make.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Removal, Watcher};
use larder_core::{Key, Store, SystemClock, Tag, Timestamp};
use larder_redis::{Blocking, Redis};
use larder_testkit::PATIENCE;
use redis::{Commands, Connection, cmd};

use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user, variant};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Key(Key),
    Tag(Tag),
    Everything,
    Lost,
}

#[derive(Debug, Default)]
struct State {
    told: Vec<(Told, Instant)>,
    alive: Option<Timestamp>,
    ticks: u64,
}

/// Writes down what it is told.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<State>);

impl Notes {
    fn add(&self, told: impl Iterator<Item = Told>) {
        let now = Instant::now();
        let told = told.map(|told| (told, now));
        self.0.lock().unwrap().told.extend(told);
    }
}

impl Notes {
    pub(crate) fn is_alive(&self) -> bool {
        self.0.lock().unwrap().alive.is_some()
    }

    /// Whether anybody was told this since it was asked last.
    pub(crate) fn take(&self, what: &Told) -> bool {
        let mut state = self.0.lock().unwrap();
        let before = state.told.len();
        state.told.retain(|(told, _)| told != what);
        state.told.len() < before
    }
}

impl Watcher for Notes {
    fn keys(&self, keys: &[Key]) {
        self.add(keys.iter().cloned().map(Told::Key));
    }

    fn tags(&self, tags: &[Tag]) {
        self.add(tags.iter().cloned().map(Told::Tag));
    }

    fn everything(&self) {
        self.add([Told::Everything].into_iter());
    }

    fn alive(&self, at: Timestamp) {
        self.0.lock().unwrap().alive = Some(at);
    }

    fn tick(&self, _at: Timestamp) {
        self.0.lock().unwrap().ticks += 1;
    }

    fn lost(&self) {
        // Who sees that it was lost sees no sign of life from before.
        let mut state = self.0.lock().unwrap();
        state.alive = None;
        state.told.push((Told::Lost, Instant::now()));
    }
}

/// A store that is watched, one that writes beside it, and a client of another make.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) bench: Bench<Blocking>,
    pub(crate) other: Bench<Blocking>,
    client: Connection,
    notes: Arc<Notes>,
}

#[track_caller]
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} never");
        thread::sleep(Duration::from_micros(100));
    }
}

pub(crate) fn watch(store: &Redis<Safe>, notes: &Arc<Notes>) -> bool {
    let weak: Weak<Notes> = Arc::downgrade(notes);
    <_ as Store<Plain>>::watch(store, weak)
}

impl Scene {
    fn new(options: &[&str]) -> Option<Self> {
        let server = Server::with(options)?;
        let url = server.url();
        Some(Self::at(server, &url))
    }

    /// What is watched has this URL.
    pub(crate) fn at(server: Server, url: &str) -> Self {
        let clock = Hand::new();
        let bench = |url: &str| Bench {
            store: builder(url, &clock).build(Safe).unwrap(),
            clock: Arc::clone(&clock),
        };
        let (bench, other) = (bench(url), bench(&server.url()));
        let (client, notes) = (server.client(), Arc::new(Notes::default()));
        assert!(watch(&bench.store, &notes));
        let scene = Self {
            server,
            bench,
            other,
            client,
            notes,
        };
        scene.settle();
        scene
    }

    /// Reads, as whoever keeps copies does, until the channel is alive and all that has changed so far has
    /// been told; forgets it. What was alive before may be lost on the way.
    pub(crate) fn settle(&self) {
        let at = self.later();
        await_that("a sign of life", || {
            watch(&self.bench.store, &self.notes);
            let _ = now(self.bench.reading(&user("settle")));
            self.notes.0.lock().unwrap().alive >= Some(at)
        });
        self.notes.0.lock().unwrap().told.clear();
    }

    /// A moment after now: a sign of life that stands for it comes behind all that has changed.
    fn later(&self) -> Timestamp {
        self.bench.clock.advance(1);
        larder_core::Clock::now(&*self.bench.clock)
    }

    /// Waits until all that has changed so far has been told, and forgets it.
    pub(crate) fn quiet(&self) -> Vec<Told> {
        let at = self.later();
        await_that("all news", || {
            let alive = self.notes.0.lock().unwrap().alive;
            if alive.is_none() {
                // A channel that was lost is opened when somebody was answered.
                let _ = now(Store::<Plain>::get(&self.bench.store, &user("settle"), &[]));
            }
            alive >= Some(at)
        });
        let told = std::mem::take(&mut self.notes.0.lock().unwrap().told);
        told.into_iter().map(|(told, _)| told).collect()
    }

    /// How what is watched is told of changes.
    pub(crate) fn told_by(&self) -> Option<&'static str> {
        <_ as Store<Plain>>::told_by(&self.bench.store)
    }

    /// Whether that was told since it was asked last.
    pub(crate) fn was_told(&self, what: &Told) -> bool {
        self.notes.take(what)
    }

    #[track_caller]
    pub(crate) fn tells(&self, expected: Told, change: impl FnOnce()) {
        self.quiet();
        change();
        let told = self.quiet();
        let is_told = told.contains(&expected) || was_lost(&told);
        assert!(is_told, "{expected:?} is not in {told:?}");
    }
}

/// Whether the channel was lost meanwhile, as on a machine that stands still for two seconds: what has changed
/// since is told as everything then.
fn was_lost(told: &[Told]) -> bool {
    told.contains(&Told::Lost) && told.contains(&Told::Everything)
}

#[test]
fn every_change_is_told_and_nothing_of_leases() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    assert_eq!(scene.told_by(), Some("client tracking"));
    let mut client = std::mem::replace(&mut scene.client, scene.server.client());
    let (key, one) = (user("k"), variant(&user("v"), "1"));
    let Scene { other, .. } = &scene;
    let written = |key: &Key| Told::Key(key.base_key());
    scene.tells(written(&key), || {
        now(other.write(&key, text("v"), &["t"]));
    });
    scene.tells(written(&one), || {
        now(other.write(&one, text("v"), &["t"]));
    });
    let number = user("n");
    for _ in 0..2 {
        scene.tells(written(&number), || {
            now(other.count(&number, 1)).unwrap();
        });
    }
    for key in [&key, &one] {
        scene.tells(written(key), || assert!(now(other.remove(key))));
        // Also of what is not stored: somebody may be loading it.
        scene.tells(written(key), || assert!(!now(other.remove(key))));
    }
    scene.tells(Told::Tag(Tag::new("t")), || now(other.bump("t")));
    scene.tells(Told::Tag(Tag::function("f")), || {
        now(<_ as Store<Plain>>::bump(
            &other.store,
            &[Tag::function("f")],
        ))
        .unwrap();
    });
    scene.tells(Told::Everything, || {
        now(other.purge(Removal::All));
    });
    // Another client, by the name that people know.
    let name = "t[*]?\\_foreign";
    scene.tells(Told::Key(user("foreign")), || {
        client.set::<_, _, ()>(name, 7).unwrap();
    });
    scene.tells(Told::Key(user("foreign")), || {
        client.del::<_, ()>(name).unwrap();
    });
    scene.tells(Told::Everything, || {
        cmd("FLUSHALL").exec(&mut client).unwrap()
    });
    scene.tells(Told::Everything, || {
        cmd("FLUSHDB").exec(&mut client).unwrap()
    });
    // The record alone, as a server may evict it.
    now(other.write(&key, text("v"), &[]));
    scene.tells(Told::Everything, || {
        client.del::<_, ()>("t[*]?\\_!").unwrap();
    });
    now(other.write(&key, text("v"), &[]));
    scene.quiet();
    let lease = now(<_ as Store<Plain>>::lease(&other.store, &user("led"))).unwrap();
    drop(lease);
    client.set::<_, _, ()>("elsewhere", 1).unwrap();
    assert_eq!(scene.quiet(), []);
}

#[test]
fn a_purge_of_one_key_is_not_told_as_everything() {
    let Some(scene) = Scene::new(&[]) else { return };
    now(scene.other.write(&user("k"), text("v"), &[]));
    scene.quiet();
    assert!(now(scene.other.remove(&user("k"))));
    assert_eq!(scene.quiet(), [Told::Key(user("k"))]);
}

#[test]
fn what_expires_or_is_evicted_is_told() {
    let Some(mut scene) = Scene::new(&["--hz", "100"]) else {
        return;
    };
    let mut client = std::mem::replace(&mut scene.client, scene.server.client());
    let name = |base: &str| format!("t[*]?\\_{base}");
    cmd("SET")
        .arg(name("short"))
        .arg(1)
        .arg("PX")
        .arg(500)
        .exec(&mut client)
        .unwrap();
    // Once when it was written, and once when it was over.
    let mut told = 0;
    await_that("news of the end", || {
        let short = Told::Key(user("short"));
        told += scene.quiet().iter().filter(|told| **told == short).count();
        told == 2
    });
    let bytes = vec![b'x'; 100_000];
    client.set::<_, _, ()>(name("large"), bytes).unwrap();
    scene.quiet();
    let set = |client: &mut Connection, setting: &str, value: &str| {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg(setting).arg(value);
        set.exec(client).unwrap();
    };
    set(&mut client, "maxmemory-policy", "allkeys-lru");
    await_that("news of the eviction", || {
        // The server gives back what it had for a client besides, and has room again then.
        let used: String = cmd("INFO").arg("memory").query(&mut client).unwrap();
        let used = used.split("used_memory:").nth(1).unwrap();
        let used: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
        set(&mut client, "maxmemory", &(used - 50_000).to_string());
        let _: Result<(), _> = client.set(name("more"), 1);
        scene.quiet().contains(&Told::Key(user("large")))
    });
}

/// Ends the connection that the server tells on.
fn kill_channel(client: &mut Connection) {
    let list: String = cmd("CLIENT").arg("LIST").query(client).unwrap();
    let tracking = |line: &&str| {
        let flags = line.split("flags=").nth(1);
        flags.is_some_and(|flags| flags.split(' ').next().unwrap().contains('t'))
    };
    let ids: Vec<&str> = list
        .lines()
        .filter(tracking)
        .map(|line| line.split(' ').next().unwrap().trim_start_matches("id="))
        .collect();
    assert_eq!(ids.len(), 1, "one channel: {list}");
    cmd("CLIENT")
        .arg("KILL")
        .arg("ID")
        .arg(ids[0])
        .exec(client)
        .unwrap();
}

#[test]
fn a_lost_channel_is_said_and_opened_anew() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    let mut client = std::mem::replace(&mut scene.client, scene.server.client());
    for _ in 0..2 {
        kill_channel(&mut client);
        await_that("the loss", || {
            let state = scene.notes.0.lock().unwrap();
            state.told.iter().any(|(told, _)| *told == Told::Lost)
        });
        scene.notes.0.lock().unwrap().told.clear();
        await_that("a sign of life", || {
            let _ = now(scene.bench.reading(&user("k")));
            scene.notes.0.lock().unwrap().alive.is_some()
        });
        // What changed in between nobody has told.
        assert!(scene.quiet().contains(&Told::Everything));
        scene.tells(Told::Key(user("k")), || {
            now(scene.other.write(&user("k"), text("v"), &[]));
        });
    }
}

#[test]
fn a_frozen_server_gives_no_sign_of_life_and_a_dead_one_is_left_alone() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    scene.server.freeze();
    scene.bench.clock.advance(100);
    let frozen = larder_core::Clock::now(&*scene.bench.clock);
    let ticks = scene.notes.0.lock().unwrap().ticks;
    // The thread goes on, and hears nothing; after two seconds of that it takes the channel for lost.
    await_that("ticks", || scene.notes.0.lock().unwrap().ticks > ticks + 3);
    assert!(scene.notes.0.lock().unwrap().alive < Some(frozen));
    scene.server.thaw();
    scene.settle();
    scene.server.kill();
    await_that("the loss", || scene.notes.0.lock().unwrap().alive.is_none());
    // Nobody connects as long as nobody has heard of the server again.
    let listener = TcpListener::bind(("127.0.0.1", scene.server.port())).unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(listener.accept().is_err());
    drop(listener);
    scene.server.restart();
    scene.notes.0.lock().unwrap().told.clear();
    // The breaker goes by the clock of the test.
    await_that("a sign of life", || {
        scene.bench.clock.advance(1);
        let _ = now(<_ as Store<Plain>>::get(
            &scene.bench.store,
            &user("k"),
            &[],
        ));
        scene.notes.0.lock().unwrap().alive.is_some()
    });
    assert!(scene.quiet().contains(&Told::Everything));
}

#[test]
fn thousands_of_changes_at_once_are_told() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    let mut client = std::mem::replace(&mut scene.client, scene.server.client());
    let keys: Vec<Key> = (0..20_000).map(|n| user(format!("many{n}"))).collect();
    let names = (0..20_000).map(|n| (format!("t[*]?\\_many{n}"), n));
    client.mset::<_, _, ()>(&names.collect::<Vec<_>>()).unwrap();
    let told = scene.quiet();
    if was_lost(&told) {
        return;
    }
    let told: std::collections::HashSet<&Key> = told
        .iter()
        .filter_map(|told| match told {
            Told::Key(key) => Some(key),
            _ => None,
        })
        .collect();
    assert!(keys.iter().all(|key| told.contains(key)));
}

#[test]
fn purges_without_end_do_not_keep_the_channel_from_giving_signs() {
    let Some(scene) = Scene::new(&[]) else { return };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    now(scene.other.bump("t"));
                }
            });
        }
        let ending = Ending(&done);
        for _ in 0..3 {
            let ticks = scene.notes.0.lock().unwrap().ticks;
            scene.quiet();
            await_that("a tick", || scene.notes.0.lock().unwrap().ticks > ticks);
        }
        drop(ending);
    });
    assert!(!scene.quiet().contains(&Told::Lost));
}

/// Ends the work of the other threads, also where the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_channel_that_nobody_watches_ends() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    scene.notes = Arc::new(Notes::default());
    let client = &mut scene.client;
    await_that("the end", || {
        let list: String = cmd("CLIENT").arg("LIST").query(client).unwrap();
        !list.contains("|tracking") && !list.contains("cmd=ping")
    });
    scene.settle();
    scene.tells(Told::Key(user("k")), || {
        now(scene.other.write(&user("k"), text("v"), &[]));
    });
}

/// From the call of a removal until it is told, by the clock of this machine: printed, and not judged here.
#[test]
fn news_travel_fast() {
    let Some(scene) = Scene::new(&[]) else { return };
    let store = Redis::builder(scene.server.url())
        .namespace("fast_")
        .deadline(PATIENCE)
        .clock(SystemClock::new())
        .build(Safe)
        .unwrap();
    let notes = Arc::new(Notes::default());
    watch(&store, &notes);
    await_that("a sign of life", || {
        let _ = now(<_ as Store<Plain>>::get(&store, &user("k"), &[]));
        notes.0.lock().unwrap().alive.is_some()
    });
    let other = Redis::builder(scene.server.url())
        .namespace("fast_")
        .deadline(PATIENCE)
        .build(Safe)
        .unwrap();
    let mut took: Vec<Duration> = (0..200)
        .map(|n| {
            let key = user(format!("k{n}"));
            let remove =
                <_ as Store<Plain>>::remove(&other, Removal::Keys(std::slice::from_ref(&key)));
            let start = Instant::now();
            now(remove).unwrap();
            let mut told = None;
            await_that("the removal", || {
                let state = notes.0.lock().unwrap();
                let found = state.told.iter().rev();
                let mut found = found.filter(|(told, _)| *told == Told::Key(key.clone()));
                told = found.next().map(|(_, at)| *at);
                told.is_some()
            });
            told.unwrap().saturating_duration_since(start)
        })
        .collect();
    took.sort_unstable();
    eprintln!(
        "a removal is told after {:?} (median), {:?} (99 of 100)",
        took[100], took[198]
    );
}
