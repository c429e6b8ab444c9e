//! What a fuzzer calls: each target takes any bytes, and panics when a promise is broken. Lines of bytes
//! are values of a field, or of several.

use http::HeaderName;
use http::header::{self, HeaderMap, HeaderValue};
use larder_core::{KeyWriter, Timestamp};
use larder_http::coding::{Accept, Codings, choose, select, tag_in, with_plain_tags};
use larder_http::conditional::{Condition, condition};
use larder_http::invalidation::named;
use larder_http::key::page::{Path, Place, base, variant};
use larder_http::range::{Part, part};
use larder_http::validators::{EntityTag, Validators};
use larder_http::{
    CacheControl, Coding, Fields, NoVarySearch, RequestControl, Requests, Told, Vary, age, dates,
    fields, key, storable,
};

type Pair<'a> = (&'a str, &'a [u8]);

/// The bytes as values of one field, a line each.
fn lines<'a>(name: &'a str, data: &'a [u8]) -> Vec<Pair<'a>> {
    data.split(|&byte| byte == b'\n')
        .map(|line| (name, line))
        .collect()
}

/// The bytes as values of these fields in turn, a line each.
fn in_turn<'a>(names: &[&'a str], data: &'a [u8]) -> Vec<Pair<'a>> {
    let lines = data.split(|&byte| byte == b'\n');
    names.iter().cycle().copied().zip(lines).collect()
}

/// What a `HeaderMap` takes of the pairs; servers hand over no other bytes.
fn map(pairs: &[Pair<'_>]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
    }
    map
}

/// `Cache-Control`: what forbids storing is seen wherever it stands, unless a quote swallows it.
pub(crate) fn cache_control(data: &[u8]) {
    let mut pairs = lines("cache-control", data);
    let read = CacheControl::read(pairs.as_slice());
    pairs.push(("Cache-Control", b"No-Store , private, max-age=0"));
    let more = CacheControl::read(pairs.as_slice());
    assert!(more.no_store && more.private && more.max_age == Some(0));
    assert_eq!(more.s_maxage, read.s_maxage);
    let told = Told::read(pairs.as_slice(), &[], Timestamp::EPOCH);
    assert!(storable::shareable(pairs.as_slice(), &told, &|_| true).is_err());
}

/// A targeted field: it is a dictionary of structured fields, or nothing; and with it, nothing else counts.
pub(crate) fn targeted(data: &[u8]) {
    let cdn = HeaderName::from_static("cdn-cache-control");
    let mut pairs = lines("cdn-cache-control", data);
    let read = CacheControl::targeted(pairs.as_slice(), &cdn);
    pairs.push(("cache-control", b"no-store, max-age=7, stale-if-error=7"));
    pairs.push(("expires", b"0"));
    let told = Told::read(pairs.as_slice(), &[cdn], Timestamp::EPOCH);
    assert_eq!(told.targeted, read.is_some());
    match read {
        None => assert!(told.refuses.is_some()),
        Some(own) => {
            let left = told.lifetime.map(|left| left.as_secs());
            assert_eq!(left, own.s_maxage.or(own.max_age));
            let told = told.stale_if_error.map(|window| window.as_secs());
            assert_eq!(told, own.stale_if_error);
        }
    }
}

/// What a request asks: more directives never make it accept more, and nothing accepts what `no-cache`
/// refuses.
pub(crate) fn request_control(data: &[u8]) {
    let mut pairs = in_turn(&["cache-control", "pragma"], data);
    let asked = RequestControl::read(pairs.as_slice());
    assert_eq!(
        RequestControl::obeyed(pairs.as_slice(), Requests::Ignore, true),
        RequestControl::default()
    );
    pairs.push(("Cache-Control", b"max-age=10, min-fresh=10"));
    let more = RequestControl::read(pairs.as_slice());
    for (age, left, since) in [(0, 60, 0), (20, 5, 0), (u64::MAX, 0, u64::MAX), (5, 20, 0)] {
        let span = std::time::Duration::from_secs;
        let (age, left, since) = (span(age), span(left), span(since));
        // `Pragma` counts only where there is no `Cache-Control`.
        if more.no_cache == asked.no_cache {
            assert!(asked.accepts(age, left, since) || !more.accepts(age, left, since));
        }
        assert!(!asked.no_cache || !asked.accepts(age, left, since));
    }
}

/// The members of a list: none is empty, and together they are no longer than what they come from.
pub(crate) fn list(data: &[u8]) {
    let pairs = lines("x", data);
    let mut length = 0;
    fields::members(
        pairs.as_slice(),
        &HeaderName::from_static("x"),
        &mut |member| {
            assert!(!member.is_empty() && member == member.trim_ascii());
            length += member.len();
        },
    );
    assert!(length <= data.len());
    let mut map = map(&in_turn(&["connection", "x-a", "keep-alive"], data));
    fields::remove_hop_by_hop(&mut map);
    assert!(!map.contains_key(header::CONNECTION) && !map.contains_key("keep-alive"));
}

/// `Vary` and what a key holds: an answer is shareable only if every name that it says is in the key.
pub(crate) fn vary(data: &[u8]) {
    let pairs = lines("vary", data);
    let in_key = |name: &HeaderName| name == header::ACCEPT || name == header::COOKIE;
    let stored = storable::shareable(pairs.as_slice(), &Told::default(), &in_key).is_ok();
    match Vary::read(pairs.as_slice()) {
        Vary::Everything => assert!(!stored || data.len() > 64),
        Vary::On(names) => {
            assert_eq!(stored, names.iter().all(in_key), "{names:?}");
            assert!(names.is_sorted_by(|one, other| one.as_str() < other.as_str()));
            let vary = Vary::On(names);
            if let Some(value) = vary.value() {
                let again = [("vary", value.as_bytes())];
                assert_eq!(Vary::read(again.as_slice()), vary);
            }
        }
    }
}

fn key(write: impl Fn(&mut KeyWriter)) -> Vec<u8> {
    let mut writer = KeyWriter::new();
    write(&mut writer);
    writer.into_bytes()
}

/// The parts of a key: made of any bytes, and the same for the same ones, however they are handed over.
pub(crate) fn keys(data: &[u8]) {
    let cut = data
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(data.len());
    let (host, rest) = data.split_at(cut);
    let place = Place {
        scheme: "http",
        host,
        mount: b"",
        path: Path::Raw(rest),
    };
    let whole = key(|writer| variant(writer, &place));
    let loud = host.to_ascii_uppercase();
    let shouted = Place {
        host: &loud,
        ..place
    };
    assert_eq!(whole, key(|writer| variant(writer, &shouted)));
    assert!(base(Path::Raw(rest)).starts_with(b"view//"));
    assert!(std::str::from_utf8(&base(Path::Decoded(rest))).is_ok());

    let all = key(|writer| key::query_except(writer, Some(rest), &["\u{0}none"]));
    assert_eq!(all, key(|writer| key::query(writer, Some(rest))));
    let none = key(|writer| key::query_only(writer, Some(rest), &["\u{0}none"]));
    assert_eq!(none, key(|writer| key::query(writer, Some(b""))));

    let pairs = lines("accept", rest);
    let header = key(|writer| key::header(writer, pairs.as_slice(), &header::ACCEPT));
    if map(&pairs).get_all(header::ACCEPT).iter().count() == pairs.len() {
        let mapped = map(&pairs);
        // A map trims nothing that a server would not have trimmed.
        assert_eq!(
            header,
            key(|writer| key::header(writer, &mapped, &header::ACCEPT))
        );
    }
}

/// Cookies: a key holds one cookie's value, wherever it stands among others.
pub(crate) fn cookies(data: &[u8]) {
    let theme = |pairs: &[Pair<'_>]| key(|writer| key::cookie(writer, pairs, "theme"));
    let pairs = lines("cookie", data);
    let alone = theme(&pairs);
    let mut among = vec![("Cookie", &b"sid=1; xtheme=2"[..])];
    among.extend(&pairs);
    among.push(("cookie", b"theme2=3"));
    assert_eq!(theme(&among), alone);
    among.push(("cookie", b"theme=4"));
    assert_ne!(theme(&among), alone, "one value more");
}

/// `Range` and `If-Range`: a slice lies within the body, and 206 is given to no request that says
/// another tag than the stored one.
pub(crate) fn range(data: &[u8]) {
    let request = in_turn(&["range", "if-range"], data);
    let stored = [
        ("etag", "\"1\""),
        ("last-modified", "Sat, 01 Aug 2026 00:00:00 GMT"),
        ("date", "Sat, 01 Aug 2026 00:00:01 GMT"),
    ];
    for whole in [0, 1, 10, u64::MAX] {
        let cut = part("GET", request.as_slice(), 200, stored.as_slice(), whole);
        if let Part::Slice(cut) = cut {
            assert!(cut.first <= cut.last && cut.last < whole);
            assert!(cut.len() <= whole && !data.contains(&b','));
        }
        if cut != Part::Whole {
            assert_eq!(
                request.iter().filter(|(name, _)| *name == "range").count(),
                1
            );
        }
    }
}

/// `If-None-Match`: nobody is told to keep what has another tag.
pub(crate) fn tags(data: &[u8]) {
    let request = lines("if-none-match", data);
    let judge = |etag: &str| {
        let stored = [("etag", etag)];
        condition("GET", request.as_slice(), 200, stored.as_slice()) == Condition::NotModified
    };
    let any = data.trim_ascii() == b"*";
    let says = |text: &[u8]| data.windows(text.len()).any(|part| part == text);
    for etag in ["\"1\"", "\"a,b\"", "W/\"x\\\""] {
        let quoted = etag.trim_start_matches("W/").as_bytes();
        assert!(!judge(etag) || any || says(quoted), "{etag}");
    }
    let stored = [("etag", data)];
    if EntityTag::parse(data).is_some() {
        // Faces take a short way here: a tag that can be read matches itself. No line has a line break.
        let asked = [("if-none-match", data.trim_ascii())];
        let judged = condition("GET", asked.as_slice(), 200, stored.as_slice());
        assert_eq!(judged, Condition::NotModified);
    }
    if let Some(tag) = EntityTag::parse(data) {
        let text = [("etag", data)];
        assert!(Validators::of(text.as_slice()).etag() == Some(tag));
        assert!(tag.same(&tag) && tag.same_bytes(&tag) != tag.is_weak());
    }
}

/// Dates: what is read can be written and read again, and a request from before the change is answered.
pub(crate) fn dates(data: &[u8]) {
    let request = lines("if-modified-since", data);
    let stored = [("last-modified", "Sat, 01 Aug 2026 00:00:00 GMT")];
    let judged = condition("GET", request.as_slice(), 200, stored.as_slice());
    let read = Validators::of(lines("last-modified", data).as_slice()).last_modified;
    let changed = Timestamp::from_millis(1_785_542_400_000);
    let known = read.is_some_and(|since| since >= changed);
    assert_eq!(judged == Condition::NotModified, known);
    if let Some(date) = read {
        assert_eq!(dates::read(dates::write(date).as_bytes()), Some(date));
    }
    let age = age::on_arrival(lines("age", data).as_slice());
    assert!(age <= 1 << 31);
}

/// `No-Vary-Search`: two queries have one key exactly if they are the same to the field.
pub(crate) fn no_vary_search(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (field, one, other) = (next(), next(), next());
    let said = NoVarySearch::read([("no-vary-search", field)].as_slice());
    if said.is_nothing() {
        return;
    }
    let keys = [one, other].map(|query| key(|writer| said.write_key(writer, Some(query))));
    assert_eq!(keys[0] == keys[1], said.same(Some(one), Some(other)));
    assert!(said.same(Some(one), Some(one)));
}

/// `Location`: what is dropped is a path on this host, which can be asked for.
pub(crate) fn location(data: &[u8]) {
    let cut = data
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(data.len());
    let (path, rest) = data.split_at(cut);
    let answer = in_turn(
        &["location", "content-location"],
        rest.get(1..).unwrap_or_default(),
    );
    for host in [&b"shop.example:8000"[..], path] {
        for found in named(host, path, answer.as_slice()) {
            assert!(found.path.starts_with('/'), "{found:?}");
            assert!(!found.path.split('/').any(|part| part == ".."), "{found:?}");
            assert!(!found.path.contains(['?', '#', '\\', ' ']), "{found:?}");
            assert!(answer.as_slice().has(&header::LOCATION));
        }
    }
}

pub(crate) fn accept_encoding(data: &[u8]) {
    let request = in_turn(&["accept-encoding", "if-none-match", "range"], data);
    let request = request.as_slice();
    let accept = Accept::read(request);
    let chosen = choose(request, &Coding::ALL);
    assert!(chosen.is_none_or(|coding| accept.takes(coding)));
    // Only what is refused is passed by, and only what is offered is given.
    let any = Coding::ALL.iter().any(|&coding| accept.takes(coding));
    assert!(chosen.is_some() || accept.takes_plain() || !any);
    assert_eq!(choose(request, &[]), None);
    let first = data.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let selected = select(request, &Coding::ALL, Some(first));
    assert!(selected.is_none_or(|coding| accept.takes(coding)));
    if let Some(tag) = tag_in(first, Coding::Brotli) {
        let coded = EntityTag::parse(&tag).expect("a tag of a coding is a tag");
        assert!(!coded.same(&EntityTag::parse(first).unwrap()));
        assert_eq!(coded.is_weak(), with_plain_tags(&tag).is_none());
    }
    let codings = Codings::read(lines("larder-codings", data).as_slice());
    if let Some(value) = codings.value() {
        assert_eq!(
            Codings::read([("larder-codings", value)].as_slice()),
            codings
        );
    }
}
