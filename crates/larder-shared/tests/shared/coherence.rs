//! The words by which a near tier sees changes.

use larder_core::codec::Plain;
use larder_core::store::Removal;
use larder_core::{Key, Kind};

use crate::support::{Bench, folder, key, variant};

#[test]
fn every_write_and_purge_of_a_key_moves_its_stamp_and_a_read_does_not() {
    let (_folder, path) = folder();
    let (bench, other) = (Bench::at(&path), Bench::at(&path));
    let coherence = bench.store.coherence().unwrap();
    let page = variant(&key("page"), "1");
    let base = page.base_key();
    type Change<'a> = (&'a str, &'a dyn Fn(), bool);
    let changes: [Change<'_>; 9] = [
        ("write", &|| _ = other.put(&page, Plain::Int(1)), true),
        ("read", &|| drop(other.get(&page)), false),
        (
            "write of the base",
            &|| _ = other.put(&base, Plain::Int(2)),
            true,
        ),
        ("count", &|| _ = other.count(&base, 1), true),
        ("removal", &|| _ = other.remove(&page), true),
        ("removal of the base", &|| _ = other.remove(&base), true),
        ("bump", &|| other.bump("t"), true),
        (
            "prefix",
            &|| drop(other.purge(Removal::Prefix(Kind::User, b"p"))),
            true,
        ),
        ("clear", &|| drop(other.purge(Removal::All)), true),
    ];
    for (what, change, moves) in changes {
        let stamp = coherence.read(&page);
        assert!(coherence.holds(&page, stamp));
        change();
        assert_eq!(!coherence.holds(&page, stamp), moves, "{what}");
    }
}

#[test]
fn a_write_leaves_other_keys_alone() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let coherence = bench.store.coherence().unwrap();
    let keys: Vec<Key> = (0..100).map(|number| key(number.to_string())).collect();
    let stamps: Vec<_> = keys.iter().map(|key| coherence.read(key)).collect();
    bench.put_text("k", "v");
    let moved = keys.iter().zip(&stamps);
    let moved = moved.filter(|(key, stamp)| !coherence.holds(key, **stamp));
    // One in 65,536 shares a slot.
    assert!(moved.count() <= 1);
}
