//! The rules as tables, and what holds for every input.

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use larder_core::{KeyWriter, Reason};
use larder_http::{CacheControl, CacheStatus, Forward, Told, age, fields, key, storable};
use proptest::prelude::*;
use sfv::{ListEntry, Parser};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn nothing(_: &HeaderName) -> bool {
    false
}

fn variant(write: impl Fn(&mut KeyWriter)) -> Vec<u8> {
    let mut writer = KeyWriter::new();
    write(&mut writer);
    writer.into_bytes()
}

fn query(text: &str) -> Vec<u8> {
    variant(|writer| key::query(writer, Some(text.as_bytes())))
}

#[test]
fn requests_that_the_cache_may_answer() {
    let ask = |method: &str, pairs: &[(&'static str, &str)]| {
        storable::askable(method, &headers(pairs), &nothing)
    };
    assert_eq!(ask("GET", &[]), Ok(()));
    assert_eq!(ask("HEAD", &[("range", "bytes=0-1")]), Ok(()));
    for method in ["POST", "get", "OPTIONS", "CONNECT", ""] {
        assert_eq!(ask(method, &[]), Err(Reason::Method), "{method}");
    }
    assert_eq!(ask("GET", &[("upgrade", "h2c")]), Err(Reason::Stream));
    assert_eq!(ask("GET", &[("content-length", "0")]), Ok(()));
    assert_eq!(ask("GET", &[("content-length", "7")]), Err(Reason::Stream));
    assert_eq!(
        ask("GET", &[("transfer-encoding", "chunked")]),
        Err(Reason::Stream)
    );
    assert_eq!(
        ask("GET", &[("authorization", "")]),
        Err(Reason::Authorization)
    );
    assert_eq!(ask("GET", &[("cookie", "")]), Err(Reason::Cookie));
    let both = headers(&[("authorization", "x"), ("cookie", "y")]);
    let in_key = |name: &HeaderName| name == AUTHORIZATION || name == COOKIE;
    assert_eq!(storable::askable("GET", &both, &in_key), Ok(()));
}

#[test]
fn pairs_of_a_foreign_server_are_read_like_a_header_map() {
    let pairs: [(&str, &[u8]); 2] = [("VARY", b"Accept"), ("Set-Cookie", b"sid=1")];
    let told = Told::default();
    let refused = storable::shareable(pairs.as_slice(), &told, &nothing);
    assert_eq!(refused, Err(Reason::SetCookie));
    let refused = storable::shareable(&pairs[..1], &told, &nothing);
    assert_eq!(refused, Err(Reason::Vary("accept".into())));
    let in_key = |name: &HeaderName| name == "accept";
    assert_eq!(storable::shareable(&pairs[..1], &told, &in_key), Ok(()));
}

#[test]
fn a_vary_that_cannot_be_read_is_outside_every_key() {
    for value in ["*", "a b", "accept, *", "@"] {
        let answer = headers(&[("vary", value)]);
        let refused = storable::shareable(&answer, &Told::default(), &|name| name == "accept");
        assert!(matches!(refused, Err(Reason::Vary(_))), "{value}");
    }
    let nameless = headers(&[("vary", " , ")]);
    assert_eq!(
        storable::shareable(&nameless, &Told::default(), &nothing),
        Ok(())
    );
}

#[test]
fn directives_are_read_as_the_rfc_has_them() {
    let read = |value: &str| CacheControl::read(&headers(&[("cache-control", value)]));
    assert_eq!(read("").max_age, None);
    assert_eq!(read("max-age").max_age, Some(0));
    assert_eq!(read("max-age=-1").max_age, Some(0));
    assert_eq!(read("max-age=1.5").max_age, Some(0));
    assert_eq!(read("max-age=5, max-age=3").max_age, Some(3));
    assert_eq!(read("max-age=99999999999999999999").max_age, Some(u64::MAX));
    assert_eq!(read("MAX-AGE = 7").max_age, Some(7));
    assert!(read("a=\"\\\", no-store\", private").private);
    assert!(!read("a=\"\\\", no-store\", private").no_store);
    assert!(read("proxy-revalidate").never_stale());
    assert!(!read("proxy-revalidate").must_revalidate);
    assert!(!read("x-private, no-storex").private);
}

#[test]
fn what_concerns_one_connection_goes() {
    let mut answer = headers(&[
        ("connection", "close, X-Mine"),
        ("x-mine", "1"),
        ("keep-alive", "1"),
        ("transfer-encoding", "chunked"),
        ("x-yours", "1"),
    ]);
    fields::remove_hop_by_hop(&mut answer);
    assert_eq!(answer, headers(&[("x-yours", "1")]));
    assert!(!answer.contains_key(CONNECTION));
}

#[test]
fn ages_add_up_and_end() {
    assert_eq!(age::on_arrival(&headers(&[("age", "7"), ("age", "9")])), 9);
    assert_eq!(age::on_arrival(&headers(&[("age", "7, 9")])), 9);
    assert_eq!(
        age::on_arrival(&headers(&[("age", "99999999999999999999")])),
        1 << 31
    );
    for nonsense in ["-1", "+1", "x", "", "1.5"] {
        assert_eq!(age::on_arrival(&headers(&[("age", nonsense)])), 0);
    }
    assert_eq!(age::age(u64::MAX, std::time::Duration::MAX), 1 << 31);
}

#[test]
fn hosts_are_the_same_in_any_case_and_with_the_port_that_the_scheme_implies() {
    let host = |scheme, host: &[u8]| variant(|writer| key::host(writer, scheme, host));
    assert_eq!(host(None, b"Shop.Example"), host(None, b"shop.example"));
    assert_eq!(host(Some("http"), b"a:80"), host(Some("http"), b"a"));
    assert_ne!(host(Some("https"), b"a:80"), host(Some("https"), b"a"));
    assert_ne!(host(None, b"a:80"), host(None, b"a"));
    assert_ne!(host(Some("http"), b"a"), host(Some("https"), b"a"));
    assert_ne!(host(None, b""), host(Some(""), b""));
}

#[test]
fn absent_and_empty_are_two() {
    let none = variant(|writer| key::query(writer, None));
    assert_ne!(query(""), none);
    assert_ne!(query("a"), query("a="));
    let header = |answer: &HeaderMap| variant(|writer| key::header(writer, answer, &VARY));
    assert_ne!(header(&headers(&[])), header(&headers(&[("vary", "")])));
    assert_ne!(
        header(&headers(&[("vary", "a, b")])),
        header(&headers(&[("vary", "a"), ("vary", "b")]))
    );
}

#[test]
fn one_cookie_is_found_wherever_it_stands() {
    let theme = |line: &str| {
        let asked = headers(&[("cookie", line)]);
        variant(|writer| key::cookie(writer, &asked, "theme"))
    };
    assert_eq!(theme("theme=dark"), theme("sid=1;theme=dark ; x"));
    assert_ne!(theme("theme=dark"), theme("theme=light"));
    assert_ne!(theme("theme=dark"), theme("xtheme=dark"));
    assert_ne!(theme("theme=dark"), theme("theme=dark; theme=light"));
    assert_ne!(
        theme("theme=light; theme=dark"),
        theme("theme=dark; theme=light")
    );
}

#[test]
fn chosen_parameters_are_compared_as_their_reader_sees_them() {
    let only = |text: &str| variant(|w| key::query_only(w, Some(text.as_bytes()), &["a b"]));
    assert_eq!(only("x=1"), only(""));
    assert_eq!(only("a+b=1&x=1"), only("a+b=1"));
    assert_ne!(only("a%20b=1"), only(""));
    let except = |text: &str| variant(|w| key::query_except(w, Some(text.as_bytes()), &["utm"]));
    assert_eq!(except("a=1&%75tm=x&utm"), except("a=1"));
    assert_ne!(except("utmx=1"), except(""));
}

/// The one member of a `Cache-Status`, as a parser of structured fields reads it.
fn member(text: &str) -> (String, Vec<String>) {
    let list = Parser::new(text).parse::<sfv::List>().expect(text);
    let [ListEntry::Item(item)] = list.as_slice() else {
        panic!("not one item: {text}");
    };
    let names = item.params.keys().map(ToString::to_string).collect();
    (
        item.bare_item.as_token().expect("a token").to_string(),
        names,
    )
}

#[test]
fn each_status_has_one_of_hit_and_fwd() {
    let statuses = [
        (CacheStatus::hit(Some(-7)).with("stale"), "hit ttl detail"),
        (CacheStatus::hit(None), "hit"),
        (CacheStatus::hit(None).origin_said(503), "hit"),
        (
            CacheStatus::forward(Forward::Request)
                .origin_said(304)
                .ttl(Some(60))
                .key("a \u{e9} \" \\ \n"),
            "fwd fwd-status ttl key",
        ),
        (CacheStatus::forward(Forward::Stale).stored(), "fwd stored"),
        (
            CacheStatus::forward(Forward::Miss).collapsed(),
            "fwd collapsed",
        ),
        (CacheStatus::pass(&Reason::Method), "fwd detail"),
        (
            CacheStatus::pass(&Reason::Store("10.0.0.7 is down".into())),
            "fwd detail",
        ),
    ];
    for (status, names) in statuses {
        let text = status.to_string();
        assert_eq!(
            member(&text),
            (
                "Larder".to_owned(),
                names.split(' ').map(Into::into).collect()
            )
        );
        assert!(!text.contains("10.0.0.7"), "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_the_detail_the_status_can_be_parsed(detail in ".*", ttl in any::<i64>()) {
        let status = CacheStatus::hit(Some(ttl)).with(detail.clone());
        let text = status.to_string();
        prop_assert!(text.is_ascii() && !text.chars().any(|c| c.is_control()));
        let (_, names) = member(&text);
        prop_assert_eq!(names, ["hit", "ttl", "detail"]);
    }

    #[test]
    fn reading_directives_never_fails(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        let pairs: [(&str, &[u8]); 1] = [("cache-control", &value)];
        CacheControl::read(pairs.as_slice());
    }

    /// Sorting may merge queries only if every reader of forms sees the same values for each name.
    #[test]
    fn two_queries_with_one_key_say_the_same(
        one in proptest::collection::vec(("[ab%+61]{1,3}", "[ab=]{0,2}"), 0..5),
        seed in any::<u64>(),
    ) {
        let text = |pairs: &[(String, String)]| {
            let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            pairs.join("&")
        };
        let mut other = one.clone();
        if !other.is_empty() {
            let by = usize::try_from(seed % other.len() as u64).unwrap();
            other.rotate_left(by);
        }
        let values = |pairs: &[(String, String)]| {
            let mut by_name: std::collections::BTreeMap<Vec<u8>, Vec<String>> = Default::default();
            for (name, value) in pairs {
                let spaced = name.replace('+', " ");
                let name = percent_encoding::percent_decode_str(&spaced).collect();
                by_name.entry(name).or_default().push(value.clone());
            }
            by_name
        };
        let same = query(&text(&one)) == query(&text(&other));
        if same {
            prop_assert_eq!(values(&one), values(&other));
        }
        if one == other {
            prop_assert!(same);
        }
    }
}
