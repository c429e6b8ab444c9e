use std::time::Instant;

use larder_http::range::{Part, Slice, part, unsatisfied};
use proptest::prelude::*;

use crate::fields;

const CHANGED: &str = "Sat, 01 Aug 2026 00:00:00 GMT";
const LATER: &str = "Sat, 01 Aug 2026 00:00:01 GMT";

fn cut(range: &str, whole: u64) -> Part {
    part(
        "GET",
        &fields(&[("range", range)]),
        200,
        &fields(&[]),
        whole,
    )
}

const fn slice(first: u64, last: u64, whole: u64) -> Part {
    Part::Slice(Slice { first, last, whole })
}

#[test]
fn one_range_is_cut() {
    for (range, expected) in [
        ("bytes=0-0", slice(0, 0, 10)),
        ("bytes=2-4", slice(2, 4, 10)),
        ("Bytes= 2-4 ", slice(2, 4, 10)),
        ("bytes=2-", slice(2, 9, 10)),
        ("bytes=2-99", slice(2, 9, 10)),
        ("bytes=0-99999999999999999999999", slice(0, 9, 10)),
        ("bytes=-3", slice(7, 9, 10)),
        ("bytes=-99", slice(0, 9, 10)),
        ("bytes=0-9", slice(0, 9, 10)),
        ("bytes=10-", Part::None),
        ("bytes=10-11", Part::None),
        ("bytes=99999999999999999999999-", Part::None),
        ("bytes=-0", Part::None),
    ] {
        assert_eq!(cut(range, 10), expected, "{range}");
    }
    assert_eq!(unsatisfied(10), "bytes */10");
}

#[test]
fn everything_else_is_whole() {
    for range in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=x-",
        "bytes=4-2",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=--1",
        "bytes 0-1",
        "bytes =0-1",
        "items=0-1",
        "bytes=0-0,2-3",
        "bytes=0-0,",
        ",bytes=0-0",
        "bytes=0-0, bytes=1-1",
        "bytes=0x1-2",
    ] {
        assert_eq!(cut(range, 10), Part::Whole, "{range}");
    }
    let lines = fields(&[("range", "bytes=0-0"), ("range", "bytes=1-1")]);
    assert_eq!(part("GET", &lines, 200, &fields(&[]), 10), Part::Whole);
}

#[test]
fn an_empty_body_has_no_parts() {
    assert_eq!(cut("bytes=0-", 0), Part::None);
    assert_eq!(cut("bytes=-0", 0), Part::None);
    assert_eq!(cut("bytes=-5", 0), Part::Whole);
}

#[test]
fn only_a_get_of_a_200_that_allows_it_is_cut() {
    let asked = fields(&[("range", "bytes=0-0")]);
    for (method, status) in [
        ("HEAD", 200),
        ("POST", 200),
        ("GET", 203),
        ("GET", 404),
        ("GET", 206),
    ] {
        let got = part(method, &asked, status, &fields(&[]), 10);
        assert_eq!(got, Part::Whole, "{method} {status}");
    }
    let refuses = fields(&[("accept-ranges", "None")]);
    assert_eq!(part("GET", &asked, 200, &refuses, 10), Part::Whole);
    let allows = fields(&[("accept-ranges", "bytes")]);
    assert_eq!(part("GET", &asked, 200, &allows, 10), slice(0, 0, 10));
}

#[test]
fn if_range_wants_the_very_same_bytes() {
    let cut = |wanted: &str, stored: &[(&'static str, &str)]| {
        let asked = fields(&[("range", "bytes=0-0"), ("if-range", wanted)]);
        part("GET", &asked, 200, &fields(stored), 10) != Part::Whole
    };
    let tagged = [("etag", "\"1\"")];
    assert!(cut("\"1\"", &tagged));
    for wanted in ["\"2\"", "W/\"1\"", "*", "", "1", CHANGED] {
        assert!(!cut(wanted, &tagged), "{wanted}");
    }
    assert!(!cut("W/\"1\"", &[("etag", "W/\"1\"")]));
    assert!(!cut("\"1\"", &[("etag", "W/\"1\"")]));
    let dated = [("last-modified", CHANGED), ("date", LATER)];
    assert!(cut(CHANGED, &dated));
    assert!(!cut(LATER, &dated));
    // It may have changed twice in the second in which it was made.
    assert!(!cut(
        CHANGED,
        &[("last-modified", CHANGED), ("date", CHANGED)]
    ));
    assert!(!cut(CHANGED, &[("last-modified", CHANGED)]));
    let two = fields(&[
        ("range", "bytes=0-0"),
        ("if-range", "\"1\""),
        ("if-range", "\"2\""),
    ]);
    assert_eq!(part("GET", &two, 200, &fields(&tagged), 10), Part::Whole);
}

#[test]
fn thousands_of_ranges_cost_what_one_costs() {
    let many = format!("bytes={}0-0", "0-0,".repeat(16_000));
    let begin = Instant::now();
    for _ in 0..1000 {
        assert_eq!(cut(&many, 10), Part::Whole);
    }
    // Copying 64 kB a thousand times; a minute would be work for each range.
    assert!(begin.elapsed() < larder_testkit::PATIENCE);
}

proptest! {
    #[test]
    fn a_slice_lies_within_the_body(range in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}", whole in any::<u64>()) {
        if let Part::Slice(cut) = cut(&range, whole) {
            prop_assert!(cut.first <= cut.last && cut.last < whole && cut.whole == whole);
            prop_assert!(cut.len() <= whole);
        }
    }

    #[test]
    fn what_is_asked_for_within_the_body_is_what_is_cut(a in 0..1000_u64, b in 0..1000_u64) {
        let (first, last) = (a.min(b), a.max(b));
        prop_assert_eq!(cut(&format!("bytes={first}-{last}"), 1000), slice(first, last, 1000));
    }
}
