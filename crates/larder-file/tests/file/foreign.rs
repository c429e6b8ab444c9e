//! What is in the directory that is not ours.

use std::fs;
use std::os::unix::fs::symlink;

use larder_core::Store;
use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_file::Unreadables;

use crate::support::{Bench, OnDisk, builder, folder, key};

#[test]
fn links_are_not_followed() {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    let (file, elsewhere) = (bench.file("k"), folder.path().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(bench.get_text("k"), None);
    assert_eq!(bench.store.unreadables().foreign, 1);
    // A new entry takes the place of the link, and what it led to stays.
    assert_eq!(bench.put_text("k", "new"), Put::Stored);
    assert_eq!(bench.get_text("k").as_deref(), Some("new"));
    assert!(file.symlink_metadata().unwrap().is_file());
    assert!(elsewhere.exists());
}

#[test]
fn whatever_lies_in_the_place_of_an_entry_is_a_miss_and_a_counter() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    for (name, content) in [
        ("empty", ""),
        ("text", "cachelib was here"),
        ("head", "LRDFIL"),
    ] {
        bench.put_text(name, "v");
        fs::write(bench.file(name), content).unwrap();
        assert_eq!(bench.get_text(name), None, "{name}");
    }
    bench.put_text("folder", "v");
    let taken = bench.file("folder");
    fs::remove_file(&taken).unwrap();
    fs::create_dir(&taken).unwrap();
    assert_eq!(bench.get_text("folder"), None);
    bench.put_text("huge", "v");
    let huge = fs::File::options()
        .write(true)
        .open(bench.file("huge"))
        .unwrap();
    huge.set_len(1 << 40).unwrap();
    assert_eq!(bench.get_text("huge"), None);
    let expected = |found: &Unreadables| (found.foreign, found.damaged);
    assert_eq!(expected(&bench.store.unreadables()), (4, 1));
    // All but the folder are healed by the next entry.
    for name in ["empty", "text", "head", "huge"] {
        bench.put_text(name, "healed");
        assert_eq!(bench.get_text(name).as_deref(), Some("healed"));
    }
    let folder = key("folder");
    let entry = larder_core::Entry::new(
        bench.meta(60, &[]),
        Plain::text("v"),
        larder_core::Fence::direct(0),
    );
    let put = bench
        .store
        .put(&folder, entry.into(), larder_core::store::Mode::Replace);
    assert!(bench.try_run(put).is_err());
    assert!(taken.is_dir());
}

// Other systems have pipes too, but no call to make one that the tests can reach.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_the_place_of_an_entry_keeps_nobody_waiting() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    let file = bench.file("k");
    fs::remove_file(&file).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, mode).unwrap();
    assert_eq!(bench.get_text("k"), None);
    bench.put_text("k", "healed");
    assert_eq!(bench.get_text("k").as_deref(), Some("healed"));
}

/// What making room, clearing and collecting leave alone.
#[test]
fn files_of_others_are_never_removed() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).threshold(10));
    for number in 0..10 {
        bench.put_text(format!("key {number}"), "v");
    }
    let root = path.join("larder-1");
    let taken = bench.file("key 3");
    let others = [
        path.join("2029240f6d1128be89ddc32729463129"),
        path.join("__wz_cache_count"),
        root.join("README"),
        root.join("temp/note"),
        root.join("temp/0123456789abcdef-notes"),
        root.join("entries/README"),
        taken.parent().unwrap().join("0123"),
        taken.clone(),
    ];
    for file in &others {
        fs::write(file, "not an entry").unwrap();
    }
    for number in 0..50 {
        bench.put_text(format!("more {number}"), "v");
    }
    Bench::at(&path).put_text("somebody who opens it anew", "v");
    bench.remove(&key("key 3"));
    bench.purge(Removal::Prefix(larder_core::Kind::User, b""));
    bench.purge(Removal::All);
    for file in &others {
        let content = fs::read_to_string(file);
        assert_eq!(content.ok().as_deref(), Some("not an entry"), "{file:?}");
    }
    assert_eq!(bench.entries(), 0);
}

#[test]
fn an_entry_of_another_version_is_a_miss_and_stays() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    // The version of the head, and that of the envelope behind it.
    for (name, at) in [("head", 7), ("envelope", 72 + 4)] {
        bench.put_text(name, "v");
        let mut bytes = fs::read(bench.file(name)).unwrap();
        bytes[at] += 1;
        fs::write(bench.file(name), &bytes).unwrap();
        assert_eq!(bench.get_text(name), None, "{name}");
        assert_eq!(fs::read(bench.file(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(bench.store.unreadables().other_version, 2);
}

#[test]
fn programs_of_two_versions_run_side_by_side() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "ours");
    let next = path.join("larder-2/entries");
    fs::create_dir_all(&next).unwrap();
    fs::write(next.join("k"), "theirs").unwrap();
    bench.purge(Removal::All);
    assert_eq!(bench.get_text("k"), None);
    assert_eq!(fs::read_to_string(next.join("k")).unwrap(), "theirs");
}

#[test]
fn with_a_secret_what_was_written_without_it_is_a_miss() {
    let (_folder, path) = folder();
    let plain = Bench::at(&path);
    let sealed = Bench::of(builder(&path).secret(Some(b"secret")));
    let other = Bench::of(builder(&path).secret(Some(b"another one")));
    plain.put_text("plain", "v");
    sealed.put_text("sealed", "v");
    assert_eq!(sealed.get_text("plain"), None);
    assert_eq!(plain.get_text("sealed"), None);
    assert_eq!(other.get_text("sealed"), None);
    for bench in [&plain, &sealed, &other] {
        assert_eq!(bench.store.unreadables().wrong_seal, 1);
    }
    assert_eq!(sealed.get_text("sealed").as_deref(), Some("v"));
}

#[test]
fn an_entry_that_was_moved_to_another_key_is_a_miss() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("one", "1");
    bench.put_text("two", "2");
    fs::copy(bench.file("one"), bench.file("two")).unwrap();
    assert_eq!(bench.get_text("two"), None);
    // Also where its head says that it belongs there.
    bench.put_text("two", "2");
    let (one, mut two) = (
        fs::read(bench.file("one")).unwrap(),
        fs::read(bench.file("two")).unwrap(),
    );
    two.truncate(72);
    two.extend_from_slice(&one[72..]);
    fs::write(bench.file("two"), two).unwrap();
    assert_eq!(bench.get_text("two"), None);
    let found = bench.store.unreadables();
    assert_eq!((found.damaged, found.other_key), (1, 1));
}

#[test]
fn what_was_stored_in_the_future_is_not_used() {
    let (_folder, path) = folder();
    let clock = larder_testkit::HandClock::new();
    let ahead = Bench::with(builder(&path), clock.clone());
    let now = larder_core::Clock::now(&*clock);
    ahead.put_text("k", "v");
    let behind = |seconds: u64| {
        let earlier = now.as_millis() - 1000 * seconds;
        let clock = larder_testkit::HandClock::at(larder_core::Timestamp::from_millis(earlier));
        Bench::with(builder(&path), clock).get_text("k")
    };
    assert_eq!(behind(5).as_deref(), Some("v"));
    // The wall was set back: nobody knows how long the entry has been there.
    assert_eq!(behind(3600), None);
}
