//! Requests that want an answer only if it is another than theirs.
//!
//! A cache judges `If-None-Match` and `If-Modified-Since` on what it has stored (RFC 9111 section
//! 4.3.2). `If-Match` and `If-Unmodified-Since` are for the origin; a cache leaves them alone.

use http::header::{self, HeaderName};

use crate::fields::Fields;
use crate::validators::{EntityTag, Validators, date};

/// What becomes of a request and the answer that was found for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The answer is sent, or the part of it that was asked for.
    Send,
    /// The client has it already: 304, without a body.
    NotModified,
}

/// Whether a request sets a condition that a cache judges. Who asks the origin for an answer to store
/// takes these fields out of the request, so that it comes whole.
pub fn is_conditional(request: &(impl Fields + ?Sized)) -> bool {
    request.has(&header::IF_NONE_MATCH) || request.has(&header::IF_MODIFIED_SINCE)
}

/// Judges the conditions of a request on a stored answer.
///
/// `If-None-Match` counts before `If-Modified-Since`, which is not looked at beside it (RFC 9110
/// section 13.2.2). Tags are compared weakly; of a list that cannot be read to its end, what stands
/// before counts. A date is compared with `Last-Modified` only: `Date` would be the next best (RFC
/// 9111 section 4.3.2), but an answer that is purged and made anew within a second has the same one.
/// Conditions mean something for GET and HEAD, and for answers of the class 2xx.
///
/// ```
/// use larder_http::conditional::{Condition, condition};
///
/// let stored = [("etag", "\"1\""), ("last-modified", "Sat, 01 Aug 2026 00:00:00 GMT")];
/// let judge = |name, value| {
///     let request: [(&str, &str); 1] = [(name, value)];
///     condition("GET", request.as_slice(), 200, stored.as_slice())
/// };
/// assert_eq!(judge("if-none-match", "\"0\", W/\"1\""), Condition::NotModified);
/// assert_eq!(judge("if-none-match", "\"2\""), Condition::Send);
/// assert_eq!(judge("if-modified-since", "Sat, 01 Aug 2026 00:00:00 GMT"), Condition::NotModified);
/// assert_eq!(judge("if-modified-since", "Fri, 31 Jul 2026 23:59:59 GMT"), Condition::Send);
/// ```
pub fn condition(
    method: &str,
    request: &(impl Fields + ?Sized),
    status: u16,
    stored: &(impl Fields + ?Sized),
) -> Condition {
    let judged = matches!(method, "GET" | "HEAD") && matches!(status, 200..=299);
    if !judged || !is_conditional(request) {
        return Condition::Send;
    }
    let known = Validators::of(stored);
    let same = if request.has(&header::IF_NONE_MATCH) {
        matches_tag(request, known.etag())
    } else {
        let since = date(request, &header::IF_MODIFIED_SINCE);
        known
            .last_modified
            .zip(since)
            .is_some_and(|(changed, since)| changed <= since)
    };
    if same {
        Condition::NotModified
    } else {
        Condition::Send
    }
}

/// Whether `If-None-Match` of a request names this tag, and not only an asterisk.
pub(crate) fn names(request: &(impl Fields + ?Sized), tag: &[u8]) -> bool {
    let mut found = false;
    if let Some(known) = EntityTag::parse(tag) {
        request.each(&header::IF_NONE_MATCH, &mut |line| {
            found |= tags(line).any(|tag| tag.same(&known));
        });
    }
    found
}

fn matches_tag(request: &(impl Fields + ?Sized), known: Option<EntityTag<'_>>) -> bool {
    let (mut lines, mut any, mut found) = (0, false, false);
    request.each(&header::IF_NONE_MATCH, &mut |line| {
        lines += 1;
        any |= line.trim_ascii() == b"*";
        found |= known.is_some_and(|known| tags(line).any(|tag| tag.same(&known)));
    });
    // An asterisk stands alone (RFC 9110 section 13.1.2).
    found || (any && lines == 1)
}

/// The tags of one line. A comma may be part of a tag, so the line is read, not split.
pub(crate) fn tags(line: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let (tag, after) = EntityTag::split(rest)?;
        let after = after.trim_ascii_start();
        rest = match after {
            [] | [b',', ..] => after,
            _ => return None,
        };
        Some(tag)
    })
}

/// Whether a field of the stored answer is told with a 304: those that RFC 9110 section 15.4.5 asks for,
/// what caches further on go by, and what this cache says of itself.
///
/// ```
/// use http::HeaderName;
/// use larder_http::conditional::is_told;
///
/// assert!(is_told(&HeaderName::from_static("etag")));
/// assert!(is_told(&HeaderName::from_static("cdn-cache-control")));
/// assert!(!is_told(&HeaderName::from_static("content-type")));
/// ```
pub fn is_told(name: &HeaderName) -> bool {
    const TOLD: [HeaderName; 9] = [
        header::CACHE_CONTROL,
        header::CONTENT_LOCATION,
        header::DATE,
        header::ETAG,
        header::EXPIRES,
        header::VARY,
        header::AGE,
        header::CACHE_STATUS,
        HeaderName::from_static("no-vary-search"),
    ];
    TOLD.contains(name) || name.as_str().ends_with("-cache-control")
}
