//! Header fields, whoever holds them.

use http::header::{self, HeaderMap, HeaderName};

/// Header fields that can be looked at by name.
///
/// Implemented for [`HeaderMap`], and for slices of pairs, which is what a server outside Rust's
/// HTTP ecosystem hands over. Names in pairs may have any case.
///
/// ```
/// use http::header::VARY;
/// use larder_http::Fields;
///
/// let pairs = [("Vary", "accept"), ("vary", "cookie")];
/// let mut seen = Vec::new();
/// pairs.as_slice().each(&VARY, &mut |value| seen.push(value.to_vec()));
/// assert_eq!(seen, [b"accept".to_vec(), b"cookie".to_vec()]);
/// assert!(!pairs.as_slice().has(&http::header::AGE));
/// ```
pub trait Fields {
    /// Hands each value of the field to `visit`, in order.
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]));

    /// Whether the field is there at all.
    fn has(&self, name: &HeaderName) -> bool {
        let mut found = false;
        self.each(name, &mut |_| found = true);
        found
    }

    /// Whether any of these fields is there.
    fn has_any(&self, names: &[HeaderName]) -> bool {
        names.iter().any(|name| self.has(name))
    }
}

impl Fields for HeaderMap {
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        for value in self.get_all(name) {
            visit(value.as_bytes());
        }
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.contains_key(name)
    }

    fn has_any(&self, names: &[HeaderName]) -> bool {
        // To compare names that are known takes a tenth of looking one up.
        if self.keys_len() * names.len() <= 64 {
            self.keys().any(|name| names.contains(name))
        } else {
            names.iter().any(|name| self.contains_key(name))
        }
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Fields for [(N, V)] {
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        let wanted = name.as_str().as_bytes();
        for (name, value) in self {
            if name.as_ref().eq_ignore_ascii_case(wanted) {
                visit(value.as_ref());
            }
        }
    }
}

/// The members of a comma-separated field, over all its lines, without the empty ones. A comma
/// within a quoted string parts nothing.
pub fn members(fields: &(impl Fields + ?Sized), name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
    fields.each(name, &mut |line| {
        let (mut quoted, mut escaped, mut start) = (false, false, 0);
        for (at, &byte) in line.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    member(&line[start..at], visit);
                    start = at + 1;
                }
                _ => {}
            }
        }
        member(&line[start..], visit);
    });
}

fn member(text: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let text = text.trim_ascii();
    if !text.is_empty() {
        visit(text);
    }
}

/// The fields that concern one connection only and are never stored (RFC 9110 section 7.6.1), apart
/// from those that `Connection` names.
pub const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes out of an answer what concerns its connection only.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let mut named = Vec::new();
    members(headers, &header::CONNECTION, &mut |name| {
        named.extend(HeaderName::from_bytes(name));
    });
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}
