//! The names that things have in the store underneath: one place that knows them all.
//!
//! With the namespace `flask_cache_`:
//!
//! | name | what |
//! |---|---|
//! | `flask_cache_<base>` | the **slot** of a base key that people chose: its entry. One whose base begins with `!` is called `flask_cache_!u:<base>` |
//! | `flask_cache_!v:<base>`, `!m:`, `!f:` | the slot of a base key of another kind |
//! | `flask_cache_!e<digest>` | the slot of a variant; with a tag, the kind and the base stand behind the digest, `…v:<base>` |
//! | `flask_cache_!gu:<base>`, `!gv:`, … | the **mark** of a base key: its generation |
//! | `flask_cache_!x<digest>` | the mark of a variant that was removed by itself |
//! | `flask_cache_!t<tag>` | the mark of a tag |
//! | `flask_cache_!` | the mark of the namespace |
//! | `flask_cache_!hu:<base>`, … | the **family** of a base key: the digests of its variants |
//! | `flask_cache_!l` | the **log** of the latest bumps |
//! | `flask_cache_!k<digest>` | the lease of a key, where the store underneath has leases |
//!
//! A name that the store underneath does not take becomes `flask_cache_!d` and the 32 hexadecimal
//! digits of its digest.
//!
//! In a store of several parts all names are digests of these ones, behind the **route** that chooses
//! the part: 8 hexadecimal digits and 32 more. The route is that of the base key, of the tag or of the
//! log; the mark of the namespace stands once in each part, at its home. A namespace is in the digest
//! and in no name, so any text will do.
//!
//! On a cluster that keeps names apart by what stands in braces, the names above have a **tag** behind the
//! namespace: `flask_cache_{07f}view//x`. It is the route, three hexadecimal digits: one of [`BUCKETS`].
//! Where there are braces in the namespace itself, the tag comes first of all, because the first braces
//! count. Either way no name of one namespace begins like those of another.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::key::{Key, Kind};
use crate::tag::Tag;

/// Between the namespace and what is not a readable slot.
pub(super) const INNER: u8 = b'!';

/// Into how many buckets names with tags are divided, each of which lies on one server.
pub const BUCKETS: u32 = 1024;
/// How long a tag is, braces included.
pub(super) const TAG: usize = 5;

/// Whether the store underneath takes a name.
pub(super) type Takes = fn(&[u8]) -> bool;

/// The names of one namespace.
pub(super) struct Names {
    pub(super) namespace: Vec<u8>,
    pub(super) form: Form,
}

/// What names look like.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// For people to read, unless the store underneath does not take them so.
    Readable(Takes),
    /// A route and a digest.
    Routed,
    /// For people to read, with the route in braces.
    Tagged,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.namespace.escape_ascii())
    }
}

impl Names {
    pub(super) fn new(namespace: &[u8], form: Form) -> Self {
        Self {
            namespace: namespace.to_vec(),
            form,
        }
    }

    /// Whether the store underneath takes the names that stand in for others.
    pub(super) fn are_taken(&self) -> bool {
        match self.form {
            Form::Readable(takes) => takes(&self.digested(b"")) && takes(&self.all(0)),
            Form::Routed | Form::Tagged => true,
        }
    }

    fn joined(&self, parts: &[&[u8]]) -> Vec<u8> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut name = Vec::with_capacity(self.namespace.len() + length);
        name.extend_from_slice(&self.namespace);
        parts.iter().for_each(|part| name.extend_from_slice(part));
        name
    }

    /// The name that `parts` make, for what lies where the route leads.
    fn name(&self, route: u32, parts: &[&[u8]]) -> Vec<u8> {
        let name = self.joined(parts);
        match self.form {
            Form::Readable(takes) if takes(&name) => name,
            Form::Readable(_) => self.digested(&name),
            Form::Routed => {
                let mut routed = Vec::with_capacity(40);
                hex(&mut routed, &route.to_be_bytes());
                hex(&mut routed, &xxh3_128(&name).to_be_bytes());
                routed
            }
            Form::Tagged => {
                let (before, behind) = self.around_tag();
                let mut tagged = Vec::with_capacity(name.len() + TAG);
                tagged.extend_from_slice(before);
                tagged.extend_from_slice(format!("{{{route:03x}}}").as_bytes());
                tagged.extend_from_slice(behind);
                tagged.extend_from_slice(&name[self.namespace.len()..]);
                tagged
            }
        }
    }

    /// The route to everything of a base key.
    pub(super) fn route(&self, key: &Key) -> u32 {
        self.route_to(key.base_bytes())
    }

    /// In stores of one part all routes lead to the same place, and none is worked out.
    fn route_to(&self, what: &[u8]) -> u32 {
        match self.form {
            Form::Readable(_) => 0,
            Form::Routed => (xxh3_64(what) >> 32) as u32,
            Form::Tagged => (xxh3_64(what) >> 32) as u32 % BUCKETS,
        }
    }

    fn digested(&self, name: &[u8]) -> Vec<u8> {
        let digest = format!("{:032x}", xxh3_128(name));
        self.joined(&[&[INNER, b'd'], digest.as_bytes()])
    }

    /// The mark of the namespace in the part with this home.
    pub(super) fn all(&self, home: u32) -> Vec<u8> {
        match self.form {
            Form::Readable(_) => self.joined(&[&[INNER]]),
            Form::Routed | Form::Tagged => self.name(home, &[&[INNER]]),
        }
    }

    pub(super) fn log(&self) -> Vec<u8> {
        self.name(self.route_to(b"log"), &[&[INNER, b'l']])
    }

    pub(super) fn tag(&self, tag: &Tag) -> Vec<u8> {
        let route = self.route_to(tag.as_bytes());
        self.name(route, &[&[INNER, b't'], tag.as_bytes()])
    }

    /// Where the entry of exactly this key lies.
    pub(super) fn slot(&self, key: &Key) -> Vec<u8> {
        if !key.is_base() {
            return self.slot_of_variant(key, key.digest());
        }
        let (kind, base) = (key.kind(), key.base());
        if kind == Kind::User && base.first() != Some(&INNER) {
            self.name(self.route(key), &[base])
        } else {
            self.name(self.route(key), &[&[INNER, kind as u8, b':'], base])
        }
    }

    /// Where the entry of the variant with this digest lies, of the base key of `key`.
    pub(super) fn slot_of_variant(&self, key: &Key, digest: u128) -> Vec<u8> {
        let mut digits = Vec::with_capacity(32);
        hex(&mut digits, &digest.to_be_bytes());
        let (kind, base) = ([key.kind() as u8, b':'], key.base());
        // Who hears that it changes has to know of which base key it is.
        let behind: [&[u8]; 2] = match self.form {
            Form::Tagged => [&kind, base],
            Form::Readable(_) | Form::Routed => [b"", b""],
        };
        let parts: [&[u8]; 4] = [&[INNER, b'e'], &digits, behind[0], behind[1]];
        self.name(self.route(key), &parts)
    }

    /// The mark of the base key of `key`.
    pub(super) fn base(&self, key: &Key) -> Vec<u8> {
        let parts: [&[u8]; 2] = [&[INNER, b'g', key.kind() as u8, b':'], key.base()];
        self.name(self.route(key), &parts)
    }

    /// The lease of a key.
    pub(super) fn lease(&self, key: &Key) -> Vec<u8> {
        let digest = format!("{:032x}", key.digest());
        self.name(self.route(key), &[&[INNER, b'k'], digest.as_bytes()])
    }

    pub(super) fn family(&self, key: &Key) -> Vec<u8> {
        let parts: [&[u8]; 2] = [&[INNER, b'h', key.kind() as u8, b':'], key.base()];
        self.name(self.route(key), &parts)
    }

    /// The mark of the variant with this digest, of the base key of `key`.
    pub(super) fn own(&self, key: &Key, digest: u128) -> Vec<u8> {
        let mut digits = Vec::with_capacity(32);
        hex(&mut digits, &digest.to_be_bytes());
        self.name(self.route(key), &[&[INNER, b'x'], &digits])
    }

    /// Whether this may be the mark of a base key.
    pub(super) fn may_be_base(&self, name: &[u8]) -> bool {
        let rest = name.strip_prefix(self.namespace.as_slice());
        rest.is_some_and(|rest| rest.starts_with(b"!g") || rest.starts_with(b"!d"))
    }
}

/// Appends the hexadecimal digits of these bytes. Each read makes some names, and the formatting of
/// the standard library takes a tenth of the time of a trip for them.
fn hex(name: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS[usize::from(half)];
    name.extend(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Form, Names};
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
        for form in [
            Form::Readable(takes),
            Form::Readable(|_| true),
            Form::Routed,
            Form::Tagged,
        ] {
            let names = Names::new(b"ns_", form);
            let is_taken = |name: &[u8]| match form {
                Form::Readable(takes) => takes(name),
                Form::Routed => name.len() == 40 && name.iter().all(u8::is_ascii_hexdigit),
                Form::Tagged => name.starts_with(b"ns_{"),
            };
            assert!(names.are_taken());
            let mut seen = HashSet::from([names.all(0), names.log()]);
            let mut put = |name: Vec<u8>| {
                assert!(is_taken(&name), "{name:?}");
                assert!(seen.insert(name.clone()), "{name:?}");
            };
            for base in bases {
                put(names.tag(&Tag::new(base)));
                for kind in [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment] {
                    let key = Key::new(kind, base);
                    let readable = matches!(form, Form::Readable(_));
                    assert!(!readable || names.may_be_base(&names.base(&key)));
                    let variant = Key::assemble(kind, base, b"v");
                    assert_eq!(names.base(&variant), names.base(&key));
                    put(names.slot(&key));
                    put(names.slot(&variant));
                    put(names.base(&key));
                    put(names.family(&key));
                    put(names.lease(&key));
                    put(names.lease(&variant));
                    put(names.own(&key, variant.digest()));
                }
            }
        }
    }

    #[test]
    fn peoples_keys_stay_as_they_are() {
        let names = Names::new(b"flask_cache_", Form::Readable(takes));
        assert_eq!(
            names.slot(&Key::new(Kind::User, "view//x")),
            b"flask_cache_view//x"
        );
        assert!(!Names::new(b"a b", Form::Readable(takes)).are_taken());
    }

    #[test]
    fn everything_of_a_base_key_has_one_route() {
        let names = Names::new(b"a b\r\n", Form::Routed);
        let key = Key::new(Kind::View, "x");
        let variant = Key::assemble(Kind::View, b"x", b"v");
        let route = format!("{:08x}", names.route(&key));
        let of_key = [names.slot(&key), names.base(&variant), names.family(&key)];
        let of_variant = [names.slot(&variant), names.own(&key, variant.digest())];
        for name in of_key.iter().chain(&of_variant) {
            assert!(name.starts_with(route.as_bytes()), "{name:?}");
        }
        assert!(names.all(7).starts_with(b"00000007"));
        assert_ne!(names.all(7), Names::new(b"other", Form::Routed).all(7));
    }
}
