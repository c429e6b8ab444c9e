//! Which answers are worth a coding, and may have one.

use http::header::{self, HeaderName};

use crate::fields::{Fields, members};

/// The shortest body that is coded, in bytes: a shorter one fits into one packet anyway.
pub const SMALLEST: u64 = 1024;

/// Whether an answer may be stored in codings, and a body of this length is worth it; `None` where the
/// length is not known yet.
///
/// It must have a body, and all of it; nobody else may have coded it, or have said that it is to stay as it
/// is (`no-transform`, RFC 9111 section 5.2.2.6), or have said its digest; and its type must be one that is
/// not compressed already.
///
/// ```
/// use larder_http::coding::may_be_coded;
///
/// let html = [("content-type", "text/html; charset=utf-8")];
/// assert!(may_be_coded(200, html.as_slice(), Some(5000)));
/// assert!(!may_be_coded(200, html.as_slice(), Some(100)));
/// assert!(!may_be_coded(200, [("content-type", "image/png")].as_slice(), Some(5000)));
/// ```
pub fn may_be_coded(status: u16, answer: &(impl Fields + ?Sized), length: Option<u64>) -> bool {
    const AS_IT_IS: [HeaderName; 6] = [
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-md5"),
    ];
    let has_body = (200..=599).contains(&status) && !matches!(status, 204 | 205 | 206 | 304);
    has_body
        && length.is_none_or(|length| length >= SMALLEST)
        && is_of_a_type(answer)
        && !answer.has_any(&AS_IT_IS)
        && !forbids(answer)
}

fn forbids(answer: &(impl Fields + ?Sized)) -> bool {
    let mut found = false;
    members(answer, &header::CACHE_CONTROL, &mut |directive| {
        found |= directive.eq_ignore_ascii_case(b"no-transform");
    });
    found
}

fn is_of_a_type(answer: &(impl Fields + ?Sized)) -> bool {
    let (mut types, mut wanted) = (0, false);
    answer.each(&header::CONTENT_TYPE, &mut |value| {
        types += 1;
        let end = value.iter().position(|&byte| byte == b';');
        let essence = value[..end.unwrap_or(value.len())].trim_ascii();
        wanted = is_text_like(&essence.to_ascii_lowercase());
    });
    types == 1 && wanted
}

fn is_text_like(essence: &[u8]) -> bool {
    const TYPES: [&str; 25] = [
        "application/ecmascript",
        "application/geo+json-seq",
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/json-seq",
        "application/jsonl",
        "application/ndjson",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
        "font/collection",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "image/x-icon",
        "application/x-yaml",
    ];
    if essence == b"text/event-stream" {
        return false;
    }
    essence.starts_with(b"text/")
        || essence.ends_with(b"+json")
        || essence.ends_with(b"+xml")
        || essence.ends_with(b"+yaml")
        || TYPES.iter().any(|known| known.as_bytes() == essence)
}
