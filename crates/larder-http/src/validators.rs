//! Entity tags and dates of change: what says whether two answers are the same.

use http::header::{self, HeaderName};
use larder_core::Timestamp;
use sha2::{Digest, Sha256};

use crate::dates;
use crate::fields::Fields;

/// The strong entity tag of a body: 128 bits of its SHA-256, in hexadecimal and in quotes.
///
/// ```
/// let tag = larder_http::validators::etag_of(b"hello");
/// assert_eq!(tag, "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\"");
/// ```
pub fn etag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in &digest[..16] {
        for digit in [byte >> 4, byte & 0xf] {
            tag.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    tag.push('"');
    tag
}

/// An entity tag (RFC 9110 section 8.8.3).
///
/// ```
/// use larder_http::validators::EntityTag;
///
/// let weak = EntityTag::parse(b"W/\"1\"").unwrap();
/// let strong = EntityTag::parse(b"\"1\"").unwrap();
/// assert!(weak.same(&strong) && !weak.same_bytes(&strong));
/// assert_eq!(EntityTag::parse(b"1"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads one entity tag, and nothing beside it.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::split(text.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that a text begins with, and what follows it. A tag has no escapes: a backslash is a
    /// character like others.
    pub(crate) fn split(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|&byte| byte == b'"')?;
        let (opaque, rest) = (&inner[..end], &inner[end + 1..]);
        let allowed = |&byte: &u8| byte > b' ' && byte != 0x7f;
        opaque
            .iter()
            .all(allowed)
            .then_some((Self { weak, opaque }, rest))
    }

    /// Whether both name the same answer: the weak comparison of RFC 9110 section 8.8.3.2.
    pub fn same(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Whether both name the same bytes: the strong comparison of RFC 9110 section 8.8.3.2.
    pub fn same_bytes(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// What stands between the quotes.
    pub(crate) const fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// Whether it begins with `W/`.
    pub const fn is_weak(&self) -> bool {
        self.weak
    }
}

/// What an answer says of its own state: its entity tag and when it last changed. What is malformed,
/// or stands there twice with two meanings, is absent.
///
/// ```
/// use larder_http::validators::Validators;
///
/// let answer = [("ETag", "\"1\""), ("Last-Modified", "yesterday")];
/// let known = Validators::of(answer.as_slice());
/// assert!(known.etag().is_some() && known.last_modified.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<Vec<u8>>,
    /// `Last-Modified`.
    pub last_modified: Option<Timestamp>,
}

impl Validators {
    /// Those of an answer.
    pub fn of(answer: &(impl Fields + ?Sized)) -> Self {
        let etag = only(answer, &header::ETAG).filter(|text| EntityTag::parse(text).is_some());
        Self {
            etag,
            last_modified: date(answer, &header::LAST_MODIFIED),
        }
    }

    /// The entity tag.
    pub fn etag(&self) -> Option<EntityTag<'_>> {
        EntityTag::parse(self.etag.as_deref()?)
    }

    /// Whether there is neither.
    pub const fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// The value of a field that may stand there once; `None` where there are two that differ.
pub(crate) fn only(fields: &(impl Fields + ?Sized), name: &HeaderName) -> Option<Vec<u8>> {
    let (mut found, mut differ) = (None::<Vec<u8>>, false);
    fields.each(name, &mut |value| {
        let value = value.trim_ascii();
        match &found {
            Some(known) => differ |= known != value,
            None => found = Some(value.to_vec()),
        }
    });
    found.filter(|_| !differ)
}

/// A date that may stand there once; `None` for what is none.
pub(crate) fn date(fields: &(impl Fields + ?Sized), name: &HeaderName) -> Option<Timestamp> {
    dates::read(&only(fields, name)?)
}
