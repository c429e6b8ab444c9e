//! Settings that cannot be, and directories that cannot be used.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Removal};
use larder_core::{ErrorKind, Result, Store};
use larder_shared::{Replaced, Shared, SharedBuilder, SharedEvent};
use larder_testkit::PATIENCE;
use xxhash_rust::xxh3::xxh3_64;

use crate::support::{Bench, Board, Worker, builder, folder, key, until_nobody_is_there};

/// The complaint of a builder.
#[track_caller]
fn complaint(builder: SharedBuilder) -> String {
    let built: Result<Shared<Safe>> = builder.build(Safe);
    let error = built.expect_err("it was built");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

#[track_caller]
fn says(builder: SharedBuilder, words: &[&str]) {
    let said = complaint(builder);
    for word in words {
        assert!(said.contains(word), "{said} does not name {word}");
    }
}

#[test]
fn a_wrong_setting_is_named_with_its_value_and_the_cure() {
    let (_folder, path) = folder();
    let at = || builder(&path);
    says(at().size(1000), &["size is 1000 bytes", "1 MiB at least"]);
    says(
        at().size(1 << 50),
        &["size is 1125899906842624 bytes", "16 TiB at most"],
    );
    says(at().namespace(""), &["namespace is empty", "choose one"]);
    says(at().max_value(0), &["max_value is 0 bytes", "1 at least"]);
    says(
        at().max_value(9 << 20),
        &["max_value is 9437184 bytes", "8388608"],
    );
    says(
        at().near(65 << 20),
        &["near is 68157440 bytes", "67108864 bytes"],
    );
    says(at().secret(Some(b"")), &["the secret is empty"]);
    fs::write(&path, "a file").unwrap();
    let name = path.join("below");
    says(
        builder(&name),
        &["cannot be made", "below", "give one that"],
    );
    says(builder(&path), &["cannot be made", "give one that"]);
}

#[test]
fn the_directory_is_for_its_owner_alone() {
    let (_folder, path) = folder();
    Bench::at(&path).put_text("k", "v");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    let mut files = vec![path.join("store-1/data.mdb"), path.join("store-1/lock.mdb")];
    files.extend([path.join("coherence.map"), path.join("locks")]);
    for file in files {
        let mode = fs::metadata(&file).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
    says(builder(&path), &["mode 770", "chmod 700"]);
}

/// Another user, who may enter the folder and no more.
pub(crate) fn stranger(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        // SAFETY: gives up rights for good; nothing in this process relies on them.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
    }
    says(
        builder(Path::new("/usr")),
        &["belongs to user 0", "directory of its own"],
    );
    says(
        builder(&folder.join("locked")),
        &["cannot be written to", "give one that"],
    );
    says(
        builder(&folder.join("locked/cache")),
        &["cannot be made", "give one that"],
    );
}

#[test]
fn a_directory_of_somebody_else_or_without_the_right_to_write_is_refused() {
    let (folder, _) = folder();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&locked, Some(65_534), None).unwrap();
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Worker::start("stranger", folder.path(), 0).succeeds();
}

#[test]
fn all_who_use_a_directory_give_the_same_size() {
    let (folder, path) = folder();
    let board = Board::of(folder.path());
    let mut worker = Worker::start("churn", folder.path(), 1);
    board.await_word(0, 300);
    let words = [
        "134217728 bytes here",
        "67108864 bytes where",
        "the same size",
    ];
    says(builder(&path).size(128 << 20), &words);
    worker.kill();
    let larger = Bench::of(builder(&path).size(128 << 20));
    // The worker may have cleared everything the moment before; then there is nothing to keep.
    larger.put_text("key", "value");
    assert_eq!(larger.told(), [], "a larger size keeps what is there");
    says(
        builder(&path),
        &["67108864 bytes here", "134217728 bytes where"],
    );
    for number in 0..3000 {
        larger.put_text(format!("key {number}"), &"x".repeat(900));
    }
    drop(larger);
    until_nobody_is_there(&path);
    let smaller = Bench::of(builder(&path).size(1 << 20));
    assert_eq!(smaller.get_text("key 1"), None);
    assert_eq!(smaller.told(), [SharedEvent::Replaced(Replaced::Shrunk)]);
    assert_eq!(smaller.put_text("k", "v"), Put::Stored);
}

/// Rewrites a part of the header of `coherence.map`, checksum included.
fn patch(path: &Path, at: usize, bytes: &[u8]) {
    let map = path.join("coherence.map");
    let mut content = fs::read(&map).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    let sum = xxh3_64(&content[..48]).to_le_bytes();
    content[48..56].copy_from_slice(&sum);
    // In place, for others may have mapped it.
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(map).unwrap();
    file.write_all_at(&content[..56], 0).unwrap();
}

const VERSION_AT: usize = 8;
const BOOT_AT: usize = 16;
const NAMESPACE_AT: usize = 32;

#[test]
fn what_another_version_or_another_start_of_the_machine_left_is_set_aside() {
    let cases = [
        (VERSION_AT, Replaced::OtherVersion(0x0505_0505)),
        (BOOT_AT, Replaced::Rebooted),
    ];
    for (at, why) in cases {
        let (_folder, path) = folder();
        Bench::at(&path).put_text("k", "v");
        until_nobody_is_there(&path);
        patch(&path, at, &[5; 4]);
        let bench = Bench::at(&path);
        assert_eq!(bench.get_text("k"), None);
        assert_eq!(bench.told(), [SharedEvent::Replaced(why)]);
        assert!(path.join("set-aside/data.mdb").exists());
        bench.put_text("k", "new");
        drop(bench);
        assert_eq!(Bench::at(&path).get_text("k").as_deref(), Some("new"));
    }
}

#[test]
fn another_version_or_container_is_kept_out_while_somebody_is_there() {
    let (folder, path) = folder();
    let board = Board::of(folder.path());
    let mut worker = Worker::start("churn", folder.path(), 1);
    board.await_word(0, 50);
    patch(&path, NAMESPACE_AT, &[5; 8]);
    says(
        builder(&path),
        &["another PID namespace (361700864190383365", "Redis"],
    );
    patch(&path, VERSION_AT, &[5; 4]);
    says(
        builder(&path),
        &["another version of Larder", "directory of its own"],
    );
    patch(&path, VERSION_AT, &2_u32.to_le_bytes());
    worker.kill();
    // A container that was started anew has another namespace too.
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    assert_eq!(bench.told(), []);
    assert!(bench.entries() > 1);
}

#[test]
fn a_directory_that_is_taken_away_while_it_is_in_use_is_a_failure_of_the_store() {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    fs::rename(&path, folder.path().join("away")).unwrap();
    fs::write(&path, "a file").unwrap();
    let removed = <_ as Store<Plain>>::remove(&bench.store, Removal::All);
    let error = bench.try_run(removed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    // It comes back with the directory, and what was not purged does not.
    fs::remove_file(&path).unwrap();
    assert_eq!(bench.get_text("k"), None);
    bench.put_text("k", "new");
    assert_eq!(bench.get_text("k").as_deref(), Some("new"));
}

#[test]
fn reads_notice_that_the_directory_was_removed() {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "old");
    assert_eq!(bench.get_text("k").as_deref(), Some("old"));
    fs::rename(&path, folder.path().join("away")).unwrap();
    let until = Instant::now() + PATIENCE;
    while Store::<Plain>::at_hand(&bench.store, &key("k")).is_some() {
        assert!(Instant::now() < until, "nobody has noticed");
    }
    bench.get_text("other");
    assert!(path.exists());
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "old");
    fs::rename(&path, folder.path().join("away")).unwrap();
    bench.purge(Removal::All);
    assert_eq!(bench.get_text("k"), None);
    assert_eq!(bench.put_text("k", "new"), Put::Stored);
    drop(bench);
    assert_eq!(Bench::at(&path).get_text("k").as_deref(), Some("new"));
}
