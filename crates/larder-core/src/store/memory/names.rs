//! The hash of a key, made once for each operation.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::{FoldHasher, RandomState};
use quick_cache::Equivalent;

use crate::key::Key;

/// Hashes keys, and takes a hash that is known already for what it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(RandomState);

impl BuildHasher for Names {
    type Hasher = Naming<FoldHasher<'static>>;

    fn build_hasher(&self) -> Self::Hasher {
        let hasher = self.0.build_hasher();
        Naming {
            hasher,
            known: None,
        }
    }
}

/// A hasher that does not hash hashes.
pub(super) struct Naming<H> {
    hasher: H,
    known: Option<u64>,
}

impl<H: Hasher> Hasher for Naming<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.known = Some(hash);
    }

    fn finish(&self) -> u64 {
        self.known.unwrap_or_else(|| self.hasher.finish())
    }
}

/// A key beside its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) key: &'a Key,
    pub(super) hash: u64,
}

impl Names {
    pub(super) fn name<'a>(&self, key: &'a Key) -> Named<'a> {
        let hash = self.hash_one(key);
        Named { key, hash }
    }

    /// Whichever key has this hash.
    pub(super) fn of_hash(&self, hash: u64) -> Nameless<'_> {
        Nameless { names: self, hash }
    }
}

impl Hash for Named<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.key == key
    }
}

/// A key of which only the hash is known.
pub(super) struct Nameless<'a> {
    names: &'a Names,
    hash: u64,
}

impl Hash for Nameless<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Nameless<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.names.hash_one(key) == self.hash
    }
}

/// Sets of hashes need no others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsIs;

impl BuildHasher for AsIs {
    type Hasher = Naming<std::hash::DefaultHasher>;

    fn build_hasher(&self) -> Self::Hasher {
        Naming {
            hasher: std::hash::DefaultHasher::new(),
            known: None,
        }
    }
}
