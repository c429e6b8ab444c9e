//! What lies in the environment: one tree, told apart by the first byte of its keys.
//!
//! | key | value |
//! |---|---|
//! | `e`, base (16), variant (16) | an entry: a [`Head`], then its envelope |
//! | `x`, time (8), base (16), variant (16) | nothing: an entry that expires at this time |
//! | `p`, namespace (8), what (1), digest (16) | the number of the last purge of this thing |
//! | `s`, namespace (8) | the [`State`] of a namespace |
//!
//! Base and variant are digests made under the namespace; the variant of a base key is zero. The
//! envelope has the whole key, so that two keys of one digest are told apart when they are read.
//! Numbers in keys are big-endian, those in values little-endian; what is not guarded by the envelope
//! has a checksum over its key too.

use larder_core::{Fence, Key, Tag};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

pub(crate) const ENTRY: u8 = b'e';
pub(crate) const EXPIRY: u8 = b'x';
pub(crate) const PURGE: u8 = b'p';
pub(crate) const STATE: u8 = b's';

/// The place of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) base: u128,
    pub(crate) variant: u128,
}

impl Spot {
    /// The place of the base key of this one.
    pub(crate) fn of_base(self) -> Self {
        Self { variant: 0, ..self }
    }

    pub(crate) fn is_base(self) -> bool {
        self.variant == 0
    }

    pub(crate) fn key(self) -> [u8; 33] {
        let mut key = [ENTRY; 33];
        key[1..17].copy_from_slice(&self.base.to_be_bytes());
        key[17..].copy_from_slice(&self.variant.to_be_bytes());
        key
    }

    /// The beginning of the keys of a base key and its variants.
    pub(crate) fn family(self) -> [u8; 17] {
        let mut key = [ENTRY; 17];
        key[1..].copy_from_slice(&self.base.to_be_bytes());
        key
    }

    pub(crate) fn expiry(self, at: u64) -> [u8; 41] {
        let mut key = [EXPIRY; 41];
        key[1..9].copy_from_slice(&at.to_be_bytes());
        key[9..].copy_from_slice(&self.key()[1..]);
        key
    }

    /// The place in the key of an entry, or at the end of the key of an expiry.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (base, variant) = bytes.last_chunk::<32>()?.split_at(16);
        Some(Self {
            base: u128::from_be_bytes(base.try_into().ok()?),
            variant: u128::from_be_bytes(variant.try_into().ok()?),
        })
    }

    pub(crate) fn hash(&self) -> u64 {
        (self.base ^ self.variant) as u64
    }
}

/// One namespace's way of naming things.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) namespace: u64,
}

/// What a purge was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purged {
    /// A key, or a base key.
    Key(u128),
    /// A base key that was written and whose variants gave way.
    Variants(u128),
    /// A tag.
    Tag(u128),
}

impl Layout {
    pub(crate) fn new(namespace: &[u8]) -> Self {
        Self {
            namespace: xxh3_64(namespace),
        }
    }

    fn digest(&self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.namespace)
    }

    pub(crate) fn spot(&self, key: &Key) -> Spot {
        let variant = match key.is_base() {
            true => 0,
            // Zero is the base key's.
            false => self.digest(key.as_bytes()).max(1),
        };
        Spot {
            base: self.digest(key.base_bytes()),
            variant,
        }
    }

    pub(crate) fn tag(&self, tag: &Tag) -> Purged {
        Purged::Tag(self.digest(tag.as_bytes()))
    }

    pub(crate) fn state(&self) -> [u8; 9] {
        let mut key = [STATE; 9];
        key[1..].copy_from_slice(&self.namespace.to_be_bytes());
        key
    }

    /// The beginning of the keys of this namespace's purges: of all, or of tags or keys alone.
    pub(crate) fn purges(&self) -> [u8; 9] {
        let mut key = self.state();
        key[0] = PURGE;
        key
    }

    pub(crate) fn purge(&self, what: Purged) -> [u8; 26] {
        let (kind, digest) = match what {
            Purged::Key(digest) => (b'r', digest),
            Purged::Variants(digest) => (b'w', digest),
            Purged::Tag(digest) => (b't', digest),
        };
        let mut key = [kind; 26];
        key[..9].copy_from_slice(&self.purges());
        key[10..].copy_from_slice(&digest.to_be_bytes());
        key
    }
}

/// Whether the key of a purge record is one of a tag.
pub(crate) fn is_of_tag(key: &[u8]) -> bool {
    key.get(9) == Some(&b't')
}

/// Numbers, a checksum over the key and them, and what stands behind.
fn put_numbers<const N: usize>(key: &[u8], numbers: [u64; N], behind: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 * N + 8 + behind.len());
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let sum = xxh3_64_with_seed(&bytes, xxh3_64(key));
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(behind);
    bytes
}

/// The numbers that [`put_numbers`] wrote, and what stands behind them.
fn numbers<'a, const N: usize>(key: &[u8], bytes: &'a [u8]) -> Option<([u64; N], &'a [u8])> {
    let (numbers, rest) = bytes.split_at_checked(8 * N)?;
    let (sum, rest) = rest.split_first_chunk()?;
    if u64::from_le_bytes(*sum) != xxh3_64_with_seed(numbers, xxh3_64(key)) {
        return None;
    }
    let mut found = [0; N];
    for (number, bytes) in found.iter_mut().zip(numbers.chunks_exact(8)) {
        *number = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    Some((found, rest))
}

/// The number in the record of a purge; `None` for damaged bytes.
pub(crate) fn read_purge(key: &[u8], bytes: &[u8]) -> Option<u64> {
    match numbers(key, bytes)? {
        ([number], []) => Some(number),
        _ => None,
    }
}

pub(crate) fn put_purge(key: &[u8], number: u64) -> Vec<u8> {
    put_numbers(key, [number], &[])
}

/// What a store has to know of an entry without opening its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// From when on it is worth nothing, in milliseconds since the Unix epoch.
    pub(crate) keep_until: u64,
    /// The purges that its load had seen. What the envelope says of the fence is not used.
    pub(crate) sequence: u64,
    pub(crate) namespace: u64,
    /// When its load started, among all loads of the machine.
    pub(crate) order: u64,
}

impl Head {
    /// The bytes of an entry.
    pub(crate) fn write(&self, key: &[u8], envelope: &[u8]) -> Vec<u8> {
        let head = [self.keep_until, self.sequence, self.namespace, self.order];
        put_numbers(key, head, envelope)
    }

    /// The head and the envelope in the bytes of an entry; `None` where the head is damaged.
    pub(crate) fn read<'a>(key: &[u8], bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ([keep_until, sequence, namespace, order], envelope) = numbers(key, bytes)?;
        let head = Self {
            keep_until,
            sequence,
            namespace,
            order,
        };
        Some((head, envelope))
    }
}

/// What is known of the purges of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Random: another environment's purges are not comparable.
    pub(crate) generation: u64,
    /// The number of the last purge.
    pub(crate) sequence: u64,
    /// The number of the last clear.
    pub(crate) cleared: u64,
    /// What has no record counts as removed at this number, and as bumped at the next one.
    pub(crate) removed_floor: u64,
    pub(crate) bumped_floor: u64,
    /// How many records there are, of keys and of tags.
    pub(crate) removed: u64,
    pub(crate) bumped: u64,
}

impl State {
    pub(crate) fn write(&self, key: &[u8]) -> Vec<u8> {
        let numbers = [
            self.generation,
            self.sequence,
            self.cleared,
            self.removed_floor,
            self.bumped_floor,
            self.removed,
            self.bumped,
        ];
        put_numbers(key, numbers, &[])
    }

    pub(crate) fn read(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = numbers(key, bytes)? else {
            return None;
        };
        let [
            generation,
            sequence,
            cleared,
            removed_floor,
            bumped_floor,
            removed,
            bumped,
        ] = numbers;
        Some(Self {
            generation,
            sequence,
            cleared,
            removed_floor,
            bumped_floor,
            removed,
            bumped,
        })
    }

    /// The fence of a load that starts now.
    pub(crate) fn fence(&self) -> Fence {
        Fence {
            all: self.generation,
            sequence: self.sequence,
            ..Fence::default()
        }
    }
}
