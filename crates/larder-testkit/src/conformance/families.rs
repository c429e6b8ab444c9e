//! Base keys and their variants.

use std::fmt;

use larder_core::store::Removal;
use larder_core::{Key, Store, Value};

use super::bench::{Bench, key, variant};
use super::{Runner, Suite};

fn stored_variants<V, S, R>(bench: &Bench<'_, V, S, R>, base: &Key) -> Vec<Key>
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let found = bench.run(bench.store.variants(base));
    let mut keys: Vec<Key> = found.into_iter().map(|(key, _)| key).collect();
    keys.sort();
    keys
}

/// What is stored under a base key serves every variant that has nothing of its own.
pub fn a_base_key_serves_every_variant<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let base = key("page");
    bench.load(&base, 1, &[]);
    bench.expect(&variant(&base, "any"), 1);
    bench.expect(&variant(&base, "other"), 1);
    bench.expect_nothing(&variant(&key("pag"), "any"));
    assert_eq!(stored_variants(&bench, &base), [base]);
}

/// A variant's entry is its own: neither the base key nor another variant answers with it.
pub fn a_variant_has_an_entry_of_its_own<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let base = key("page");
    let mut variants: Vec<Key> = (0..40)
        .map(|number| variant(&base, &format!("query {number}")))
        .collect();
    for (number, variant) in (0..).zip(&variants) {
        bench.load(variant, number, &[]);
    }
    for (number, variant) in (0..).zip(&variants) {
        bench.expect(variant, number);
    }
    bench.expect_nothing(&base);
    bench.expect_nothing(&variant(&base, "none of them"));
    bench.expect_nothing(&variant(&key("page2"), "query 1"));
    variants.sort();
    assert_eq!(stored_variants(&bench, &base), variants);
}

/// A newer entry under the base key takes the place of what the variants had.
pub fn storing_a_base_key_replaces_its_variants<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let base = key("page");
    let (one, two) = (variant(&base, "1"), variant(&base, "2"));
    bench.load(&one, 1, &[]);
    bench.load(&two, 2, &[]);
    bench.load(&base, 3, &[]);
    for key in [&one, &two, &base] {
        bench.expect(key, 3);
    }
    assert_eq!(stored_variants(&bench, &base), std::slice::from_ref(&base));
    bench.load(&one, 4, &[]);
    bench.expect(&one, 4);
    bench.expect(&two, 3);
}

/// Removing a base key removes it and all its variants, and answers it once.
pub fn removing_a_base_key_removes_its_variants<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let (base, near) = (key("page"), key("page2"));
    let variants = ["1", "2", "3"].map(|name| variant(&base, name));
    for (number, variant) in (0..).zip(&variants) {
        bench.load(variant, number, &[]);
    }
    bench.load(&near, 8, &[]);
    bench.load(&variant(&key("pag"), "1"), 9, &[]);

    let removed = bench.remove(Removal::Keys(std::slice::from_ref(&base)));
    assert_eq!(removed, std::slice::from_ref(&base));
    for variant in &variants {
        bench.expect_nothing(variant);
    }
    assert!(stored_variants(&bench, &base).is_empty());
    bench.expect(&near, 8);
    bench.expect(&variant(&key("pag"), "1"), 9);
    let removed = bench.remove(Removal::Keys(std::slice::from_ref(&base)));
    assert!(removed.is_empty());
}

/// Removing a variant removes it alone.
pub fn removing_a_variant_leaves_the_others<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let base = key("page");
    let (one, two) = (variant(&base, "1"), variant(&base, "2"));
    bench.load(&one, 1, &[]);
    bench.load(&two, 2, &[]);
    let removed = bench.remove(Removal::Keys(std::slice::from_ref(&one)));
    assert_eq!(removed, std::slice::from_ref(&one));
    bench.expect_nothing(&one);
    bench.expect(&two, 2);
    assert_eq!(stored_variants(&bench, &base), [two]);
}
