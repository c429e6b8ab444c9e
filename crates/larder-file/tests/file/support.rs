//! What the tests have in common: short words for what is done to a store, and worker processes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, Kind, Meta, Policy, Result, Store, SystemClock, Tag, ThreadPark,
    drive,
};
use larder_file::{FileBuilder, FileEvent, Files};
use larder_testkit::PATIENCE;
use tempfile::TempDir;

/// What happened to a store.
pub(crate) type Events = Arc<Mutex<Vec<FileEvent>>>;

/// A store, in short words.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) store: Files<Safe>,
    pub(crate) events: Events,
    pub(crate) clock: Arc<dyn Clock>,
    path: PathBuf,
}

pub(crate) fn builder(directory: &Path) -> FileBuilder {
    Files::builder(directory).namespace("test_")
}

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    (folder, path)
}

pub(crate) fn key(base: impl AsRef<[u8]>) -> Key {
    Key::new(Kind::User, base)
}

pub(crate) fn variant(base: &Key, name: &str) -> Key {
    let mut writer = larder_core::KeyWriter::new();
    writer.text(name);
    base.with_variant(&writer)
}

impl Bench {
    pub(crate) fn at(directory: &Path) -> Self {
        Self::of(builder(directory))
    }

    pub(crate) fn of(builder: FileBuilder) -> Self {
        Self::with(builder, SystemClock::shared())
    }

    pub(crate) fn with(builder: FileBuilder, clock: Arc<dyn Clock>) -> Self {
        let events = Events::default();
        let told = Arc::clone(&events);
        let builder = builder
            .clock(Arc::clone(&clock))
            .observer(move |event| told.lock().unwrap().push(event.clone()));
        Self {
            path: builder.directory().to_path_buf(),
            store: builder.build(Safe).unwrap(),
            events,
            clock,
        }
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> T {
        let told = || self.told();
        self.try_run(work)
            .unwrap_or_else(|error| panic!("{error}: {:?}", told()))
    }

    pub(crate) fn try_run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Ok(done) = drive(work, &ThreadPark);
        done
    }

    pub(crate) fn meta(&self, seconds: u64, tags: &[&str]) -> Meta {
        let policy = Policy::new(Duration::from_secs(seconds));
        let policy = tags.iter().fold(policy, |policy, tag| policy.tag(tag));
        policy.stamp(self.clock.now(), Duration::ZERO).unwrap()
    }

    pub(crate) fn read(&self, key: &Key) -> (Option<Plain>, Fence) {
        let reading = self.run(<_ as Store<Plain>>::get(&self.store, key, &[]));
        (
            reading.entry.map(|entry| entry.value.clone()),
            reading.fence,
        )
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Plain> {
        self.read(key).0
    }

    pub(crate) fn load(&self, key: &Key, value: Plain, tags: &[&str], fence: Fence) -> Put {
        let entry = Entry::new(self.meta(3600, tags), value, fence);
        self.run(self.store.put(key, Arc::new(entry), Mode::Replace))
    }

    pub(crate) fn put(&self, key: &Key, value: Plain) -> Put {
        self.load(key, value, &[], Fence::direct(0))
    }

    pub(crate) fn put_text(&self, name: impl AsRef<[u8]>, value: &str) -> Put {
        self.put(&key(name), Plain::text(value))
    }

    pub(crate) fn get_text(&self, name: impl AsRef<[u8]>) -> Option<String> {
        match self.get(&key(name))? {
            Plain::Text(text) => Some(text.to_string()),
            other => panic!("{other:?} is no text"),
        }
    }

    pub(crate) fn purge(&self, what: Removal<'_>) -> Vec<Key> {
        self.run(<_ as Store<Plain>>::remove(&self.store, what))
    }

    pub(crate) fn remove(&self, key: &Key) -> bool {
        !self
            .purge(Removal::Keys(std::slice::from_ref(key)))
            .is_empty()
    }

    pub(crate) fn bump(&self, tag: &str) {
        self.run(<_ as Store<Plain>>::bump(&self.store, &[Tag::new(tag)]));
    }

    pub(crate) fn count(&self, key: &Key, delta: i64) -> i64 {
        let meta = self.meta(3600, &[]);
        self.run(<_ as Store<Plain>>::count(&self.store, key, delta, meta))
    }

    pub(crate) fn entries(&self) -> u64 {
        <_ as Store<Plain>>::size(&self.store).entries
    }

    pub(crate) fn evicted(&self) -> u64 {
        <_ as Store<Plain>>::size(&self.store).evicted
    }

    /// The file of a key, which is looked for by what is in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let key = key(name);
        let mut files = self.entry_files();
        files.retain(|file| {
            let bytes = std::fs::read(file).unwrap();
            let whole = bytes.windows(key.as_bytes().len());
            whole.into_iter().any(|part| part == key.as_bytes())
        });
        assert_eq!(files.len(), 1, "{name}: {files:?}");
        files.remove(0)
    }

    pub(crate) fn entry_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in std::fs::read_dir(self.path.join("larder-1/entries")).unwrap() {
            let folder = folder.unwrap().path();
            if folder.is_dir() {
                let items = std::fs::read_dir(folder).unwrap();
                files.extend(
                    items
                        .map(|item| item.unwrap().path())
                        .filter(|file| file.is_file()),
                );
            }
        }
        files
    }

    /// How many files of entries there are.
    pub(crate) fn files(&self) -> u64 {
        self.entry_files().len() as u64
    }

    /// What they take on the disk, in whole blocks.
    pub(crate) fn disk(&self) -> u64 {
        let files = self.entry_files();
        let lengths = files.iter().map(|file| file.metadata().unwrap().len());
        lengths.map(|length| length.next_multiple_of(4096)).sum()
    }

    pub(crate) fn try_get(&self, name: &str) -> Result<Option<Plain>> {
        let reading = self.try_run(<_ as Store<Plain>>::get(&self.store, &key(name), &[]))?;
        Ok(reading.entry.map(|entry| entry.value.clone()))
    }

    pub(crate) fn told(&self) -> Vec<FileEvent> {
        self.events.lock().unwrap().clone()
    }
}

/// Numbers that the processes of a test share, in a file of their own.
pub(crate) struct Board(File);

impl Board {
    pub(crate) const WORDS: u64 = 256;

    pub(crate) fn open(path: &Path) -> Self {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path).unwrap();
        file.set_len(8 * Self::WORDS).unwrap();
        Self(file)
    }

    pub(crate) fn get(&self, number: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 8 * number).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Changes a number in one step; answers what it is now.
    pub(crate) fn change(&self, number: u64, how: impl Fn(u64) -> u64) -> u64 {
        // The lock of the file is one for all threads that share it.
        static THREADS: Mutex<()> = Mutex::new(());
        let _turn = THREADS.lock().unwrap();
        self.0.lock().unwrap();
        let now = how(self.get(number));
        self.0.write_all_at(&now.to_le_bytes(), 8 * number).unwrap();
        self.0.unlock().unwrap();
        now
    }

    pub(crate) fn add(&self, number: u64, more: u64) -> u64 {
        self.change(number, |now| now + more)
    }

    /// Waits until a number is at least so high.
    #[track_caller]
    pub(crate) fn await_word(&self, number: u64, least: u64) {
        let start = Instant::now();
        while self.get(number) < least {
            assert!(
                start.elapsed() < PATIENCE,
                "word {number} stays below {least}"
            );
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A small generator of numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

const ROLE: &str = "LARDER_TEST_ROLE";
const PLACE: &str = "LARDER_TEST_PLACE";
const NUMBER: &str = "LARDER_TEST_NUMBER";

/// A process that does one of the roles of [`worker`]. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker(Child);

impl Worker {
    /// Starts a worker on the directory of a test.
    pub(crate) fn start(role: &str, folder: &Path, number: u64) -> Self {
        Self::spawn(
            Command::new(std::env::current_exe().unwrap()),
            role,
            folder,
            number,
        )
    }

    pub(crate) fn spawn(mut command: Command, role: &str, folder: &Path, number: u64) -> Self {
        let child = command
            .args(["--ignored", "--exact", "support::worker", "--nocapture"])
            .env(ROLE, role)
            .env(PLACE, folder)
            .env(NUMBER, number.to_string())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "a worker hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(&mut self) {
        let status = self.wait();
        assert!(status.success(), "a worker failed: {status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a worker process works on.
pub(crate) struct Work {
    pub(crate) bench: Bench,
    pub(crate) board: Board,
    pub(crate) number: u64,
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn worker() {
    let variable = |name| std::env::var(name).expect("the other tests start this");
    let folder = PathBuf::from(variable(PLACE));
    let role = variable(ROLE);
    let work = || Work {
        bench: Bench::at(&folder.join("cache")),
        board: Board::open(&folder.join("board")),
        number: variable(NUMBER).parse().unwrap(),
    };
    match role.as_str() {
        "mix" => super::processes::mix(&work()),
        "count" => super::processes::count(&work()),
        "churn" => super::kills::churn(&work()),
        "lead" => super::leases::lead(&work()),
        "follow" => super::leases::follow(&work()),
        "ask" => super::leases::ask(&work()),
        "storm" => super::storm::storm(&folder, variable(NUMBER).parse().unwrap()),
        "overwrite" => super::kills::overwrite(&work()),
        "serve" => super::pair::serve(&folder),
        other => panic!("{other} is no role"),
    }
}
