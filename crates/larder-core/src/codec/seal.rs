//! What an envelope ends with: a checksum against accidents, or a seal against people.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Packing;
use super::wire::put_sized;
use crate::error::Result;

/// Whose keys are derived. With the use below it tells them apart from every other use that the same
/// secret is put to, such as the signing of cookies.
const SALT: &[u8] = b"larder";
/// What the key is for.
const USE: &[u8] = b"envelope seal 1";

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
    /// With secrets: of each the state after the derived key and the namespace. The first one seals,
    /// any opens; there is one at least.
    Seal(Box<[Hmac<Sha256>]>),
}

/// The state in front of what is sealed with `secret` in `namespace`.
fn sealing(secret: &[u8], namespace: &[u8]) -> Hmac<Sha256> {
    let mut key = [0; SEAL_BYTES];
    Hkdf::<Sha256>::new(Some(SALT), secret)
        .expand(USE, &mut key)
        .expect("HKDF gives as many bytes as its hash has");
    let mut prefix = Vec::new();
    put_sized(&mut prefix, namespace);
    Hmac::new_from_slice(&key)
        .expect("HMAC takes a key of any length")
        .chain_update(&prefix)
}

impl Ending {
    pub(super) fn new(namespace: &[u8], packing: &Packing) -> Result<Self> {
        let secrets = packing.checked_secrets()?;
        Ok(if secrets.is_empty() {
            Self::Checksum {
                seed: xxh3_64(namespace),
            }
        } else {
            let keyed = secrets.iter().map(|secret| sealing(secret, namespace));
            Self::Seal(keyed.collect())
        })
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
            Self::Seal(keyed) => {
                let seal = Mac::chain_update(keyed[0].clone(), &out).finalize();
                out.extend_from_slice(&seal.into_bytes());
            }
        }
    }

    /// Whether `ending` is the one of `content`; a seal is compared in constant time.
    pub(super) fn fits(&self, content: &[u8], ending: &[u8]) -> bool {
        match self {
            Self::Checksum { seed } => xxh3_64_with_seed(content, *seed).to_be_bytes() == ending,
            Self::Seal(keyed) => keyed.iter().any(|mac| {
                let found = Mac::chain_update(mac.clone(), content);
                found.verify_slice(ending).is_ok()
            }),
        }
    }
}
