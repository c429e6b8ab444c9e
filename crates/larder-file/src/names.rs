//! What things are called: digests of keys, and the names of files.

use std::fmt;

use larder_core::{Key, Tag};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// Where everything of this version lies, below the directory that was asked for. A change of any
/// layout makes it another name, so that programs of two versions never see each other's files.
pub(crate) const ROOT: &str = "larder-1";
pub(crate) const ENTRIES: &str = "entries";
pub(crate) const TEMP: &str = "temp";
pub(crate) const LEASES: &str = "leases";
pub(crate) const LOCK: &str = "lock";
pub(crate) const TABLE: &str = "table";
pub(crate) const MARKS: &str = "marks";
pub(crate) const DECLINED: &str = "declined";

/// The place of an entry. Base and variant are digests made under the namespace; the variant of a
/// base key is zero. Entries have their whole key in them, so that two keys of one digest are told
/// apart when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) base: u128,
    pub(crate) variant: u128,
}

/// The digits of a digest.
const DIGITS: usize = 32;
/// `entries/`, two digits and a slash.
const FOLDER: usize = ENTRIES.len() + 4;

/// A path below [`ROOT`].
#[derive(Clone, Copy)]
pub(crate) struct Path {
    bytes: [u8; FOLDER + 2 * DIGITS + 1],
    length: usize,
}

impl Path {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The folder that the file lies in.
    pub(crate) fn folder(&self) -> &[u8] {
        &self.bytes[..FOLDER - 1]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl Spot {
    /// The place of the base key of this one.
    pub(crate) fn of_base(self) -> Self {
        Self { variant: 0, ..self }
    }

    pub(crate) fn is_base(self) -> bool {
        self.variant == 0
    }

    /// What the tables of this crate place it by: the first bits count.
    pub(crate) fn hash(self) -> u64 {
        ((self.base ^ self.variant) >> 64) as u64
    }

    /// The file of the entry: the digest of its base, and behind a dash that of its variant.
    pub(crate) fn path(self) -> Path {
        let base = digits(self.base);
        let mut path = Path {
            bytes: [b'/'; FOLDER + 2 * DIGITS + 1],
            length: 0,
        };
        path.push(ENTRIES.as_bytes());
        path.push(b"/");
        path.push(&base[..2]);
        path.push(b"/");
        path.push(&base);
        if !self.is_base() {
            path.push(b"-");
            path.push(&digits(self.variant));
        }
        path
    }

    /// The place whose file has this name in the folder `folder`; `None` for a name of another form.
    pub(crate) fn read(folder: u8, name: &[u8]) -> Option<Self> {
        let (base, rest) = name.split_at_checked(DIGITS)?;
        let base = number(base)?;
        let variant = match rest.split_first() {
            None => 0,
            Some((b'-', variant)) if variant.len() == DIGITS => {
                number(variant).filter(|&variant| variant != 0)?
            }
            Some(_) => return None,
        };
        let spot = Self { base, variant };
        (spot.folder() == folder).then_some(spot)
    }

    /// Which of the 256 folders the file lies in.
    pub(crate) fn folder(self) -> u8 {
        (self.base >> 120) as u8
    }
}

/// The path of one of the 256 folders.
pub(crate) fn folder(number: u8) -> String {
    format!("{ENTRIES}/{number:02x}")
}

fn digits(number: u128) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; DIGITS];
    for (pair, byte) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

/// The number of which [`digits`] made this text: it has one form only.
fn number(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// One namespace's way of naming things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) namespace: u64,
}

impl Names {
    pub(crate) fn new(namespace: &[u8]) -> Self {
        Self {
            namespace: xxh3_64(namespace),
        }
    }

    fn digest(self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.namespace)
    }

    pub(crate) fn spot(self, key: &Key) -> Spot {
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

    pub(crate) fn tag(self, tag: &Tag) -> u128 {
        self.digest(tag.as_bytes())
    }

    /// The file in which the purges of the namespace are.
    pub(crate) fn log(self) -> String {
        format!("purges-{:016x}", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_place_and_no_other_form_does() {
        let names = Names::new(b"n");
        let base = Key::new(larder_core::Kind::User, "k");
        let mut writer = larder_core::KeyWriter::new();
        writer.text("v");
        for key in [base.clone(), base.with_variant(&writer)] {
            let spot = names.spot(&key);
            let path = spot.path();
            let name = &path.as_bytes()[FOLDER..];
            assert_eq!(path.folder(), folder(spot.folder()).as_bytes());
            assert_eq!(Spot::read(spot.folder(), name), Some(spot));
            assert_eq!(Spot::read(spot.folder().wrapping_add(1), name), None);
            for wrong in [
                &name[1..],
                &name[..31],
                &[name, b"-"].concat(),
                b"",
                b"lock",
            ] {
                assert_eq!(Spot::read(spot.folder(), wrong), None);
            }
            assert_eq!(Spot::read(spot.folder(), &name.to_ascii_uppercase()), None);
        }
        let zero = format!("{:032x}-{:032x}", 5, 0);
        assert_eq!(
            Spot::read(0, zero.as_bytes()),
            None,
            "a second name of a base key"
        );
    }
}
