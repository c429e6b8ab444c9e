//! Compressed payloads: when they are, and what is refused of them.

use std::time::Duration;

use larder_core::codec::{Codec, Envelope, Packing, Plain, Safe, Unreadable};
use larder_core::{Entry, ErrorKind, Fence, Key, Kind, Policy, Timestamp};
use proptest::prelude::*;

use crate::memory::number;
use crate::targets;

const PACKED: u8 = 2;
const FLAGS: usize = 5;

fn key() -> Key {
    Key::new(Kind::View, "/products")
}

fn entry(value: Plain) -> Entry<Plain> {
    let policy = Policy::new(Duration::from_secs(60));
    let meta = policy.stamp(Timestamp::from_millis(1_000), Duration::ZERO);
    Entry::new(meta.unwrap(), value, Fence::default())
}

/// A page as sites have it: rows that differ in some digits.
fn page(rows: usize) -> Plain {
    let row = |n: usize| format!("<tr><td>{}</td><td>lamp</td></tr>\n", n * 7919 % 10_007);
    Plain::text((0..rows).map(row).collect::<String>())
}

fn noise(bytes: usize) -> Plain {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    Plain::bytes((0..bytes).map(|_| next()).collect::<Vec<u8>>())
}

fn envelope(packing: Packing) -> Envelope {
    Envelope::new(targets::NAMESPACE, packing).unwrap()
}

fn written(packing: &Packing, value: &Plain) -> Vec<u8> {
    envelope(packing.clone())
        .seal_entry(&key(), &entry(value.clone()), &Safe)
        .unwrap()
}

fn read(packing: &Packing, bytes: &[u8]) -> larder_core::Result<Plain> {
    let envelope = envelope(packing.clone());
    let opened = envelope.open(&key(), bytes).unwrap();
    opened.into_entry(&Safe).map(|entry| entry.value)
}

#[test]
fn what_is_compressed_comes_back_to_those_who_do_not_compress() {
    for secrets in [&[][..], &["secret"]] {
        let plain = Packing::new().secrets(secrets);
        let small = plain.clone().compress(1_000);
        let (value, packed) = (page(200), written(&small, &page(200)));
        assert_eq!(packed[FLAGS] & PACKED, PACKED);
        assert!(packed.len() * 3 < written(&plain, &value).len());
        for reader in [&plain, &small] {
            assert_eq!(read(reader, &packed).unwrap(), value);
        }
    }
}

#[test]
fn what_is_small_or_does_not_shrink_stays_as_it_is() {
    let packing = Packing::new().compress(1_000);
    // A text that long takes three bytes more in the codec.
    let (short, long) = ("z".repeat(997), "z".repeat(998));
    assert_eq!(written(&packing, &Plain::text(short))[FLAGS], 0);
    assert_eq!(written(&packing, &Plain::text(long))[FLAGS], PACKED);
    for value in [noise(50_000), Plain::text("z".repeat(4_000_000))] {
        let bytes = written(&packing, &value);
        assert_eq!(bytes[FLAGS], 0);
        assert_eq!(bytes, written(&Packing::new(), &value));
    }
}

#[test]
fn what_is_larger_than_the_largest_is_neither_compressed_nor_unpacked() {
    let packing = Packing::new().compress(1_000);
    let bytes = written(&packing, &page(2_000));
    let narrow = packing.clone().largest(20_000);
    assert_eq!(written(&narrow, &page(2_000))[FLAGS], 0);
    assert_eq!(written(&narrow, &page(200))[FLAGS], PACKED);
    let error = read(&narrow, &bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert!(
        error
            .detail()
            .ends_with("(at most 20000 are unpacked here)")
    );
    let exactly = packing.largest(20_000_000);
    assert_eq!(read(&exactly, &bytes).unwrap(), page(2_000));
}

/// An envelope whose checksum is right around a payload that says it is compressed.
fn forged(payload: &[u8]) -> Vec<u8> {
    let key = key();
    let body = [
        &[0; 12][..],
        &[u8::try_from(key.as_bytes().len()).unwrap()],
        key.as_bytes(),
        payload,
    ];
    targets::forge_with(PACKED, &body.concat())
}

/// The frame in an envelope that holds `page(200)`, and the length that it unpacks to.
fn frame() -> (u64, Vec<u8>) {
    let bytes = written(&Packing::new().compress(0), &page(200));
    let magic = b"\x28\xb5\x2f\xfd";
    let at = bytes.windows(4).position(|window| window == magic).unwrap();
    let mut payload = Vec::new();
    Safe.encode(&page(200), &mut payload).unwrap();
    (payload.len() as u64, bytes[at..bytes.len() - 8].to_vec())
}

#[test]
fn frames_that_lie_are_refused_and_take_no_room() {
    let (size, frame) = frame();
    let packing = Packing::new();
    let honest = forged(&[number(size), frame.clone()].concat());
    assert_eq!(read(&packing, &honest).unwrap(), page(200));
    let half = frame.len() / 2;
    let lies = [
        [number(size + 1), frame.clone()].concat(),
        [number(size - 1), frame.clone()].concat(),
        [number(0), frame.clone()].concat(),
        [number(u64::MAX), frame.clone()].concat(),
        [number(9 << 20), frame.clone()].concat(),
        [number(size), frame[..half].to_vec()].concat(),
        [number(size), b"no frame".repeat(100)].concat(),
        number(size),
        Vec::new(),
    ];
    for lie in lies {
        let bytes = forged(&lie);
        let mut outcome = None;
        let peak = allocation_counter::measure(|| outcome = Some(read(&packing, &bytes)));
        let error = outcome.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
        assert!(
            peak.bytes_max < 40_000,
            "{} bytes for {error}",
            peak.bytes_max
        );
    }
}

#[test]
fn a_frame_that_swells_beyond_measure_is_refused() {
    // zstd itself shrinks eight million equal bytes to less than three hundred.
    let zeros = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
    assert!(zeros.len() < 1_000);
    let bytes = forged(&[number(8 << 20), zeros].concat());
    let error = read(&Packing::new(), &bytes).unwrap_err();
    assert_eq!(error.detail(), "the compressed payload is damaged");
}

#[test]
fn the_flag_is_under_the_seal() {
    let packing = Packing::new().secrets(["secret"]).compress(0);
    for value in [page(200), Plain::None] {
        let mut bytes = written(&packing, &value);
        bytes[FLAGS] ^= PACKED;
        let refused = envelope(packing.clone()).open(&key(), &bytes).unwrap_err();
        assert_eq!(refused, Unreadable::WrongSeal);
    }
}

proptest! {
    #[test]
    fn any_frame_is_harmless(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        claimed in 0..100_000_u64,
        magic in any::<bool>(),
    ) {
        let start: &[u8] = if magic { b"\x28\xb5\x2f\xfd" } else { b"" };
        drop(read(&Packing::new(), &forged(&[&number(claimed), start, &payload].concat())));
    }

    #[test]
    fn a_changed_frame_is_refused_or_another_value_of_that_length(
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let (size, mut frame) = frame();
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        if let Ok(value) = read(&Packing::new(), &forged(&[number(size), frame].concat())) {
            let mut again = Vec::new();
            Safe.encode(&value, &mut again).unwrap();
            prop_assert_eq!(again.len() as u64, size);
        }
    }
}
