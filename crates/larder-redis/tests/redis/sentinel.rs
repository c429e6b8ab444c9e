//! A master that sentinels replace, under load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Removal, Watcher};
use larder_core::{Entry, ErrorKind, Fence, Key, Policy, Result, Store};
use larder_redis::{Redis, RedisBuilder, Transport};
use larder_testkit::Program;

use crate::news::{Notes, Told};
use crate::sentinels::{MASTER, OWN, PASSWORD, Scene, asked, until, url_of};
use crate::support::{Hand, now, user};

/// What everybody who uses the store has seen.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    operations: AtomicU64,
    /// When the master was killed, and after it the first time that an entry was stored and read.
    killed: Mutex<Option<Instant>>,
    back: Mutex<Option<Instant>>,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Notes how an operation ended; whether it did well.
    fn ended<T>(&self, done: Result<T>) -> Option<T> {
        let allowed = [ErrorKind::Store, ErrorKind::Timeout, ErrorKind::Unavailable];
        match done {
            Ok(done) => {
                self.operations.fetch_add(1, Ordering::Relaxed);
                Some(done)
            }
            Err(error) => {
                if !allowed.contains(&error.kind()) {
                    self.wrong(format!("{error}"));
                }
                None
            }
        }
    }

    fn worked(&self) {
        // What had begun before may end after it.
        let killed = *self.killed.lock().unwrap();
        if killed.is_some_and(|killed| killed.elapsed() > Duration::from_millis(200)) {
            self.back.lock().unwrap().get_or_insert_with(Instant::now);
        }
    }
}

/// What one user of the store may read of its key: what it wrote since it was last told of a removal. A
/// write that failed may have happened, and may yet.
struct User<T> {
    store: Redis<Safe, T>,
    clock: Arc<Hand>,
    key: Key,
    allowed: BTreeSet<i64>,
    number: i64,
}

impl<T: Transport> User<T> {
    fn new(store: Redis<Safe, T>, name: &str) -> Self {
        Self {
            store,
            clock: Hand::at_present(),
            key: user(name),
            allowed: BTreeSet::new(),
            number: 0,
        }
    }

    async fn turn(&mut self, seen: &Seen) {
        self.number += 1;
        self.allowed.insert(self.number);
        let policy = Policy::new(Duration::from_secs(600));
        let meta = policy.stamp(larder_core::Clock::now(&*self.clock), Duration::ZERO);
        let value = Plain::Int(self.number);
        let entry = Arc::new(Entry::new(meta.unwrap(), value, Fence::direct(0)));
        let stored = self.store.put(&self.key, entry, Mode::Replace).await;
        if seen.ended(stored).is_some() && self.read(seen).await {
            seen.worked();
        }
        if self.number % 3 == 0 {
            let keys = std::slice::from_ref(&self.key);
            let removed = Store::<Plain>::remove(&self.store, Removal::Keys(keys)).await;
            if seen.ended(removed).is_some() {
                self.allowed.clear();
                self.read(seen).await;
            }
        }
    }

    /// Whether anything was read; what must not be is noted.
    async fn read(&self, seen: &Seen) -> bool {
        let reading = self.store.get(&self.key, &[]).await;
        let Some(entry) = seen.ended(reading).and_then(|reading| reading.entry) else {
            return false;
        };
        match entry.value {
            Plain::Int(number) if self.allowed.contains(&number) => true,
            ref other => {
                seen.wrong(format!("{:?}: {other:?} of {:?}", self.key, self.allowed));
                false
            }
        }
    }
}

/// Threads and tasks that use the store until they are told to stop.
struct Load {
    threads: Arc<Seen>,
    tasks: Arc<Seen>,
    crowd: Vec<thread::JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Load {
    fn start(scene: &Scene) -> Self {
        let (threads, tasks) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let store = scene.builder().build(Safe).unwrap();
        let store_of_tasks = scene.builder().build_tokio(Safe).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let run = |number| {
            let (store, seen) = (store.clone(), Arc::clone(&threads));
            thread::spawn(move || {
                let mut user = User::new(store, &format!("thread {number}"));
                while !seen.over.load(Ordering::Relaxed) {
                    now(user.turn(&seen));
                    thread::sleep(Duration::from_millis(2));
                }
            })
        };
        let crowd = (0..4).map(run).collect();
        for number in 0..8 {
            let (store, seen) = (store_of_tasks.clone(), Arc::clone(&tasks));
            runtime.spawn(async move {
                let mut user = User::new(store, &format!("task {number}"));
                while !seen.over.load(Ordering::Relaxed) {
                    user.turn(&seen).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
        Self {
            threads,
            tasks,
            crowd,
            runtime,
        }
    }

    fn both(&self) -> [&Seen; 2] {
        [&self.threads, &self.tasks]
    }

    /// Waits until both have done more work.
    fn goes_on(&self) {
        let count = || {
            self.both()
                .map(|seen| seen.operations.load(Ordering::Relaxed))
        };
        let before = count();
        until("work that goes on", || {
            count()
                .iter()
                .zip(before)
                .all(|(now, before)| *now >= before + 200)
        });
    }

    /// Notes that the master has just gone away; an entry that is stored and read from now on counts.
    fn begins_anew(&self) -> Instant {
        let gone = Instant::now();
        for seen in self.both() {
            *seen.back.lock().unwrap() = None;
            *seen.killed.lock().unwrap() = Some(gone);
        }
        gone
    }

    /// Waits until both store and read again, and says how long that took.
    fn is_back(&self, gone: Instant, promoted: Duration) {
        until("caching again", || {
            self.both()
                .iter()
                .all(|seen| seen.back.lock().unwrap().is_some())
        });
        for (name, seen) in ["threads", "tasks"].into_iter().zip(self.both()) {
            let back = seen.back.lock().unwrap().unwrap() - gone;
            println!(
                "{name}: caching again {back:?} after the master was gone, on which the sentinels \
                 agreed {promoted:?} after it"
            );
            assert!(
                back < promoted + Duration::from_secs(20),
                "{name}: {back:?}"
            );
        }
    }

    /// Nobody has read what must not be.
    fn ends(self) {
        for seen in self.both() {
            seen.over.store(true, Ordering::Relaxed);
        }
        for thread in self.crowd {
            thread.join().unwrap();
        }
        self.runtime.shutdown_timeout(Duration::from_secs(20));
        for seen in [self.threads, self.tasks] {
            let wrong = seen.wrong.lock().unwrap();
            assert!(wrong.is_empty(), "{} wrong: {:?}", wrong.len(), &wrong[..1]);
        }
    }
}

/// Who is told of what somebody else writes.
struct Watched {
    ours: Redis<Safe>,
    other: Redis<Safe>,
    notes: Arc<Notes>,
}

impl Watched {
    fn new(scene: &Scene) -> Self {
        let notes = Arc::new(Notes::default());
        let store = || scene.builder().build(Safe).unwrap();
        Self {
            ours: store(),
            other: store(),
            notes,
        }
    }

    /// Waits until somebody else's removal is told, wherever the master is.
    fn is_told(&self) {
        let watcher: Arc<dyn Watcher> = self.notes.clone();
        let (key, what) = (user("told"), Told::Key(user("told")));
        self.notes.take(&what);
        until("news of a change", || {
            // A channel is opened when the server has answered somebody.
            let _ = now(Store::<Plain>::get(&self.ours, &key, &[]));
            Store::<Plain>::watch(&self.ours, Arc::downgrade(&watcher));
            let keys = Removal::Keys(std::slice::from_ref(&key));
            let _ = now(Store::<Plain>::remove(&self.other, keys));
            self.notes.take(&what)
        });
    }
}

#[test]
fn a_master_is_killed_under_load() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let notes = Watched::new(&scene);
    notes.is_told();
    let load = Load::start(&scene);
    load.goes_on();
    let old = scene.servers[0].port();
    scene.servers[0].kill();
    let gone = load.begins_anew();
    let promoted = scene.promotes(old, gone);
    load.is_back(gone, promoted);
    load.goes_on();
    notes.is_told();
    // The old master comes back, empty, and becomes a replica. Until then it calls itself a master.
    scene.servers[0].restart();
    scene.demotes(old);
    load.goes_on();
    let commands: String = asked(old, PASSWORD, &["INFO", "commandstats"]).unwrap();
    for command in ["eval", "evalsha", "mget"] {
        let entry = format!("cmdstat_{command}:");
        assert!(!commands.contains(&entry), "somebody used it: {commands}");
    }
    load.ends();
}

/// A master that was stopped knows nothing of its successor when it goes on, and answers.
#[test]
fn a_master_freezes_under_load_and_goes_on() {
    let Some(scene) = Scene::start() else {
        return;
    };
    let load = Load::start(&scene);
    load.goes_on();
    let old = scene.servers[0].port();
    scene.servers[0].freeze();
    let gone = load.begins_anew();
    let promoted = scene.promotes(old, gone);
    load.is_back(gone, promoted);
    load.goes_on();
    scene.servers[0].thaw();
    load.goes_on();
    scene.demotes(old);
    load.goes_on();
    load.ends();
}

#[test]
fn what_sentinels_say_and_do_not_say() {
    let Some(scene) = Scene::start() else {
        return;
    };
    let kind = |builder: RedisBuilder| {
        let store = builder.deadline(Duration::from_secs(20)).build(Safe);
        let store: Redis<Safe> = store.unwrap();
        let read = now(Store::<Plain>::get(&store, &user("k"), &[]));
        read.err().map(|error| (error.kind(), error.to_string()))
    };
    assert_eq!(kind(scene.builder()), None);
    let port = scene.sentinels[1].port;
    // The first is away, and the second knows.
    let at = |rest: String| {
        let access = url_of(PASSWORD).replace("redis://", "redis+sentinel://");
        Redis::builder(format!("{access}{rest}"))
    };
    let away = Program::free_port();
    let good = format!("127.0.0.1:{away},127.0.0.1:{port}/{MASTER}?sentinel_password={OWN}");
    assert_eq!(kind(at(good)), None);
    for (rest, reason) in [
        (
            format!("127.0.0.1:{port}/other?sentinel_password={OWN}"),
            "has never heard of it",
        ),
        (
            format!("127.0.0.1:{port}/{MASTER}?sentinel_password=hunter2"),
            "a sentinel refused: WRONGPASS",
        ),
        (format!("127.0.0.1:{port}/{MASTER}"), "NOAUTH"),
        (format!("127.0.0.1:{away}/{MASTER}"), "refused"),
    ] {
        let (kind, text) = kind(at(rest)).expect(reason);
        assert_eq!(kind, ErrorKind::Store, "{text}");
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
    }
    // A place that was a master's once.
    let liar = sentinel_that_says(scene.servers[1].port());
    let access = url_of(PASSWORD).replace("redis://", "redis+sentinel://");
    let (kind, text) = kind(Redis::builder(format!("{access}127.0.0.1:{liar}/m"))).unwrap();
    assert_eq!(kind, ErrorKind::Store, "{text}");
    assert!(text.contains("it is a replica"), "{text}");
}

/// A sentinel that names this port to whoever asks, for as long as the test runs.
fn sentinel_that_says(port: u16) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let port = port.to_string();
            let answer = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len());
            thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    own
}
