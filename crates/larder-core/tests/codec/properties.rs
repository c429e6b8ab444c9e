//! Properties of keys, values and envelopes under inputs that nobody wrote by hand. `PROPTEST_CASES`
//! makes each property run so many cases.

use crate::targets;

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{
    Codec, Date, DateTime, Envelope, Opaque, Opened, Packing, Page, Plain, Safe, Time, TimeDelta,
    Zone,
};
use larder_core::{Entry, Fence, Key, KeyWriter, Kind, Policy, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// As many cases as the environment asks for, or these, times the effort that it asks for.
fn cases(otherwise: u32) -> ProptestConfig {
    let asked = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cases: u32 = asked("PROPTEST_CASES").unwrap_or(otherwise);
    let effort: u32 = asked("LARDER_EFFORT").unwrap_or(1);
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases.saturating_mul(effort))
    }
}

/// How envelopes are packed: with or without a seal, and compressed where that can be.
fn packing() -> impl Strategy<Value = Packing> {
    let secret = proptest::option::of(Just(targets::SECRET));
    (secret, any::<bool>()).prop_map(|(secret, compress)| {
        let packing = Packing::new().secrets(secret);
        #[cfg(feature = "zstd")]
        let packing = if compress {
            packing.compress(0)
        } else {
            packing
        };
        let _ = compress;
        packing
    })
}

fn encoded(value: &Plain) -> Vec<u8> {
    let mut out = Vec::new();
    Safe.encode(value, &mut out).unwrap();
    out
}

fn date() -> impl Strategy<Value = Date> {
    (1..=9999_u16, 1..=12_u8, 1..=28_u8).prop_map(|(year, month, day)| Date { year, month, day })
}

fn zone() -> impl Strategy<Value = Zone<Arc<str>>> {
    prop_oneof![
        Just(Zone::Naive),
        (-86_399..86_400).prop_map(Zone::Offset),
        "[A-Z][a-z]{2,9}/[A-Z][a-z]{2,9}".prop_map(|name| Zone::Named(name.into())),
    ]
}

fn time() -> impl Strategy<Value = Time<Arc<str>>> {
    let clock = (0..24_u8, 0..60_u8, 0..60_u8, 0..1_000_000_u32);
    (clock, any::<bool>(), zone()).prop_map(|((hour, minute, second, microsecond), fold, zone)| {
        Time {
            hour,
            minute,
            second,
            microsecond,
            fold,
            zone,
        }
    })
}

fn page() -> impl Strategy<Value = Page> {
    let headers = vec((vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9)), 0..4);
    (100..1000_u16, headers, vec(any::<u8>(), 0..200)).prop_map(|(status, headers, body)| Page {
        status,
        headers,
        body: body.into(),
    })
}

fn big_int() -> impl Strategy<Value = Plain> {
    (any::<bool>(), 1..=255_u8, vec(any::<u8>(), 8..40)).prop_map(|(negative, first, rest)| {
        let magnitude = [&[first], &rest[..]].concat().into();
        Plain::BigInt {
            negative,
            magnitude,
        }
    })
}

fn wide_text() -> impl Strategy<Value = Plain> {
    ("\\PC{0,5}", 0xa0..0xc0_u8, 0x80..0xc0_u8, "\\PC{0,5}").prop_map(
        |(before, high, low, after)| {
            Plain::WideText(
                [before.as_bytes(), &[0xed, high, low], after.as_bytes()]
                    .concat()
                    .into(),
            )
        },
    )
}

fn scalar() -> impl Strategy<Value = Plain> {
    let number = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::INFINITE;
    prop_oneof![
        Just(Plain::None),
        any::<bool>().prop_map(Plain::Bool),
        any::<i64>().prop_map(Plain::Int),
        (-200..200_i64).prop_map(Plain::Int),
        number.prop_map(Plain::Float),
        "\\PC{0,100}".prop_map(Plain::text),
        vec(any::<u8>(), 0..200).prop_map(Plain::bytes),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Plain::ByteArray(bytes.into())),
        "-?[0-9]{1,9}(\\.[0-9]{1,9})?(E[+-][0-9]{1,3})?"
            .prop_map(|text| Plain::Decimal(text.into())),
        any::<[u8; 16]>().prop_map(Plain::Uuid),
        "\\PC{0,70}".prop_map(|text| Plain::Markup(text.into())),
    ]
}

fn rare() -> impl Strategy<Value = Plain> {
    let span = (-999_999_999..=999_999_999, 0..86_400_u32, 0..1_000_000_u32);
    prop_oneof![
        big_int(),
        wide_text(),
        date().prop_map(Plain::Date),
        time().prop_map(|time| Plain::Time(time.into())),
        (date(), time()).prop_map(|(date, time)| Plain::DateTime(DateTime { date, time }.into())),
        span.prop_map(|(days, seconds, microseconds)| {
            Plain::TimeDelta(TimeDelta {
                days,
                seconds,
                microseconds,
            })
        }),
        page().prop_map(|page| Plain::Page(page.into())),
        vec(any::<u8>(), 0..50).prop_map(|bytes| {
            Plain::Opaque(
                Opaque {
                    codec: "pickle".into(),
                    bytes: bytes.into(),
                }
                .into(),
            )
        }),
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![3 => scalar(), 1 => rare()].prop_recursive(6, 60, 8, |inner| {
        let many = vec(inner.clone(), 0..8);
        prop_oneof![
            many.clone().prop_map(|all| Plain::List(all.into())),
            many.clone().prop_map(|all| Plain::Tuple(all.into())),
            many.clone().prop_map(|all| Plain::Set(all.into())),
            many.prop_map(|all| Plain::FrozenSet(all.into())),
            vec((inner.clone(), inner), 0..8).prop_map(|all| Plain::Map(all.into())),
        ]
    })
}

/// One change to some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    /// The front of these bytes and the back of others.
    Splice(Index, Index),
    Swap(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => at().prop_map(Mutation::Cut),
        1 => (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), 1..12_usize).prop_map(|(at, count)| Mutation::Delete(at, count)),
        2 => (at(), at()).prop_map(|(front, back)| Mutation::Splice(front, back)),
        1 => (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let within = |at: &Index| at.index(bytes.len() + 1);
        match self {
            _ if bytes.is_empty() => {}
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(at) => bytes.truncate(within(at)),
            Self::Insert(at, new) => {
                let at = within(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Delete(at, count) => {
                let at = within(at);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Self::Splice(front, back) => {
                bytes.truncate(within(front));
                bytes.extend_from_slice(&other[back.index(other.len() + 1)..]);
            }
            Self::Swap(one, other) => {
                let length = bytes.len();
                bytes.swap(one.index(length), other.index(length));
            }
        }
    }
}

/// Two entries of one secret, under two keys, and their bytes.
struct Pair {
    envelope: Envelope,
    keys: [Key; 2],
    bytes: [Vec<u8>; 2],
}

impl Pair {
    fn new(values: &[Plain; 2], packing: Packing) -> Self {
        let envelope = Envelope::new(targets::NAMESPACE, packing).unwrap();
        let keys = ["/products", "/profile"].map(|base| Key::new(Kind::View, base));
        let seal = |which: usize| {
            let policy = Policy::new(Duration::from_secs(60)).tag("a").tag("b");
            let meta = policy.stamp(Timestamp::from_millis(1 << 40), Duration::from_millis(7));
            let fence = Fence {
                all: u64::MAX,
                base: 1 << 63,
                sequence: 3,
                order: 0,
                tags: vec![4, 5],
            };
            let entry = Entry::new(meta.unwrap(), values[which].clone(), fence);
            envelope.seal_entry(&keys[which], &entry, &Safe).unwrap()
        };
        let bytes = [seal(0), seal(1)];
        Self {
            envelope,
            keys,
            bytes,
        }
    }

    fn original(&self, which: usize) -> Opened<'_> {
        self.envelope
            .open(&self.keys[which], &self.bytes[which])
            .unwrap()
    }

    /// What is in `mutated` for a key is what was stored under it, or nothing.
    fn check(&self, mutated: &[u8]) {
        for (which, key) in self.keys.iter().enumerate() {
            if let Ok(opened) = self.envelope.open(key, mutated) {
                assert_eq!(opened, self.original(which));
                assert_eq!(mutated, self.bytes[which]);
            }
        }
    }
}

fn written(values: &[Plain]) -> KeyWriter {
    let mut out = KeyWriter::new();
    values.iter().for_each(|value| write_key(&mut out, value));
    out
}

fn write_key(out: &mut KeyWriter, value: &Plain) {
    match value {
        Plain::None => drop(out.none()),
        Plain::Bool(value) => drop(out.bool(*value)),
        Plain::Int(value) => drop(out.int(*value)),
        Plain::Float(value) => drop(out.float(*value)),
        Plain::Text(text) => drop(out.text(text)),
        Plain::Bytes(bytes) => drop(out.bytes(bytes)),
        Plain::List(all) => {
            out.list(all.len());
            all.iter().for_each(|member| write_key(out, member));
        }
        Plain::Tuple(all) => {
            out.tuple(all.len());
            all.iter().for_each(|member| write_key(out, member));
        }
        other => panic!("{other:?} is not generated here"),
    }
}

/// Few values, so that equal ones and nearly equal ones are common.
fn key_part() -> impl Strategy<Value = Plain> {
    let few = prop_oneof![
        Just(Plain::None),
        any::<bool>().prop_map(Plain::Bool),
        (-1..3_i64).prop_map(Plain::Int),
        (0..3_u8).prop_map(|value| Plain::Float(value.into())),
        "[a1_\\x00\\x06]{0,3}".prop_map(Plain::text),
        "[a1_\\x00\\x06]{0,3}".prop_map(|text| Plain::bytes(text.into_bytes())),
    ];
    few.prop_recursive(2, 8, 3, |inner| {
        let many = vec(inner, 0..3);
        prop_oneof![
            many.clone().prop_map(|all| Plain::List(all.into())),
            many.prop_map(|all| Plain::Tuple(all.into())),
        ]
    })
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn values_come_back(value in plain()) {
        let bytes = encoded(&value);
        prop_assert_eq!(&Codec::<Plain>::decode(&Safe, &bytes).unwrap(), &value);
        targets::safe(&bytes);
        targets::reader(&bytes);
    }

    #[test]
    fn changed_values_are_refused_or_other_values(
        values in [plain(), plain()],
        mutations in vec(mutation(), 1..4),
    ) {
        let [mut bytes, other] = values.map(|value| encoded(&value));
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, &other));
        targets::safe(&bytes);
        targets::reader(&bytes);
    }

    #[test]
    fn changed_envelopes_are_never_opened(
        values in [plain(), plain()],
        packing in packing(),
        mutations in vec(vec(mutation(), 1..4), 20),
    ) {
        // A run of one sign, so that it can be compressed at all.
        let run = Plain::text("z".repeat(200));
        let values = values.map(|value| Plain::List([value, run.clone()].into()));
        let pair = Pair::new(&values, packing);
        for mutations in &mutations {
            let mut bytes = pair.bytes[0].clone();
            mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, &pair.bytes[1]));
            pair.check(&bytes);
        }
        pair.check(&pair.bytes[1]);
    }

    #[test]
    fn forged_envelopes_hold_well_formed_entries(
        values in [plain(), plain()],
        mutations in vec(mutation(), 0..4),
    ) {
        let pair = Pair::new(&values, Packing::new());
        let body = |bytes: &[u8]| bytes[11..bytes.len() - 8].to_vec();
        let (mut bytes, other) = (body(&pair.bytes[0]), body(&pair.bytes[1]));
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, &other));
        targets::forged(&bytes);
        targets::envelope(&targets::forge(&bytes));
    }

    #[test]
    fn any_bytes_are_harmless(bytes in vec(any::<u8>(), 0..300)) {
        targets::safe(&bytes);
        targets::reader(&bytes);
        targets::envelope(&bytes);
        targets::forged(&bytes);
        targets::key(&bytes);
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn keys_are_equal_where_their_parts_are(
        one in vec(key_part(), 0..4),
        other in vec(key_part(), 0..4),
    ) {
        prop_assert_eq!(one == other, written(&one) == written(&other), "{:?} {:?}", one, other);
        let base = Key::new(Kind::Memoize, "f");
        let (one, other) = (written(&one), written(&other));
        let keys = [&one, &other].map(|variant| base.with_variant(variant));
        prop_assert_eq!(one == other, keys[0] == keys[1]);
        targets::key(keys[0].as_bytes());
    }
}
