//! What a 304 from the origin does to the answer that is stored (RFC 9111 sections 3.2 and 4.3.4).

use http::HeaderMap;
use http::header::{self, HeaderName};

use crate::fields::remove_hop_by_hop;
use crate::validators::Validators;

/// Whether a 304 speaks of this stored answer.
///
/// A strong tag must be the stored one, byte for byte; a weak tag or a date must match; a 304 that says
/// neither speaks of the answer whose validators were sent, so it is believed.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::ETAG};
/// use larder_http::revalidated::selects;
///
/// let tagged = |tag| HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))]);
/// assert!(selects(&tagged("\"1\""), &tagged("\"1\"")));
/// assert!(!selects(&tagged("\"1\""), &tagged("\"2\"")));
/// assert!(selects(&tagged("\"1\""), &HeaderMap::new()));
/// ```
pub fn selects(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    let (stored, new) = (Validators::of(stored), Validators::of(not_modified));
    match (stored.etag(), new.etag()) {
        (Some(stored), Some(new)) if new.is_weak() => stored.same(&new),
        (Some(stored), Some(new)) => stored.same_bytes(&new),
        (None, Some(_)) => false,
        (_, None) => new
            .last_modified
            .is_none_or(|date| stored.last_modified == Some(date)),
    }
}

/// The fields that describe the body of an answer, of which a 304 has none.
pub const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
];

/// Brings the fields of a 304 into a stored answer: each field that it has replaces all lines of that
/// name. What describes the stored body and not the 304 stays as it is, and nothing that concerns one
/// connection comes in.
///
/// A 304 may bring what a cache would not have stored, `Set-Cookie` or `no-store` say: whoever keeps the
/// result asks again whether it may be kept.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::{CACHE_CONTROL, CONTENT_LENGTH}};
/// use larder_http::revalidated::update;
///
/// let number = |text| HeaderValue::from_static(text);
/// let mut stored = HeaderMap::from_iter([(CONTENT_LENGTH, number("7")), (CACHE_CONTROL, number("a"))]);
/// let new = HeaderMap::from_iter([(CONTENT_LENGTH, number("0")), (CACHE_CONTROL, number("b"))]);
/// update(&mut stored, &new);
/// assert_eq!((&stored[CONTENT_LENGTH], &stored[CACHE_CONTROL]), (&number("7"), &number("b")));
/// ```
pub fn update(stored: &mut HeaderMap, not_modified: &HeaderMap) {
    let mut new = not_modified.clone();
    remove_hop_by_hop(&mut new);
    for name in new.keys().filter(|name| !OF_THE_BODY.contains(name)) {
        stored.remove(name);
        for value in new.get_all(name) {
            stored.append(name, value.clone());
        }
    }
}
