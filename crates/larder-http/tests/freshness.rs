//! Lifetimes: what answers say, what requests ask, and what a cache without opinions makes of it, beside
//! a crate that has another's reading of the same RFC.

use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use larder_core::{Lifetime, Policy, Reason, Timestamp};
use larder_http::freshness::{assumed, synthesise};
use larder_http::storable::{Statuses, can_be_kept, is_login};
use larder_http::strict::{Answer, Terms, Use, storable};
use larder_http::{RequestControl, Requests, Told, age, dates};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);
const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
static TARGETS: [HeaderName; 1] = [CDN];
const MINE: HeaderName = HeaderName::from_static("mine-cache-control");

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn date(offset: i64) -> String {
    let millis = NOW.as_millis().checked_add_signed(offset * 1000).unwrap();
    dates::write(Timestamp::from_millis(millis))
}

fn told(pairs: &[(&str, &str)]) -> Told {
    Told::read(pairs, &[CDN], NOW)
}

fn lifetime(pairs: &[(&str, &str)]) -> Option<u64> {
    told(pairs).lifetime.map(|lifetime| lifetime.as_secs())
}

#[test]
fn the_most_special_lifetime_counts() {
    let (past, soon) = (date(-100), date(30));
    assert_eq!(lifetime(&[]), None);
    assert_eq!(lifetime(&[("expires", &soon)]), Some(30));
    assert_eq!(lifetime(&[("expires", &soon), ("date", &past)]), Some(130));
    let all = [
        ("cdn-cache-control", "max-age=4"),
        ("cache-control", "max-age=5, s-maxage=6"),
        ("expires", &*soon),
    ];
    assert_eq!(lifetime(&all), Some(4));
    assert_eq!(lifetime(&all[1..]), Some(6));
    assert_eq!(lifetime(&[("cache-control", "max-age=5"), all[2]]), Some(5));
    // A targeted field that says nothing of a lifetime leaves it to the policy, not to `Expires`.
    let silent = [("cdn-cache-control", "public"), all[2]];
    assert_eq!(lifetime(&silent), None);
}

#[test]
fn a_lifetime_began_when_the_answer_was_made() {
    let aged = |age| told(&[("cache-control", "max-age=60"), ("age", age)]);
    assert_eq!(aged("20").lifetime, Some(seconds(40)));
    assert_eq!(aged("60").lifetime, Some(seconds(0)));
    assert_eq!(aged("60").refuses, Some(Reason::NoStore));
    assert_eq!(aged("61").lifetime, Some(seconds(0)));
}

#[test]
fn an_expires_that_cannot_be_read_is_over() {
    for value in ["0", "-1", "", "soon", "Thu, 01 Jan 2099 00:00:00"] {
        let told = told(&[("expires", value)]);
        assert_eq!(told.lifetime, Some(seconds(0)), "{value}");
        assert_eq!(told.refuses, Some(Reason::NoStore), "{value}");
    }
    let (soon, later) = (date(30), date(60));
    assert_eq!(
        lifetime(&[("expires", &later), ("expires", &soon)]),
        Some(30)
    );
    assert_eq!(lifetime(&[("expires", &later), ("expires", "0")]), Some(0));
    assert_eq!(lifetime(&[("expires", &soon), ("date", "x")]), Some(30));
}

#[test]
fn answers_that_refuse_say_why() {
    let refuses = |value: &str| told(&[("cache-control", value)]).refuses;
    assert_eq!(refuses("private, no-store"), Some(Reason::Private));
    for value in [
        "no-store",
        "no-cache",
        "no-cache=\"x\"",
        "s-maxage=0",
        "max-age=0",
        "s-maxage=0, max-age=60",
        "must-understand, no-store",
    ] {
        assert_eq!(refuses(value), Some(Reason::NoStore), "{value}");
    }
    assert_eq!(refuses("public, max-age=0, s-maxage=600"), None);
    assert_eq!(refuses("must-revalidate"), None);
}

#[test]
fn a_targeted_field_is_read_by_those_it_is_meant_for() {
    let fields = [
        ("cdn-cache-control", "max-age=3600"),
        ("cache-control", "no-store"),
    ];
    let read = |targets: &[HeaderName]| Told::read(fields.as_slice(), targets, NOW);
    assert_eq!(read(&[CDN]).lifetime, Some(seconds(3600)));
    assert_eq!(read(&[CDN]).refuses, None);
    assert_eq!(read(&[MINE, CDN]).lifetime, Some(seconds(3600)));
    assert_eq!(read(&[]).refuses, Some(Reason::NoStore));
    assert_eq!(read(&[MINE]).refuses, Some(Reason::NoStore));
}

#[test]
fn a_targeted_field_that_is_malformed_is_absent() {
    for value in [
        "",
        "max-age=60, ",
        "Max-Age=60",
        "max-age=60;;",
        "max-age=é",
        "\"max-age=60\"",
        "max-age=60 private",
    ] {
        let fields = [("cdn-cache-control", value), ("cache-control", "no-store")];
        assert_eq!(told(&fields).refuses, Some(Reason::NoStore), "{value}");
        assert!(!told(&fields).targeted, "{value}");
    }
    // A value of a wrong type is no reason to take the field for absent, but nothing to rely on.
    for value in [
        "max-age=\"60\"",
        "max-age=1.5",
        "max-age",
        "max-age=-1",
        "max-age=(60)",
    ] {
        let fields = [
            ("cdn-cache-control", value),
            ("cache-control", "max-age=60"),
        ];
        assert_eq!(told(&fields).lifetime, Some(seconds(0)), "{value}");
    }
    let lines = [
        ("cdn-cache-control", "max-age=60"),
        ("cdn-cache-control", "must-revalidate, no-store=?0, x=1;y"),
    ];
    let both = told(&lines);
    assert_eq!(
        (both.lifetime, both.refuses.clone()),
        (Some(seconds(60)), None)
    );
    assert!(both.must_revalidate);
    let off = [("cdn-cache-control", "private=?0, max-age=5;x=1")];
    assert_eq!((told(&off).refuses, lifetime(&off)), (None, Some(5)));
}

#[test]
fn an_answer_is_stored_under_its_own_word() {
    let policy = Policy::new(seconds(10))
        .stale_while_revalidate(seconds(100))
        .stale_if_error(seconds(1000))
        .tag("t");
    let silent = told(&[("cache-control", "public")]);
    assert!(silent.is_silent());
    assert_eq!(silent.policy(&policy), policy);

    let said = told(&[(
        "cache-control",
        "max-age=20, stale-while-revalidate=5, stale-if-error=0",
    )]);
    assert!(!said.is_silent());
    let own = said.policy(&policy);
    assert_eq!(own.ttl, Lifetime::For(seconds(20)));
    assert_eq!(own.stale_while_revalidate, seconds(5));
    assert_eq!(own.stale_if_error, seconds(0));
    assert_eq!(own.tags, policy.tags);

    let strict = told(&[("cache-control", "s-maxage=20, stale-while-revalidate=5")]);
    assert!(strict.policy(&policy).must_revalidate);
    let nothing = Policy::new(Lifetime::DoNotKeep);
    assert_eq!(said.policy(&nothing).ttl, Lifetime::DoNotKeep);
}

#[test]
fn what_is_synthesised_is_never_longer_than_what_is_enforced() {
    let text = |policy: Policy| synthesise(&policy).unwrap();
    let policy = Policy::new(Duration::from_millis(1999));
    assert_eq!(text(policy.clone()), "max-age=1");
    assert_eq!(text(policy.jitter(seconds(1))), "max-age=0");
    assert_eq!(text(Policy::new(Lifetime::Forever)), "max-age=31536000");
    let windows = Policy::new(seconds(60))
        .stale_while_revalidate(seconds(30))
        .stale_if_error(seconds(90));
    let said = text(windows.clone());
    assert_eq!(
        said,
        "max-age=60, stale-while-revalidate=30, stale-if-error=90"
    );
    // What it says is what would be enforced of an answer that says it.
    let read = told(&[("cache-control", &said)]);
    assert_eq!(read.policy(&Policy::new(seconds(1))), windows);
    assert!(!text(windows.must_revalidate()).contains("stale"));
}

#[test]
fn statuses_have_lifetimes_of_their_own() {
    let statuses = Statuses::default()
        .with(404, seconds(9))
        .with(404, seconds(3));
    assert_eq!(statuses.kept(404), Ok(Some(seconds(3))));
    assert_eq!(statuses.kept(410), Err(Reason::Status(410)));
    assert_eq!(statuses.kept(301), Ok(None));
    for status in [0, 100, 199, 206, 304, 600, 999] {
        assert!(!can_be_kept(status), "{status}");
        let refused = Statuses::default().with(status, seconds(9)).kept(status);
        assert_eq!(refused, Err(Reason::Status(status)));
    }
}

#[test]
fn ways_to_sign_in_are_known_by_their_address() {
    let to = |location: &str| is_login(308, [("location", location)].as_slice());
    for location in [
        "/login",
        "login",
        "/Sign-In?x",
        "/login.php#top",
        "/users/sign_in",
        "https://id.example/oauth2/authorize?client_id=1",
        "/start?a=b&next=/cart",
        "?next",
    ] {
        assert!(to(location), "{location}");
    }
    for location in [
        "",
        "/",
        "/authors",
        "/blog/login-pages",
        "/a#/login",
        "/a?page=login",
        "/a?context=next",
        "//\u{ff}",
    ] {
        assert!(!to(location), "{location}");
    }
    let two = [("location", "/"), ("location", "/login")];
    assert!(is_login(302, two.as_slice()));
    assert!(!is_login(201, two.as_slice()));
}

#[test]
fn directives_of_requests() {
    let read = |value: &str| RequestControl::read([("cache-control", value)].as_slice());
    assert!(read("no-cache, no-store, only-if-cached").only_if_cached);
    assert_eq!(read("max-age=x").max_age, Some(0));
    assert_eq!(read("max-age").max_age, Some(0));
    assert_eq!(read("max-age=5, max-age=3").max_age, Some(3));
    assert_eq!(read("min-fresh=5, min-fresh=\"7\"").min_fresh, Some(7));
    assert_eq!(read("min-fresh=x").min_fresh, Some(u64::MAX));
    assert_eq!(read("max-stale").max_stale, Some(u64::MAX));
    assert_eq!(read("max-stale, max-stale=3").max_stale, Some(3));
    assert_eq!(read("max-stale=x").max_stale, Some(0));

    let pragma = [("pragma", "x, No-Cache"), ("cache-control", "")];
    assert!(RequestControl::read(&pragma[..1]).no_cache);
    assert!(!RequestControl::read(pragma.as_slice()).no_cache);

    let wants = [("cache-control", "no-cache")];
    let obeyed = |how, trusted| RequestControl::obeyed(wants.as_slice(), how, trusted).no_cache;
    assert!(!obeyed(Requests::Ignore, true));
    assert!(!obeyed(Requests::Trusted, false));
    assert!(obeyed(Requests::Trusted, true));
    assert!(obeyed(Requests::Full, false));
}

#[test]
fn dates_that_are_none() {
    let no = [
        "",
        " ",
        "0",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "\u{ff}",
    ];
    for value in no {
        assert_eq!(dates::read(value.as_bytes()), None, "{value}");
    }
    assert_eq!(dates::read(b"Wed, 31 Dec 1969 23:59:59 GMT"), None);
    assert_eq!(
        dates::write(Timestamp::NEVER),
        "Fri, 31 Dec 9999 23:59:59 GMT"
    );
    let none: [(&str, &str); 0] = [];
    assert_eq!(assumed(none.as_slice(), NOW), None);
    let old = [("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(assumed(old.as_slice(), NOW), Some(seconds(86_400)));
}

fn answer<'a>(status: u16, fields: &'a [(&'a str, &'a str)]) -> Answer<'a, [(&'a str, &'a str)]> {
    Answer {
        status,
        fields,
        targets: &TARGETS,
    }
}

#[test]
fn what_the_rfc_lets_be_stored() {
    let may = |method, request: &[(&str, &str)], status, fields: &[(&str, &str)]| {
        let asked = RequestControl::read(request);
        storable(method, request, &asked, &answer(status, fields))
    };
    let control = |value| [("cache-control", value)];
    assert_eq!(may("GET", &[], 200, &[]), Ok(()));
    assert_eq!(may("GET", &[], 200, &[("set-cookie", "a=b")]), Ok(()));
    for method in ["HEAD", "POST", "get"] {
        assert_eq!(may(method, &[], 200, &[]), Err(Reason::Method));
    }
    for status in [100, 206, 304] {
        let refused = may("GET", &[], status, &control("max-age=9"));
        assert_eq!(refused, Err(Reason::Status(status)));
    }
    for status in [302, 400, 500, 503] {
        assert_eq!(may("GET", &[], status, &[]), Err(Reason::Status(status)));
        for value in ["max-age=9", "s-maxage=9", "public"] {
            assert_eq!(may("GET", &[], status, &control(value)), Ok(()));
        }
        assert_eq!(may("GET", &[], status, &[("expires", "0")]), Ok(()));
    }
    let targeted = [("expires", "0"), ("cdn-cache-control", "must-revalidate")];
    assert_eq!(may("GET", &[], 302, &targeted), Err(Reason::Status(302)));

    assert_eq!(
        may("GET", &[], 200, &control("private")),
        Err(Reason::Private)
    );
    assert_eq!(may("GET", &[], 200, &control("no-cache")), Ok(()));
    assert_eq!(
        may("GET", &[], 200, &control("no-store")),
        Err(Reason::NoStore)
    );
    let understood = control("no-store, must-understand");
    assert_eq!(may("GET", &[], 200, &understood), Ok(()));
    assert_eq!(may("GET", &[], 499, &understood), Err(Reason::Status(499)));
    let refused = may("GET", &control("no-store"), 200, &[]);
    assert_eq!(refused, Err(Reason::NoStore));

    let user = [("authorization", "x")];
    assert_eq!(
        may("GET", &user, 200, &control("max-age=9")),
        Err(Reason::Authorization)
    );
    assert_eq!(
        may("GET", &user, 200, &control("proxy-revalidate")),
        Err(Reason::Authorization)
    );
    for value in ["public", "must-revalidate", "s-maxage=9"] {
        assert_eq!(may("GET", &user, 200, &control(value)), Ok(()), "{value}");
    }
}

fn terms(value: &str) -> Terms {
    Terms::of(&answer(200, &[("cache-control", value)]), NOW, NOW)
}

#[test]
fn what_the_rfc_lets_be_served() {
    let none = RequestControl::default();
    let after = |terms: Terms, asked: &RequestControl| {
        [9, 10, 14, 15].map(|resident| terms.judge(asked, seconds(resident)))
    };
    use Use::{Refresh, Revalidate, Serve};
    let plain = [Serve, Revalidate, Revalidate, Revalidate];
    assert_eq!(after(terms("max-age=10"), &none), plain);
    let window = "max-age=10, stale-while-revalidate=5";
    assert_eq!(
        after(terms(window), &none),
        [Serve, Refresh, Refresh, Revalidate]
    );
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=10"] {
        let strict = terms(&format!("{window}, {forbids}"));
        assert_eq!(after(strict, &none), plain, "{forbids}");
        let stale = RequestControl {
            max_stale: Some(u64::MAX),
            ..none
        };
        assert_eq!(after(strict, &stale), plain, "{forbids}");
    }
    let stale = RequestControl {
        max_stale: Some(4),
        ..none
    };
    assert_eq!(
        after(terms("max-age=10"), &stale),
        [Serve, Serve, Serve, Revalidate]
    );
    assert_eq!(
        after(terms("max-age=10, no-cache"), &stale),
        [Revalidate; 4]
    );
    let fresh = RequestControl {
        min_fresh: Some(2),
        ..none
    };
    assert_eq!(after(terms("max-age=10"), &fresh), [Revalidate; 4]);
    assert_eq!(
        after(terms("max-age=12"), &fresh),
        [Serve, Serve, Revalidate, Revalidate]
    );
    let young = RequestControl {
        max_age: Some(14),
        ..none
    };
    assert_eq!(
        after(terms("max-age=99"), &young),
        [Serve, Serve, Serve, Revalidate]
    );
    let anew = RequestControl {
        no_cache: true,
        ..none
    };
    assert_eq!(after(terms("max-age=99"), &anew), [Revalidate; 4]);
}

#[test]
fn what_may_stand_in_for_an_error() {
    let none = RequestControl::default();
    let stands = |value: &str, asked: &RequestControl| {
        [9, 10, 14, 15].map(|resident| terms(value).stands_in(asked, seconds(resident)))
    };
    assert_eq!(stands("max-age=10", &none), [true, false, false, false]);
    let window = "max-age=10, stale-if-error=5";
    assert_eq!(stands(window, &none), [true, true, true, false]);
    let strict = format!("{window}, must-revalidate");
    assert_eq!(stands(&strict, &none), [true, false, false, false]);
    assert_eq!(stands(&format!("{window}, no-cache"), &none), [false; 4]);
    let anew = RequestControl {
        no_cache: true,
        ..none
    };
    assert_eq!(stands(window, &anew), [false; 4]);
}

#[test]
fn the_terms_as_a_policy() {
    let base = Policy::new(seconds(7)).jitter(seconds(3)).tag("t");
    let value = "max-age=10, stale-while-revalidate=5, stale-if-error=50";
    let fields = [("cache-control", value), ("age", "4")];
    let policy = Terms::of(&answer(200, &fields), NOW, NOW).policy(&base);
    let expected = Policy::new(seconds(6))
        .stale_while_revalidate(seconds(5))
        .stale_if_error(seconds(50))
        .tag("t");
    assert_eq!(policy, expected);

    let fields = [("cache-control", value), ("age", "12")];
    let policy = Terms::of(&answer(200, &fields), NOW, NOW).policy(&base);
    let expected = Policy::new(seconds(0))
        .stale_while_revalidate(seconds(3))
        .stale_if_error(seconds(48))
        .tag("t");
    assert_eq!(policy, expected);
    let policy = terms("max-age=10, no-cache").policy(&base);
    assert_eq!(
        (policy.ttl, policy.must_revalidate),
        (Lifetime::For(seconds(0)), true)
    );
}

#[test]
fn what_may_stand_in_for_an_origin_that_cannot_be_reached() {
    // RFC 9111 section 4.2.4: everything that does not forbid it, for as long as the cache is told.
    let base = Policy::new(seconds(0)).stale_if_error(seconds(100));
    let window = |value: &str| {
        let policy = terms(value).policy(&base);
        let stored = policy.stamp(NOW, Duration::ZERO).unwrap();
        stored.spare_until.since(stored.fresh_until).as_secs()
    };
    assert_eq!(window("max-age=10"), 100);
    assert_eq!(window("max-age=10, stale-if-error=5"), 100);
    assert_eq!(window("max-age=10, stale-if-error=500"), 500);
    for forbids in [
        "max-age=10, must-revalidate",
        "max-age=10, proxy-revalidate",
        "s-maxage=10",
        "max-age=10, no-cache",
        "max-age=0",
    ] {
        assert_eq!(window(forbids), 0, "{forbids}");
    }
    // What it has behind it counts.
    let fields = [("cache-control", "max-age=10"), ("age", "12")];
    let policy = Terms::of(&answer(200, &fields), NOW, NOW).policy(&base);
    assert_eq!(policy.stale_if_error, seconds(98));
}

#[test]
fn an_old_date_is_an_age() {
    let (old, young) = (date(-50), date(50));
    let age = |pairs: &[(&str, &str)]| age::initial(pairs, NOW, NOW.plus(seconds(2))).as_secs();
    assert_eq!(age(&[]), 2);
    assert_eq!(age(&[("date", &old)]), 52);
    assert_eq!(age(&[("date", &old), ("age", "60")]), 62);
    assert_eq!(age(&[("date", &young), ("age", "60")]), 62);
    assert_eq!(age(&[("date", "x")]), 2);
}

/// Directives that this crate and the other one read alike. It takes `proxy-revalidate`, `Set-Cookie`
/// and `Vary: *` for a lifetime of 0, a directive that is given twice for `must-revalidate`, and knows
/// neither `must-understand` nor RFC 5861.
fn directives() -> impl Strategy<Value = String> {
    let flags = [
        "no-store",
        "no-cache",
        "private",
        "public",
        "must-revalidate",
        "x=\"y\"",
    ];
    let spans = ["max-age", "s-maxage"];
    let flags = proptest::sample::subsequence(flags.to_vec(), 0..3);
    let spans = proptest::sample::subsequence(spans.to_vec(), 0..=2);
    let numbers = proptest::collection::vec(0_u64..60, 2);
    (flags, spans, numbers).prop_map(|(flags, spans, numbers)| {
        let spans = spans
            .iter()
            .zip(numbers)
            .map(|(name, number)| format!("{name}={number}"));
        let all: Vec<String> = flags.iter().map(ToString::to_string).chain(spans).collect();
        all.join(", ")
    })
}

fn requests() -> impl Strategy<Value = String> {
    let spans = ["max-age", "min-fresh", "max-stale"];
    let spans = proptest::sample::subsequence(spans.to_vec(), 0..=3);
    let numbers = proptest::collection::vec(0_u64..60, 3);
    (spans, numbers, any::<(bool, bool)>()).prop_map(|(spans, numbers, (store, cache))| {
        let spans = spans
            .iter()
            .zip(numbers)
            .map(|(name, number)| format!("{name}={number}"));
        let flags = [(store, "no-store"), (cache, "no-cache")].into_iter();
        let flags = flags.filter(|(on, _)| *on).map(|(_, name)| name.to_owned());
        spans.chain(flags).collect::<Vec<_>>().join(", ")
    })
}

fn system(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis())
}

fn header_map(pairs: &[(&'static str, Option<String>)]) -> HeaderMap {
    let present = pairs
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_ref()?)));
    present
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// As many cases as this, times the effort.
const CASES: u64 = 4096;

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(u32::try_from(CASES * larder_testkit::effort()).unwrap_or(u32::MAX))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_strict_rules_are_those_of_another_reader(
        control in proptest::option::of(directives()),
        wants in requests(),
        status in proptest::sample::select(vec![200_u16, 203, 206, 301, 302, 307, 404, 410, 501]),
        expires in proptest::option::of(-60_i64..60),
        // It counts a lifetime that it assumes, a tenth of this, in whole seconds.
        modified in proptest::option::of((0_i64..60).prop_map(|tens| 10 * tens)),
        (age, user) in (proptest::option::of(0_u64..60), any::<bool>()),
        resident in 0_u64..120,
    ) {
        let fields = header_map(&[
            ("date", Some(date(0))),
            ("cache-control", control),
            ("expires", expires.map(date)),
            ("last-modified", modified.map(|before| date(-before))),
            ("age", age.map(|age| age.to_string())),
        ]);
        let sent = header_map(&[
            ("cache-control", Some(wants).filter(|wants| !wants.is_empty())),
            ("authorization", user.then(|| "x".to_owned())),
        ]);

        let mut request = Request::new(());
        *request.headers_mut() = sent.clone();
        let mut response = Response::new(());
        *response.status_mut() = status.try_into().unwrap();
        *response.headers_mut() = fields.clone();
        let options = CacheOptions::default();
        let other = CachePolicy::new_options(&request, &response, system(NOW), options);

        let asked = RequestControl::read(&sent);
        let answer = Answer { status, fields: &fields, targets: &[] };
        let stored = storable("GET", &sent, &asked, &answer);
        prop_assert_eq!(stored.is_ok(), other.is_storable(), "{:?}", stored);

        let terms = Terms::of(&answer, NOW, NOW);
        let at = NOW.plus(seconds(resident));
        if stored.is_ok() {
            let policy = terms.policy(&Policy::new(seconds(1)));
            let left = other.time_to_live(system(NOW)).as_secs();
            let Lifetime::For(ttl) = policy.ttl else { panic!("no lifetime") };
            prop_assert_eq!(ttl.as_secs(), left);
            // It takes `max-stale` for exclusive, and permits what `s-maxage` forbids.
            if asked.max_stale.is_none() {
                let fresh = matches!(
                    other.before_request(&request, system(at)),
                    BeforeRequest::Fresh(_)
                );
                let ours = terms.judge(&asked, seconds(resident)) == Use::Serve;
                prop_assert_eq!(ours, fresh);
            }
        }
    }

    #[test]
    fn whatever_the_fields_nothing_panics(
        value in proptest::collection::vec(any::<u8>(), 0..48),
        other in proptest::collection::vec(any::<u8>(), 0..48),
    ) {
        let names = ["cache-control", "expires", "date", "age", "cdn-cache-control", "pragma"];
        let names = names.into_iter().chain(["last-modified", "location"]);
        let fields: Vec<(&str, &[u8])> =
            names.flat_map(|name| [(name, &value[..]), (name, &other[..])]).collect();
        let told = Told::read(fields.as_slice(), &[CDN], NOW);
        let policy = told.policy(&Policy::new(seconds(5)));
        prop_assert!(synthesise(&policy).is_some_and(|text| text.is_ascii()));
        let answer = Answer { status: 200, fields: fields.as_slice(), targets: &[CDN] };
        let terms = Terms::of(&answer, NOW, NOW);
        let asked = RequestControl::read(fields.as_slice());
        terms.judge(&asked, seconds(5));
        terms.policy(&policy);
        is_login(301, fields.as_slice());
    }

    /// However long an answer has lain, a stricter request is served no more than a lenient one.
    #[test]
    fn who_asks_for_more_gets_no_more(
        control in directives(),
        wants in requests(),
        resident in 0_u64..120,
    ) {
        let fields = [("cache-control", control.as_str())];
        let terms = Terms::of(&answer(200, &fields), NOW, NOW);
        let sent = [("cache-control", wants.as_str())];
        let asked = RequestControl::read(sent.as_slice());
        let lenient = RequestControl { max_age: None, min_fresh: None, no_cache: false, ..asked };
        if terms.judge(&asked, seconds(resident)) != Use::Revalidate {
            prop_assert_ne!(terms.judge(&lenient, seconds(resident)), Use::Revalidate);
        }
    }

    #[test]
    fn dates_come_back(second in 0_u64..253_402_300_800) {
        let at = Timestamp::from_millis(second * 1000);
        prop_assert_eq!(dates::read(dates::write(at).as_bytes()), Some(at));
    }
}
