//! Names with tags: what they say of the records under them.

use super::names::{Form, INNER, Names, TAG};
use super::{Meaning, Meanings};
use crate::key::{Key, Kind};
use crate::tag::Tag;

impl Names {
    /// What of the namespace stands before the tag, and what behind it.
    pub(super) fn around_tag(&self) -> (&[u8], &[u8]) {
        if self.form_is_tagged() && self.namespace.contains(&b'{') {
            (b"", &self.namespace)
        } else {
            (&self.namespace, b"")
        }
    }

    pub(super) const fn form_is_tagged(&self) -> bool {
        matches!(self.form, Form::Tagged)
    }

    /// How names go on behind the tag that are the marks of the base keys of this kind which begin so;
    /// `None` where names do not tell.
    pub(super) fn bases_behind_tag(&self, kind: Kind, start: &[u8]) -> Option<Vec<u8>> {
        let inner = [&[INNER, b'g', kind as u8, b':'], start].concat();
        let tagged = self.form_is_tagged();
        tagged.then(|| [self.around_tag().1, &inner].concat())
    }

    /// How names go on behind the tag that are the slots or families of the base keys of this kind which
    /// begin so; other names may go on so as well.
    pub(super) fn slots_behind_tag(&self, kind: Kind, start: &[u8]) -> Vec<Vec<u8>> {
        let behind = self.around_tag().1;
        let mut starts = vec![
            [behind, &[INNER, kind as u8, b':'], start].concat(),
            [behind, &[INNER, b'h', kind as u8, b':'], start].concat(),
        ];
        if kind == Kind::User && start.first() != Some(&INNER) {
            starts.push([behind, start].concat());
        }
        starts
    }

    /// What stands behind namespace and tag in a name.
    fn rest<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let (before, behind) = self.around_tag();
        let (tag, rest) = name.strip_prefix(before)?.split_at_checked(TAG)?;
        let is_tag = tag.first() == Some(&b'{') && tag.last() == Some(&b'}');
        rest.strip_prefix(behind).filter(|_| is_tag)
    }

    /// The base key of which a tagged name is the mark.
    pub(super) fn base_of_mark(&self, name: &[u8]) -> Option<Key> {
        of_kind(self.rest(name)?.strip_prefix(b"!g")?)
    }

    /// The base key of which a tagged name is the slot or the family.
    pub(super) fn base_of_slot(&self, name: &[u8]) -> Option<Key> {
        let rest = self.rest(name)?;
        match rest.strip_prefix(&[INNER]) {
            None => Some(Key::new(Kind::User, rest)),
            Some(inner) => of_kind(inner.strip_prefix(b"h").unwrap_or(inner)),
        }
    }
}

impl Meanings for Names {
    fn start(&self) -> Vec<u8> {
        [self.around_tag().0, b"{"].concat()
    }

    fn meaning(&self, name: &[u8]) -> Meaning {
        let Some(rest) = self.rest(name) else {
            return Meaning::Nothing;
        };
        if rest == [INNER] {
            return Meaning::All;
        }
        if let Some(tag) = rest.strip_prefix(b"!t") {
            return Meaning::Tag(Tag::from_bytes(tag));
        }
        let of_variant = || of_kind(rest.strip_prefix(b"!e")?.get(32..)?);
        let key = self.base_of_mark(name).or_else(|| self.base_of_slot(name));
        key.or_else(of_variant)
            .map_or(Meaning::Nothing, Meaning::Key)
    }
}

/// Whether a tagged name, of which this stands behind namespace and tag, takes up room and no more: an
/// entry, or a family. What marks say counts also when nothing is stored, and stays.
pub(super) fn only_takes_room(rest: &[u8]) -> bool {
    match rest.strip_prefix(&[INNER]) {
        None => true,
        Some(inner) => match inner {
            [b'e' | b'h', ..] => true,
            [_, b':', ..] => of_kind(inner).is_some(),
            _ => false,
        },
    }
}

/// The base key in a kind, a colon and a base.
fn of_kind(text: &[u8]) -> Option<Key> {
    let (&kind, base) = text.split_first()?;
    let kinds = [Kind::User, Kind::View, Kind::Memoize, Kind::Fragment];
    let kind = kinds.into_iter().find(|&other| other as u8 == kind)?;
    base.strip_prefix(b":").map(|base| Key::new(kind, base))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::names::{BUCKETS, Form, Names};
    use super::super::{Meaning, Meanings};
    use super::only_takes_room;
    use crate::key::{Key, Kind};
    use crate::tag::Tag;

    #[test]
    fn tagged_names_say_what_they_are() {
        for namespace in ["ns_", "a{b}c", "{"] {
            let names = Names::new(namespace.as_bytes(), Form::Tagged);
            let has_braces = namespace.contains('{');
            for (kind, base) in [
                (Kind::User, &b"x"[..]),
                (Kind::User, b"!e"),
                (Kind::User, b"{0}"),
                (Kind::View, b"/x"),
                (Kind::Memoize, b""),
            ] {
                let key = Key::new(kind, base);
                let variant = Key::assemble(kind, base, b"v");
                let tag = format!("{{{:03x}}}", names.route(&key));
                let front = match has_braces {
                    true => format!("{tag}{namespace}"),
                    false => format!("{namespace}{tag}"),
                };
                let (slot, mark) = (names.slot(&key), names.base(&key));
                let (family, own) = (names.family(&key), names.own(&key, variant.digest()));
                let entries = [&slot, &family, &names.slot(&variant)];
                let marks = [
                    &mark,
                    &own,
                    &names.lease(&key),
                    &names.all(names.route(&key)),
                ];
                for (names_of, takes_room) in [(&entries[..], true), (&marks[..], false)] {
                    for name in names_of {
                        assert!(
                            name.starts_with(front.as_bytes()),
                            "{}",
                            name.escape_ascii()
                        );
                        let rest = names.rest(name).expect("it is tagged");
                        assert_eq!(only_takes_room(rest), takes_room, "{}", rest.escape_ascii());
                    }
                }
                assert_eq!(names.base_of_mark(&mark), Some(key.clone()));
                assert_eq!(names.base_of_mark(&own), None);
                assert_eq!(names.base_of_slot(&slot), Some(key.clone()));
                assert_eq!(names.base_of_slot(&family), Some(key.clone()));
                assert_eq!(names.base_of_slot(&mark), None);
                let behind_tag = |name: &[u8]| name[front.len()..].to_vec();
                let skipped = names.around_tag().1.len();
                let start = names.bases_behind_tag(kind, base).expect("names tell");
                assert!(behind_tag(&mark).starts_with(&start[skipped..]));
                for name in [&slot, &family] {
                    let starts = names.slots_behind_tag(kind, base);
                    let begins = |start: &Vec<u8>| behind_tag(name).starts_with(&start[skipped..]);
                    assert!(starts.iter().any(begins), "{}", name.escape_ascii());
                }
            }
            for tag in [Tag::new("t"), Tag::new("u:")] {
                let name = names.tag(&tag);
                assert!(!only_takes_room(names.rest(&name).expect("it is tagged")));
            }
            assert!(!only_takes_room(
                names.rest(&names.log()).expect("it is tagged")
            ));
        }
    }

    #[test]
    fn changes_of_tagged_names_have_meanings() {
        for namespace in [&b"ns_"[..], b"a{b}c"] {
            let names = Names::new(namespace, Form::Tagged);
            for (kind, base) in [(Kind::User, &b"!e"[..]), (Kind::View, b"/x")] {
                let key = Key::new(kind, base);
                let variant = Key::assemble(kind, base, b"v");
                let (slot, mark) = (names.slot(&key), names.base(&key));
                for name in [slot, mark, names.family(&key), names.slot(&variant)] {
                    assert!(name.starts_with(&names.start()));
                    assert_eq!(names.meaning(&name), Meaning::Key(key.clone()));
                }
                let (own, lease) = (names.own(&key, variant.digest()), names.lease(&key));
                for name in [own, lease, names.log(), b"x".to_vec()] {
                    assert_eq!(names.meaning(&name), Meaning::Nothing);
                }
            }
            assert_eq!(names.meaning(&names.all(7)), Meaning::All);
            for tag in [Tag::new("t"), Tag::function("f")] {
                assert_eq!(names.meaning(&names.tag(&tag)), Meaning::Tag(tag));
            }
        }
    }

    #[test]
    fn tags_are_spread() {
        let names = Names::new(b"ns_", Form::Tagged);
        let route = |number: u32| names.route(&Key::new(Kind::View, format!("/{number}")));
        let routes: HashSet<u32> = (0..20_000).map(route).collect();
        assert_eq!(routes.len(), BUCKETS as usize);
        assert!(routes.iter().all(|&route| route < BUCKETS));
    }
}
