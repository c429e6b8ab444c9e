//! The names that things have in the store underneath: one place that knows them all.
//!
//! With the namespace `flask_cache_`:
//!
//! | name | what |
//! |---|---|
//! | `flask_cache_<base>` | the **slot** of a base key that people chose: its entry. One whose base begins with `!` is called `flask_cache_!u:<base>` |
//! | `flask_cache_!v:<base>`, `!m:`, `!f:` | the slot of a base key of another kind |
//! | `flask_cache_!e<digest>` | the slot of a variant |
//! | `flask_cache_!gu:<base>`, `!gv:`, … | the **mark** of a base key: its generation |
//! | `flask_cache_!x<digest>` | the mark of a variant that was removed by itself |
//! | `flask_cache_!t<tag>` | the mark of a tag |
//! | `flask_cache_!` | the mark of the namespace |
//! | `flask_cache_!hu:<base>`, … | the **family** of a base key: the digests of its variants |
//! | `flask_cache_!l` | the **log** of the latest bumps |
//!
//! A name that the store underneath does not take becomes `flask_cache_!d` and the 32 hexadecimal
//! digits of its digest.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::key::{Key, Kind};
use crate::tag::Tag;

/// Between the namespace and what is not a readable slot.
const INNER: u8 = b'!';

/// Whether the store underneath takes a name.
pub(super) type Takes = fn(&[u8]) -> bool;

/// The names of one namespace.
pub(super) struct Names {
    namespace: Vec<u8>,
    takes: Takes,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.namespace.escape_ascii())
    }
}

impl Names {
    pub(super) fn new(namespace: &[u8], takes: Takes) -> Self {
        Self {
            namespace: namespace.to_vec(),
            takes,
        }
    }

    /// Whether the store underneath takes the names that stand in for others.
    pub(super) fn are_taken(&self) -> bool {
        (self.takes)(&self.digested(b"")) && (self.takes)(&self.all())
    }

    pub(super) fn namespace(&self) -> &[u8] {
        &self.namespace
    }

    fn joined(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut name = self.namespace.clone();
        parts.iter().for_each(|part| name.extend_from_slice(part));
        name
    }

    fn name(&self, parts: &[&[u8]]) -> Vec<u8> {
        let name = self.joined(parts);
        if (self.takes)(&name) {
            name
        } else {
            self.digested(&name)
        }
    }

    fn digested(&self, name: &[u8]) -> Vec<u8> {
        let digest = format!("{:032x}", xxh3_128(name));
        self.joined(&[&[INNER, b'd'], digest.as_bytes()])
    }

    pub(super) fn all(&self) -> Vec<u8> {
        self.joined(&[&[INNER]])
    }

    pub(super) fn log(&self) -> Vec<u8> {
        self.name(&[&[INNER, b'l']])
    }

    pub(super) fn tag(&self, tag: &Tag) -> Vec<u8> {
        self.name(&[&[INNER, b't'], tag.as_bytes()])
    }

    /// Where the entry of exactly this key lies.
    pub(super) fn slot(&self, key: &Key) -> Vec<u8> {
        if !key.is_base() {
            return self.slot_of_digest(key.digest());
        }
        let (kind, base) = (key.kind(), key.base());
        if kind == Kind::User && base.first() != Some(&INNER) {
            self.name(&[base])
        } else {
            self.name(&[&[INNER, kind as u8, b':'], base])
        }
    }

    /// Where the entry of the variant with this digest lies.
    pub(super) fn slot_of_digest(&self, digest: u128) -> Vec<u8> {
        self.name(&[&[INNER, b'e'], format!("{digest:032x}").as_bytes()])
    }

    /// The mark of the base key of `key`.
    pub(super) fn base(&self, key: &Key) -> Vec<u8> {
        self.name(&[&[INNER, b'g', key.kind() as u8, b':'], key.base()])
    }

    pub(super) fn family(&self, key: &Key) -> Vec<u8> {
        self.name(&[&[INNER, b'h', key.kind() as u8, b':'], key.base()])
    }

    /// The mark of one variant.
    pub(super) fn own(&self, digest: u128) -> Vec<u8> {
        self.name(&[&[INNER, b'x'], format!("{digest:032x}").as_bytes()])
    }

    /// Whether this may be the mark of a base key.
    pub(super) fn may_be_base(&self, name: &[u8]) -> bool {
        let rest = name.strip_prefix(self.namespace.as_slice());
        rest.is_some_and(|rest| rest.starts_with(b"!g") || rest.starts_with(b"!d"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Names;
    use crate::key::{Key, Kind};
    use crate::tag::Tag;

    fn takes(name: &[u8]) -> bool {
        name.len() <= 60 && name.iter().all(u8::is_ascii_graphic)
    }

    #[test]
    fn no_two_things_have_one_name() {
        let long = [b'k'; 100];
        let bases: [&[u8]; 12] = [
            b"",
            b"!",
            b"!u:x",
            b"x",
            b"!gu:x",
            b"u:x",
            b"!tux",
            b"!l",
            b"a b",
            b"a\0b",
            &long,
            &long[1..],
        ];
        for takes in [takes as super::Takes, |_| true] {
            let names = Names::new(b"ns_", takes);
            assert!(names.are_taken());
            let mut seen = HashSet::from([names.all(), names.log()]);
            let mut put = |name: Vec<u8>| {
                assert!(takes(&name), "{name:?}");
                assert!(seen.insert(name.clone()), "{name:?}");
            };
            for base in bases {
                put(names.tag(&Tag::new(base)));
                for kind in [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment] {
                    let key = Key::new(kind, base);
                    assert!(names.may_be_base(&names.base(&key)));
                    let variant = Key::assemble(kind, base, b"v");
                    assert_eq!(names.base(&variant), names.base(&key));
                    put(names.slot(&key));
                    put(names.slot(&variant));
                    put(names.base(&key));
                    put(names.family(&key));
                    put(names.own(variant.digest()));
                }
            }
        }
    }

    #[test]
    fn peoples_keys_stay_as_they_are() {
        let names = Names::new(b"flask_cache_", takes);
        assert_eq!(
            names.slot(&Key::new(Kind::User, "view//x")),
            b"flask_cache_view//x"
        );
        assert!(!Names::new(b"a b", takes).are_taken());
    }
}
