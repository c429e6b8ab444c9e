//! A record of purges that grows long.

use std::fs;

use larder_core::codec::Plain;
use larder_core::store::Put;
use larder_core::{Key, Store, Tag};

use crate::support::{Bench, OnDisk, folder, key};

/// Bumps so many tags, `distinct` different ones.
fn bump_many(bench: &Bench, count: usize, distinct: usize) {
    let tags: Vec<Tag> = (0..count)
        .map(|number| Tag::new(format!("other {}", number % distinct)))
        .collect();
    for tags in tags.chunks(10_000) {
        bench.run(<_ as Store<Plain>>::bump(&bench.store, tags));
    }
}

fn length(path: &std::path::Path) -> u64 {
    let items = fs::read_dir(path.join("larder-1")).unwrap();
    let logs = items.filter_map(|item| {
        let item = item.unwrap();
        let of_purges = item.file_name().to_string_lossy().starts_with("purges-");
        of_purges.then(|| item.metadata().unwrap().len())
    });
    logs.sum()
}

fn load(bench: &Bench, key: &Key, tag: &str) {
    let (_, fence) = bench.read(key);
    assert_eq!(bench.load(key, Plain::Int(1), &[tag], fence), Put::Stored);
}

#[test]
fn a_log_that_is_begun_anew_forgets_nothing_that_is_stored_or_gone() {
    let (_folder, path) = folder();
    let (bench, other) = (Bench::at(&path), Bench::at(&path));
    let names = ["plain", "tagged", "bumped", "removed", "put back"];
    let [plain, tagged, bumped, removed, back] = names.map(key);
    bench.put(&plain, Plain::Int(1));
    load(&bench, &tagged, "t");
    load(&bench, &bumped, "b");
    bench.put(&removed, Plain::Int(1));
    bench.put(&back, Plain::Int(1));
    assert_eq!(other.get(&plain), Some(Plain::Int(1)));
    bench.bump("b");
    // Two removals: one whole, one whose process was killed before the file was gone.
    bench.remove(&removed);
    let file = bench.file("put back");
    let bytes = fs::read(&file).unwrap();
    bench.remove(&back);
    fs::write(&file, bytes).unwrap();
    let (_, fence) = bench.read(&key("loading"));
    let stands = |bench: &Bench| {
        let found = [&plain, &tagged, &bumped, &removed, &back].map(|key| bench.get(key).is_some());
        assert_eq!(found, [true, true, false, false, false]);
    };
    bump_many(&bench, 132_000, 10);
    stands(&bench);
    stands(&other);
    assert!(length(&path) > 4_000_000);
    bench.bump("last straw");
    assert!(length(&path) < 1000, "{} bytes", length(&path));
    stands(&bench);
    stands(&other);
    stands(&Bench::at(&path));
    assert!(
        !file.exists(),
        "what a killed process left was not looked for"
    );
    // Loads that were under way may concern anything that was forgotten.
    let late = bench.load(&key("loading"), Plain::Int(2), &[], fence);
    assert_eq!(late, Put::Fenced);
    load(&other, &key("loading"), "b");
    assert_eq!(bench.get(&key("loading")), Some(Plain::Int(1)));
    other.bump("b");
    assert_eq!(bench.get(&key("loading")), None);
    assert_eq!([bench.told(), other.told()].concat(), []);
}

#[test]
fn a_tag_that_was_forgotten_counts_as_bumped() {
    let (_folder, path) = folder();
    let (bench, other) = (Bench::at(&path), Bench::at(&path));
    let (plain, tagged) = (key("plain"), key("tagged"));
    bench.put(&plain, Plain::Int(1));
    load(&bench, &tagged, "t");
    bump_many(&bench, 140_000, 140_000);
    for bench in [&bench, &other, &Bench::at(&path)] {
        assert_eq!(bench.get(&tagged), None);
        assert_eq!(bench.get(&plain), Some(Plain::Int(1)));
    }
    load(&other, &tagged, "t");
    assert_eq!(bench.get(&tagged), Some(Plain::Int(1)));
}
