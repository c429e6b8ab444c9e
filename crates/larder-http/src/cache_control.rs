//! The directives of `Cache-Control` that an answer carries.

use http::header::CACHE_CONTROL;

use crate::fields::{Fields, members};

/// The directives of `Cache-Control` in an answer (RFC 9111 section 5.2.2).
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
    /// `must-revalidate` or `proxy-revalidate`.
    pub must_revalidate: bool,
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `s-maxage`, in seconds.
    pub s_maxage: Option<u64>,
}

impl CacheControl {
    /// Reads the directives of an answer; of one that is given twice, the stricter counts.
    pub fn read(fields: &(impl Fields + ?Sized)) -> Self {
        let mut control = Self::default();
        members(fields, &CACHE_CONTROL, &mut |member| control.add(member));
        control
    }

    /// Whether the answer must not be served stale, neither during a refresh nor in place of an error:
    /// `s-maxage` says the same as `proxy-revalidate` (RFC 9111 section 5.2.2.10).
    pub const fn never_stale(&self) -> bool {
        self.must_revalidate || self.s_maxage.is_some()
    }

    fn add(&mut self, member: &[u8]) {
        let mut halves = member.splitn(2, |&byte| byte == b'=');
        let name = halves.next().unwrap_or_default().trim_ascii();
        let value = halves.next();
        let is = |directive: &str| name.eq_ignore_ascii_case(directive.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("private") {
            self.private = true;
        } else if is("must-revalidate") || is("proxy-revalidate") {
            self.must_revalidate = true;
        } else if is("max-age") {
            self.max_age = Some(stricter(self.max_age, seconds(value)));
        } else if is("s-maxage") {
            self.s_maxage = Some(stricter(self.s_maxage, seconds(value)));
        }
    }
}

fn stricter(known: Option<u64>, new: u64) -> u64 {
    known.map_or(new, |known| known.min(new))
}

/// A number of seconds; one that does not fit is as good as for ever, one that is none is 0.
fn seconds(value: Option<&[u8]>) -> u64 {
    let digits = value.unwrap_or_default().trim_ascii();
    let digits = digits
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}
