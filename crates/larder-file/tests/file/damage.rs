//! Files that are not what was written to them.

use std::fs;
use std::path::{Path, PathBuf};

use larder_core::codec::{Plain, Unreadable};
use larder_core::store::Put;
use larder_file::FileEvent;
use larder_testkit::machine::damage::Contents;

use crate::support::{Bench, OnDisk, builder, folder, key, variant};

#[test]
fn an_entry_with_any_byte_damaged_or_cut_anywhere_is_a_miss() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "the value");
    let file = bench.file("k");
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        for bits in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            fs::write(&file, &bytes).unwrap();
            assert_eq!(bench.get_text("k"), None, "byte {at} ^ {bits}");
        }
        fs::write(&file, &whole[..at]).unwrap();
        assert_eq!(bench.get_text("k"), None, "cut at {at}");
        fs::write(&file, [&whole[..], &whole[..at + 1]].concat()).unwrap();
        assert_eq!(bench.get_text("k"), None, "{at} too many");
    }
    let found = bench.store.unreadables();
    let counted = found.foreign + found.damaged + found.other_version + found.wrong_seal;
    assert_eq!(counted, 5 * whole.len() as u64);
    fs::write(&file, &whole).unwrap();
    assert_eq!(bench.get_text("k").as_deref(), Some("the value"));
    // A flip of the bit that says so makes an entry a sealed one.
    let sealed =
        |event: &FileEvent| matches!(event, FileEvent::Unreadable(_, Unreadable::WrongSeal));
    assert!(bench.told().iter().all(sealed), "{:?}", bench.told());
}

const CONTENTS: Contents = Contents {
    keys: 40,
    text: |which| format!("value {which}"),
};

/// Fills a store of which every third key was bumped, every seventh removed, as far as the log says.
fn fill(path: &Path) {
    let bench = Bench::at(path);
    CONTENTS.fill(&bench, |which| {
        // The file comes back, as if whoever removed it had been killed before that.
        let file = bench.file(&which.to_string());
        let there = fs::read(&file).unwrap();
        bench.remove(&key(which.to_string()));
        fs::write(&file, there).unwrap();
    });
}

fn log(path: &Path) -> PathBuf {
    let root = fs::read_dir(path.join("larder-1")).unwrap();
    let mut files = root.map(|item| item.unwrap().path());
    let is_log = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with("purges-")
    };
    files.find(is_log).unwrap()
}

#[test]
fn a_damaged_log_never_brings_back_what_was_purged() {
    let (_folder, path) = folder();
    fill(&path);
    assert_eq!(CONTENTS.look(&Bench::at(&path), "as it was filled"), 22);
    let file = log(&path);
    let whole = fs::read(&file).unwrap();
    let mut kept = 0;
    let ways = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x21;
        (format!("byte {at}"), bytes)
    });
    let cuts = (0..64)
        .chain([64 + 16])
        .map(|length| (format!("cut at {length}"), whole[..length].to_vec()));
    for (what, bytes) in ways.chain(cuts) {
        fs::write(&file, &bytes).unwrap();
        let bench = Bench::at(&path);
        if what == "cut at 80" {
            // Nobody can tell a log that lost whole records from one that never had them; nothing of
            // ours makes it shorter.
            continue;
        }
        let found = CONTENTS.look(&bench, &what);
        kept += found;
        assert_eq!(found > 0, bench.told().is_empty(), "{what}");
        assert_eq!(bench.put_text("new", "value"), Put::Stored, "{what}");
        assert_eq!(bench.get_text("new").as_deref(), Some("value"), "{what}");
    }
    // Only the bytes of the header that say nothing may be other ones; they are checked all the same.
    assert_eq!(kept, 0);
}

#[test]
fn a_log_that_is_damaged_in_use_is_replaced_for_all() {
    let (_folder, path) = folder();
    let (one, other) = (Bench::at(&path), Bench::at(&path));
    one.put_text("k", "v");
    assert_eq!(other.get_text("k").as_deref(), Some("v"));
    one.bump("t");
    let file = log(&path);
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.extend_from_slice(&[0; 40]);
    fs::write(&file, bytes).unwrap();
    for bench in [&one, &other] {
        assert_eq!(bench.get_text("k"), None);
    }
    let told = [one.told(), other.told()].concat();
    assert!(matches!(told[..], [FileEvent::PurgesLost(_)]), "{told:?}");
    one.put_text("k", "new");
    assert_eq!(other.get_text("k").as_deref(), Some("new"));
    other.remove(&key("k"));
    assert_eq!(one.get_text("k"), None);
}

#[test]
fn a_record_that_was_cut_off_is_no_purge_and_gives_way_to_the_next() {
    let (_folder, path) = folder();
    let (one, other) = (Bench::at(&path), Bench::at(&path));
    one.put_text("k", "v");
    one.bump("t");
    let file = log(&path);
    let whole = fs::read(&file).unwrap();
    for length in 1..32 {
        let torn = [&whole[..], &whole[64..64 + length]].concat();
        fs::write(&file, torn).unwrap();
        assert_eq!(other.get_text("k").as_deref(), Some("v"), "{length}");
    }
    one.bump("t");
    one.remove(&key("k"));
    assert_eq!(other.get_text("k"), None);
    assert_eq!([one.told(), other.told()].concat(), []);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len() + 2 * 32);
}

#[test]
fn a_log_or_a_directory_that_is_removed_or_exchanged_is_noticed() {
    let (_folder, path) = folder();
    let (one, other) = (Bench::at(&path), Bench::at(&path));
    one.put_text("k", "v");
    assert_eq!(other.get_text("k").as_deref(), Some("v"));
    fs::remove_file(log(&path)).unwrap();
    assert_eq!(other.get_text("k"), None);
    one.put_text("k", "v");
    assert_eq!(other.get_text("k").as_deref(), Some("v"));
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(other.get_text("k"), None);
    one.put_text("k", "again");
    assert_eq!(other.get_text("k").as_deref(), Some("again"));
    // Who purges looks closely, wherever it stored its entries until now.
    fs::rename(&path, path.with_extension("old")).unwrap();
    let new = Bench::at(&path);
    new.put_text("k", "new");
    assert!(one.remove(&key("k")));
    assert_eq!(new.get_text("k"), None);
    one.put_text("k", "newer");
    assert_eq!(new.get_text("k").as_deref(), Some("newer"));
}

#[test]
fn a_damaged_table_is_made_anew_and_bounds_hold() {
    let (_folder, path) = folder();
    let bound = || Bench::of(crate::support::builder(&path).threshold(50));
    let first = bound();
    for number in 0..50 {
        first.put_text(number.to_string(), "v");
    }
    let page = variant(&key("page"), "1");
    first.put(&page, Plain::Int(1));
    let table = path.join("larder-1/table");
    let length = fs::read(&table).unwrap().len();
    // Every byte of the header and of the first page, then here and there; cut, and gone.
    let bytes = (0..88).step_by(3).chain((4096..4400).step_by(7));
    let bytes = bytes.chain((4400..length).step_by(1999));
    let bytes = bytes.map(|at| (at, true));
    let cuts = [0, 1, 87, 88, 4095, 4096, 5000, length - 1].map(|at| (at, false));
    for (at, flip) in bytes.chain(cuts) {
        let mut bytes = fs::read(&table).unwrap();
        match flip {
            true => bytes[at] ^= 0x55,
            false => bytes.truncate(at),
        }
        fs::write(&table, bytes).unwrap();
        let bench = bound();
        for number in 0..3 {
            bench.put_text(format!("{at} {flip} {number}"), "v");
            let size = bench.entries();
            assert!((40..=50).contains(&size), "{at}: {size}");
            assert_eq!(bench.files(), size, "{at}");
        }
    }
    fs::remove_file(&table).unwrap();
    let bench = bound();
    bench.put_text("new", "v");
    assert_eq!((bench.entries(), bench.files()), (50, 50));
    assert!(
        matches!(bench.told()[..], [FileEvent::TableRebuilt(50 | 51)]),
        "{:?}",
        bench.told()
    );
}

#[test]
fn the_variants_of_a_base_key_give_way_also_after_the_table_was_lost() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let page = variant(&key("page"), "1");
    bench.put(&page, Plain::Int(1));
    fs::remove_file(path.join("larder-1/table")).unwrap();
    bench.put(&key("page"), Plain::Int(2));
    assert_eq!(bench.get(&page), Some(Plain::Int(2)));
    bench.put(&page, Plain::Int(3));
    fs::remove_file(path.join("larder-1/table")).unwrap();
    bench.remove(&key("page"));
    assert_eq!(bench.get(&page), None);
    assert_eq!(bench.files(), 0);
}

#[test]
fn files_that_the_table_has_lost_are_found_again() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("first", "v");
    let table = path.join("larder-1/table");
    let old = fs::read(&table).unwrap();
    for number in 0..200 {
        bench.put_text(format!("lost {number}"), "v");
    }
    // As after a crash of the machine that the files outlived and what was written to the table did not.
    fs::write(&table, old).unwrap();
    // Every 64 writes, the next folder.
    let folders = 1..=16_u8;
    let is_found = |file: &PathBuf| {
        let folder = file.parent().unwrap().file_name().unwrap();
        let folder = u8::from_str_radix(folder.to_str().unwrap(), 16).unwrap();
        folders.contains(&folder)
    };
    let first = u64::from(!is_found(&bench.file("first")));
    let found = bench
        .entry_files()
        .iter()
        .filter(|file| is_found(file))
        .count() as u64;
    assert!(found > 3);
    for number in 1..64 * u32::from(*folders.end()) {
        bench.put_text(format!("new {}", number % 2), "v");
    }
    assert_eq!(bench.entries(), 2 + found + first);
}

#[test]
fn who_has_another_secret_is_told_so_once_for_each_file() {
    let (_folder, path) = folder();
    let at = |secret| Bench::of(builder(&path).secret(Some(secret)));
    let (one, other) = (at(b"one"), at(b"other"));
    assert_eq!(one.put_text("a", "sealed"), Put::Stored);
    for _ in 0..2 {
        assert_eq!(other.get_text("a"), None);
    }
    let told = other.told();
    let [FileEvent::Unreadable(file, Unreadable::WrongSeal)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(file.starts_with(&path) && file.is_file(), "{file:?}");
    assert_eq!(other.store.unreadables().wrong_seal, 2);
    assert_eq!(one.get_text("a").as_deref(), Some("sealed"));
}
