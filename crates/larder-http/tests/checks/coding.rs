use http::{HeaderMap, HeaderValue};
use larder_http::coding::{Accept, Codings, choose, describe, is_form_of, may_be_coded, select};
use larder_http::coding::{FIELD, tag_in, with_plain_tags};
use larder_http::{Coding, Coding::*};

use crate::fields;

fn chosen(accepts: &str) -> Option<Coding> {
    choose(&fields(&[("accept-encoding", accepts)]), &Coding::ALL)
}

#[test]
fn weights_decide_and_of_equal_ones_the_order_of_the_server() {
    for (accepts, gets) in [
        ("gzip, deflate, br, zstd", Some(Brotli)),
        ("gzip;q=1.0, zstd;q=1, br;q=0.999", Some(Zstd)),
        ("gzip", Some(Gzip)),
        ("GZIP , X-foo", Some(Gzip)),
        ("x-gzip;q=0.2", Some(Gzip)),
        ("br;q=0.001", Some(Brotli)),
        ("br;q=0", None),
        ("br;q=0, *", Some(Zstd)),
        ("*", Some(Brotli)),
        ("*;q=0.4, identity;q=0.5", None),
        ("*;q=0.5, identity;q=0.4", Some(Brotli)),
        ("identity", None),
        ("identity, br;q=0.9", None),
        ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
        ("", None),
        ("deflate, compress", None),
        ("*;q=0", None),
        ("identity;q=0", None),
        ("identity;q=0, gzip", Some(Gzip)),
        // Named twice: what is refused once is refused.
        ("br, br;q=0, gzip", Some(Gzip)),
    ] {
        assert_eq!(chosen(accepts), gets, "{accepts:?}");
    }
    assert_eq!(choose(&HeaderMap::new(), &Coding::ALL), None);
    let order = [Gzip, Brotli];
    let all = fields(&[("accept-encoding", "br, gzip, zstd")]);
    assert_eq!(choose(&all, &order), Some(Gzip));
    assert_eq!(choose(&all, &[]), None);
    let lines = fields(&[("accept-encoding", "br;q=0"), ("accept-encoding", "gzip")]);
    assert_eq!(choose(&lines, &Coding::ALL), Some(Gzip));
}

#[test]
fn malformed_members_are_passed_over_and_a_flood_is_not_read() {
    for member in [
        "br;q=2",
        "br;q=1.001",
        "br;q=0.0001",
        "br;q=.5",
        "br;q=-1",
        "br;q=",
        "br;q=a",
        "br;q",
        "br;level=9",
        "b r",
        "br=1",
        "br;q=1;q=1",
        "\"br\"",
    ] {
        assert_eq!(chosen(member), None, "{member}");
        assert_eq!(
            chosen(&format!("{member}, gzip;q=0.3")),
            Some(Gzip),
            "{member}"
        );
    }
    for weight in ["0.", "0.0", "0.000", "0"] {
        assert_eq!(chosen(&format!("br;q={weight}")), None, "{weight}");
    }
    assert_eq!(chosen("br ; Q=0.5"), Some(Brotli));
    let flood = "x, ".repeat(100);
    assert_eq!(chosen(&format!("gzip, {flood} br")), Some(Gzip));
    let accept = Accept::read(&fields(&[("accept-encoding", "identity;q=0, *;q=0.1")]));
    assert!(!accept.takes_plain() && accept.takes(Zstd));
}

#[test]
fn a_form_that_the_client_has_and_takes_is_the_one_it_gets() {
    let tag: Option<&[u8]> = Some(b"\"1\"");
    for (accepts, had, gets) in [
        ("br, gzip", "\"1-gzip\"", Some(Gzip)),
        ("br, gzip", "\"1\", \"1-gzip\"", Some(Gzip)),
        ("br, gzip", "\"1-gzip\", W/\"1-br\"", Some(Brotli)),
        ("br, gzip", "\"1\"", None),
        ("br, identity;q=0", "\"1\"", Some(Brotli)),
        ("gzip", "\"1-br\"", Some(Gzip)),
        ("br, gzip", "*", Some(Brotli)),
        ("br, gzip", "\"2-gzip\"", Some(Brotli)),
    ] {
        let request = fields(&[("accept-encoding", accepts), ("if-none-match", had)]);
        assert_eq!(select(&request, &Coding::ALL, tag), gets, "{accepts} {had}");
    }
    let range = |accepts| fields(&[("accept-encoding", accepts), ("range", "bytes=0-1")]);
    assert_eq!(select(&range("br"), &Coding::ALL, tag), None);
    assert_eq!(
        select(&range("br, identity;q=0"), &Coding::ALL, tag),
        Some(Brotli)
    );
}

#[test]
fn tags_of_codings_differ_and_lead_back() {
    assert_eq!(tag_in(b" \"a,b\" ", Zstd).unwrap(), b"\"a,b-zstd\"");
    assert_eq!(tag_in(b"\"\"", Brotli).unwrap(), b"\"-br\"");
    for none in ["", "\"", "x", "\"a\"b", "w/\"a\""] {
        assert_eq!(tag_in(none.as_bytes(), Brotli), None, "{none}");
    }
    let back =
        |value: &str| with_plain_tags(value.as_bytes()).map(|new| String::from_utf8(new).unwrap());
    assert_eq!(
        back("\"1-br\", \"2\", \"3-gzip\"").unwrap(),
        "\"1-br\", \"2\", \"3-gzip\", \"1\", \"3\""
    );
    for none in ["*", "\"1\"", "W/\"1-br\"", "1-br", ""] {
        assert_eq!(back(none), None, "{none}");
    }
    // What cannot be read names nothing, and must not name two things.
    let mut headers = fields(&[("etag", "1"), ("x-a", "b")]);
    describe(&mut headers, Gzip, 5);
    assert!(!headers.contains_key("etag") && headers["content-length"] == "5");
}

#[test]
fn only_whole_answers_that_are_worth_it_and_left_free_are_coded() {
    let html = ("content-type", "Text/HTML ; charset=utf-8");
    let may = |status, pairs: &[(&'static str, &str)], length| {
        may_be_coded(status, &fields(pairs), length)
    };
    assert!(may(200, &[html], Some(1024)) && may(404, &[html], None));
    assert!(!may(200, &[html], Some(1023)));
    for status in [101, 204, 205, 206, 304] {
        assert!(!may(status, &[html], None), "{status}");
    }
    for (name, value) in [
        ("content-encoding", "identity"),
        ("content-range", "bytes 0-1/2"),
        ("content-digest", "x"),
        ("repr-digest", "x"),
        ("digest", "x"),
        ("content-md5", "x"),
        ("cache-control", "public, NO-transform"),
        ("content-type", "text/html"),
    ] {
        assert!(!may(200, &[html, (name, value)], None), "{name}");
    }
    assert!(may(
        200,
        &[html, ("cache-control", "x=\", no-transform\"")],
        None
    ));
    for (kind, worth) in [
        ("application/json", true),
        ("application/problem+json", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("text/event-stream", false),
        ("image/png", false),
        ("video/mp4", false),
        ("application/zip", false),
        ("font/woff2", false),
        ("", false),
    ] {
        assert_eq!(may(200, &[("content-type", kind)], None), worth, "{kind}");
    }
    assert!(!may(200, &[], None));
}

#[test]
fn what_is_noted_of_a_page_comes_back() {
    let read = |value: &str| {
        let value = HeaderValue::from_str(value).unwrap();
        Codings::read(&HeaderMap::from_iter([(FIELD, value)]))
    };
    let noted = read("gzip=12, br=18446744073709551615");
    assert_eq!(noted.all(), [Gzip, Brotli]);
    assert_eq!(
        (noted.length(Brotli), noted.length(Zstd)),
        (Some(u64::MAX), None)
    );
    assert_eq!(read(&noted.value().unwrap()), noted);
    for none in [
        "",
        "br",
        "br=",
        "br=-1",
        "deflate=1",
        "br=1x",
        "br=18446744073709551616",
    ] {
        assert!(read(none).is_empty(), "{none}");
    }
    assert_eq!(
        read("br=1, br=2, gzip=3, zstd=4, x-gzip=5")
            .value()
            .unwrap(),
        "br=1, gzip=3, zstd=4"
    );
}

#[test]
fn what_lies_in_the_place_of_a_form_is_known_by_its_tag_its_length_and_its_coding() {
    let page = fields(&[("etag", "\"1\""), ("content-length", "5000")]);
    let form = |tag: &'static str, length: &'static str, coding: &'static str| {
        [
            ("Content-Encoding", coding),
            ("ETag", tag),
            ("Content-Length", length),
        ]
    };
    let is_form = |page: &HeaderMap, form: &[(&str, &str)]| is_form_of(form, page, (Brotli, 700));
    let own = form("\"1-br\"", "700", "br");
    assert!(is_form(&page, &own));
    for other in [
        form("\"2-br\"", "700", "br"),
        form("\"1\"", "700", "br"),
        form("W/\"1-br\"", "700", "br"),
        form("\"1-br\"", "701", "br"),
        form("\"1-br\"", "5000", "br"),
        form("\"1-br\"", "700", "gzip"),
        form("\"1-br\"", "700", ""),
    ] {
        assert!(!is_form(&page, &other), "{other:?}");
    }
    for missing in 0..own.len() {
        let mut left = own.to_vec();
        left.remove(missing);
        assert!(!is_form(&page, &left), "{left:?}");
        // Said twice, it may mean anything.
        let twice = [&own[..], &own[missing..=missing]].concat();
        assert!(!is_form(&page, &twice), "{twice:?}");
    }
    // Two pages without a tag, or with one that cannot be read, are not known to be the same.
    for page in [fields(&[]), fields(&[("etag", "1")])] {
        assert!(!is_form(&page, &own));
        assert!(!is_form(&page, &[own[0], own[2]]));
    }
}
