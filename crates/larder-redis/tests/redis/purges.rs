//! Purges and their fences, between two clients.

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Removal};
use larder_core::{Key, Kind, Pattern};
use larder_redis::Transport;

use crate::server::Server;
use crate::support::{Bench, Hand, both, builder, now, text, user, variant};

both! {
    fn a_purge_fences_the_loads_before_it;
    fn a_purge_of_something_else_fences_nobody;
    fn writes_without_a_load_are_valid_as_of_now;
    fn a_bump_is_seen_at_once;
    fn t5_7_a_bump_by_a_process_whose_clock_is_behind_counts;
    fn a_tag_named_late_is_fenced_too;
    fn clearing_is_for_the_namespace_alone;
    fn clearing_leaves_a_longer_namespace_alone;
    fn removing_by_prefix;
    fn removing_by_pattern;
    fn removed_means_that_something_usable_was_there;
    fn lost_records_make_entries_invalid;
    fn a_record_from_the_past_makes_later_entries_invalid;
    fn a_server_that_starts_anew_fences_what_is_under_way;
}

/// One of six purges; answers which of the keys of the test below it fences.
async fn purge<T: Transport>(bench: &Bench<T>, number: usize, keys: &[Key]) -> &'static [usize] {
    match number {
        0 => {
            bench.purge(Removal::Keys(&keys[..1])).await;
            &[0, 1]
        }
        1 => {
            bench.purge(Removal::Keys(&keys[1..2])).await;
            &[1]
        }
        2 => {
            bench.purge(Removal::Prefix(Kind::User, b"bas")).await;
            &[0, 1, 2]
        }
        3 => {
            let pattern = Pattern::parse("b?se*");
            bench.purge(Removal::Pattern(Kind::User, &pattern)).await;
            &[0, 1, 2]
        }
        4 => {
            bench.purge(Removal::All).await;
            &[0, 1, 2, 3]
        }
        _ => {
            bench.bump("t").await;
            &[0, 1, 2, 3]
        }
    }
}

async fn a_purge_fences_the_loads_before_it<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let base = user("base");
    let keys = [
        base.clone(),
        variant(&base, "1"),
        user("base2"),
        Key::new(Kind::View, "base"),
    ];
    // Without tags the last of the six purges concerns nobody.
    let cases = [
        (false, &["t"][..], 6),
        (true, &["t"], 6),
        (false, &[], 5),
        (true, &[], 5),
    ];
    let cases = cases
        .into_iter()
        .flat_map(|(stored, tags, purges)| (0..purges).map(move |number| (stored, tags, number)));
    for (stored, tags, number) in cases {
        let mut before = Vec::new();
        for key in &keys {
            if stored {
                assert_eq!(a.write(key, text("old"), tags).await, Put::Stored);
            }
        }
        for key in &keys {
            before.push(a.fence(key, tags).await);
        }
        let fenced = purge(&b, number, &keys).await;
        // Base keys last: what is stored under one serves its variants.
        for at in [1, 3, 2, 0] {
            let put = a.load(&keys[at], tags, before[at].clone()).await;
            if fenced.contains(&at) {
                assert_eq!(
                    put,
                    Put::Fenced,
                    "purge {number}, {:?}, stored: {stored}",
                    keys[at]
                );
                for bench in [&a, &b] {
                    assert_ne!(bench.value(&keys[at]).await, Some(text("loaded")));
                }
            }
        }
        // A load that starts now is fine.
        for key in &keys {
            let fence = a.fence(key, tags).await;
            assert_eq!(a.load(key, tags, fence).await, Put::Stored);
            assert_eq!(b.value(key).await, Some(text("loaded")));
        }
        a.purge(Removal::All).await;
    }
}

async fn a_purge_of_something_else_fences_nobody<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    _: &Server,
) {
    let (base, other) = (user("k"), user("other"));
    let one = variant(&base, "1");
    let before = [a.fence(&base, &["t"]).await, a.fence(&one, &["t"]).await];
    b.remove(&other).await;
    b.remove(&variant(&base, "2")).await;
    b.bump("u").await;
    b.write(&other, text("v"), &["u"]).await;
    // The tag has no mark yet, and the bump of another one may have been its own: the first load
    // is not trusted, the next one is.
    assert_eq!(a.load(&base, &["t"], before[0].clone()).await, Put::Fenced);
    let before = [a.fence(&base, &["t"]).await, a.fence(&one, &["t"]).await];
    b.remove(&other).await;
    b.remove(&variant(&base, "2")).await;
    b.bump("u").await;
    assert_eq!(a.load(&base, &["t"], before[0].clone()).await, Put::Stored);
    assert_eq!(a.load(&one, &["t"], before[1].clone()).await, Put::Stored);
    let fence = a.fence(&user("plain"), &[]).await;
    b.bump("u").await;
    b.remove(&other).await;
    assert_eq!(a.load(&user("plain"), &[], fence).await, Put::Stored);

    // A variant that is being loaded while the base key is written comes too late, if there were
    // variants that gave way; the base key itself does not.
    let before = [a.fence(&base, &[]).await, a.fence(&one, &[]).await];
    b.write(&base, text("all"), &[]).await;
    assert_eq!(a.load(&one, &[], before[1].clone()).await, Put::Fenced);
    assert_eq!(a.value(&one).await, Some(text("all")));
    assert_eq!(a.load(&base, &[], before[0].clone()).await, Put::Stored);
}

async fn writes_without_a_load_are_valid_as_of_now<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    _: &Server,
) {
    for key in [user("k"), variant(&user("l"), "1"), user("n")] {
        let value = if key == user("n") {
            Plain::Int(3)
        } else {
            text("v")
        };
        for _ in 0..3 {
            assert_eq!(a.write(&key, value.clone(), &["t"]).await, Put::Stored);
            b.remove(&key).await;
            b.bump("t").await;
            assert_eq!(a.write(&key, value.clone(), &["t"]).await, Put::Stored);
            assert_eq!(b.value(&key).await, Some(value.clone()));
            b.purge(Removal::All).await;
            assert_eq!(a.write(&key, value.clone(), &["t"]).await, Put::Stored);
            assert_eq!(b.value(&key).await, Some(value.clone()));
            b.purge(Removal::Prefix(Kind::User, b"")).await;
            assert_eq!(a.add(&key, value.clone()).await, Put::Stored);
        }
    }
}

async fn a_bump_is_seen_at_once<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let (x, y, z) = (user("x"), variant(&user("y"), "1"), user("z"));
    a.write(&x, text("v"), &["s", "t"]).await;
    a.write(&y, text("v"), &["t"]).await;
    a.write(&z, Plain::Int(1), &["s"]).await;
    b.bump("s").await;
    assert!(a.entry(&x).await.is_none() && a.entry(&z).await.is_none());
    assert!(a.entry(&y).await.is_some());
    a.write(&x, text("w"), &["s", "t"]).await;
    assert_eq!(b.value(&x).await, Some(text("w")));
    b.bump("never used").await;
    assert!(a.entry(&x).await.is_some());
    b.bump("t").await;
    assert!(a.entry(&x).await.is_none() && a.entry(&y).await.is_none());
}

async fn t5_7_a_bump_by_a_process_whose_clock_is_behind_counts<T: Transport>(
    a: Bench<T>,
    _: Bench<T>,
    server: &Server,
) {
    let clock = Hand::new();
    let behind = Bench {
        store: builder(&server.url(), &clock).build(Safe).unwrap(),
        clock,
    };
    a.clock.advance(2);
    let (stored, loading) = (user("stored"), user("loading"));
    a.write(&stored, text("v"), &["t"]).await;
    let fence = a.fence(&loading, &["t"]).await;
    now(behind.bump("t"));
    assert!(a.entry(&stored).await.is_none());
    assert_eq!(a.load(&loading, &["t"], fence).await, Put::Fenced);
    let fence = a.fence(&loading, &["t"]).await;
    assert_eq!(a.load(&loading, &["t"], fence).await, Put::Stored);
    assert!(now(behind.entry(&loading)).is_some());
}

async fn a_tag_named_late_is_fenced_too<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let key = user("k");
    a.write(&user("other"), text("v"), &["late"]).await;
    let fence = a.fence(&key, &[]).await;
    b.bump("late").await;
    assert_eq!(a.load(&key, &["late"], fence).await, Put::Fenced);
    let fence = a.fence(&key, &[]).await;
    b.bump("another").await;
    assert_eq!(a.load(&key, &["late"], fence).await, Put::Stored);
    b.bump("late").await;
    assert!(a.entry(&key).await.is_none());
}

async fn clearing_leaves_a_longer_namespace_alone<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let longer = Bench {
        store: builder(&server.url(), &a.clock)
            .namespace("t[*]?\\_2_")
            .build(Safe)
            .unwrap(),
        clock: a.clock.clone(),
    };
    let key = user("k");
    longer.write(&key, text("theirs"), &[]).await;
    a.write(&key, text("ours"), &[]).await;
    // Ends like a record, and is a key like any other.
    a.write(&user("loud!"), text("ours"), &[]).await;
    assert!(b.purge(Removal::All).await.is_empty());
    assert!(a.entry(&key).await.is_none());
    assert!(a.entry(&user("loud!")).await.is_none());
    assert_eq!(longer.value(&key).await, Some(text("theirs")));
}

async fn clearing_is_for_the_namespace_alone<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let mut client = server.client();
    // Each of these would match if the namespace were a pattern.
    let strangers = ["t*?_k", "txxx\\_k", "t[*]x\\_k", "s", "tt[*]?\\_k"];
    for name in strangers {
        redis::cmd("SET")
            .arg(name)
            .arg("theirs")
            .exec(&mut client)
            .unwrap();
    }
    let foreign = "t[*]?\\_foreign";
    redis::cmd("SET")
        .arg(foreign)
        .arg("5")
        .exec(&mut client)
        .unwrap();
    let keys: Vec<Key> = (0..2500).map(|number| user(format!("k{number}"))).collect();
    for key in &keys {
        a.write(key, Plain::Int(1), &[]).await;
    }
    a.write(&variant(&Key::new(Kind::View, "v"), "1"), text("v"), &["t"])
        .await;
    assert_eq!(a.value(&user("foreign")).await, Some(Plain::Int(5)));
    assert!(b.purge(Removal::All).await.is_empty());
    for key in keys.iter().chain([&user("foreign")]) {
        assert!(a.entry(key).await.is_none());
    }
    let mut names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
    names.sort_unstable();
    let mut expected: Vec<&str> = strangers.to_vec();
    expected.push("t[*]?\\_!");
    expected.sort_unstable();
    assert_eq!(names, expected);
}

async fn removing_by_prefix<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let goes = [user("p*1"), user("p*[2]"), user("p*"), user("p*3")];
    let stays = [
        user("p1"),
        user("q"),
        user("!p*"),
        Key::new(Kind::View, "p*1"),
        user(""),
    ];
    for key in goes[..3].iter().chain(&stays) {
        a.write(key, text("v"), &["t"]).await;
    }
    a.write(&variant(&goes[3], "only a variant"), text("v"), &[])
        .await;
    a.write(&user("p*expired"), text("v"), &[]).await;
    let mut expected: Vec<Key> = goes.to_vec();
    expected.push(user("p*expired"));
    expected.sort_unstable();
    assert_eq!(b.purge(Removal::Prefix(Kind::User, b"p*")).await, expected);
    for key in &goes {
        assert!(a.entry(key).await.is_none() && a.entry(&variant(key, "x")).await.is_none());
    }
    for key in &stays {
        assert!(a.entry(key).await.is_some(), "{key:?}");
    }
    assert_eq!(
        b.purge(Removal::Prefix(Kind::User, b"!")).await,
        [user("!p*")]
    );
    assert_eq!(
        b.purge(Removal::Prefix(Kind::View, b"")).await,
        [Key::new(Kind::View, "p*1")]
    );
    let mut rest = [user(""), user("p1"), user("q")];
    rest.sort_unstable();
    assert_eq!(b.purge(Removal::Prefix(Kind::User, b"")).await, rest);
}

async fn removing_by_pattern<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let cases: [(&str, &[&str]); 6] = [
        ("product_*", &["product_", "product_*", "product_12"]),
        ("*é?", &["aéb", "ééé"]),
        (r"product_\*", &["product_*", r"product_\*"]),
        ("exact", &["exact"]),
        ("", &[""]),
        ("[a-z]", &["[a-z]"]),
    ];
    let all = [
        "product_",
        "product_*",
        r"product_\*",
        "product_12",
        "aéb",
        "ééé",
        "exact",
        "",
        "[a-z]",
        "b",
        "!x",
    ];
    for (pattern, expected) in cases {
        for base in all {
            a.write(&variant(&user(base), "v"), text("v"), &[]).await;
            a.write(&user(base), text("v"), &[]).await;
        }
        let pattern = Pattern::parse(pattern);
        let mut expected: Vec<Key> = expected.iter().map(user).collect();
        if pattern.text() == b"product_*" {
            expected.push(user(r"product_\*"));
        }
        expected.sort_unstable();
        assert_eq!(
            b.purge(Removal::Pattern(Kind::User, &pattern)).await,
            expected,
            "{pattern:?}"
        );
        for base in all {
            let key = user(base);
            assert_eq!(
                a.entry(&key).await.is_none(),
                expected.contains(&key),
                "{base}, {pattern:?}"
            );
        }
    }
}

async fn removed_means_that_something_usable_was_there<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    _: &Server,
) {
    let keys = [
        user("a"),
        variant(&user("b"), "1"),
        user("c"),
        user("d"),
        user("e"),
        user("f"),
    ];
    let write_all = async || {
        a.write(&keys[0], text("v"), &[]).await;
        a.write(&keys[1], text("v"), &["t"]).await;
        a.write(&keys[2], Plain::Int(1), &[]).await;
        a.write(&variant(&keys[3], "1"), text("v"), &["t"]).await;
        a.write(&keys[4], text(&"large".repeat(100_000)), &[]).await;
    };
    write_all().await;
    assert_eq!(b.purge(Removal::Keys(&keys)).await, keys[..5]);
    assert!(b.purge(Removal::Keys(&keys)).await.is_empty());
    assert!(b.purge(Removal::Keys(&[])).await.is_empty());
    write_all().await;
    b.bump("t").await;
    assert_eq!(
        b.purge(Removal::Keys(&keys)).await,
        [&keys[0], &keys[2], &keys[4]].map(Clone::clone)
    );
    write_all().await;
    b.remove(&keys[4]).await;
    b.clock.advance(60);
    assert!(
        b.purge(Removal::Keys(&keys)).await.is_empty(),
        "all of them have expired"
    );
}

async fn lost_records_make_entries_invalid<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let mut client = server.client();
    let mut lose = |name: &str| {
        let lost: i64 = redis::cmd("DEL")
            .arg(format!("t[*]?\\_{name}"))
            .query(&mut client)
            .unwrap();
        assert_eq!(lost, 1);
    };
    let keys = [user("k"), variant(&user("l"), "1"), user("n")];
    for _ in 0..2 {
        for key in &keys {
            let value = if *key == user("n") {
                Plain::Int(1)
            } else {
                text("v")
            };
            assert_eq!(a.write(key, value, &["t"]).await, Put::Stored);
        }
        let fence = a.fence(&keys[0], &[]).await;
        lose("!tut");
        for key in &keys {
            assert!(b.entry(key).await.is_none(), "{key:?} lost its tag");
        }
        for key in &keys {
            assert_eq!(a.write(key, text("v"), &["t"]).await, Put::Stored);
            assert!(b.entry(key).await.is_some());
        }
        lose("!");
        for key in &keys {
            assert!(b.entry(key).await.is_none(), "{key:?} lost its namespace");
        }
        assert_eq!(a.load(&keys[0], &[], fence).await, Put::Fenced);
        assert_eq!(a.write(&keys[0], text("w"), &["t"]).await, Put::Stored);
        assert_eq!(b.value(&keys[0]).await, Some(text("w")));
    }
}

async fn a_record_from_the_past_makes_later_entries_invalid<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let (mut client, name) = (server.client(), "t[*]?\\_!");
    a.write(&user("before"), text("v"), &[]).await;
    let old: String = redis::cmd("GET").arg(name).query(&mut client).unwrap();
    b.bump("t").await;
    let fence = a.fence(&user("k"), &[]).await;
    assert_eq!(
        a.load(&user("after"), &[], fence.clone()).await,
        Put::Stored
    );
    // As a replica has it that takes over without having seen the bump.
    redis::cmd("SET")
        .arg(name)
        .arg(old)
        .exec(&mut client)
        .unwrap();
    assert!(b.entry(&user("before")).await.is_some());
    assert!(b.entry(&user("after")).await.is_none());
    assert_eq!(a.load(&user("k"), &[], fence).await, Put::Fenced);
}

async fn a_server_that_starts_anew_fences_what_is_under_way<T: Transport>(
    a: Bench<T>,
    b: Bench<T>,
    server: &Server,
) {
    let key = user("k");
    a.write(&key, text("v"), &["t"]).await;
    let fence = a.fence(&key, &["t"]).await;
    redis::cmd("FLUSHALL").exec(&mut server.client()).unwrap();
    assert_eq!(a.load(&key, &["t"], fence).await, Put::Fenced);
    assert!(b.entry(&key).await.is_none());
    assert_eq!(b.write(&key, text("w"), &["t"]).await, Put::Stored);
    assert_eq!(a.value(&key).await, Some(text("w")));
}
