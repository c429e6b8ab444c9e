//! What a fuzzer calls: each target takes any bytes, and panics when a promise is broken. The property
//! tests run them for seconds; a fuzz crate includes this file by its path and runs them for hours.

use larder_core::Key;
use larder_core::codec::{Codec, Envelope, Head, Item, Plain, Reader, Safe};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The namespace of all envelopes here.
pub(crate) const NAMESPACE: &str = "flask_cache_";
/// The secret of the sealed ones.
pub(crate) const SECRET: &[u8] = b"known to no fuzzer";

/// The safe codec: bytes are refused, or they are the one encoding of the value they stand for.
pub(crate) fn safe(data: &[u8]) {
    if let Ok(value) = Codec::<Plain>::decode(&Safe, data) {
        let mut again = Vec::new();
        Safe.encode(&value, &mut again)
            .expect("a decoded value can be encoded");
        assert_eq!(again, data, "a second encoding of {value:?}");
    }
}

/// The reader alone: what containers announce never exceeds what is left, and reading ends.
pub(crate) fn reader(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut open: Vec<usize> = Vec::new();
    let mut read = 0;
    while let Ok(item) = reader.item() {
        read += 1;
        assert!(read <= data.len(), "more items than bytes");
        if let Some(waiting) = open.last_mut() {
            *waiting -= 1;
        }
        open.extend(members(&item));
        assert!(
            open.iter().sum::<usize>() <= data.len() - read,
            "announced: {open:?}"
        );
        while open.last() == Some(&0) {
            open.pop();
            reader.close();
        }
    }
}

fn members(item: &Item<'_>) -> Option<usize> {
    match item {
        Item::List(count) | Item::Tuple(count) | Item::Set(count) | Item::FrozenSet(count) => {
            Some(*count)
        }
        Item::Map(count) => Some(2 * count),
        _ => None,
    }
}

/// The envelope, as bytes in a store: none is opened that we did not make.
pub(crate) fn envelope(data: &[u8]) {
    let sealed = Envelope::new(NAMESPACE, Some(SECRET)).unwrap();
    assert!(sealed.open_any(data).is_err(), "a forged seal");
    if let Ok(opened) = Envelope::new(NAMESPACE, None).unwrap().open_any(data) {
        safe(opened.payload);
    }
}

/// The envelope, as someone forges it who knows everything but a secret: `data` stands behind a right
/// length and before a right checksum.
pub(crate) fn forged(data: &[u8]) {
    let bytes = forge(data);
    let envelope = Envelope::new(NAMESPACE, None).unwrap();
    let Ok(opened) = envelope.open_any(&bytes) else {
        return;
    };
    let meta = &opened.meta;
    assert!(meta.stored_at <= meta.fresh_until && meta.fresh_until <= meta.stale_until);
    assert!(meta.stale_until <= meta.spare_until && meta.spare_until <= meta.keep_until);
    safe(opened.payload);
    let Some(key) = Key::decode(opened.key) else {
        return;
    };
    let head = Head {
        key: &key,
        meta,
        fence: &opened.fence,
        codec: opened.codec,
    };
    assert_eq!(
        envelope.seal(&head, opened.payload).unwrap(),
        bytes,
        "a second form of {opened:?}"
    );
}

/// An unsealed envelope around `body`, which follows the length.
pub(crate) fn forge(body: &[u8]) -> Vec<u8> {
    forge_with(0, body)
}

/// As [`forge`], with these flags.
pub(crate) fn forge_with(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&b"\xf5LRD\x02"[..], &[flags, 1]].concat();
    bytes.extend_from_slice(&u32::try_from(19 + body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    let sum = xxh3_64_with_seed(&bytes, xxh3_64(NAMESPACE.as_bytes()));
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Keys: bytes are refused, or they are the key that they stand for.
pub(crate) fn key(data: &[u8]) {
    if let Some(key) = Key::decode(data) {
        assert_eq!(key.as_bytes(), data);
        assert_eq!(Key::assemble(key.kind(), key.base(), key.variant()), key);
    }
}
