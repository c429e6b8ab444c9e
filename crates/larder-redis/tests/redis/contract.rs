//! Putting and getting.

use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::Put;
use larder_core::{Entry, Fence, Freshness, Key, Kind, Policy, Store};
use larder_redis::Transport;

use crate::server::Server;
use crate::support::{Bench, both, text, user, variant};

both! {
    fn what_is_put_is_got_with_its_times;
    fn kinds_and_keys_never_meet;
    fn any_bytes_and_any_length_are_a_key;
    fn variants_and_the_base_key;
    fn many_keys_in_their_order;
    fn adding_respects_what_may_be_used;
    fn a_load_that_started_earlier_does_not_overwrite;
    fn the_server_forgets_by_itself;
    fn a_family_does_not_grow_without_end;
    fn what_is_too_large_is_not_stored;
}

async fn what_is_put_is_got_with_its_times<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let key = user("k");
    assert!(a.entry(&key).await.is_none());
    let policy = Policy::new(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(30))
        .tag("x");
    let meta = policy
        .stamp(larder_core::Clock::now(&*a.clock), Duration::from_millis(5))
        .unwrap();
    assert_eq!(
        a.write_for(&key, text("v"), meta.clone()).await,
        Put::Stored
    );
    let entry = b.entry(&key).await.unwrap();
    assert_eq!((&entry.value, &entry.meta()), (&text("v"), &meta));
    b.clock.advance(60);
    let entry = b.entry(&key).await.unwrap();
    assert_eq!(
        entry.freshness(larder_core::Clock::now(&*b.clock)),
        Freshness::Stale
    );
    assert!(b.remove(&key).await);
    assert!(a.entry(&key).await.is_none());
    assert!(!a.remove(&key).await);
    assert_eq!(a.write(&key, Plain::None, &[]).await, Put::Stored);
    assert_eq!(b.value(&key).await, Some(Plain::None));
}

async fn kinds_and_keys_never_meet<T: Transport>(a: Bench<T>, _: Bench<T>, _: &Server) {
    let mut keys: Vec<Key> = Vec::new();
    for base in [
        "x", "", "!", "!u:x", "!v:x", "!hu:x", "!hv:x", "!tux", "u:x",
    ] {
        for kind in [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment] {
            let key = Key::new(kind, base);
            keys.extend([variant(&key, "1"), variant(&key, "2"), key]);
        }
    }
    // Base keys first: writing one makes its variants give way.
    keys.sort_by_key(|key| !key.is_base());
    for (number, key) in keys.iter().enumerate() {
        a.write(key, text(&number.to_string()), &["x"]).await;
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(
            a.value(key).await,
            Some(text(&number.to_string())),
            "{key:?}"
        );
    }
}

async fn any_bytes_and_any_length_are_a_key<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let bases: Vec<Vec<u8>> = vec![
        b"\0\r\n$5\r\n *?[]\\\xff\xfe".to_vec(),
        (0..=255).collect(),
        vec![b'k'; 100_000],
        [vec![b'k'; 99_999], vec![b'l']].concat(),
        "schlüssel ☃".into(),
    ];
    for base in &bases {
        let key = user(base);
        assert_eq!(
            a.write(&key, Plain::bytes(base.as_slice()), &[]).await,
            Put::Stored
        );
        let key = variant(&key, "v");
        assert_eq!(
            a.write(&key, Plain::Int(base.len() as i64), &[]).await,
            Put::Stored
        );
    }
    for base in &bases {
        let key = user(base);
        assert_eq!(b.value(&key).await, Some(Plain::bytes(base.as_slice())));
        assert_eq!(
            b.value(&variant(&key, "v")).await,
            Some(Plain::Int(base.len() as i64))
        );
        assert!(b.remove(&key).await);
        assert!(a.entry(&variant(&key, "v")).await.is_none());
    }
}

async fn variants_and_the_base_key<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let base = Key::new(Kind::View, "/products");
    let (one, two) = (variant(&base, "1"), variant(&base, "2"));
    a.write(&one, text("one"), &[]).await;
    a.write(&two, text("two"), &["t"]).await;
    assert!(b.entry(&base).await.is_none());
    assert_eq!(b.value(&one).await, Some(text("one")));
    assert_eq!(
        listed(&b, &base).await,
        [(one.clone(), "one"), (two.clone(), "two")]
    );
    assert_eq!(listed(&b, &one.base_key()).await.len(), 2);

    assert!(b.remove(&two).await);
    assert!(a.entry(&two).await.is_none());
    assert_eq!(a.value(&one).await, Some(text("one")));

    // What stands under the base key serves every variant, at once.
    a.write(&base, text("all"), &[]).await;
    assert_eq!(b.value(&one).await, Some(text("all")));
    assert_eq!(b.value(&two).await, Some(text("all")));
    assert_eq!(listed(&b, &base).await, [(base.clone(), "all")]);
    // A variant of its own comes first from then on.
    a.write(&one, text("one again"), &[]).await;
    assert_eq!(b.value(&one).await, Some(text("one again")));
    assert_eq!(b.value(&two).await, Some(text("all")));

    assert!(a.remove(&base).await);
    assert!(b.entry(&one).await.is_none() && b.entry(&base).await.is_none());
    assert!(listed(&b, &base).await.is_empty());
    assert!(!b.remove(&base).await);
}

async fn listed<T: Transport>(bench: &Bench<T>, base: &Key) -> Vec<(Key, &'static str)> {
    const KNOWN: [&str; 4] = ["one", "two", "all", "one again"];
    let found = <_ as Store<Plain>>::variants(&bench.store, base)
        .await
        .unwrap();
    let name = |value: &Plain| *KNOWN.iter().find(|name| *value == text(name)).unwrap();
    let mut found: Vec<_> = found
        .into_iter()
        .map(|(key, entry)| (key, name(&entry.value)))
        .collect();
    found.sort_unstable();
    found
}

async fn many_keys_in_their_order<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let (base, absent) = (user("a"), user("absent"));
    let keys = [
        variant(&base, "v"),
        absent.clone(),
        user("b"),
        user("n"),
        user("b"),
    ];
    a.write(&keys[0], text("v"), &["s"]).await;
    a.write(&keys[2], text("b"), &["t"]).await;
    a.write(&keys[3], Plain::Int(7), &[]).await;
    a.bump("s").await;
    let readings = <_ as Store<Plain>>::get_many(&b.store, &keys)
        .await
        .unwrap();
    let values: Vec<Option<Plain>> = readings
        .iter()
        .map(|reading| Some(reading.entry.as_ref()?.value.clone()))
        .collect();
    assert_eq!(
        values,
        [
            None,
            None,
            Some(text("b")),
            Some(Plain::Int(7)),
            Some(text("b"))
        ]
    );
    assert!(
        <_ as Store<Plain>>::get_many(&b.store, &[])
            .await
            .unwrap()
            .is_empty()
    );
}

async fn adding_respects_what_may_be_used<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    for key in [
        user("k"),
        variant(&user("k2"), "v"),
        Key::new(Kind::Memoize, "m"),
    ] {
        assert_eq!(a.add(&key, text("first")).await, Put::Stored);
        assert_eq!(b.add(&key, text("second")).await, Put::Exists);
        assert_eq!(b.value(&key).await, Some(text("first")));
        b.clock.advance(60);
        assert_eq!(
            b.add(&key, text("second")).await,
            Put::Stored,
            "the first has expired"
        );
        a.remove(&key).await;
        a.write(&key, text("tagged"), &["t"]).await;
        assert_eq!(b.add(&key, text("third")).await, Put::Exists);
        a.bump("t").await;
        assert_eq!(
            b.add(&key, text("third")).await,
            Put::Stored,
            "the tag was bumped"
        );
        assert_eq!(a.value(&key).await, Some(text("third")));
        a.remove(&key).await;
        assert_eq!(a.add(&key, Plain::Int(4)).await, Put::Stored);
        assert_eq!(b.add(&key, Plain::Int(5)).await, Put::Exists);
        assert_eq!(b.value(&key).await, Some(Plain::Int(4)));
    }
}

async fn a_load_that_started_earlier_does_not_overwrite<T: Transport>(
    a: Bench<T>,
    _: Bench<T>,
    _: &Server,
) {
    let key = user("k");
    let mut early = a.fence(&key, &[]).await;
    let mut late = a.fence(&key, &[]).await;
    (early.order, late.order) = (1, 2);
    let entry = |value: &str, fence: Fence| {
        std::sync::Arc::new(Entry::new(a.meta(60, &[]), text(value), fence))
    };
    let put = |entry| a.store.put(&key, entry, larder_core::store::Mode::Replace);
    assert_eq!(put(entry("late", late.clone())).await.unwrap(), Put::Stored);
    assert_eq!(put(entry("early", early)).await.unwrap(), Put::Superseded);
    assert_eq!(a.value(&key).await, Some(text("late")));
    late.order = 3;
    assert_eq!(put(entry("later", late)).await.unwrap(), Put::Stored);
    assert_eq!(a.value(&key).await, Some(text("later")));
}

async fn the_server_forgets_by_itself<T: Transport>(a: Bench<T>, _: Bench<T>, server: &Server) {
    let mut client = server.client();
    let base = user("k");
    a.write_for(&base, text("v"), a.meta(100, &["t"])).await;
    a.write_for(&variant(&base, "1"), text("v"), a.meta(100, &[]))
        .await;
    a.write_for(&variant(&base, "2"), text("v"), a.meta(50, &[]))
        .await;
    a.write_for(&user("n"), Plain::Int(1), a.meta(100, &[]))
        .await;
    let mut left = |name: &str| -> i64 {
        let name = format!("t[*]?\\_{name}");
        redis::cmd("PTTL").arg(name).query(&mut client).unwrap()
    };
    for name in ["k", "!hu:k", "n", "!hu:n"] {
        let left = left(name);
        assert!((60_000..=100_000).contains(&left), "{name}: {left}");
    }
    assert!(left("!tut") >= 100_000, "a mark outlives loads and entries");
    let stamp = |policy: Policy| {
        policy
            .stamp(larder_core::Clock::now(&*a.clock), Duration::ZERO)
            .unwrap()
    };
    let forever = stamp(Policy::new(larder_core::Lifetime::Forever).tag("t"));
    let long = stamp(Policy::new(Duration::from_secs(5000)).tag("t"));
    // What is written in the place of something shorter prolongs what it needs.
    let other = variant(&user("o"), "1");
    a.write_for(&other, text("v"), a.meta(100, &["t"])).await;
    a.write_for(&other, text("v"), long).await;
    for name in ["!hu:o", "!tut"] {
        assert!(left(name) > 4_000_000, "{name}");
    }
    a.write_for(&other, text("v"), forever.clone()).await;
    a.write_for(&base, text("v"), forever.clone()).await;
    a.write_for(&variant(&base, "1"), text("v"), forever).await;
    for name in ["k", "!hu:k", "!hu:o", "!tut", "!"] {
        assert_eq!(left(name), -1, "{name} stays");
    }
}

async fn a_family_does_not_grow_without_end<T: Transport>(
    a: Bench<T>,
    _: Bench<T>,
    server: &Server,
) {
    let base = Key::new(Kind::View, "/search");
    for number in 0..400 {
        a.clock.advance(1);
        let key = variant(&base, &number.to_string());
        a.write_for(&key, text("v"), a.meta(10, &[])).await;
    }
    let fields: usize = redis::cmd("HLEN")
        .arg("t[*]?\\_!hv:/search")
        .query(&mut server.client())
        .unwrap();
    assert!(
        fields < 200,
        "{fields} variants are kept of which 10 are alive"
    );
    for number in 391..400 {
        assert!(
            a.entry(&variant(&base, &number.to_string()))
                .await
                .is_some(),
            "{number}"
        );
    }
}

async fn what_is_too_large_is_not_stored<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let large = text(&"x".repeat((8 << 20) + 1));
    for key in [user("k"), variant(&user("k2"), "v")] {
        a.write(&key, text("small"), &[]).await;
        assert_eq!(a.write(&key, large.clone(), &[]).await, Put::TooLarge);
        assert!(
            b.entry(&key).await.is_none(),
            "what was there is out of date"
        );
    }
    let fits = text(&"x".repeat(8_000_000));
    assert_eq!(a.write(&user("k"), fits.clone(), &[]).await, Put::Stored);
    assert_eq!(b.value(&user("k")).await, Some(fits));
    assert_eq!(<_ as Store<Plain>>::max_weight(&a.store), 8 << 20);
}
