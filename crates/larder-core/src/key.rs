//! Keys: what an entry is found by.
//!
//! A key has three parts. The [`Kind`] keeps apart what must never meet: a memoized call, a page, a
//! fragment, a key that a user chose. The **base key** is what people see and remove by. The
//! **variant** tells the forms of one base key apart (query, language, user): removing the base key
//! removes them all. `docs/FORMAT.md` gives the encoding byte for byte; [`KeyWriter`] writes it.

mod part;
mod shown;
mod writer;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

pub use part::KeyPart;
pub use writer::KeyWriter;

/// What sort of thing a key names. Part of the key, so that no two kinds can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A key that people chose: direct use, and in Flask also views and fragments, whose keys people
    /// read, set and delete as text.
    User = b'u',
    /// An HTTP answer.
    View = b'v',
    /// A memoized call.
    Memoize = b'm',
    /// A template fragment.
    Fragment = b'f',
}

impl Kind {
    /// The kind whose byte is `byte`.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'u' => Some(Self::User),
            b'v' => Some(Self::View),
            b'm' => Some(Self::Memoize),
            b'f' => Some(Self::Fragment),
            _ => None,
        }
    }
}

/// What an entry is found by: a kind, a base key and a variant. Cheap to clone.
///
/// ```
/// use larder_core::{Key, Kind, KeyWriter};
///
/// let page = Key::new(Kind::View, "/products");
/// let mut query = KeyWriter::new();
/// query.text("page").int(2);
/// let second = page.with_variant(&query);
///
/// assert_eq!(second.base(), b"/products");
/// assert_eq!(second.base_key(), page);
/// assert_ne!(second, page);
/// assert_ne!(page, Key::new(Kind::User, "/products"));
/// ```
#[derive(Clone)]
pub struct Key {
    /// The kind, the length of the base as a 32-bit big-endian number, the base, the variant.
    bytes: Encoded,
}

/// A short key lies where it is used: nothing is allocated for it, not at a hit and not in a store.
#[derive(Clone)]
enum Encoded {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Arc<[u8]>),
}

/// With the two bytes in front of them these are the four words that a key is at least.
const SHORT: usize = 30;

/// The two counts of an `Arc`.
const COUNTS: usize = 16;
/// Bytes in front of the base key.
const HEAD: usize = 5;
/// What the variant of a head or a form begins with: a byte that begins no value.
const BESIDE: u8 = 0xff;
/// What names the head among what lies beside a variant.
const HEAD_FORM: u8 = b'h';

impl Key {
    /// The key of `base` without a variant.
    pub fn new(kind: Kind, base: impl AsRef<[u8]>) -> Self {
        Self::assemble(kind, base.as_ref(), &[])
    }

    /// The key with the same base and this variant; an empty variant is the base key itself.
    #[must_use]
    pub fn with_variant(&self, variant: &KeyWriter) -> Self {
        Self::assemble(self.kind(), self.base(), variant.as_bytes())
    }

    /// A key from its three parts. The base may hold any bytes, up to 4 GiB.
    pub fn assemble(kind: Kind, base: &[u8], variant: &[u8]) -> Self {
        let length = u32::try_from(base.len()).unwrap_or(u32::MAX);
        let base = &base[..length as usize];
        let fill = |bytes: &mut [u8]| {
            bytes[0] = kind as u8;
            bytes[1..HEAD].copy_from_slice(&length.to_be_bytes());
            bytes[HEAD..][..base.len()].copy_from_slice(base);
            bytes[HEAD + base.len()..].copy_from_slice(variant);
        };
        // One allocation at most: this is done for every hit.
        let size = HEAD + base.len() + variant.len();
        if size <= SHORT {
            let mut bytes = [0; SHORT];
            fill(&mut bytes[..size]);
            let bytes = Encoded::short(bytes, size);
            return Self { bytes };
        }
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, size).collect();
        if let Some(bytes) = Arc::get_mut(&mut bytes) {
            fill(bytes);
        }
        let bytes = Encoded::Long(bytes);
        Self { bytes }
    }

    /// The key whose encoding is `bytes`; `None` when no key has it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Kind::from_byte(*bytes.first()?)?;
        let length = u32::from_be_bytes(bytes.get(1..HEAD)?.try_into().ok()?);
        bytes.get(HEAD..)?.get(..length as usize)?;
        let mut short = [0; SHORT];
        let bytes = match short.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Encoded::short(short, bytes.len())
            }
            None => Encoded::Long(bytes.into()),
        };
        Some(Self { bytes })
    }

    /// The whole key, as it is compared and stored.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Encoded::Short { length, bytes } => &bytes[..usize::from(*length).min(SHORT)],
            Encoded::Long(bytes) => bytes,
        }
    }

    /// The bytes that it takes beside itself.
    pub(crate) fn behind(&self) -> usize {
        match &self.bytes {
            Encoded::Short { .. } => 0,
            Encoded::Long(bytes) => COUNTS + bytes.len(),
        }
    }

    /// What sort of thing the key names.
    pub fn kind(&self) -> Kind {
        Kind::from_byte(self.as_bytes()[0]).unwrap_or(Kind::User)
    }

    fn base_end(&self) -> usize {
        let length = self.as_bytes()[1..HEAD]
            .try_into()
            .map_or(0, u32::from_be_bytes);
        HEAD + length as usize
    }

    /// What people see and remove by.
    pub fn base(&self) -> &[u8] {
        &self.as_bytes()[HEAD..self.base_end()]
    }

    /// What tells this form of the base key from the others; empty for the base key itself.
    pub fn variant(&self) -> &[u8] {
        &self.as_bytes()[self.base_end()..]
    }

    /// The variant as text for people: each value as it was written, in its order.
    ///
    /// ```
    /// use larder_core::{Key, Kind, KeyWriter};
    ///
    /// let mut variant = KeyWriter::new();
    /// variant.text("https").object("header").tuple(2).text("accept").list(1).bytes(b"text/html");
    /// let key = Key::new(Kind::View, "/products").with_variant(&variant);
    /// assert_eq!(key.shown_variant(), r#""https", header("accept", ["text/html"])"#);
    /// ```
    pub fn shown_variant(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = shown::show(&mut text, self.variant());
        text
    }

    /// Whether this is a base key, without a variant.
    pub fn is_base(&self) -> bool {
        self.base_end() == self.as_bytes().len()
    }

    /// This key without its variant.
    #[must_use]
    pub fn base_key(&self) -> Self {
        if self.is_base() {
            self.clone()
        } else {
            Self::new(self.kind(), self.base())
        }
    }

    /// The part that the variants of one base key have in common.
    pub fn base_bytes(&self) -> &[u8] {
        &self.as_bytes()[..self.base_end()]
    }

    /// Where the [head](crate::Value::head) of what this variant holds lies: under a variant that no
    /// list of values makes, of the same base key. `None` for a base key, whose entries serve variants
    /// and take their place, for kinds that hold no pages, and for the key of a head.
    pub fn head(&self) -> Option<Self> {
        self.form(HEAD_FORM)
    }

    /// Where a [form](crate::Value::forms) of what this variant holds lies: as a [head](Self::head) does,
    /// and for the same keys. `form` is its letter.
    pub fn form(&self, form: u8) -> Option<Self> {
        let variant = self.variant();
        let may_be_page = matches!(self.kind(), Kind::View | Kind::User);
        if variant.is_empty() || !may_be_page || self.is_form() {
            return None;
        }
        let beside = [&[BESIDE, form], variant].concat();
        Some(Self::assemble(self.kind(), self.base(), &beside))
    }

    /// Whether this is the key of a [form](Self::form) or of a [head](Self::head).
    pub fn is_form(&self) -> bool {
        self.variant().first() == Some(&BESIDE)
    }

    /// 128 bits that name this key where its bytes cannot stand. Whoever uses it keeps the whole key
    /// beside the value and compares it, for this digest does not withstand an adversary.
    pub fn digest(&self) -> u128 {
        xxh3_128(self.as_bytes())
    }
}

impl Encoded {
    fn short(bytes: [u8; SHORT], length: usize) -> Self {
        // At most `SHORT`, which fits.
        let length = length.to_le_bytes()[0];
        Self::Short { length, bytes }
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}", self.kind(), self.base().escape_ascii())?;
        if !self.is_base() {
            write!(f, "; {}", self.variant().escape_ascii())?;
        }
        f.write_str(")")
    }
}

/// The base key, readable, without control characters; what a log or a person is shown.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in String::from_utf8_lossy(self.base()).chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}
