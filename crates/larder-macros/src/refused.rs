//! What the attribute refuses: in which words, and at which place of the source.

use proc_macro2::TokenStream;

use crate::expand::memoize;

/// What the attribute says, and the text that the compiler underlines.
fn refusal(options: &str, function: &str) -> (String, String) {
    let tokens = |text: &str| text.parse::<TokenStream>().unwrap();
    let error = memoize(tokens(options), tokens(function)).unwrap_err();
    let place = error.span().source_text().unwrap_or_default();
    (error.to_string(), place)
}

const TTL: &str = "ttl = \"1m\"";

/// Options, a function, some words of the refusal, and what it is about: nothing is the attribute itself.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("", "fn f() {}", "add `ttl = \"2m\"`", ""),
    (
        "ttl = \"soon\"",
        "fn f() {}",
        "`soon` is no duration",
        "\"soon\"",
    ),
    (
        "ttl = \"1m\", tll = \"2m\"",
        "fn f() {}",
        "`tll` is no option of memoize (known: ttl,",
        "tll",
    ),
    (
        "ttl = \"1m\", ttl = \"2m\"",
        "fn f() {}",
        "`ttl` is there twice",
        "ttl",
    ),
    (
        "ttl = \"1m\", skip(database)",
        "fn f(id: u32) {}",
        "`database` is no argument of `f` (it has: id)",
        "database",
    ),
    (
        "ttl = \"1m\", key(a = 1)",
        "fn f() {}",
        "`a` is no argument of `f` (it has: none)",
        "a",
    ),
    (
        "ttl = \"1m\", key(id)",
        "fn f(id: u32) {}",
        "write `key(id = id.id)`",
        "id",
    ),
    (
        "ttl = \"1m\", skip(id), key(id = 1)",
        "fn f(id: u32) {}",
        "`id` is skipped, and has a `key` (leave out one of the two)",
        "id",
    ),
    (
        "ttl = \"1m\", soft_timeout = \"1s\"",
        "fn f() {}",
        "nothing stale may be served when the soft timeout is over",
        "soft_timeout",
    ),
    (
        "ttl = \"1m\", stale_while_revalidate = \"1h\", soft_timeout = \"2s\", hard_timeout = \"1s\"",
        "fn f() {}",
        "the soft timeout is 2s and the hard one 1s",
        "soft_timeout",
    ),
    (
        "ttl = \"1m\", hard_timeout = \"0ms\"",
        "fn f() {}",
        "no load is as quick (give a millisecond or more",
        "\"0ms\"",
    ),
    (
        "ttl = \"1m\", discard_late = true",
        "fn f() {}",
        "nothing is ever late (add `soft_timeout`",
        "discard_late",
    ),
    (
        "ttl = \"1m\", cache = cache(), max_entries = 7",
        "fn f() {}",
        "`max_entries` makes a cache for this function alone",
        "max_entries",
    ),
    (
        TTL,
        "fn f((a, b): (u8, u8)) {}",
        "take it apart in the body",
        "(a, b)",
    ),
    (
        TTL,
        "fn f(a: impl Clone) {}",
        "write a type parameter: `fn f<T: ...>(a: T)`",
        "a: impl Clone",
    ),
    (
        TTL,
        "fn f(a: &impl Clone) {}",
        "or `skip(a)`",
        "a: &impl Clone",
    ),
    (
        TTL,
        "fn f(a: &mut u8) {}",
        "an answer from the cache changes nothing",
        "a: &mut u8",
    ),
    (
        TTL,
        "fn f(&mut self) {}",
        "`self` may be changed by the function",
        "&mut self",
    ),
    (
        TTL,
        "fn f() -> impl Clone {}",
        "return the type itself",
        "impl Clone",
    ),
    (
        TTL,
        "fn f(a: &str) -> &str { a }",
        "an answer outlives the call, and this one borrows",
        "&str",
    ),
    (
        TTL,
        "fn f<'a>(a: &'a str) -> Option<Cow<'a, str>> {}",
        "this one borrows",
        "Option<Cow<'a, str>>",
    ),
    (
        TTL,
        concat!("un", "safe fn f() {}"),
        "a const, unsafe or variadic function",
        concat!("un", "safe fn f()"),
    ),
];

#[test]
fn what_cannot_be_memoized_is_refused_with_the_cure() {
    for (options, function, said, about) in REFUSED {
        let (refusal, place) = refusal(options, function);
        assert!(refusal.contains(said), "{refusal}");
        assert_eq!(place, *about, "{refusal}");
    }
}
