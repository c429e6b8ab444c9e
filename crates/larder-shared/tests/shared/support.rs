//! How the tests open a store, and what their worker processes do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder_core::Clock;
use larder_core::codec::Safe;
use larder_shared::{Shared, SharedBuilder, SharedEvent};
use larder_testkit::PATIENCE;
use larder_testkit::machine::{Opening, Task, WORDS, Words};
use memmap2::{MmapOptions, MmapRaw};

pub(crate) use larder_testkit::machine::{Numbers, Worker, folder, key};

/// A store in a memory map.
pub(crate) struct InMap;

pub(crate) type Bench = larder_testkit::machine::Bench<InMap>;
pub(crate) type Board = larder_testkit::machine::Board<MappedWords>;
pub(crate) type Work = larder_testkit::machine::Work<InMap>;

impl Opening for InMap {
    type Store = Shared<Safe>;
    type Builder = SharedBuilder;
    type Event = SharedEvent;
    type Words = MappedWords;

    fn builder(directory: &Path) -> SharedBuilder {
        Shared::builder(directory).size(64 << 20).namespace("test_")
    }

    fn build(
        builder: SharedBuilder,
        clock: Arc<dyn Clock>,
        observer: impl Fn(&SharedEvent) + Send + Sync + 'static,
    ) -> Shared<Safe> {
        builder.clock(clock).observer(observer).build(Safe).unwrap()
    }
}

pub(crate) fn builder(directory: &Path) -> SharedBuilder {
    InMap::builder(directory)
}

/// Words that are changed without a call to the kernel, as the store changes its own.
pub(crate) struct MappedWords(MmapRaw);

impl MappedWords {
    fn word(&self, number: usize) -> &AtomicU64 {
        assert!(number < WORDS);
        // SAFETY: the word lies within the map, is aligned, and is only ever used as an atomic.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast::<u64>().add(number)) }
    }
}

impl Words for MappedWords {
    fn open(path: &Path) -> Self {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path).unwrap();
        file.set_len(8 * WORDS as u64).unwrap();
        Self(MmapOptions::new().map_raw(&file).unwrap())
    }

    fn get(&self, number: usize) -> u64 {
        self.word(number).load(Ordering::SeqCst)
    }

    fn change(&self, number: usize, how: impl Fn(u64) -> u64) -> u64 {
        let (word, order) = (self.word(number), Ordering::SeqCst);
        let mut before = word.load(order);
        loop {
            let now = how(before);
            match word.compare_exchange_weak(before, now, order, order) {
                Ok(_) => return now,
                Err(other) => before = other,
            }
        }
    }
}

/// Waits for the processes that other tests have just forked: until they run a program of their own, they
/// hold what this one held.
pub(crate) fn until_nobody_is_there(path: &Path) {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let locks = std::fs::OpenOptions::new()
        .write(true)
        .open(path.join("locks"));
    let locks = locks.unwrap();
    let began = Instant::now();
    while fcntl_lock(&locks, FlockOperation::NonBlockingLockExclusive).is_err() {
        assert!(began.elapsed() < PATIENCE, "somebody stays");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn worker() {
    let task = Task::given();
    let folder = &task.folder;
    match task.role.as_str() {
        "lead" => super::leases::lead(&task.work()),
        "crowd" => super::leases::crowd(&task.work()),
        "hold" => super::room::hold(&task.work()),
        "disk" => super::room::on_a_full_disk(folder),
        "midst" => super::kills::midst(folder),
        "cramped" => super::room::cramped(&task.work()),
        "begin" => super::kills::begin(&task.work()),
        "storm" => super::storm::storm(&task),
        "grip" => super::storm::grip(folder),
        "stranger" => super::settings::stranger(folder),
        _ => task.carry_out::<InMap>(),
    }
}
