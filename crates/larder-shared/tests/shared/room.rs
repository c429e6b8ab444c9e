//! Too many entries for the map, and too many bytes for the disk.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heed::EnvOpenOptions;
use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{Clock, Entry, ErrorKind, Fence, Store, ThreadPark, drive};
use larder_shared::{Replaced, SharedEvent};
use larder_testkit::HandClock;
use larder_testkit::machine::Task;

use crate::support::{Bench, Board, Numbers, Work, Worker, builder, folder, key};

/// How far the files were written to; the room behind may have been taken when they were made.
fn written(directory: &Path) -> usize {
    let stores = std::fs::read_dir(directory).unwrap();
    let files = stores.map(|entry| entry.unwrap().path().join("data.mdb"));
    let ends = files.filter_map(|file| {
        let bytes = std::fs::read(file).ok()?;
        bytes.iter().rposition(|&byte| byte != 0)
    });
    ends.sum()
}

#[test]
fn a_full_map_evicts_and_never_refuses() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).size(1 << 20));
    for number in 0..5000 {
        let name = format!("key {number}");
        assert_eq!(bench.put_text(&name, &"x".repeat(900)), Put::Stored);
        assert!(bench.get_text(&name).is_some(), "{name} is there at once");
    }
    let (kept, evicted) = (
        bench.entries(),
        <_ as Store<Plain>>::size(&bench.store).evicted,
    );
    assert!((200..1000).contains(&kept), "{kept} entries");
    assert_eq!(kept + evicted, 5000);
    assert!(written(&path) <= 1 << 20);
    assert_eq!(bench.told(), []);
}

#[test]
fn the_room_on_the_disk_is_taken_at_once_or_as_it_is_used() {
    let (_folder, path) = folder();
    let kind = rustix::fs::statfs(path.parent().unwrap()).unwrap().f_type as u64 & 0xffff_ffff;
    // ext4 and XFS write a block again where it lies; of others LMDB asks for blocks by writing.
    let in_place = [0xef53, 0x5846_5342].contains(&kind);
    for size in [1 << 20, 4 << 20] {
        let bench = Bench::of(builder(&path).size(size));
        assert_eq!(bench.put_text("k", "value"), Put::Stored);
        let data = std::fs::metadata(path.join("store-1/data.mdb")).unwrap();
        assert_eq!(data.blocks() * 512 >= size, in_place, "{size}");
        assert_eq!(bench.get_text("k").as_deref(), Some("value"));
        assert_eq!(bench.told(), []);
    }
}

#[test]
fn values_of_all_sizes_find_room() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).size(4 << 20));
    let most = <_ as Store<Plain>>::max_weight(&bench.store);
    assert_eq!(most, 512 << 10);
    for number in 0..250_usize {
        let length = (number * 7919) % (most - 1000);
        let name = format!("key {number}");
        assert_eq!(
            bench.put_text(&name, &"x".repeat(length)),
            Put::Stored,
            "{length}"
        );
        assert_eq!(bench.get_text(&name).map(|text| text.len()), Some(length));
    }
    assert_eq!(bench.told(), []);
}

#[test]
fn what_is_read_again_and_again_stays() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).size(2 << 20));
    let hot = |number: usize| format!("hot {number}");
    for number in 0..100 {
        bench.put_text(hot(number), &"h".repeat(900));
    }
    for number in 0..6000 {
        bench.put_text(format!("cold {number}"), &"c".repeat(900));
        bench.get_text(hot(number % 100));
    }
    let left = (0..100).filter(|&number| bench.get_text(hot(number)).is_some());
    assert!(left.count() >= 95);
}

/// A cache's usual load: some keys are asked for often, most of them hardly ever. What is kept serves
/// nearly as many requests as could be served by whoever knew beforehand what will be asked for most.
#[test]
fn of_what_is_asked_for_unevenly_the_hot_part_stays() {
    const KEYS: usize = 20_000;
    const REQUESTS: u32 = 60_000;
    // The chance of the key of rank n is 1/n of that of the first.
    let sums: Vec<f64> = (1..=KEYS)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        })
        .collect();
    for near in [0, 256 << 10] {
        let (_folder, path) = folder();
        let bench = Bench::of(builder(&path).size(4 << 20).near(near));
        let mut numbers = Numbers(1848);
        let (mut hits, mut asked) = (0, 0);
        for request in 0..REQUESTS {
            let chance = numbers.below(1 << 40) as f64 / (1_u64 << 40) as f64 * sums[KEYS - 1];
            let name = format!("key {}", sums.partition_point(|&sum| sum <= chance));
            let found = bench.get_text(&name).is_some();
            if !found {
                bench.put_text(&name, &"x".repeat(900));
            }
            if request >= REQUESTS / 2 {
                asked += 1;
                hits += u32::from(found);
            }
        }
        let kept = bench.entries() as usize;
        let ratio = f64::from(hits) / f64::from(asked);
        let best = sums[kept - 1] / sums[KEYS - 1];
        println!("near {near}: {kept} of {KEYS} kept, {ratio:.3} found, {best:.3} at best");
        assert!(
            ratio > 0.85 * best,
            "{ratio:.3} of {best:.3}, with {kept} kept"
        );
    }
}

#[test]
fn what_has_expired_gives_its_room_back() {
    let (_folder, path) = folder();
    let clock = HandClock::new();
    let bench = Bench::with(builder(&path), Arc::clone(&clock) as Arc<dyn Clock>);
    for number in 0..400 {
        let entry = Entry::new(bench.meta(10, &[]), Plain::text("v"), Fence::direct(0));
        let key = key(format!("short {number}"));
        bench.run(bench.store.put(&key, entry.into(), Mode::Replace));
    }
    assert_eq!(bench.entries(), 400);
    clock.advance(Duration::from_secs(10));
    for number in 0..100 {
        bench.put_text(format!("long {number}"), "v");
    }
    assert_eq!(bench.entries(), 100);
    for number in 0..100 {
        assert!(bench.get_text(format!("long {number}")).is_some());
    }
}

const READING: usize = 0;

/// Reads, and does not stop: what it reads cannot be written over.
pub(crate) fn hold(work: &Work) {
    let directory = coherent();
    // SAFETY: this process does not use the environment otherwise.
    let env = unsafe {
        EnvOpenOptions::new()
            .read_txn_without_tls()
            .map_size(64 << 20)
            .open(directory)
            .unwrap()
    };
    let _txn = env.read_txn().unwrap();
    work.board.set(READING, 1);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The directory of the environment, whose own handle is closed.
fn coherent() -> std::path::PathBuf {
    Task::given().folder.join("cache/store-1")
}

/// A store, and a reader in another process that holds on to what was there at first.
fn with_a_reader(name: &str) -> (tempfile::TempDir, Bench, Worker) {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text(name, "v");
    let board = Board::of(folder.path());
    let reader = Worker::start("hold", folder.path(), 0);
    board.await_word(READING, 1);
    (folder, bench, reader)
}

#[test]
fn a_reader_that_does_not_stop_makes_the_store_refuse_but_no_purge_fail() {
    let (_folder, bench, _reader) = with_a_reader("k");
    let refused = (0..20_000).position(|number| {
        let put = bench.put_text(format!("key {}", number % 50), &"x".repeat(900));
        put == Put::TooLarge
    });
    assert!(refused.is_some(), "the map never was full");
    assert!(
        bench
            .told()
            .iter()
            .any(|event| matches!(event, SharedEvent::Refused(_)))
    );
    bench.remove(&key("k"));
    assert_eq!(bench.get_text("k"), None);
    bench.purge(Removal::All);
    let full = SharedEvent::Replaced(Replaced::Full);
    assert!(bench.told().contains(&full), "{:?}", bench.told());
    // The reader has the old environment to itself.
    assert_eq!(bench.put_text("k", "new"), Put::Stored);
    assert_eq!(bench.get_text("k").as_deref(), Some("new"));
}

#[test]
fn a_reader_that_died_is_cleared() {
    let (folder, bench, mut reader) = with_a_reader("k");
    reader.kill();
    for number in 0..10_000 {
        let put = bench.put_text(format!("key {}", number % 50), &"x".repeat(900));
        assert_eq!(put, Put::Stored, "{number}");
    }
    assert_eq!(bench.told(), [SharedEvent::ReadersCleared(1)]);
    // What it held on to grew until it was noticed, and no further.
    let bytes = written(&folder.path().join("cache"));
    assert!(bytes < 32 << 20, "{bytes} bytes for 50 entries");
}

/// Runs in a process of its own, whose files may not grow above 1 MiB.
pub(crate) fn cramped(work: &Work) {
    // SAFETY: without this, a file that would grow too large ends the process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    // SAFETY: the limit is read from a place that lives until the call returns.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    assert_eq!(limited, 0);
    let bench = &work.bench;
    let refused = (0..5000).position(|number| {
        let put = bench.put_text(format!("key {number}"), &"x".repeat(900));
        if put == Put::Stored {
            assert!(bench.get_text(format!("key {number}")).is_some());
        }
        put == Put::TooLarge
    });
    let refused = refused.expect("the file could grow without end");
    assert!(
        bench
            .told()
            .iter()
            .any(|event| matches!(event, SharedEvent::Refused(_)))
    );
    // What is there is read, and purged for good.
    let name = format!("key {}", refused / 2);
    assert!(bench.get_text(&name).is_some());
    bench.remove(&key(&name));
    assert_eq!(bench.get_text(&name), None);
    bench.bump("tag");
    bench.purge(Removal::All);
    for number in 0..refused {
        assert_eq!(bench.get_text(format!("key {number}")), None);
    }
    work.board.set(READING, 7);
}

/// A disk of 4 MiB, which nobody but this process sees; not where this process may not have one.
fn small_disk(place: &Path) -> bool {
    let place = std::ffi::CString::new(place.as_os_str().as_bytes()).unwrap();
    // SAFETY: this process alone gets another view of the mounts; the texts end with a zero and live
    // until the calls return.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            return false;
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let none = std::ptr::null();
        let root = c"/".as_ptr();
        assert_eq!(libc::mount(none, root, none, private, none.cast()), 0);
        let kind = c"tmpfs".as_ptr();
        let options = c"size=4m,mode=0700".as_ptr().cast();
        assert_eq!(libc::mount(kind, place.as_ptr(), kind, 0, options), 0);
    }
    true
}

/// Runs in a process of its own, on a disk of its own.
pub(crate) fn on_a_full_disk(folder: &Path) {
    let disk = folder.join("disk");
    std::fs::create_dir(&disk).unwrap();
    if !small_disk(&disk) {
        eprintln!("skipped: only who may mount can have a disk that is small");
        return;
    }
    let bench = Bench::of(builder(&disk.join("cache")));
    let fill = |from: usize| {
        (from..5000).find(|number| {
            bench.put_text(format!("key {number}"), &"x".repeat(900)) == Put::TooLarge
        })
    };
    // The map has 64 MiB, the disk has 4.
    let refused = fill(0).expect("the disk has no end");
    let refusal = |event: &SharedEvent| matches!(event, SharedEvent::Refused(_));
    assert!(bench.told().iter().any(refusal));
    let found = |bench: &Bench, number: usize| bench.get_text(format!("key {number}"));
    for number in 0..refused {
        if let Some(text) = found(&bench, number) {
            assert_eq!(text, "x".repeat(900));
        }
    }
    bench.remove(&key("key 1"));
    assert_eq!(bench.get_text("key 1"), None);
    bench.purge(Removal::All);
    assert!((0..refused).all(|number| found(&bench, number).is_none()));
    // What a clear has freed is there for whoever comes next, also if it is large.
    for number in 0..5 {
        let name = format!("large {number}");
        assert_eq!(bench.put_text(&name, &"x".repeat(200_000)), Put::Stored);
        assert_eq!(bench.get_text(&name).map(|text| text.len()), Some(200_000));
    }
    bench.purge(Removal::All);
    // Not even the map beside the environment has room: then it cannot be begun.
    let left = "x".repeat(4 << 20);
    let _ = std::fs::write(disk.join("filler"), left);
    let second = builder(&disk.join("second")).build(Safe).unwrap();
    let k = key("k");
    let get = || {
        let Ok(found) = drive(<_ as Store<Plain>>::get(&second, &k, &[]), &ThreadPark);
        found
    };
    assert_eq!(get().unwrap_err().kind(), ErrorKind::Store);
    std::fs::remove_file(disk.join("filler")).unwrap();
    assert!(get().unwrap().entry.is_none());
    assert_eq!(bench.put_text("k", "new"), Put::Stored);
    assert_eq!(bench.get_text("k").as_deref(), Some("new"));
}

#[test]
fn a_disk_that_is_full_refuses_values_and_no_purge() {
    let (folder, _) = folder();
    Worker::start("disk", folder.path(), 0).succeeds();
}

#[test]
fn a_file_that_cannot_grow_refuses_values_and_no_purge() {
    let (folder, _) = folder();
    Worker::start("cramped", folder.path(), 0).succeeds();
    assert_eq!(Board::of(folder.path()).get(READING), 7);
}
