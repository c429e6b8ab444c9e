use std::collections::HashSet;

use larder_core::KeyWriter;
use larder_http::{NoVarySearch, key};
use proptest::prelude::*;

use crate::fields;

fn read(value: &str) -> NoVarySearch {
    NoVarySearch::read(&fields(&[("no-vary-search", value)]))
}

fn same(field: &str, one: &str, other: &str) -> bool {
    read(field).same(Some(one.as_bytes()), Some(other.as_bytes()))
}

fn key_of(said: &NoVarySearch, query: Option<&[u8]>) -> Vec<u8> {
    let mut writer = KeyWriter::new();
    said.write_key(&mut writer, query);
    writer.into_bytes()
}

#[test]
fn parameters_that_do_not_matter_are_not_compared() {
    let tracked = "params=(\"utm_source\" \"gclid\")";
    assert!(same(tracked, "utm_source=a", ""));
    assert!(read(tracked).same(Some(b"utm_source=a"), None));
    assert!(same(tracked, "id=1&utm_source=a", "gclid=x&id=1"));
    assert!(!same(tracked, "id=1", "id=2"));
    assert!(!same(tracked, "a=1&b=2", "b=2&a=1"));
    assert!(same("params", "a=1", "b=2&c"));
    assert!(same("params, except=(\"id\")", "id=1&x=2", "y&id=1"));
    assert!(!same("params, except=(\"id\")", "id=1", "id=2"));
    assert!(same("key-order", "a=1&b=2", "b=2&a=1"));
    assert!(!same("key-order", "a=1&a=2", "a=2&a=1"));
}

#[test]
fn lines_are_one_dictionary_and_what_is_unknown_is_no_harm() {
    let lines = fields(&[
        ("no-vary-search", "params"),
        ("no-vary-search", "except=(\"id\"), new=1"),
    ]);
    assert_eq!(NoVarySearch::read(&lines), read("params, except=(\"id\")"));
    assert_eq!(read("key-order;x=1"), read("key-order=?1"));
    assert_eq!(
        read("params=(\"b\" \"a\" \"b\")"),
        read("params=(\"a\" \"b\")")
    );
}

#[test]
fn what_is_malformed_or_contradicts_itself_says_nothing() {
    for value in [
        "",
        "unknown",
        "key-order=\"x\"",
        "key-order=1",
        "params=\"x\"",
        "params=1",
        "params=(x)",
        "params=(1)",
        "params=(\"a\"), except=(\"x\")",
        "params=(), except=()",
        "params=?0, except=(\"x\")",
        "params, except=(x)",
        "params, except=\"x\"",
        "params, except=?1",
        "except=(\"x\")",
        "except=()",
        "params=(\"a\"",
        "Params",
        "params=(\"é\")",
        "params,, key-order",
        "params=?0",
        "params=()",
        "key-order=?0",
    ] {
        assert!(read(value).is_nothing(), "{value}");
    }
    assert!(read(&format!("params=(\"{}\")", "a".repeat(9000))).is_nothing());
    assert!(NoVarySearch::read(&fields(&[])).is_nothing());
}

/// The equivalences of the draft, for whatever the field says.
#[test]
fn queries_are_compared_as_their_reader_sees_them() {
    for (one, other) in [
        ("", "&&"),
        ("a=x", "%61=%78"),
        ("a=\u{e9}", "a=%C3%A9"),
        ("a=%f6", "a=%ef%bf%bd"),
        ("a=x&&&&", "a=x"),
        ("a=", "a"),
        ("a=%20", "a=+"),
        ("a=+", "a= &"),
    ] {
        assert!(same("key-order", one, other), "{one} and {other}");
        assert_eq!(
            key_of(&read("key-order"), Some(one.as_bytes())),
            key_of(&read("key-order"), Some(other.as_bytes()))
        );
        assert!(
            !same("", one, other),
            "without a field, {one} and {other} are two"
        );
    }
    assert!(read("key-order").same(None, Some(b"")));
    for spelling in [
        "\u{e9} \u{6c17}=1",
        "\u{e9}+\u{6c17}=2",
        "%C3%A9%20\u{6c17}=3",
        "%C3%A9+%E6%B0%97=4",
    ] {
        assert!(
            same("params=(\"%C3%A9+%E6%B0%97\")", spelling, ""),
            "{spelling}"
        );
    }
}

#[test]
fn a_field_that_says_nothing_leaves_the_key_as_it_is() {
    let said = read("except=()");
    for query in [None, Some(&b""[..]), Some(b"b=1&a=2")] {
        let mut plain = KeyWriter::new();
        key::query(&mut plain, query);
        assert_eq!(key_of(&said, query), plain.into_bytes());
    }
}

#[test]
fn answers_that_say_different_things_never_share_a_key() {
    let said = [
        "",
        "key-order",
        "params",
        "params=(\"a\")",
        "params, except=(\"a\")",
        "params=(\"a\" \"b\")",
        "params, key-order",
        "params=(\"b\"), key-order",
    ];
    let keys: HashSet<_> = said
        .iter()
        .map(|field| key_of(&read(field), Some(b"")))
        .collect();
    assert_eq!(keys.len(), said.len());
}

proptest! {
    #[test]
    fn one_key_means_the_same_answer(
        field in prop_oneof![
            Just("key-order"), Just("params"), Just("params=(\"a\")"),
            Just("params, except=(\"a\" \"b\")"), Just("params=(\"a\" \"+\"), key-order"),
        ],
        one in "[ab=&%+61c]{0,12}",
        other in "[ab=&%+61c]{0,12}",
    ) {
        let said = read(field);
        let keys = [&one, &other].map(|query| key_of(&said, Some(query.as_bytes())));
        prop_assert_eq!(keys[0] == keys[1], same(field, &one, &other));
    }
}
