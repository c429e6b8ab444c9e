//! The names that things have in the server: one place that knows them all.
//!
//! With the namespace `flask_cache_`:
//!
//! | name | type | what |
//! |---|---|---|
//! | `flask_cache_<base>` | string | the **slot**: the entry of a base key that people chose. One whose base begins with `!` is called `flask_cache_!u:<base>` |
//! | `flask_cache_!v:<base>`, `!m:`, `!f:` | string | the slot of a base key of another kind: the byte of the kind stands before the colon |
//! | `flask_cache_!hu:<base>`, `!hv:`, … | hash | the **family** of a base key: its variants and marks |
//! | `flask_cache_!t<tag>` | string | the **mark** of a tag: the number of its last bump. The tag begins with the byte of its space |
//! | `flask_cache_!i<tag>` | sorted set | the **index** of the tag of a function: the entries that carry it, by the number of the last purge that their loads had seen |
//! | `flask_cache_!l<digest>` | string | the **lease** of a key, in the 32 hexadecimal digits of its digest: the token of the process that loads it, with a `+` behind it where another one waits |
//! | `flask_cache_!o<digest>` | string | the **overlaps** of a key, there for ten minutes after somebody has waited for a load of it: which load of them started last among those that stored; or `alone` and until when nobody is to wait, in milliseconds |
//! | `flask_cache_!` | string | the **record** of the namespace: `generation:sequence:floor:server`, three decimal numbers and 16 hexadecimal digits of the run of the server that the generation was met on; these are missing where an account may not ask for `INFO` |
//!
//! | `flask_cache_!p` | string | there while somebody listens on `flask_cache_!n`; another number each time it was lost |
//!
//! On the channel `flask_cache_!n` stand the names of what changes, while somebody listens: who has changed
//! it, a colon, and the name of a slot, a mark or the record. On `flask_cache_!w` stand the names of leases that were given up while somebody waited.
//!
//! A slot holds an envelope (`docs/FORMAT.md`), that of a key that people chose behind the sign `!`,
//! or a bare number in decimal digits, or whatever another program has put there. The fields of a
//! family:
//!
//! | field | value |
//! |---|---|
//! | `v` and the 32 hexadecimal digits of the key's digest | a variant: 20 decimal digits for the time until which it is kept, in milliseconds, then its envelope |
//! | `c` | the note of a bare number in the slot: an envelope with its times, tags and fence, of codec 0, without a payload |
//! | `g` | the number of the last removal of the base key |
//! | `x` and a digest | the number of the last removal of that variant |
//! | `w` | the number of the last write to the slot that made variants give way |
//!
//! Numbers of purges are microseconds since the Unix epoch by the server's clock, made to go up.
//! Where one namespace is the beginning of another on the same database, clearing the shorter one
//! leaves the longer one alone: it is known by its record. Removal by prefix or pattern does not go
//! that far, so a longer namespace should not begin its rest with what a shorter one's keys begin with.

use larder_core::{Fence, Key, Kind, Tag};

use crate::news::{Change, Names};

/// Between the namespace and what is not a readable slot.
const INNER: u8 = b'!';

/// The names of one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    namespace: Vec<u8>,
}

/// What a name in the namespace stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The slot or the family of this base key.
    Base(Key),
    /// The mark of this tag.
    Mark(Tag),
    /// The record of the namespace.
    Record,
    /// A lease, an index, overlaps, or a name of another version.
    Other,
}

impl Layout {
    pub(crate) fn new(namespace: &[u8]) -> Self {
        Self {
            namespace: namespace.to_vec(),
        }
    }

    pub(crate) fn namespace(&self) -> &[u8] {
        &self.namespace
    }

    fn name(&self, parts: &[&[u8]]) -> Vec<u8> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut name = Vec::with_capacity(self.namespace.len() + length);
        name.extend_from_slice(&self.namespace);
        parts.iter().for_each(|part| name.extend_from_slice(part));
        name
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        self.name(&[&[INNER]])
    }

    pub(crate) fn mark(&self, tag: &Tag) -> Vec<u8> {
        self.name(&[&[INNER, b't'], tag.as_bytes()])
    }

    /// Where the entries with the tag of a function are listed.
    pub(crate) fn index(&self, tag: &Tag) -> Vec<u8> {
        self.name(&[&[INNER, b'i'], tag.as_bytes()])
    }

    /// The lease of exactly this key.
    pub(crate) fn lease(&self, key: &Key) -> Vec<u8> {
        self.name(&[&[INNER, b'l'], format!("{:032x}", key.digest()).as_bytes()])
    }

    /// The record of overlaps of the key with this lease.
    pub(crate) fn overlaps(&self, lease: &[u8]) -> Vec<u8> {
        let mut name = lease.to_vec();
        if let Some(sort) = name.get_mut(self.namespace.len() + 1) {
            *sort = b'o';
        }
        name
    }

    /// The channel on which ends of leases are told.
    pub(crate) fn channel(&self) -> Vec<u8> {
        self.name(&[&[INNER, b'w']])
    }

    /// The channel on which changes are told by those who make them.
    pub(crate) fn news(&self) -> Vec<u8> {
        self.name(&[&[INNER, b'n']])
    }

    /// What is there while somebody listens on that channel.
    pub(crate) fn listened(&self) -> Vec<u8> {
        self.name(&[&[INNER, b'p']])
    }

    /// How a key is listed there.
    pub(crate) fn member(key: &Key) -> Vec<u8> {
        let mut member = if key.is_base() {
            vec![b'b']
        } else {
            format!("x{:032x}", key.digest()).into_bytes()
        };
        member.push(key.kind() as u8);
        member.extend_from_slice(key.base());
        member
    }

    pub(crate) fn slot(&self, key: &Key) -> Vec<u8> {
        self.slot_of(key.kind(), key.base())
    }

    /// The beginning of the names of all slots of this kind whose base begins so.
    pub(crate) fn slot_of(&self, kind: Kind, base: &[u8]) -> Vec<u8> {
        if kind == Kind::User && base.first() != Some(&INNER) {
            self.name(&[base])
        } else {
            self.name(&[&[INNER, kind as u8, b':'], base])
        }
    }

    pub(crate) fn family(&self, key: &Key) -> Vec<u8> {
        self.family_of(key.kind(), key.base())
    }

    pub(crate) fn family_of(&self, kind: Kind, base: &[u8]) -> Vec<u8> {
        self.name(&[&[INNER, b'h', kind as u8, b':'], base])
    }

    /// The field of a variant in its family; empty for a base key, which lies in its slot.
    pub(crate) fn field(key: &Key) -> Vec<u8> {
        if key.is_base() {
            Vec::new()
        } else {
            format!("v{:032x}", key.digest()).into_bytes()
        }
    }

    /// What a name stands for that begins with the namespace.
    pub(crate) fn read(&self, name: &[u8]) -> Named {
        let base = |kind: u8, base: &[u8]| {
            Kind::from_byte(kind).map_or(Named::Other, |kind| Named::Base(Key::new(kind, base)))
        };
        match name.strip_prefix(self.namespace.as_slice()) {
            Some([INNER, b'h', kind, b':', rest @ ..]) => base(*kind, rest),
            Some([INNER, kind, b':', rest @ ..]) if Kind::from_byte(*kind).is_some() => {
                base(*kind, rest)
            }
            Some([INNER, b't', tag @ ..]) if !tag.is_empty() => Named::Mark(Tag::from_bytes(tag)),
            Some([INNER]) => Named::Record,
            Some([INNER, ..]) | None => Named::Other,
            Some(rest) => base(Kind::User as u8, rest),
        }
    }

    /// Patterns for `SCAN` that find the slots and families of this kind whose base begins with
    /// `prefix`, and more: each name found has to be looked at.
    pub(crate) fn patterns(&self, kind: Kind, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut names = vec![self.slot_of(kind, prefix), self.family_of(kind, prefix)];
        if kind == Kind::User && prefix.is_empty() {
            names.push(self.slot_of(kind, &[INNER]));
        }
        names.iter().map(|name| beginning_with(name)).collect()
    }

    /// The pattern that finds everything in the namespace.
    pub(crate) fn everything(&self) -> Vec<u8> {
        beginning_with(&self.namespace)
    }

    /// The pattern that finds the records of the namespaces that begin with this one, and more.
    pub(crate) fn longer_records(&self) -> Vec<u8> {
        let mut pattern = beginning_with(&self.namespace);
        pattern.push(INNER);
        pattern
    }

    /// Whether `name`, which the pattern found, may be such a record: it is none of our own names,
    /// slots apart.
    pub(crate) fn may_be_longer_record(&self, name: &[u8]) -> bool {
        let rest = name
            .strip_prefix(self.namespace.as_slice())
            .unwrap_or_default();
        rest.len() > 1 && rest[0] != INNER
    }
}

/// What tells of changes to the names of one namespace.
impl Names for Layout {
    fn prefix(&self) -> Vec<u8> {
        self.namespace.clone()
    }

    fn record(&self) -> Option<Vec<u8>> {
        Some(self.record())
    }

    fn told(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((self.news(), self.listened()))
    }

    fn change(&self, name: &[u8]) -> Change {
        match self.read(name) {
            Named::Base(key) => Change::Key(key),
            Named::Mark(tag) => Change::Tag(tag),
            Named::Record => Change::Record,
            Named::Other => Change::Nothing,
        }
    }
}

/// The pattern of the names that begin with exactly these bytes.
fn beginning_with(name: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(name.len() + 1);
    for &byte in name {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

/// What the namespace's record says. All of it goes into the fence of a load, the floor in the place
/// of the base key's generation, which is not needed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Changed by clearing the namespace.
    pub(crate) generation: u64,
    /// The number of the last purge.
    pub(crate) sequence: u64,
    /// The number of the last purge that fenced every load.
    pub(crate) floor: u64,
}

impl Record {
    /// The fence of a load that starts after this record was read.
    pub(crate) fn fence(self) -> Fence {
        let Self {
            generation: all,
            sequence,
            floor: base,
        } = self;
        Fence {
            all,
            base,
            sequence,
            ..Fence::default()
        }
    }

    /// The text of the record that a load with this fence saw.
    pub(crate) fn text(fence: &Fence) -> Vec<u8> {
        format!("{}:{}:{}", fence.all, fence.sequence, fence.base).into_bytes()
    }

    /// The record in these bytes; `None` where there is none, or something else.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split(':');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (generation, sequence, floor) = (number()?, number()?, number()?);
        let server = parts.next().unwrap_or_default();
        let is_server = server.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_server && parts.next().is_none()).then_some(Self {
            generation,
            sequence,
            floor,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use larder_core::{Key, Kind, Tag};

    use super::{Layout, Named, Record};

    #[test]
    fn no_two_things_have_one_name() {
        let layout = Layout::new(b"n*s_");
        let bases: [&[u8]; 9] = [
            b"",
            b"!",
            b"!u:x",
            b"x",
            b"!hu:x",
            b"u:x",
            b"!tux",
            b"\0\xff*?[",
            b"hu:x",
        ];
        let mut names = HashSet::new();
        assert!(names.insert(layout.record()));
        assert_eq!(layout.read(&layout.record()), Named::Record);
        for base in bases {
            let tag = Tag::new(base);
            assert_eq!(layout.read(&layout.mark(&tag)), Named::Mark(tag.clone()));
            assert!(names.insert(layout.mark(&tag)));
            assert!(names.insert(layout.index(&Tag::function(base))));
            for kind in [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment] {
                let key = Key::new(kind, base);
                assert_eq!(layout.read(&layout.lease(&key)), Named::Other);
                assert!(names.insert(layout.lease(&key)));
                assert!(names.insert(layout.overlaps(&layout.lease(&key))));
                for name in [layout.slot(&key), layout.family(&key)] {
                    assert_eq!(layout.read(&name), Named::Base(key.clone()), "{name:?}");
                    assert!(names.insert(name.clone()), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn peoples_keys_stay_as_they_are() {
        let layout = Layout::new(b"flask_cache_");
        assert_eq!(
            layout.slot(&Key::new(Kind::User, "view//x")),
            b"flask_cache_view//x"
        );
        assert_eq!(layout.everything(), b"flask_cache_*");
        assert_eq!(Layout::new(b"a[*]\\?").everything(), b"a\\[\\*\\]\\\\\\?*");
    }

    #[test]
    fn a_record_is_three_numbers() {
        assert_eq!(
            Record::parse(b"7:8:9"),
            Some(Record {
                generation: 7,
                sequence: 8,
                floor: 9
            })
        );
        assert_eq!(
            Record::parse(b"7:8:9:0123456789abcdef"),
            Record::parse(b"7:8:9")
        );
        for bad in [
            &b""[..],
            b"7:8",
            b"7:8:9:x",
            b"7:8:9:1:1",
            b"7:-8:9",
            b"x:8:9",
            b"\xff:8:9",
        ] {
            assert_eq!(Record::parse(bad), None);
        }
    }
}
