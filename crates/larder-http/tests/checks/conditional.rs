use larder_http::conditional::{Condition, condition, is_conditional, is_told};
use larder_http::validators::{EntityTag, Validators, etag_of};
use proptest::prelude::*;

use crate::fields;

const CHANGED: &str = "Sat, 01 Aug 2026 00:00:00 GMT";
const BEFORE: &str = "Fri, 31 Jul 2026 23:59:59 GMT";
const LATER: &str = "Sat, 01 Aug 2026 00:00:01 GMT";

fn judge(request: &[(&'static str, &str)], stored: &[(&'static str, &str)]) -> Condition {
    condition("GET", &fields(request), 200, &fields(stored))
}

fn not_modified(request: &[(&'static str, &str)], stored: &[(&'static str, &str)]) -> bool {
    judge(request, stored) == Condition::NotModified
}

#[test]
fn tags_match_weakly_in_every_form_of_the_list() {
    for wanted in [
        "\"1\"",
        "W/\"1\"",
        "\"0\", \"1\"",
        "\"0\",W/\"1\"",
        " , ,\"0\" ,\t\"1\",",
        "\"a,b\", \"1\"",
        "\"a\\\", \"1\"",
        "*",
        " * ",
    ] {
        let asked = [("if-none-match", wanted)];
        assert!(not_modified(&asked, &[("etag", "\"1\"")]), "{wanted}");
        assert!(not_modified(&asked, &[("etag", "W/\"1\"")]), "{wanted}");
    }
    let lines = [("if-none-match", "\"0\""), ("if-none-match", "\"1\"")];
    assert!(not_modified(&lines, &[("etag", "\"1\"")]));
    assert!(not_modified(&[("if-none-match", "*")], &[]));
}

#[test]
fn what_is_no_match_and_what_is_no_tag_is_sent() {
    for wanted in [
        "",
        ",",
        "1",
        "\"2\"",
        "\"1",
        "w/\"1\"",
        "W/ \"1\"",
        "\"2\" \"1\"",
        "x, \"1\"",
        "\"1\"x",
        "*, \"2\"",
        "\"*\"",
        "\"11\"",
        "\"\"",
    ] {
        let asked = [("if-none-match", wanted)];
        assert!(!not_modified(&asked, &[("etag", "\"1\"")]), "{wanted}");
    }
    let lines = [("if-none-match", "*"), ("if-none-match", "\"2\"")];
    assert!(!not_modified(&lines, &[("etag", "\"1\"")]));
    let two = [("etag", "\"1\""), ("etag", "\"2\"")];
    assert!(!not_modified(&[("if-none-match", "\"1\"")], &two));
}

#[test]
fn a_tag_counts_before_a_date() {
    let stored = [("etag", "\"1\""), ("last-modified", CHANGED)];
    let asked = [("if-none-match", "\"2\""), ("if-modified-since", CHANGED)];
    assert!(!not_modified(&asked, &stored));
    let asked = [("if-none-match", "\"1\""), ("if-modified-since", BEFORE)];
    assert!(not_modified(&asked, &stored));
    // A field that cannot be read is there all the same (RFC 9110 section 13.1.3).
    let asked = [("if-none-match", "?"), ("if-modified-since", CHANGED)];
    assert!(!not_modified(&asked, &stored));
}

#[test]
fn dates_are_compared_in_every_form_that_they_have() {
    let stored = [("last-modified", CHANGED)];
    for since in [
        CHANGED,
        LATER,
        "Saturday, 01-Aug-26 00:00:00 GMT",
        "Sat Aug  1 00:00:00 2026",
    ] {
        assert!(
            not_modified(&[("if-modified-since", since)], &stored),
            "{since}"
        );
    }
    for since in [BEFORE, "", "0", "tomorrow", "Sat, 32 Aug 2026 00:00:00 GMT"] {
        assert!(
            !not_modified(&[("if-modified-since", since)], &stored),
            "{since}"
        );
    }
    let twice = [("if-modified-since", CHANGED), ("if-modified-since", LATER)];
    assert!(!not_modified(&twice, &stored));
}

#[test]
fn no_date_of_change_is_made_up() {
    let asked = [("if-modified-since", LATER)];
    assert!(!not_modified(&asked, &[("date", CHANGED)]));
    assert!(!not_modified(&asked, &[("etag", "\"1\"")]));
}

#[test]
fn conditions_concern_pages_that_are_read_and_found() {
    let (asked, stored) = (
        fields(&[("if-none-match", "*")]),
        fields(&[("etag", "\"1\"")]),
    );
    for (method, status, judged) in [
        ("GET", 200, true),
        ("HEAD", 200, true),
        ("GET", 203, true),
        ("GET", 204, true),
        ("POST", 200, false),
        ("GET", 301, false),
        ("GET", 404, false),
        ("GET", 500, false),
    ] {
        let condition = condition(method, &asked, status, &stored);
        assert_eq!(
            condition == Condition::NotModified,
            judged,
            "{method} {status}"
        );
    }
}

#[test]
fn conditions_of_the_origin_are_not_judged() {
    let asked = fields(&[("if-match", "\"2\""), ("if-unmodified-since", BEFORE)]);
    assert!(!is_conditional(&asked));
    let stored = fields(&[("etag", "\"1\""), ("last-modified", CHANGED)]);
    assert_eq!(condition("GET", &asked, 200, &stored), Condition::Send);
}

#[test]
fn a_304_says_what_caches_go_by_and_nothing_of_the_body() {
    let told = |name: &'static str| is_told(&http::HeaderName::from_static(name));
    for name in [
        "etag",
        "cache-control",
        "content-location",
        "date",
        "expires",
        "vary",
        "age",
        "cache-status",
        "cdn-cache-control",
        "no-vary-search",
    ] {
        assert!(told(name), "{name}");
    }
    for name in [
        "content-length",
        "content-type",
        "content-encoding",
        "set-cookie",
        "x-mine",
    ] {
        assert!(!told(name), "{name}");
    }
}

#[test]
fn validators_that_cannot_be_read_are_absent() {
    for tag in ["1", "\"1", "\"a b\"", "W/1", "\"1\" x", ""] {
        assert!(
            Validators::of(&fields(&[("etag", tag)])).is_empty(),
            "{tag}"
        );
    }
    let twice = fields(&[("etag", "\"1\""), ("etag", "\"1\"")]);
    assert!(Validators::of(&twice).etag().is_some());
    assert!(!Validators::of(&fields(&[("last-modified", CHANGED)])).is_empty());
}

proptest! {
    #[test]
    fn the_tag_of_a_body_is_strong_and_its_own(
        one in proptest::collection::vec(any::<u8>(), 0..64),
        other in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let (first, second) = (etag_of(&one), etag_of(&other));
        let tag = EntityTag::parse(first.as_bytes()).unwrap();
        prop_assert!(!tag.is_weak());
        prop_assert_eq!(tag.same_bytes(&EntityTag::parse(second.as_bytes()).unwrap()), one == other);
    }

    /// Whoever sends back what it was given, alone or among others, is told that it has it.
    #[test]
    fn a_tag_is_found_in_every_list_that_has_it(
        own in "[!#-~]{0,8}",
        others in proptest::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..6),
        at in any::<proptest::sample::Index>(),
        weak in any::<bool>(),
    ) {
        let etag = format!("\"{own}\"");
        let mut list = others;
        let at = at.index(list.len() + 1);
        list.insert(at, if weak { format!("W/{etag}") } else { etag.clone() });
        let list = list.join(" , ");
        let asked = fields(&[("if-none-match", &list)]);
        let judged = condition("GET", &asked, 200, &fields(&[("etag", &etag)]));
        prop_assert_eq!(judged, Condition::NotModified);
    }
}
