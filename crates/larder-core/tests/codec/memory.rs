//! Hostile lengths: what is allocated depends on the bytes that are there, not on those they claim.

use crate::targets;

use allocation_counter::measure;
use larder_core::codec::{Codec, Envelope, Plain, Safe};
use larder_core::{Key, Kind};
use proptest::prelude::*;

/// Bytes of memory that one byte of a payload may justify: an empty text in a list is a value of
/// three words, held twice while the list is made, and two counters.
const EACH: u64 = 80;
/// What an error and the head of an entry take, whatever the bytes.
const FLAT: u64 = 1_000;

fn peak(work: impl FnOnce()) -> u64 {
    measure(work).bytes_max
}

fn decode(payload: &[u8]) -> u64 {
    peak(|| drop(Codec::<Plain>::decode(&Safe, payload)))
}

pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

#[test]
fn a_claimed_length_allocates_nothing() {
    for claim in [1_000, 1 << 31, 1 << 40, u64::MAX] {
        for kind in 0x04..=0x17_u8 {
            let payload = [&[kind], &number(claim)[..], &[0; 20]].concat();
            let bytes = decode(&payload);
            assert!(
                bytes <= FLAT,
                "type {kind:#04x} claiming {claim} took {bytes} bytes"
            );
        }
    }
}

#[test]
fn nested_claims_do_not_multiply() {
    let total = 1 << 20;
    for kind in [0x08, 0x0a] {
        let mut payload = Vec::new();
        for _ in 0..64 {
            payload.push(kind);
            payload.extend(number((total - 64 * 4) / if kind == 0x0a { 2 } else { 1 }));
        }
        payload.resize(total.try_into().unwrap(), 0x00);
        let bytes = decode(&payload);
        assert!(
            bytes <= EACH * total,
            "{kind:#04x}: {bytes} bytes for {total}"
        );
    }
}

#[test]
fn the_costliest_payload_stays_within_its_bound() {
    let count = 100_000;
    let member: [&[u8]; 5] = [
        b"\x40",
        b"\x08\x00",
        b"\x17\x00\x00",
        b"\x16\x00\xc8\x00\x00",
        b"\x00",
    ];
    for member in member {
        let payload = [
            &[0x08],
            &number(count)[..],
            &member.repeat(count.try_into().unwrap()),
        ]
        .concat();
        assert!(Codec::<Plain>::decode(&Safe, &payload).is_ok());
        let (bytes, bound) = (decode(&payload), EACH * payload.len() as u64);
        assert!(
            bytes <= bound,
            "{}: {bytes} of {bound}",
            member.escape_ascii()
        );
    }
}

proptest! {
    #[test]
    fn any_payload_stays_within_its_bound(
        members in proptest::collection::vec(0..0x18_u8, 0..400),
        fill in proptest::collection::vec(0..4_u8, 400),
    ) {
        // Types followed by small numbers: far more of these are whole values than of random bytes.
        let pairs = members.iter().zip(&fill).flat_map(|(&kind, &number)| [kind, number]);
        let payload: Vec<u8> = [0x08, 0x90, 0x01].into_iter().chain(pairs).collect();
        prop_assert!(decode(&payload) <= EACH * payload.len() as u64 + FLAT);
    }
}

#[test]
fn an_envelope_allocates_no_claimed_count() {
    let envelope = Envelope::new(targets::NAMESPACE, None).unwrap();
    let key = Key::new(Kind::User, "k");
    for claim in [1_000, 4_096, 4_097, 1 << 40, u64::MAX] {
        for front in [&[0; 6][..], &[0; 10]] {
            let body = [front, &number(claim), &[0; 20]].concat();
            let forged = targets::forge(&body);
            let bytes = peak(|| drop(envelope.open(&key, &forged)));
            assert!(
                bytes <= FLAT,
                "{claim} tags or generations took {bytes} bytes"
            );
        }
    }
}

#[test]
fn the_most_tags_cost_what_they_justify() {
    let envelope = Envelope::new(targets::NAMESPACE, None).unwrap();
    let body = [&[0; 6][..], &number(4_096), &[0; 4_096 + 6]].concat();
    let forged = targets::forge(&body);
    assert!(envelope.open_any(&forged).is_ok());
    let bytes = peak(|| drop(envelope.open_any(&forged)));
    assert!(bytes <= EACH * forged.len() as u64 + FLAT, "{bytes} bytes");
}

#[test]
fn a_length_field_allocates_nothing() {
    let envelope = Envelope::new(targets::NAMESPACE, None).unwrap();
    let mut forged = targets::forge(&[0; 12]);
    forged[7..11].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(peak(|| drop(envelope.open_any(&forged))), 0);
}
