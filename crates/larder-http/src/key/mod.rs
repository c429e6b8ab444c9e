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

use http::header::HeaderName;
use larder_core::KeyWriter;

pub use cookie::cookie;
pub use query::{query, query_except, query_only};

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

/// The head of a named value of the caller's own; the next call writes the value.
pub fn value<'a>(writer: &'a mut KeyWriter, name: &str) -> &'a mut KeyWriter {
    writer.object("value").tuple(2).text(name)
}
