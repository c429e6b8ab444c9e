//! What stands in front of the envelope in the file of an entry.

use larder_core::codec::Unreadable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::names::Spot;

/// What every file of an entry begins with; the byte behind it is the version.
const MAGIC: &[u8; 7] = b"LRDFILE";
const VERSION: u8 = 1;

/// What a store has to know of an entry without opening its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The digest of the namespace.
    pub(crate) namespace: u64,
    /// The purge log that the entry goes by, and the purges in it that its load had seen. What the
    /// envelope says of the fence is not used.
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    /// From when on it is worth nothing, in milliseconds since the Unix epoch.
    pub(crate) keep_until: u64,
    /// The start of the machine in which it was loaded, and the order of that load in it.
    pub(crate) boot: u64,
    pub(crate) order: u64,
    /// Random: tells this entry from another one under the same key.
    pub(crate) stamp: u64,
}

/// What the beginning of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Entry(Head),
    /// An entry of another version.
    OtherVersion,
    /// An entry whose head is not what was written, or cut short.
    Damaged,
    /// Something of somebody else.
    Foreign,
}

impl Look {
    /// What this is to somebody who looks for an entry of his own here.
    pub(crate) fn unreadable(self) -> Unreadable {
        match self {
            // Two namespaces that meet in one digest.
            Self::Entry(_) => Unreadable::OtherKey,
            Self::OtherVersion => Unreadable::OtherVersion,
            Self::Damaged => Unreadable::Damaged,
            Self::Foreign => Unreadable::Foreign,
        }
    }
}

impl Head {
    pub(crate) const LENGTH: usize = 72;

    /// The bytes of the head of the entry at `spot`: numbers, little-endian, and a checksum over them
    /// and the place.
    pub(crate) fn write(&self, spot: Spot) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..7].copy_from_slice(MAGIC);
        bytes[7] = VERSION;
        let numbers = [
            self.namespace,
            self.generation,
            self.sequence,
            self.keep_until,
            self.boot,
            self.order,
            self.stamp,
        ];
        for (place, number) in bytes[8..64].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = sum(&bytes[..64], spot);
        bytes[64..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What the beginning of the file at `spot` says.
    pub(crate) fn read(spot: Spot, bytes: &[u8]) -> Look {
        if bytes.len() <= MAGIC.len() || &bytes[..7] != MAGIC {
            let cut = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return if cut { Look::Damaged } else { Look::Foreign };
        }
        if bytes[7] != VERSION {
            return Look::OtherVersion;
        }
        let Some(bytes) = bytes.first_chunk::<{ Self::LENGTH }>() else {
            return Look::Damaged;
        };
        let number = |place: usize| {
            let at = 8 * place;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
        };
        if number(8) != sum(&bytes[..64], spot) {
            return Look::Damaged;
        }
        Look::Entry(Self {
            namespace: number(1),
            generation: number(2),
            sequence: number(3),
            keep_until: number(4),
            boot: number(5),
            order: number(6),
            stamp: number(7),
        })
    }
}

fn sum(bytes: &[u8], spot: Spot) -> u64 {
    xxh3_64_with_seed(bytes, spot.hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOT: Spot = Spot {
        base: 7 << 64,
        variant: 0,
    };

    #[test]
    fn a_head_comes_back_whole_or_not_at_all() {
        let head = Head {
            namespace: 1,
            generation: 2,
            sequence: 3,
            keep_until: 4,
            boot: 5,
            order: 6,
            stamp: 7,
        };
        let bytes = head.write(SPOT);
        assert_eq!(Head::read(SPOT, &bytes), Look::Entry(head));
        let elsewhere = Spot {
            base: 8 << 64,
            variant: 0,
        };
        assert_eq!(Head::read(elsewhere, &bytes), Look::Damaged);
        for at in 0..Head::LENGTH {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            let expected = match at {
                0..7 => Look::Foreign,
                7 => Look::OtherVersion,
                _ => Look::Damaged,
            };
            assert_eq!(Head::read(SPOT, &damaged), expected, "byte {at}");
            let cut = Head::read(SPOT, &bytes[..at]);
            let expected = if at == 0 {
                Look::Foreign
            } else {
                Look::Damaged
            };
            assert_eq!(cut, expected, "cut at {at}");
        }
    }
}
