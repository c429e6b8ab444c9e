//! What an entry is made of: small where it is ordinary, and never another one for it.

use std::time::Duration;

use larder_core::{Entry, Fence, Key, Kind, Meta, Policy, Tag, Timestamp};
use proptest::prelude::*;

use crate::support::bench;

/// Bytes that are allocated for each entry: the entry itself, its place in the table and in the index
/// of seconds, both with the room that they have left.
#[test]
fn a_small_entry_takes_few_bytes() {
    const ENTRIES: u64 = 60_000;
    for (life, most) in [(Duration::from_secs(3600), 185), (Duration::MAX, 160)] {
        let bench = bench::<u64>(1 << 20, 1 << 30);
        let fill = || {
            for number in 0..ENTRIES {
                let key = Key::new(Kind::User, format!("product/{number:011}"));
                bench.put(&key, number, life);
            }
        };
        let each = allocation_counter::measure(fill).bytes_current / ENTRIES.cast_signed();
        assert!(each <= most, "{each} bytes for each entry, at most {most}");
    }
}

#[test]
fn an_ordinary_entry_is_six_words_and_its_value() {
    assert_eq!(size_of::<Entry<u64>>(), 7 * size_of::<u64>());
    assert_eq!(size_of::<Key>(), 4 * size_of::<u64>());
}

#[test]
fn a_short_key_and_a_long_one_are_keys_alike() {
    for length in 0..60 {
        let base = vec![b'k'; length];
        let key = Key::new(Kind::User, &base);
        assert_eq!(key.base(), base);
        assert!(key.is_base());
        let decoded = Key::decode(key.as_bytes()).expect("it is a key");
        assert_eq!(decoded, key);
        assert_eq!(decoded.as_bytes(), key.as_bytes());
        assert_eq!(decoded.digest(), key.digest());
        let other = Key::assemble(Kind::User, &base, b"x");
        assert_ne!(other, key);
        assert_eq!(other.base_key(), key);
        assert!(key < other);
        let hash = |key: &Key| std::hash::BuildHasher::hash_one(&RANDOM, key);
        assert_eq!(hash(&decoded), hash(&key));
    }
}

const RANDOM: std::hash::BuildHasherDefault<std::hash::DefaultHasher> =
    std::hash::BuildHasherDefault::new();

/// Points in time, those among them at which something else happens.
fn time() -> impl Strategy<Value = Timestamp> {
    let near = (0..4_u64).prop_map(|at| 1_000_000 + at * 1000);
    let edge = (0..6_u64).prop_map(|at| 1_000_000 + u64::from(u32::MAX) - 4 + at);
    let any = prop_oneof![4 => near, 1 => edge, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    any.prop_map(Timestamp::from_millis)
}

/// Numbers, those among them that 32 bits just hold.
fn number() -> impl Strategy<Value = u64> {
    let edge = (0..6_u64).prop_map(|at| u64::from(u32::MAX) - 4 + at);
    prop_oneof![3 => Just(0), 2 => 1..9_u64, 1 => edge, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn meta() -> impl Strategy<Value = Meta> {
    let times = prop::array::uniform6(time());
    let same = prop::bool::weighted(0.4);
    let cost = prop_oneof![
        (0..5_000_u64).prop_map(Duration::from_millis),
        any::<u32>().prop_map(|nanos| Duration::from_nanos(nanos.into())),
        (0..6_u64).prop_map(|at| Duration::from_micros(u64::from(u32::MAX) - 4 + at)),
        Just(Duration::MAX),
    ];
    let tags = prop::collection::vec("[a-c]", 0..3);
    (times, same, cost, tags, prop::bool::weighted(0.1)).prop_map(
        |([stored, fresh, stale, spare, keep, retry], same, cost, tags, is_head)| {
            let time = |time| if same { fresh } else { time };
            Meta {
                stored_at: stored,
                fresh_until: fresh,
                stale_until: time(stale),
                spare_until: time(spare),
                keep_until: time(keep),
                retry_at: if same { Timestamp::EPOCH } else { retry },
                cost,
                tags: tags.into_iter().map(Tag::new).collect(),
                is_head,
            }
        },
    )
}

fn fence() -> impl Strategy<Value = Fence> {
    let tags = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(number(), 0..3)];
    let numbers = (number(), number(), number(), number());
    (numbers, tags).prop_map(|((all, base, sequence, order), tags)| Fence {
        all,
        base,
        sequence,
        order,
        tags,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(meta in meta(), fence in fence(), now in time()) {
        let entry = Entry::new(meta.clone(), 7, fence.clone());
        prop_assert_eq!(entry.meta(), meta.clone());
        prop_assert_eq!(entry.fence(), fence.clone());
        prop_assert_eq!(entry.freshness(now), meta.freshness(now));
        prop_assert_eq!(entry.is_usable(now), meta.is_usable(now));
        prop_assert_eq!(entry.is_direct(), fence.is_direct());
        let times = (entry.stored_at(), entry.fresh_until(), entry.spare_until(), entry.keep_until());
        prop_assert_eq!(times, (meta.stored_at, meta.fresh_until, meta.spare_until, meta.keep_until));
        prop_assert_eq!((entry.cost(), entry.is_head()), (meta.cost, meta.is_head));
        prop_assert_eq!((entry.order(), entry.sequence()), (fence.order, fence.sequence));
        let copy = entry.clone();
        prop_assert_eq!((copy.meta(), copy.fence()), (meta.clone(), fence));
        let moved = copy.under(Fence::direct(9));
        prop_assert_eq!((moved.meta(), moved.fence()), (meta, Fence::direct(9)));
    }
}

#[test]
fn a_policy_with_one_life_needs_no_more_than_the_words() {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let small = |policy: &Policy| {
        let meta = policy
            .stamp(now, Duration::from_millis(80))
            .expect("it is kept");
        let work = || {
            drop(std::hint::black_box(Entry::new(
                meta,
                7_u64,
                Fence::direct(1),
            )))
        };
        allocation_counter::measure(work).count_total == 0
    };
    let hour = Duration::from_secs(3600);
    assert!(small(&Policy::new(hour)));
    assert!(small(&Policy::new(hour).tag("t")));
    assert!(small(&Policy::new(larder_core::Lifetime::Forever)));
    assert!(!small(&Policy::new(hour).stale_if_error(hour)));
}
