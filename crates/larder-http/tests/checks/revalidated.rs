use larder_http::revalidated::{selects, update};

use crate::fields;

const ONE: &str = "Sat, 01 Aug 2026 00:00:00 GMT";
const TWO: &str = "Sat, 01 Aug 2026 00:00:01 GMT";

#[test]
fn a_304_speaks_of_the_answer_with_its_validators() {
    let selects = |stored: &[(&'static str, &str)], new: &[(&'static str, &str)]| {
        selects(&fields(stored), &fields(new))
    };
    let strong = [("etag", "\"1\"")];
    let weak = [("etag", "W/\"1\"")];
    assert!(selects(&strong, &strong) && selects(&strong, &weak) && selects(&weak, &weak));
    assert!(!selects(&weak, &strong) && !selects(&[], &strong));
    assert!(!selects(&strong, &[("etag", "W/\"2\"")]));
    assert!(selects(&strong, &[]) && selects(&[], &[]));
    assert!(selects(
        &[("last-modified", ONE)],
        &[("last-modified", ONE)]
    ));
    assert!(!selects(
        &[("last-modified", ONE)],
        &[("last-modified", TWO)]
    ));
    let both = [("etag", "\"1\""), ("last-modified", ONE)];
    assert!(selects(&both, &[("etag", "\"1\""), ("last-modified", TWO)]));
}

#[test]
fn fields_are_replaced_line_by_line_and_those_of_the_body_stay() {
    let mut stored = fields(&[
        ("cache-control", "max-age=1"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-kept", "old"),
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("content-length", "7"),
    ]);
    let new = fields(&[
        ("cache-control", "max-age=2"),
        ("x-many", "3"),
        ("x-new", "1"),
        ("content-type", "text/plain"),
        ("content-encoding", "br"),
        ("content-length", "0"),
        ("content-range", "bytes 0-0/1"),
        ("connection", "x-private"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
    ]);
    update(&mut stored, &new);
    let expected = fields(&[
        ("cache-control", "max-age=2"),
        ("x-many", "3"),
        ("x-kept", "old"),
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("content-length", "7"),
        ("x-new", "1"),
    ]);
    assert_eq!(stored, expected);
}
