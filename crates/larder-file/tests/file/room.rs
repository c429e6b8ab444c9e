//! Too many entries, too many bytes, and no room on the disk.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::codec::Plain;
use larder_core::store::{Mode, Put, Removal};
use larder_core::{Clock, Entry, ErrorKind, Fence, Store};
use larder_testkit::{HandClock, PATIENCE};
use tempfile::TempDir;

use crate::support::{Bench, OnDisk, builder, folder, key, variant};

#[test]
fn no_more_entries_are_kept_than_were_asked_for() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).threshold(500));
    for number in 0..2000 {
        let name = format!("key {number}");
        assert_eq!(bench.put_text(&name, "v"), Put::Stored);
        assert!(bench.get_text(&name).is_some(), "{name} is there at once");
        assert_eq!(
            bench.entries(),
            (number + 1).min(500),
            "not one less either"
        );
    }
    assert_eq!(bench.files(), 500);
    assert_eq!(bench.evicted(), 1500);
    // The newest half has not gone for anything older.
    let newest = 2000 - 240..2000;
    assert!(
        newest
            .into_iter()
            .all(|number| bench.get_text(format!("key {number}")).is_some())
    );
}

#[test]
fn no_more_bytes_are_kept_than_were_asked_for() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).size(1 << 20));
    for number in 0..400_usize {
        let length = (number * 7919) % 100_000;
        let name = format!("key {number}");
        assert_eq!(bench.put_text(&name, &"x".repeat(length)), Put::Stored);
        assert_eq!(bench.get_text(&name).map(|text| text.len()), Some(length));
        assert!(bench.disk() <= 1 << 20, "{} bytes", bench.disk());
    }
    assert!(
        bench.disk() > (1 << 20) - 200_000,
        "there was room for more"
    );
}

#[test]
fn an_entry_that_is_written_again_takes_its_room_once() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    for round in 0..100 {
        for number in 0..5 {
            bench.put_text(format!("key {number}"), &"x".repeat(100 * round));
        }
    }
    assert_eq!((bench.entries(), bench.files()), (5, 5));
    let temp = std::fs::read_dir(path.join("larder-1/temp")).unwrap();
    assert_eq!(temp.count(), 0, "the old files are left behind");
    // Three blocks each.
    assert_eq!(<_ as Store<Plain>>::size(&bench.store).bytes, 5 * 3 * 4096);
    bench.purge(Removal::All);
    assert_eq!(<_ as Store<Plain>>::size(&bench.store).bytes, 0);
}

#[test]
fn variants_that_give_way_and_entries_that_are_purged_give_their_room_back() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let page = |number: u64| variant(&key("page"), &number.to_string());
    let fill = || {
        for number in 0..5 {
            bench.put(&page(number), Plain::Int(1));
        }
    };
    fill();
    bench.put(&key("page"), Plain::Int(2));
    assert_eq!((bench.entries(), bench.files()), (1, 1));
    fill();
    assert!(bench.remove(&page(3)));
    assert_eq!((bench.entries(), bench.files()), (5, 5));
    assert!(bench.remove(&key("page")));
    assert_eq!((bench.entries(), bench.files()), (0, 0));
    fill();
    bench.purge(Removal::Prefix(larder_core::Kind::User, b"pa"));
    assert_eq!((bench.entries(), bench.files()), (0, 0));
    // Also what only another program of this namespace could read.
    Bench::of(builder(&path).secret(Some(b"secret"))).put_text("sealed", "v");
    bench.purge(Removal::All);
    assert_eq!((bench.entries(), bench.files()), (0, 0));
}

#[test]
fn what_is_read_again_and_again_stays_also_where_others_write() {
    let (_folder, path) = folder();
    let bound = || Bench::of(builder(&path).threshold(500));
    let (reader, writer) = (bound(), bound());
    let hot = |number: usize| format!("hot {number}");
    for number in 0..100 {
        reader.put_text(hot(number), "h");
    }
    for number in 0..6000 {
        writer.put_text(format!("cold {number}"), "c");
        reader.get_text(hot(number % 100));
    }
    let left = (0..100).filter(|&number| reader.get_text(hot(number)).is_some());
    let left = left.count();
    assert!(left >= 95, "{left} of 100");
}

#[test]
fn what_has_expired_gives_its_room_back() {
    let (_folder, path) = folder();
    let clock = HandClock::new();
    let bench = Bench::with(builder(&path), Arc::clone(&clock) as Arc<dyn Clock>);
    for number in 0..400 {
        let entry = Entry::new(bench.meta(10, &[]), Plain::text("v"), Fence::direct(0));
        let key = variant(&key(format!("short {}", number / 10)), &number.to_string());
        bench.run(bench.store.put(&key, entry.into(), Mode::Replace));
    }
    assert_eq!(bench.files(), 400);
    clock.advance(Duration::from_secs(10));
    for number in 0..100 {
        bench.put_text(format!("long {number}"), "v");
    }
    assert_eq!((bench.entries(), bench.files()), (100, 100));
    for number in 0..100 {
        assert!(bench.get_text(format!("long {number}")).is_some());
    }
    // Nothing is left that would make a base key look for variants.
    assert_eq!(bench.evicted(), 0);
}

#[test]
fn the_table_grows_with_what_is_kept() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    for number in 0..3000 {
        bench.put_text(format!("key {number}"), "v");
    }
    let page = variant(&key("page"), "1");
    bench.put(&page, Plain::Int(1));
    assert_eq!((bench.entries(), bench.files()), (3001, 3001));
    assert_eq!(bench.evicted(), 0);
    bench.put(&key("page"), Plain::Int(2));
    assert_eq!(bench.get(&page), Some(Plain::Int(2)));
    bench.purge(Removal::All);
    assert_eq!((bench.entries(), bench.files()), (0, 0));
}

/// A file system of its own. It is unmounted when this is dropped.
struct Mount(TempDir);

impl Mount {
    /// `None`, and a loud word, where this user may not mount.
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: only the superuser can mount a small file system");
            return None;
        }
        Some(Self(folder))
    }

    /// Mounts it otherwise. Programs that other tests have just started hold what this one had open for
    /// writing until they run: the system refuses for as long.
    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]);
        mount.arg(self.0.path());
        let began = Instant::now();
        while !mount.status().unwrap().success() {
            assert!(began.elapsed() < PATIENCE, "it cannot be mounted {how}");
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn try_put(bench: &Bench, name: &str, length: usize) -> larder_core::Result<Put> {
    let value = Plain::text("x".repeat(length));
    let entry = Entry::new(bench.meta(3600, &["t"]), value, Fence::direct(0));
    bench.try_run(bench.store.put(&key(name), Arc::new(entry), Mode::Replace))
}

#[test]
fn a_full_disk_evicts_and_fails_no_read_and_no_purge() {
    let Some(mount) = Mount::new("3m") else {
        return;
    };
    let path = mount.0.path().join("cache");
    let bench = Bench::at(&path);
    for number in 0..300_usize {
        let name = format!("key {number}");
        assert_eq!(
            try_put(&bench, &name, 30_000).unwrap(),
            Put::Stored,
            "{name}"
        );
        assert!(bench.get_text(&name).is_some());
    }
    assert!(bench.entries() > 20);
    // Somebody else takes all the room there is.
    let filler = mount.0.path().join("filler");
    let fill = || {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&filler)
            .unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        while std::io::Write::write_all(&mut file, &[1; 1]).is_ok() {}
    };
    fill();
    assert_eq!(try_put(&bench, "large", 200_000).unwrap(), Put::Stored);
    bench.purge(Removal::All);
    fill();
    let refused = try_put(&bench, "large", 200_000).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Store, "{refused}");
    let temp = std::fs::read_dir(path.join("larder-1/temp")).unwrap();
    assert_eq!(temp.count(), 0, "what could not be written is left behind");
    fill();
    // Every purge finds room, or makes everything invalid.
    for number in 0..300 {
        let name = format!("key {number}");
        bench.bump(&format!("tag {number}"));
        bench.remove(&key(&name));
        fill();
        assert_eq!(bench.get_text(&name), None);
    }
    bench.bump("t");
    bench.purge(Removal::All);
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(try_put(&bench, "after", 30_000).unwrap(), Put::Stored);
    assert!(bench.get_text("after").is_some());
}

#[test]
fn a_directory_that_can_only_be_read_is_read() {
    let Some(mount) = Mount::new("3m") else {
        return;
    };
    let path = mount.0.path().join("cache");
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    // Nobody may have anything open for writing then.
    drop(bench);
    mount.remount("ro");
    let bench = Bench::at(&path);
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    assert_eq!(bench.get_text("absent"), None);
    let error = try_put(&bench, "k", 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    let keys = [key("k")];
    let remove = <_ as Store<Plain>>::remove(&bench.store, Removal::Keys(&keys));
    assert_eq!(bench.try_run(remove).unwrap_err().kind(), ErrorKind::Store);
    let tags = [larder_core::Tag::new("t")];
    let bump = <_ as Store<Plain>>::bump(&bench.store, &tags);
    assert_eq!(bench.try_run(bump).unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    mount.remount("rw");
    bench.put_text("k", "new");
    assert_eq!(bench.get_text("k").as_deref(), Some("new"));
    bench.remove(&key("k"));
    assert_eq!(bench.get_text("k"), None);
}
