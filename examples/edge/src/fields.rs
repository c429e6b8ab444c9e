//! Which header fields a proxy passes on, and what it adds.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, VIA,
};
use http::{HeaderMap, Version};
use larder_http::fields::{HOP_BY_HOP, members};

/// What `Connection` cannot take away: without a host or a length a message is another one. And trailers
/// are passed on.
const NEVER: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRAILER];

/// The fields that are for everybody along the way (RFC 9110 section 7.6.1), in their order, each line as
/// it came. What `Connection` names goes as well. A length beside chunks does not count (RFC 9112 section
/// 6.3), and one that is said twice is said once.
pub(crate) fn end_to_end(fields: &HeaderMap) -> HeaderMap {
    let mut gone = HOP_BY_HOP.to_vec();
    members(fields, &CONNECTION, &mut |name| {
        gone.extend(HeaderName::from_bytes(name).ok());
    });
    gone.retain(|name| !NEVER.contains(name));
    if fields.contains_key(TRANSFER_ENCODING) {
        gone.push(CONTENT_LENGTH);
    }
    // Built anew and not thinned out, for a map that loses a field changes the order of the others.
    let mut kept = HeaderMap::with_capacity(fields.len() + 2);
    for (name, value) in fields.iter().filter(|(name, _)| !gone.contains(name)) {
        if *name != CONTENT_LENGTH || !kept.contains_key(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Says that a message of this version came through here (RFC 9110 section 7.6.3).
pub(crate) fn sign(fields: &mut HeaderMap, version: Version) {
    let via = match version {
        Version::HTTP_10 => "1.0 larder",
        _ => "1.1 larder",
    };
    fields.append(VIA, HeaderValue::from_static(via));
}

/// Whether a field has this member; case makes no difference.
pub(crate) fn has_member(fields: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let mut found = false;
    members(fields, name, &mut |member| {
        let word = member
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        found |= word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes());
    });
    found
}

/// Whether a message asks for a WebSocket, or agrees to one. Nothing else is passed on: who changes to
/// HTTP/2 behind the cache's back could ask the origin for what nobody looks at here.
pub(crate) fn is_websocket(fields: &HeaderMap) -> bool {
    has_member(fields, &CONNECTION, "upgrade") && has_member(fields, &UPGRADE, "websocket")
}

/// Asks for a WebSocket, or agrees to one.
pub(crate) fn upgrade(fields: &mut HeaderMap) {
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Tells the origin that trailers are welcome, for a client that says so.
pub(crate) fn welcome_trailers(fields: &mut HeaderMap) {
    fields.insert(TE, HeaderValue::from_static("trailers"));
    fields.append(CONNECTION, HeaderValue::from_static("te"));
}
