//! The bytes of keys, values and envelopes are those of `tests/golden`, which the Python suite reads
//! too, and which a second implementation of `docs/FORMAT.md` wrote.

mod notation;

use larder_core::codec::{Codec, Envelope, Head, Plain, Safe};
use larder_core::{Entry, Key};
use notation::{cases, fence, hex, key, meta, plain};
use serde_json::Value as Json;

fn encoded(value: &Plain) -> Vec<u8> {
    let mut out = Vec::new();
    Safe.encode(value, &mut out).unwrap();
    out
}

/// Equal, where equality of floating-point numbers is that of their bits.
fn assert_same(found: &Plain, wanted: &Plain, name: &Json) {
    match (found, wanted) {
        (Plain::Float(found), Plain::Float(wanted)) => {
            assert_eq!(found.to_bits(), wanted.to_bits(), "{name}");
        }
        _ => assert_eq!(found, wanted, "{name}"),
    }
}

#[test]
fn keys_have_their_golden_bytes() {
    for case in cases("keys") {
        let (found, wanted, name) = (key(&case), hex(&case["hex"]), &case["name"]);
        assert_eq!(found.as_bytes(), wanted, "{name}");
        assert_eq!(Key::decode(&wanted), Some(found.clone()), "{name}");
        assert_eq!(format!("{:032x}", found.digest()), case["digest"], "{name}");
    }
}

#[test]
fn golden_keys_are_all_different() {
    let mut keys: Vec<Key> = cases("keys").iter().map(key).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn values_have_their_golden_bytes_and_come_back() {
    for case in cases("values") {
        let (value, wanted, name) = (plain(&case["value"]), hex(&case["hex"]), &case["name"]);
        assert_eq!(encoded(&value), wanted, "{name}");
        assert_same(&Safe.decode(&wanted).unwrap(), &value, name);
    }
}

#[test]
fn no_golden_value_survives_a_cut_or_an_extra_byte() {
    for case in cases("values") {
        let (bytes, name) = (hex(&case["hex"]), &case["name"]);
        for end in 0..bytes.len() {
            assert!(
                Codec::<Plain>::decode(&Safe, &bytes[..end]).is_err(),
                "{name}, {end} bytes"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(
            Codec::<Plain>::decode(&Safe, &longer).is_err(),
            "{name} and a byte"
        );
    }
}

fn envelope(case: &Json) -> Envelope {
    let secret = case["secret"].as_str().map(str::as_bytes);
    Envelope::new(case["namespace"].as_str().unwrap(), secret).unwrap()
}

#[test]
fn envelopes_have_their_golden_bytes() {
    for case in cases("envelopes") {
        let (envelope, key, value) = (envelope(&case), key(&case["key"]), plain(&case["value"]));
        let (meta, fence) = (meta(&case["meta"]), fence(&case["fence"]));
        let head = Head {
            key: &key,
            meta: &meta,
            fence: &fence,
            codec: Safe::ID,
        };
        let wanted = hex(&case["hex"]);
        assert_eq!(
            envelope.seal(&head, &encoded(&value)).unwrap(),
            wanted,
            "{}",
            case["name"]
        );
        let entry = Entry::new(meta, value, fence);
        assert_eq!(
            envelope.seal_entry(&key, &entry, &Safe).unwrap(),
            wanted,
            "{}",
            case["name"]
        );
    }
}

#[test]
fn golden_envelopes_are_opened() {
    assert_opened("envelopes");
}

/// A second implementation compressed these.
#[cfg(feature = "zstd")]
#[test]
fn golden_compressed_envelopes_are_opened() {
    assert_opened("packed");
}

fn assert_opened(file: &str) {
    for case in cases(file) {
        let (bytes, key, name) = (hex(&case["hex"]), key(&case["key"]), &case["name"]);
        let opened = envelope(&case).open(&key, &bytes).unwrap();
        assert_eq!(Key::decode(opened.key), Some(key), "{name}");
        assert_eq!(opened.sealed, !case["secret"].is_null(), "{name}");
        assert_eq!(opened.packed, file == "packed", "{name}");
        let entry = opened.into_entry(&Safe).unwrap();
        assert_eq!(entry.meta(), meta(&case["meta"]), "{name}");
        assert_eq!(entry.fence(), fence(&case["fence"]), "{name}");
        assert_same(&entry.value, &plain(&case["value"]), name);
    }
}
