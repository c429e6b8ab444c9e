//! Purges, what they answer, and the fence that holds against loads under way.

use std::fmt;
use std::sync::Arc;

use larder_core::store::{Mode, Pattern, Put, Removal};
use larder_core::{Entry, Key, Kind, Store, Tag, Value};

use super::bench::{Bench, key, tag, variant};
use super::{Runner, Suite};

/// A removal answers those of its keys of which something was there.
pub fn removal_answers_what_was_there<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let keys = ["a", "b", "c", "d"].map(key);
    for number in [0, 2] {
        bench.load(&keys[number], number as u64, &[]);
    }
    bench.load(&keys[3], 3, &[tag("t")]);
    bench.bump(&[tag("t")]);
    // What is not valid counts as absent.
    assert_eq!(
        bench.remove(Removal::Keys(&keys)),
        [keys[0].clone(), keys[2].clone()]
    );
    assert!(bench.remove(Removal::Keys(&keys)).is_empty());
    assert!(bench.remove(Removal::Keys(&[])).is_empty());
}

/// A prefix removes every key of its kind that begins so, to the byte.
pub fn a_prefix_removes_what_begins_so<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let gone = [&b"a*b"[..], b"a*bc", b"a*b\0", b"a*b\xff"].map(key);
    let family = variant(&key("a*b/page"), "1");
    let left = [&b"a*"[..], b"axb", b"axbc", b" a*b", b"A*b"].map(key);
    let other = Key::new(Kind::View, "a*bc");
    let every = || gone.iter().chain([&family]).chain(&left).chain([&other]);
    for (number, key) in (0..).zip(every()) {
        bench.load(key, number, &[]);
    }
    let Some(removed) = bench.remove_where(Removal::Prefix(Kind::User, b"a*b")) else {
        return (0..)
            .zip(every())
            .for_each(|(number, key)| bench.expect(key, number));
    };
    let mut expected: Vec<Key> = gone.iter().cloned().chain([family.base_key()]).collect();
    expected.sort();
    assert_eq!(removed, expected);
    for (number, key) in (0..).zip(every()) {
        if number <= gone.len() as u64 {
            bench.expect_nothing(key);
        } else {
            bench.expect(key, number);
        }
    }
}

/// A pattern removes what matches it, and a key of exactly its text.
pub fn a_pattern_removes_what_matches<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (
            "product_*",
            &["product_", "product_1", "product_*", "product_1_2"],
            &["product", "a product_1", "Product_1"],
        ),
        ("p?e", &["pie", "p\u{e9}e", "p?e"], &["pe", "piie", "pie2"]),
        ("[ab]c", &["[ab]c"], &["ac", "bc"]),
        (r"a\*c", &["a*c", r"a\*c"], &["abc", "ac"]),
        ("a^b\n*", &["a^b\n", "a^b\nc"], &["a^b", "b\nc"]),
    ];
    for (pattern, gone, left) in cases {
        let bench = suite.bench();
        let (gone, left) = (gone.iter().map(key), left.iter().map(key));
        let (gone, left): (Vec<_>, Vec<_>) = (gone.collect(), left.collect());
        for key in gone.iter().chain(&left) {
            bench.load(key, 1, &[]);
        }
        let parsed = Pattern::parse(pattern);
        let Some(removed) = bench.remove_where(Removal::Pattern(Kind::User, &parsed)) else {
            gone.iter().for_each(|key| bench.expect(key, 1));
            continue;
        };
        let mut expected = gone.clone();
        expected.sort();
        assert_eq!(removed, expected, "{pattern}");
        gone.iter().for_each(|key| bench.expect_nothing(key));
        left.iter().for_each(|key| bench.expect(key, 1));
    }
}

/// Clearing removes every key of every kind.
pub fn clearing_removes_everything<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let kinds = [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment];
    let mut keys: Vec<Key> = (0..50).map(|number| key(format!("key {number}"))).collect();
    keys.extend(kinds.map(|kind| Key::new(kind, "kind")));
    keys.push(variant(&key("page"), "1"));
    keys.iter().for_each(|key| bench.load(key, 1, &[tag("t")]));
    assert!(bench.remove(Removal::All).is_empty());
    keys.iter().for_each(|key| bench.expect_nothing(key));
    keys.iter().for_each(|key| bench.load(key, 2, &[tag("t")]));
    keys.iter().for_each(|key| bench.expect(key, 2));
}

/// A bump makes invalid what carries one of its tags, and nothing else.
pub fn a_bump_makes_tagged_entries_invalid<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let both = key("both");
    let (one, two) = (variant(&key("page"), "1"), variant(&key("page"), "2"));
    let none = key("none");
    let load = || {
        bench.load(&both, 1, &[tag("a"), tag("b")]);
        bench.load(&one, 2, &[tag("b")]);
        bench.load(&two, 3, &[tag("c\0\u{e9} *")]);
        bench.load(&none, 4, &[]);
    };
    let stands = |expected: [bool; 4]| {
        let found = [&both, &one, &two, &none].map(|key| bench.get(key).is_some());
        assert_eq!(found, expected);
    };
    load();
    bench.bump(&[tag("a")]);
    stands([false, true, true, true]);
    load();
    bench.bump(&[tag("b")]);
    stands([false, false, true, true]);
    load();
    bench.bump(&[tag("a"), tag("c\0\u{e9} *"), tag("nobody's")]);
    stands([false, true, false, true]);
    load();
    bench.bump(&[]);
    // A tag that a face made is another one than a tag of the user's.
    bench.bump(&[Tag::function("a"), tag("ab")]);
    stands([true; 4]);
}

/// The ways to purge an entry under a key with a variant, tagged `t`.
const PURGES: [&str; 6] = ["key", "base", "prefix", "pattern", "all", "bump"];

fn purge<V, S, R>(bench: &Bench<'_, V, S, R>, way: &str, key: &Key)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (kind, base) = (key.kind(), key.base_key());
    match way {
        "key" => drop(bench.remove(Removal::Keys(std::slice::from_ref(key)))),
        "base" => drop(bench.remove(Removal::Keys(&[base]))),
        "prefix" => drop(bench.remove(Removal::Prefix(kind, b"pa"))),
        "pattern" => drop(bench.remove(Removal::Pattern(kind, &Pattern::parse("p*e")))),
        "all" => drop(bench.remove(Removal::All)),
        _ => bench.bump(&[tag("t")]),
    }
}

fn each_purge<V, S, R>(suite: &Suite<V, S, R>, case: impl Fn(&Bench<'_, V, S, R>, &str, &Key))
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let ways = PURGES.into_iter();
    for way in ways.filter(|way| suite.lists || !["prefix", "pattern"].contains(way)) {
        let bench = suite.bench();
        // Something has been there before, and another key is there: neither may matter.
        bench.load(&key("page"), 100, &[]);
        bench.remove(Removal::Keys(&[key("page")]));
        bench.load(&key("other"), 200, &[]);
        case(&bench, way, &variant(&key("page"), "1"));
        case(&bench, way, &key("page"));
    }
}

/// A load that started before a purge brings nothing valid, however late it ends, and does not make
/// anything else invalid or valid.
pub fn what_was_loaded_before_a_purge_is_never_valid<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    each_purge(suite, |bench, way, key| {
        let tags = [tag("t")];
        let (first, second) = (bench.start(key, &tags), bench.start(key, &tags));
        purge(bench, way, key);
        let put = bench.put(key, 1, bench.meta(&tags), first);
        assert!(matches!(put, Put::Fenced | Put::Stored), "{way}: {put:?}");
        assert_eq!(bench.get(key), None, "{way}");
        bench.load(&super::bench::key("bystander"), 9, &[]);
        assert_eq!(bench.get(key), None, "{way}");
        bench.load(key, 2, &tags);
        bench.put(key, 3, bench.meta(&tags), second);
        let found = bench.get(key);
        assert!(
            found.is_none() || found == Some(suite.value(2)),
            "{way}: {found:?}"
        );
    });
}

/// What is stored when the purge comes is gone.
pub fn what_was_stored_before_a_purge_is_gone<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    each_purge(suite, |bench, way, key| {
        bench.load(key, 1, &[tag("t")]);
        bench.expect(key, 1);
        purge(bench, way, key);
        assert_eq!(bench.get(key), None, "{way}");
    });
}

/// A load that starts after a purge brings something valid.
pub fn what_is_loaded_after_a_purge_is_valid<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    each_purge(suite, |bench, way, key| {
        purge(bench, way, key);
        bench.load(key, 1, &[tag("t")]);
        assert_eq!(bench.get(key), Some(suite.value(1)), "{way}");
        purge(bench, way, key);
        bench.load(key, 2, &[tag("t")]);
        assert_eq!(bench.get(key), Some(suite.value(2)), "{way}");
    });
}

/// A tag that the load itself named is fenced like one that was known before.
pub fn tags_that_are_named_late_are_fenced<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let (known, late) = (tag("known"), tag("late"));
    let both = [known.clone(), late.clone()];
    for fenced in [true, false] {
        let key = key(format!("late {fenced}"));
        let fence = bench.start(&key, std::slice::from_ref(&known));
        bench.bump(&[if fenced { late.clone() } else { tag("other") }]);
        bench.put(&key, 1, bench.meta(&both), fence);
        assert_eq!(bench.get(&key).is_none(), fenced);
    }
    let key = key("stored with a late tag");
    let fence = bench.start(&key, &[]);
    let put = bench.put(&key, 2, bench.meta(&both), fence);
    assert_eq!(put, Put::Stored);
    bench.expect(&key, 2);
    bench.bump(&[late]);
    bench.expect_nothing(&key);
}

/// An entry that a reader still holds is not valid again because somebody writes it back.
pub fn a_removed_entry_cannot_be_put_back<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    each_purge(suite, |bench, way, key| {
        bench.load(key, 1, &[tag("t")]);
        let held: Arc<Entry<V>> = bench.read(key, &[]).entry.expect("it was stored");
        purge(bench, way, key);
        bench.run(bench.store.put(key, held, Mode::Replace));
        assert_eq!(bench.get(key), None, "{way}");
    });
}
