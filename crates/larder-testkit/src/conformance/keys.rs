//! Keys of any bytes, any length and any kind.

use std::fmt;

use larder_core::store::Removal;
use larder_core::{Key, Kind, Store, Value};

use super::bench::{Bench, key, variant};
use super::{Runner, Suite};

/// Stores something under each key, and only then looks whether each has its own.
fn all_apart<V, S, R>(bench: &Bench<'_, V, S, R>, keys: &[Key])
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    for (number, key) in (0..).zip(keys) {
        bench.load(key, number, &[]);
    }
    for (number, key) in (0..).zip(keys) {
        bench.expect(key, number);
    }
    let (gone, left) = keys.split_at(keys.len() / 2);
    bench.remove(Removal::Keys(gone));
    for key in gone {
        bench.expect_nothing(key);
    }
    for (number, key) in (gone.len() as u64..).zip(left) {
        bench.expect(key, number);
    }
}

/// Every byte may stand in a key, alone and beside others, and no two keys meet.
pub fn keys_of_any_bytes_are_apart<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let mut keys: Vec<Key> = (0..=255).map(|byte| key([byte])).collect();
    let odd: [&[u8]; 16] = [
        b"",
        b"\0\0",
        b" a",
        b"a ",
        b"a b",
        b"a\r\nGET b",
        b"a\tb",
        b"*",
        b"a*",
        b"[a-z]",
        b"\\*",
        b"{a}",
        b"a:b",
        b"%20",
        "caf\u{e9} \u{1f600}".as_bytes(),
        "cafe\u{301}".as_bytes(),
    ];
    keys.extend(odd.iter().filter(|odd| odd.len() != 1).map(key));
    all_apart(&suite.bench(), &keys);
}

/// Keys that begin alike are apart, up to 100 kB.
pub fn keys_of_any_length_are_apart<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let lengths = [
        1, 2, 3, 249, 250, 251, 255, 256, 257, 4096, 65_535, 65_536, 100_000,
    ];
    let mut keys: Vec<Key> = lengths.iter().map(|&long| key(vec![b'k'; long])).collect();
    let mut last = vec![b'k'; 100_000];
    last[99_999] = b'l';
    keys.push(key(&last));
    keys.push(variant(&key("long"), &"v".repeat(100_000)));
    keys.push(variant(&key("long"), &"v".repeat(99_999)));
    all_apart(&suite.bench(), &keys);
}

/// The same text in two kinds is two keys, and so is the same text cut differently into base and
/// variant.
pub fn kinds_are_apart<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let kinds = [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment];
    let mut keys: Vec<Key> = kinds.map(|kind| Key::new(kind, "same")).to_vec();
    keys.extend(["u:same", "v:same", "m:same", "f:same", "m", "f"].map(key));
    keys.extend(kinds.map(|kind| Key::assemble(kind, b"ab", b"cd")));
    keys.extend(kinds.map(|kind| Key::assemble(kind, b"abc", b"d")));
    keys.extend(kinds.map(|kind| Key::assemble(kind, b"abcd", b"")));
    all_apart(&suite.bench(), &keys);
}
