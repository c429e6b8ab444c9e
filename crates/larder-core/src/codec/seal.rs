//! What an envelope ends with: a checksum against accidents, or a seal against people.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::wire::put_sized;

/// Told apart from every other use that the same secret is put to.
const LABEL: &[u8] = b"larder envelope seal 1";

pub(super) const CHECKSUM_BYTES: usize = 8;
pub(super) const SEAL_BYTES: usize = 32;

/// Ends envelopes, and checks the ends of others. The namespace is a part of both forms, so that an
/// entry carried from one namespace into another is not accepted there.
#[derive(Clone)]
pub(super) enum Ending {
    /// Without a secret.
    Checksum {
        /// Made from the namespace.
        seed: u64,
    },
    /// With a secret: the state after the derived key and the namespace.
    Seal(Box<Hmac<Sha256>>),
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl Ending {
    pub(super) fn new(namespace: &[u8], secret: Option<&[u8]>) -> Self {
        let Some(secret) = secret else {
            return Self::Checksum {
                seed: xxh3_64(namespace),
            };
        };
        let derived = keyed(secret).chain_update(LABEL).finalize().into_bytes();
        let mut prefix = Vec::new();
        put_sized(&mut prefix, namespace);
        Self::Seal(Box::new(keyed(&derived).chain_update(&prefix)))
    }

    pub(super) const fn is_seal(&self) -> bool {
        matches!(self, Self::Seal(_))
    }

    pub(super) const fn len(&self) -> usize {
        if self.is_seal() {
            SEAL_BYTES
        } else {
            CHECKSUM_BYTES
        }
    }

    pub(super) fn append(&self, out: &mut Vec<u8>) {
        match self {
            Self::Checksum { seed } => {
                let sum = xxh3_64_with_seed(out, *seed);
                out.extend_from_slice(&sum.to_be_bytes());
            }
            Self::Seal(mac) => {
                let seal = Mac::chain_update(Hmac::clone(mac), &out)
                    .finalize()
                    .into_bytes();
                out.extend_from_slice(&seal);
            }
        }
    }

    /// Whether `ending` is the one of `content`; a seal is compared in constant time.
    pub(super) fn fits(&self, content: &[u8], ending: &[u8]) -> bool {
        match self {
            Self::Checksum { seed } => xxh3_64_with_seed(content, *seed).to_be_bytes() == ending,
            Self::Seal(mac) => Mac::chain_update(Hmac::clone(mac), content)
                .verify_slice(ending)
                .is_ok(),
        }
    }
}
