//! What an envelope is opened for, and the reason where it is not.

use std::time::Duration;

use larder_core::codec::{Envelope, Head, Plain, Safe, Unreadable};
use larder_core::{Entry, ErrorKind, Fence, Key, Kind, Meta, Policy, Tag, Timestamp};

use crate::targets;

const SECRET: &[u8] = b"a long random secret";

fn key() -> Key {
    Key::new(Kind::User, "greeting")
}

fn stamped() -> Meta {
    let policy = Policy::new(Duration::from_secs(60)).tag("greetings");
    policy
        .stamp(Timestamp::from_millis(1_000), Duration::from_millis(3))
        .unwrap()
}

fn entry() -> Entry<Plain> {
    let fence = Fence {
        all: 7,
        base: 8,
        sequence: 9,
        order: 10,
        tags: vec![11],
    };
    Entry::new(stamped(), Plain::text("hello"), fence)
}

fn envelope(namespace: &str, secret: Option<&[u8]>) -> Envelope {
    Envelope::new(namespace, secret).unwrap()
}

fn sealed(secret: Option<&[u8]>) -> Vec<u8> {
    envelope("a_", secret)
        .seal_entry(&key(), &entry(), &Safe)
        .unwrap()
}

fn refusal(opener: &Envelope, bytes: &[u8]) -> Option<Unreadable> {
    opener.open(&key(), bytes).err()
}

#[test]
fn an_entry_comes_back_without_its_order() {
    for secret in [None, Some(SECRET)] {
        let bytes = sealed(secret);
        let opened = envelope("a_", secret).open(&key(), &bytes).unwrap();
        let found = opened.into_entry(&Safe).unwrap();
        assert_eq!(found.meta(), entry().meta());
        assert_eq!(found.value, entry().value);
        assert_eq!(
            found.fence(),
            Fence {
                order: 0,
                ..entry().fence()
            }
        );
    }
}

#[test]
fn what_others_write_is_foreign() {
    let ours = envelope("a_", None);
    for bytes in [
        &b""[..],
        b"41",
        b"-1",
        b"\x80\x04\x95",
        b"!\x80\x04",
        b"(lp0\n.",
        b"\x1f\x8b\x08",
    ] {
        assert_eq!(
            refusal(&ours, bytes),
            Some(Unreadable::Foreign),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn another_version_is_told_apart_whatever_follows() {
    let mut bytes = sealed(None);
    bytes[4] = 1;
    assert_eq!(
        refusal(&envelope("a_", None), &bytes),
        Some(Unreadable::OtherVersion)
    );
    assert_eq!(
        refusal(&envelope("a_", None), &bytes[..5]),
        Some(Unreadable::OtherVersion)
    );
}

#[test]
fn every_cut_is_noticed_and_extra_bytes_are_damage() {
    for secret in [None, Some(SECRET)] {
        let (bytes, opener) = (sealed(secret), envelope("a_", secret));
        for end in 1..bytes.len() {
            assert_eq!(
                refusal(&opener, &bytes[..end]),
                Some(Unreadable::Truncated),
                "{end}"
            );
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(refusal(&opener, &longer), Some(Unreadable::Damaged));
    }
}

#[test]
fn an_envelope_too_short_for_its_ending_is_damaged() {
    let bytes = [&b"\xf5LRD\x02\x00\x01"[..], &12_u32.to_be_bytes(), b"x"].concat();
    assert_eq!(
        refusal(&envelope("a_", None), &bytes),
        Some(Unreadable::Damaged)
    );
}

#[test]
fn a_flipped_payload_is_damage_or_a_wrong_seal() {
    for (secret, reason) in [
        (None, Unreadable::Damaged),
        (Some(SECRET), Unreadable::WrongSeal),
    ] {
        let mut bytes = sealed(secret);
        let payload = bytes
            .windows(5)
            .position(|window| window == b"hello")
            .unwrap();
        bytes[payload] ^= 1;
        assert_eq!(refusal(&envelope("a_", secret), &bytes), Some(reason));
    }
}

#[test]
fn a_seal_is_only_good_for_its_secret_and_namespace() {
    let bytes = sealed(Some(SECRET));
    assert_eq!(refusal(&envelope("a_", Some(SECRET)), &bytes), None);
    let others = [
        envelope("a_", Some(b"other")),
        envelope("b_", Some(SECRET)),
        envelope("a_", None),
    ];
    for other in others {
        assert_eq!(
            refusal(&other, &bytes),
            Some(Unreadable::WrongSeal),
            "{other:?}"
        );
    }
}

#[test]
fn the_parts_around_a_seal_cannot_be_shifted() {
    let bytes = sealed(Some(SECRET));
    for namespace in ["", "a", "a_\u{f5}", "\u{2}a_"] {
        assert!(
            envelope(namespace, Some(SECRET))
                .open(&key(), &bytes)
                .is_err(),
            "{namespace:?}"
        );
    }
}

#[test]
fn an_unsealed_entry_is_refused_where_entries_are_sealed() {
    let bytes = sealed(None);
    assert_eq!(
        refusal(&envelope("a_", Some(SECRET)), &bytes),
        Some(Unreadable::Unsealed)
    );
    assert_eq!(
        refusal(&envelope("b_", None), &bytes),
        Some(Unreadable::Damaged)
    );
}

#[test]
fn clearing_the_flag_does_not_unseal() {
    let mut bytes = sealed(Some(SECRET));
    bytes[5] = 0;
    assert_eq!(
        refusal(&envelope("a_", Some(SECRET)), &bytes),
        Some(Unreadable::Unsealed)
    );
    assert_eq!(
        refusal(&envelope("a_", None), &bytes),
        Some(Unreadable::Damaged)
    );
    bytes[5] = 2;
    assert_eq!(
        refusal(&envelope("a_", None), &bytes),
        Some(Unreadable::Damaged)
    );
}

#[test]
fn an_entry_of_another_key_is_none_of_ours() {
    let bytes = sealed(Some(SECRET));
    let opener = envelope("a_", Some(SECRET));
    for other in [
        Key::new(Kind::View, "greeting"),
        Key::new(Kind::User, "greetin"),
    ] {
        assert_eq!(
            opener.open(&other, &bytes).err(),
            Some(Unreadable::OtherKey)
        );
    }
    assert_eq!(
        Key::decode(opener.open_any(&bytes).unwrap().key),
        Some(key())
    );
}

#[test]
fn times_that_break_their_order_are_put_in_order() {
    let never = Meta {
        fresh_until: Timestamp::NEVER,
        ..stamped()
    };
    let early = Meta {
        fresh_until: Timestamp::EPOCH,
        ..stamped()
    };
    for meta in [never, early] {
        let entry = Entry::new(meta, Plain::None, Fence::default());
        let bytes = envelope("a_", None)
            .seal_entry(&key(), &entry, &Safe)
            .unwrap();
        let found = envelope("a_", None).open(&key(), &bytes).unwrap().meta;
        assert!(found.stored_at <= found.fresh_until && found.fresh_until <= found.stale_until);
        assert!(found.stale_until <= found.spare_until, "{found:?}");
        assert!(found.spare_until <= found.keep_until, "{found:?}");
    }
}

#[test]
fn never_has_one_form() {
    let number_of_never = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let rest = [0; 20];
    let open = |times: &[u8]| {
        let forged = targets::forge(&[&number_of_never[..], times, &rest].concat());
        envelope(targets::NAMESPACE, None)
            .open_any(&forged)
            .map(|opened| opened.meta)
    };
    let never = open(&[0, 0, 0, 0]).unwrap();
    assert_eq!(never.fresh_until, Timestamp::NEVER);
    assert_eq!(
        open(&[1, 0, 0, 0]),
        Err(Unreadable::Damaged),
        "never and no milliseconds"
    );
    assert_eq!(
        open(&[0, 2, 0, 0]),
        Err(Unreadable::Damaged),
        "a millisecond after never"
    );
}

#[test]
fn too_many_tags_cannot_be_stored() {
    let tags = |count: u32| (0..count).map(|n| Tag::new(n.to_string())).collect();
    let store = |count| {
        let meta = Meta {
            tags: tags(count),
            ..stamped()
        };
        let (fence, key) = (Fence::default(), key());
        let head = Head {
            key: &key,
            meta: &meta,
            fence: &fence,
            codec: 1,
        };
        envelope("a_", None).seal(&head, b"\x00")
    };
    assert!(
        envelope("a_", None)
            .open(&key(), &store(4096).unwrap())
            .is_ok()
    );
    let error = store(4097).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(
        error.detail(),
        "an entry has 4097 tags (at most 4096 can be stored)"
    );
}

#[test]
fn a_secret_is_never_printed() {
    assert_eq!(
        format!("{:?}", envelope("a_", Some(SECRET))),
        "Envelope { sealed: true, .. }"
    );
}

#[test]
fn a_payload_of_another_codec_is_not_decoded() {
    let (meta, fence, key) = (stamped(), Fence::default(), key());
    let head = Head {
        key: &key,
        meta: &meta,
        fence: &fence,
        codec: 70,
    };
    let bytes = envelope("a_", None).seal(&head, b"\x00").unwrap();
    let opened = envelope("a_", None).open(&key, &bytes).unwrap();
    let error = opened.into_entry(&Safe).unwrap_err();
    assert!(
        error.detail().starts_with("codec 70 wrote the payload"),
        "{error}"
    );
}

#[test]
fn every_reason_has_a_name_of_its_own() {
    use Unreadable::{Damaged, Foreign, OtherKey, OtherVersion, Truncated, Unsealed, WrongSeal};
    let all = [
        Foreign,
        OtherVersion,
        Truncated,
        Damaged,
        WrongSeal,
        Unsealed,
        OtherKey,
    ];
    let mut names = all.map(Unreadable::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    assert!(all.iter().all(|reason| !reason.to_string().is_empty()));
}
