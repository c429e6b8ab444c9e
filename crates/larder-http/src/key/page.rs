//! The keys of pages that a Flask application and a Rust service have in common.
//!
//! Both call [`base`] and [`variant`], and then write the query, the headers and the cookies that the
//! key holds, each group sorted by name: so the key of one URL is the same in both.

use percent_encoding::percent_decode;

use larder_core::KeyWriter;

use super::{host, method_class};

/// The path of a URL, as far as the caller knows it.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// As it stands in the URL.
    Raw(&'a [u8]),
    /// Decoded, as WSGI hands it over: what was encoded in the URL is not known any more.
    Decoded(&'a [u8]),
}

/// Where clients reach a page.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The scheme of the URL.
    pub scheme: &'a str,
    /// The value of `Host`.
    pub host: &'a [u8],
    /// The path below which the application is mounted; empty for none.
    pub mount: &'a [u8],
    /// The path of the page, without the mount.
    pub path: Path<'a>,
}

/// What the base key of a view begins with.
const VIEW: &[u8] = b"view/";

/// The base key that people see and remove by: `view/` and the path, decoded, with one slash in front.
/// It is of the kind [`User`](larder_core::Kind::User), as all keys are that people read in Flask.
///
/// ```
/// use larder_http::key::page::{Path, base};
///
/// assert_eq!(base(Path::Raw(b"/caf%C3%A9")), "view//café".as_bytes());
/// assert_eq!(base(Path::Raw(b"/caf%C3%A9")), base(Path::Decoded("/café".as_bytes())));
/// ```
pub fn base(path: Path<'_>) -> Vec<u8> {
    let decoded: Vec<u8> = match path {
        Path::Raw(raw) => percent_decode(raw).collect(),
        Path::Decoded(bytes) => bytes.to_vec(),
    };
    let text = String::from_utf8_lossy(&decoded);
    [VIEW, b"/", text.trim_start_matches('/').as_bytes()].concat()
}

/// Begins the variant: the path in one form, GET and HEAD, where clients reach it, and the mount.
///
/// The form is that of RFC 3986 section 6.2.2. A path that the caller knows decoded only is encoded as
/// little as can be: another path of the same bytes, `/a%2Fb` beside `/a/b`, has another key for those
/// who know it.
pub fn variant(writer: &mut KeyWriter, place: &Place<'_>) {
    writer.text("page").bytes(&normal(place.path));
    method_class(writer);
    host(writer, Some(place.scheme), place.host);
    writer.bytes(place.mount);
}

fn normal(path: Path<'_>) -> Vec<u8> {
    match path {
        Path::Decoded(bytes) => {
            let mut out = Vec::with_capacity(bytes.len());
            bytes.iter().for_each(|&byte| put(&mut out, byte));
            out
        }
        Path::Raw(raw) => normal_of_raw(raw),
    }
}

fn normal_of_raw(mut raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    while let [byte, rest @ ..] = raw {
        raw = rest;
        let encoded = match raw {
            [high, low, ..] if *byte == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match encoded {
            Some((high, low)) => {
                raw = &raw[2..];
                let byte = high << 4 | low;
                if is_unreserved(byte) {
                    out.push(byte);
                } else {
                    put_encoded(&mut out, byte);
                }
            }
            None => put(&mut out, *byte),
        }
    }
    out
}

/// A byte that stands for itself, encoded where a path cannot hold it.
fn put(out: &mut Vec<u8>, byte: u8) {
    if is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte) {
        out.push(byte);
    } else {
        put_encoded(out, byte);
    }
}

fn put_encoded(out: &mut Vec<u8>, byte: u8) {
    let hex = |digit: u8| b"0123456789ABCDEF"[usize::from(digit)];
    out.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 0xf)]);
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(path: &str) -> String {
        String::from_utf8(normal(Path::Raw(path.as_bytes()))).unwrap()
    }

    fn decoded(path: &[u8]) -> String {
        String::from_utf8(normal(Path::Decoded(path))).unwrap()
    }

    #[test]
    fn equal_paths_have_one_form() {
        assert_eq!(raw("/caf%c3%a9"), "/caf%C3%A9");
        assert_eq!(raw("/%7euser/%41"), "/~user/A");
        assert_eq!(raw("/a b\u{e9}\"<>"), "/a%20b%C3%A9%22%3C%3E");
        assert_eq!(decoded("/café ~".as_bytes()), raw("/caf%C3%A9%20%7E"));
        assert_eq!(decoded(b"/100%"), raw("/100%25"));
        assert_eq!(decoded(b"/\xff\x00"), raw("/%FF%00"));
    }

    #[test]
    fn other_paths_have_others() {
        for (one, other) in [
            ("/a%2Fb", "/a/b"),
            ("/a%2fb", "/a%252fb"),
            ("/a%3Bb", "/a;b"),
            ("/a%3Fb", "/a"),
            ("//a", "/a"),
            ("/a/", "/a"),
            ("/A", "/a"),
        ] {
            assert_ne!(raw(one), raw(other));
        }
        // What is no encoding is taken as it stands, and cannot meet one.
        assert_eq!(raw("/%"), "/%25");
        assert_eq!(raw("/%4"), "/%254");
        assert_eq!(raw("/%zz%41"), "/%25zzA");
    }

    #[test]
    fn base_keys_are_what_people_see() {
        for path in ["/products", "//products", "/%70roducts"] {
            assert_eq!(base(Path::Raw(path.as_bytes())), b"view//products");
        }
        assert_eq!(base(Path::Raw(b"/")), b"view//");
        assert_eq!(base(Path::Decoded(b"")), b"view//");
        assert_eq!(base(Path::Raw(b"/%FF")), "view//\u{fffd}".as_bytes());
    }
}
