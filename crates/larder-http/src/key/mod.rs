//! Which answers are the same: what of a request goes into the variant of its key.
//!
//! The base key is the path; the caller chooses how to write it. These functions write the rest, each
//! part with its own mark, so that a host can never be taken for a query. They take text and bytes,
//! not a request of some library.
//!
//! ```
//! use larder_core::KeyWriter;
//! use larder_http::key;
//!
//! let variant = |query: &str| {
//!     let mut writer = KeyWriter::new();
//!     key::method_class(&mut writer);
//!     key::host(&mut writer, Some("https"), b"Shop.example:443");
//!     key::query(&mut writer, Some(query.as_bytes()));
//!     writer
//! };
//! assert_eq!(variant("b=2&a=1"), variant("a=1&b=2"));
//! assert_ne!(variant("a=1&a=2"), variant("a=2&a=1"));
//! ```

mod cookie;
pub mod page;
mod query;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use larder_core::KeyWriter;
use sha2::{Digest, Sha256};

pub use cookie::{cookie, held_cookies};
pub use query::{held_query, held_query_except, held_query_only, query, query_except, query_only};

use crate::fields::Fields;

/// GET and HEAD, which share their answers. No other method has a key yet.
pub fn method_class(writer: &mut KeyWriter) {
    writer.text("GET");
}

/// The scheme, where it is known, and the host: in lower case, and without the port that the scheme
/// implies.
pub fn host(writer: &mut KeyWriter, scheme: Option<&str>, host: &[u8]) {
    let implied: Option<&[u8]> = match scheme {
        Some("http") => Some(b":80"),
        Some("https") => Some(b":443"),
        _ => None,
    };
    let host = implied
        .and_then(|port| host.strip_suffix(port))
        .unwrap_or(host);
    match scheme {
        Some(scheme) => writer.text(scheme),
        None => writer.none(),
    };
    if host.iter().any(u8::is_ascii_uppercase) {
        writer.bytes(&host.to_ascii_lowercase());
    } else {
        writer.bytes(host);
    }
}

/// All values of one header, in their order. A header that is not there is not an empty one.
pub fn header(writer: &mut KeyWriter, headers: &(impl Fields + ?Sized), name: &HeaderName) {
    let mut count = 0;
    headers.each(name, &mut |_| count += 1);
    writer.object("header").tuple(2).text(name.as_str());
    writer.list(count);
    headers.each(name, &mut |value| {
        writer.bytes(value);
    });
}

/// The digest of a request's body, as [`body`] takes it: SHA-256.
pub fn body_digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// A body by its digest, with the method that it was sent by and what kind of body it is.
///
/// ```
/// use larder_core::KeyWriter;
/// use larder_http::key;
///
/// let variant = |method: &str, body: &[u8]| {
///     let headers: [(&str, &str); 1] = [("content-type", "application/json")];
///     let mut writer = KeyWriter::new();
///     key::body(&mut writer, method, headers.as_slice(), &key::body_digest(body));
///     writer
/// };
/// assert_eq!(variant("QUERY", b"{}"), variant("QUERY", b"{}"));
/// assert_ne!(variant("QUERY", b"{}"), variant("POST", b"{}"));
/// ```
pub fn body(
    writer: &mut KeyWriter,
    method: &str,
    headers: &(impl Fields + ?Sized),
    digest: &[u8; 32],
) {
    writer.object("body").tuple(4).text(method).bytes(digest);
    header(writer, headers, &CONTENT_TYPE);
    header(writer, headers, &CONTENT_ENCODING);
}

/// The head of a named value of the caller's own; the next call writes the value.
pub fn value<'a>(writer: &'a mut KeyWriter, name: &str) -> &'a mut KeyWriter {
    writer.object("value").tuple(2).text(name)
}
