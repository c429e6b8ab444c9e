//! In which content coding an answer is sent, and what says so.
//!
//! A page that is worth it is coded when it is stored, once in each coding that was chosen. All that is
//! decided for a request is which of them it gets. The plain page stays the one that ranges are cut
//! from, and the one that its origin is asked about.

mod accept;
mod codable;
mod kept;
#[cfg(feature = "compress")]
mod pack;

use http::HeaderMap;
use http::header::{self, HeaderValue};

pub use accept::{Accept, choose, select};
pub use codable::{SMALLEST, may_be_coded};
pub use kept::{Codings, FIELD};
#[cfg(feature = "compress")]
pub use pack::pack;

use crate::fields::Fields;
use crate::validators::EntityTag;

/// A content coding (RFC 9110 section 8.4.1) that pages are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Brotli (RFC 7932): `br`.
    Brotli,
    /// Zstandard (RFC 8878): `zstd`.
    Zstd,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl Coding {
    /// All of them, in the order in which they are preferred unless somebody says otherwise: the one that
    /// makes the shortest bodies first. A page is coded once and sent many times, so only the length counts.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of this name, in any case; `x-gzip` is `gzip` (RFC 9110 section 8.4.1.3).
    ///
    /// ```
    /// use larder_http::Coding;
    ///
    /// assert_eq!(Coding::of(b"BR"), Some(Coding::Brotli));
    /// assert_eq!(Coding::of(b"x-gzip"), Some(Coding::Gzip));
    /// assert_eq!(Coding::of(b"deflate"), None);
    /// ```
    pub fn of(token: &[u8]) -> Option<Self> {
        let is = |other: &str| token.eq_ignore_ascii_case(other.as_bytes());
        if is("x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| is(coding.token()))
    }

    /// What names the form of a page in this coding among the keys of its page:
    /// [`Key::form`](larder_core::Key::form).
    pub const fn form(self) -> u8 {
        match self {
            Self::Brotli => b'b',
            Self::Zstd => b'z',
            Self::Gzip => b'g',
        }
    }

    /// What [`form`](Self::form) says of all of them.
    pub const FORMS: [u8; 3] = *b"bzg";

    const fn number(self) -> usize {
        match self {
            Self::Brotli => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
        }
    }
}

/// The entity tag of a page in a coding, by that of the plain page: other bytes have another tag (RFC 9110
/// section 8.8.3.3). A weak tag stays weak. `None` for what is no entity tag.
///
/// ```
/// use larder_http::{Coding, coding::tag_in};
///
/// assert_eq!(tag_in(b"\"1\"", Coding::Brotli).unwrap(), b"\"1-br\"");
/// assert_eq!(tag_in(b"W/\"1\"", Coding::Gzip).unwrap(), b"W/\"1-gzip\"");
/// assert_eq!(tag_in(b"1", Coding::Gzip), None);
/// ```
pub fn tag_in(tag: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let tag = tag.trim_ascii();
    EntityTag::parse(tag)?;
    let (open, quote) = tag.split_at(tag.len() - 1);
    Some([open, b"-", coding.token().as_bytes(), quote].concat())
}

/// Makes of the headers of a plain page those of the page in a coding, whose body has this length.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::{CONTENT_ENCODING, ETAG}};
/// use larder_http::{Coding, coding::describe};
///
/// let mut headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"1\""))]);
/// describe(&mut headers, Coding::Zstd, 700);
/// assert_eq!((&headers[ETAG], &headers[CONTENT_ENCODING]), (
///     &HeaderValue::from_static("\"1-zstd\""), &HeaderValue::from_static("zstd")));
/// ```
pub fn describe(headers: &mut HeaderMap, coding: Coding, length: u64) {
    let token = HeaderValue::from_static(coding.token());
    headers.insert(header::CONTENT_ENCODING, token);
    headers.insert(header::CONTENT_LENGTH, length.into());
    for tag in headers
        .get_all(header::ETAG)
        .iter()
        .cloned()
        .collect::<Vec<_>>()
    {
        let coded = tag_in(tag.as_bytes(), coding);
        match coded.map(HeaderValue::try_from) {
            Some(Ok(coded)) => headers.insert(header::ETAG, coded),
            // A tag that cannot be read names no bytes; it must not name others either.
            _ => headers.remove(header::ETAG),
        };
    }
}

/// Whether something that lies where a page in a coding should be is that page: `form` are its headers,
/// `page` those of the plain page, and `length` is how long the page is in the coding. Without a tag
/// nothing says that the two belong together.
///
/// ```
/// use larder_http::{Coding, coding::is_form_of};
///
/// let page = [("ETag", "\"1\"")];
/// let form = [("ETag", "\"1-br\""), ("Content-Encoding", "br"), ("Content-Length", "700")];
/// assert!(is_form_of(form.as_slice(), page.as_slice(), (Coding::Brotli, 700)));
/// assert!(!is_form_of(form.as_slice(), page.as_slice(), (Coding::Brotli, 701)));
/// ```
pub fn is_form_of(
    form: &(impl Fields + ?Sized),
    page: &(impl Fields + ?Sized),
    (coding, length): (Coding, u64),
) -> bool {
    let mut tags = Vec::new();
    page.each(&header::ETAG, &mut |tag| tags.extend(tag_in(tag, coding)));
    !tags.is_empty()
        && has(form, &header::ETAG, &tags)
        && has(form, &header::CONTENT_LENGTH, &[length.to_string()])
        && has(form, &header::CONTENT_ENCODING, &[coding.token()])
}

/// Whether a field has these values and no others.
fn has(
    fields: &(impl Fields + ?Sized),
    name: &header::HeaderName,
    values: &[impl AsRef<[u8]>],
) -> bool {
    let (mut wanted, mut same) = (values.iter(), true);
    fields.each(name, &mut |value| {
        same &= wanted.next().is_some_and(|wanted| wanted.as_ref() == value);
    });
    same && wanted.next().is_none()
}

/// The value of `If-Match` for an origin that knows only its own tags: beside each tag that this cache made
/// for a coding stands the one that it was made of, so that who has the coded page can change it. `None`
/// where no tag is such a one.
///
/// ```
/// use larder_http::coding::with_plain_tags;
///
/// assert_eq!(with_plain_tags(b"\"1-br\"").unwrap(), b"\"1-br\", \"1\"");
/// assert_eq!(with_plain_tags(b"\"1\""), None);
/// ```
pub fn with_plain_tags(if_match: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    for tag in crate::conditional::tags(if_match) {
        let ends = Coding::ALL.map(|coding| format!("-{}", coding.token()));
        let stem = ends
            .iter()
            .find_map(|end| tag.opaque().strip_suffix(end.as_bytes()));
        // `If-Match` compares strongly, so a weak tag matches nothing.
        if let Some(stem) = stem.filter(|_| !tag.is_weak()) {
            plain.extend_from_slice(b", \"");
            plain.extend_from_slice(stem);
            plain.push(b'"');
        }
    }
    (!plain.is_empty()).then(|| [if_match, &plain].concat())
}
