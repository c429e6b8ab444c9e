//! The directives of `Cache-Control`: of an answer, and of a request.

mod request;

use http::header::{CACHE_CONTROL, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

pub use request::{RequestControl, Requests};

use crate::fields::{Fields, members};

/// The directives of `Cache-Control` in an answer (RFC 9111 section 5.2.2, RFC 5861).
///
/// A directive that names fields (`private="set-cookie"`) counts as one that names none: that keeps
/// less, never more. A lifetime that is no number is 0, as the RFC asks of something unreadable.
///
/// ```
/// use larder_http::CacheControl;
///
/// let fields = [("cache-control", "Max-Age=60, s-maxage=\"600\", x=\"private,\"")];
/// let control = CacheControl::read(fields.as_slice());
/// assert_eq!((control.max_age, control.s_maxage), (Some(60), Some(600)));
/// assert!(!control.private);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`.
    pub no_cache: bool,
    /// `private`.
    pub private: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `s-maxage`, in seconds.
    pub s_maxage: Option<u64>,
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: Option<u64>,
}

impl CacheControl {
    /// Reads the directives of an answer; of one that is given twice, the stricter counts.
    pub fn read(fields: &(impl Fields + ?Sized)) -> Self {
        let mut control = Self::default();
        members(fields, &CACHE_CONTROL, &mut |member| {
            let (name, value) = halves(member);
            control.add(name, value.map_or(0, seconds));
        });
        control
    }

    /// Reads a field that is meant for some caches only, such as `CDN-Cache-Control` (RFC 9213): a
    /// dictionary of structured fields. `None` where it is absent, empty or malformed, which are the
    /// same. A value of a wrong type is as unreadable as one that is no number.
    ///
    /// ```
    /// use http::header::HeaderName;
    /// use larder_http::CacheControl;
    ///
    /// let cdn = HeaderName::from_static("cdn-cache-control");
    /// let read = |value| CacheControl::targeted([("cdn-cache-control", value)].as_slice(), &cdn);
    /// assert_eq!(read("max-age=3600").unwrap().max_age, Some(3600));
    /// assert_eq!(read("max-age=3600, Private;"), None);
    /// assert_eq!(read(""), None);
    /// ```
    pub fn targeted(fields: &(impl Fields + ?Sized), name: &HeaderName) -> Option<Self> {
        let mut text = Vec::new();
        fields.each(name, &mut |line| {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(line);
        });
        let members = Parser::new(&text).parse::<Dictionary>().ok()?;
        if members.is_empty() {
            return None;
        }
        let mut control = Self::default();
        for (name, value) in &members {
            let item = match value {
                ListEntry::Item(item) => Some(&item.bare_item),
                ListEntry::InnerList(_) => None,
            };
            if item.and_then(BareItem::as_boolean) == Some(false) {
                continue;
            }
            let number = item.and_then(BareItem::as_integer).map(i64::from);
            let seconds = number.and_then(|number| u64::try_from(number).ok());
            control.add(name.as_str().as_bytes(), seconds.unwrap_or(0));
        }
        Some(control)
    }

    /// Whether the answer must not be served stale, neither during a refresh nor in place of an error:
    /// `s-maxage` says the same as `proxy-revalidate` (RFC 9111 section 5.2.2.10).
    pub const fn never_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }

    /// How long a cache that serves many users may take the answer for fresh, in seconds; `None` where
    /// no directive says so.
    pub fn lifetime(&self) -> Option<u64> {
        self.s_maxage.or(self.max_age)
    }

    fn add(&mut self, name: &[u8], seconds: u64) {
        let is = |directive: &str| name.eq_ignore_ascii_case(directive.as_bytes());
        let flags = [
            ("no-store", &mut self.no_store),
            ("no-cache", &mut self.no_cache),
            ("private", &mut self.private),
            ("public", &mut self.public),
            ("must-revalidate", &mut self.must_revalidate),
            ("proxy-revalidate", &mut self.proxy_revalidate),
            ("must-understand", &mut self.must_understand),
        ];
        let spans = [
            ("max-age", &mut self.max_age),
            ("s-maxage", &mut self.s_maxage),
            ("stale-while-revalidate", &mut self.stale_while_revalidate),
            ("stale-if-error", &mut self.stale_if_error),
        ];
        for (_, flag) in flags.into_iter().filter(|(directive, _)| is(directive)) {
            *flag = true;
        }
        for (_, span) in spans.into_iter().filter(|(directive, _)| is(directive)) {
            *span = Some(shorter(*span, seconds));
        }
    }
}

fn shorter(known: Option<u64>, new: u64) -> u64 {
    known.map_or(new, |known| known.min(new))
}

/// A directive and its value.
fn halves(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut halves = member.splitn(2, |&byte| byte == b'=');
    let name = halves.next().unwrap_or_default().trim_ascii();
    (name, halves.next())
}

/// A number of seconds; one that does not fit is as good as for ever, one that is none is 0.
fn seconds(value: &[u8]) -> u64 {
    number(value).unwrap_or(0)
}

/// A number in digits, in quotes or not; what does not fit is the greatest.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let digits = digits
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}
