//! Every parser of the crate under bytes that nobody wrote by hand: for seconds in `make test`, and as
//! many times as long in `make soak` as `LARDER_EFFORT` says.
//!
//! What is fed is a soup of the words that a parser knows, of their pieces, and of any bytes, so that
//! most of it comes past the first look.

mod targets;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// How many soups each target gets, times the effort.
const SOUPS: u64 = 2000;

fn soup(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let piece = (
        proptest::sample::select(words),
        any::<proptest::sample::Index>(),
    );
    let piece = piece.prop_map(|(word, at)| word.as_bytes()[..at.index(word.len() + 1)].to_vec());
    let mark =
        proptest::sample::select(b" ,;=\"\\\n\t%+&()*?/-:".as_slice()).prop_map(|mark| vec![mark]);
    let any_bytes = vec(any::<u8>(), 0..4);
    let part = prop_oneof![6 => word, 1 => piece, 4 => mark, 1 => any_bytes];
    vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn fuzz(words: &'static [&'static str], target: fn(&[u8])) {
    let cases = u32::try_from(SOUPS * larder_testkit::effort()).unwrap_or(u32::MAX);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let run = TestRunner::new(config).run(&soup(words), |data| {
        target(&data);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

#[test]
fn cache_control() {
    let words = &[
        "max-age",
        "s-maxage",
        "no-store",
        "no-cache",
        "private",
        "public",
        "must-revalidate",
        "=60",
        "=99999999999999999999",
        "=\"1,2\"",
        "stale-while-revalidate",
        "stale-if-error",
        "=-1",
        "=1.5",
    ];
    fuzz(words, targets::cache_control);
}

#[test]
fn targeted_fields() {
    let words = &[
        "max-age",
        "s-maxage",
        "no-store",
        "private",
        "=60",
        "=?0",
        "=?1",
        "=(1 2)",
        ";a=1",
        ", ",
        "=-1",
        "stale-if-error=5",
        "=999999999999999",
        "=9999999999999999",
        "max-age=60",
        "=1.5",
        "=\"60\"",
    ];
    fuzz(words, targets::targeted);
}

#[test]
fn requests() {
    let words = &[
        "no-cache",
        "no-store",
        "max-age",
        "min-fresh",
        "max-stale",
        "only-if-cached",
        "=5",
        "=",
        "=x",
        "\n",
        ", ",
        "=\"7\"",
        "=99999999999999999999",
    ];
    fuzz(words, targets::request_control);
}

#[test]
fn lists() {
    fuzz(
        &[
            "a",
            "\"b,c\"",
            "\\\"",
            "close",
            "x-a",
            "keep-alive",
            "cookie",
        ],
        targets::list,
    );
}

#[test]
fn vary() {
    fuzz(
        &["accept", "Cookie", "*", "x-a", "ACCEPT", "accept-language"],
        targets::vary,
    );
}

#[test]
fn keys() {
    fuzz(
        &[
            "shop.example",
            ":80",
            "%2F",
            "%7e",
            "a=1",
            "b=2",
            "/a",
            "..",
            "%zz",
            "[::1]",
        ],
        targets::keys,
    );
}

#[test]
fn cookies() {
    fuzz(
        &["theme", "theme=dark", "sid=1", "; ", "\"q;v\"", "theme = "],
        targets::cookies,
    );
}

#[test]
fn ranges() {
    let words = &[
        "bytes=",
        "0-",
        "-5",
        "0-4",
        "9",
        "18446744073709551616",
        "\"1\"",
        "W/\"1\"",
        "Sat, 01 Aug 2026 00:00:00 GMT",
        "items=",
        "-0",
    ];
    fuzz(words, targets::range);
}

#[test]
fn tags() {
    fuzz(
        &[
            "\"1\"", "W/", "\"a,b\"", "\"x\\\"", "*", "\"2\"", "\"", ", ",
        ],
        targets::tags,
    );
}

#[test]
fn dates() {
    let words = &[
        "Sat, 01 Aug 2026 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Saturday, 01-Aug-26 00:00:00 GMT",
        "Sat Aug  1 00:00:01 2026",
        "Sat",
        ", ",
        "01",
        " Aug ",
        "9999",
        "00",
        ":60",
        "GMT",
        "-1",
        "31 Feb 2027",
    ];
    fuzz(words, targets::dates);
}

#[test]
fn no_vary_search() {
    let words = &[
        "params",
        "except",
        "key-order",
        "=?1",
        "=?0",
        "=(\"a\" \"b\")",
        "(\"%C3%A9+\")",
        "a=1",
        "b=2",
        "&",
        ", ",
        "=",
        "\n",
        "%61",
        "%f6",
        "params=(\"a\")",
        "params, except=(\"a\")",
    ];
    fuzz(words, targets::no_vary_search);
}

#[test]
fn accept_encoding() {
    let words = &[
        "br", "zstd", "gzip", "x-gzip", "identity", "*", ";q=", "0", "1", "0.5", "0.001", "1.000",
        ", ", "\"1\"", "\"1-br\"", "W/", "\n", "=12",
    ];
    fuzz(words, targets::accept_encoding);
}

#[test]
fn locations() {
    let words = &[
        "http://shop.example:8000",
        "https://",
        "//",
        "/a",
        "..",
        "/./",
        "?q",
        "#f",
        "%2e%2e",
        "%",
        "[::1]",
        "@",
        ":8000",
        "shop.example",
        "\n",
        "/posts\n",
        "javascript:",
        "mailto:",
    ];
    fuzz(words, targets::location);
}
