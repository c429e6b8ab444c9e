//! What a request that changes something makes invalid (RFC 9111 section 4.4).

use fluent_uri::component::Authority;
use fluent_uri::pct_enc::EStr;
use fluent_uri::{Uri, UriRef};
use http::header;

use crate::fields::Fields;
use crate::validators::only;

/// Whether an answer to a request with this method drops what is stored for its URI: the method is not
/// one of those that change nothing, and the answer is no failure.
///
/// ```
/// use larder_http::invalidation::invalidates;
///
/// assert!(invalidates("POST", 201) && invalidates("DELETE", 303) && invalidates("FROB", 200));
/// assert!(!invalidates("POST", 500) && !invalidates("GET", 200) && !invalidates("QUERY", 200));
/// ```
pub fn invalidates(method: &str, status: u16) -> bool {
    const SAFE: [&str; 8] = [
        "GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH",
    ];
    matches!(status, 200..=399) && !SAFE.contains(&method)
}

/// A URI on the host that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its path, percent-encoded, without `.` and `..`.
    pub path: String,
    /// Its query, without the question mark.
    pub query: Option<String>,
}

/// The URIs in `Location` and `Content-Location` that lie on the host that was asked: what an answer
/// drops beside the URI of its request. `path` is the path of the request, to which references are
/// relative.
///
/// The scheme does not count, because a service behind a proxy does not always know its own; a port that
/// a scheme implies is none.
///
/// ```
/// use larder_http::invalidation::named;
///
/// let answer = [("location", "../7?a=1#b"), ("content-location", "https://elsewhere.example/x")];
/// let found = named(b"shop.example", b"/posts/new/", answer.as_slice());
/// assert_eq!(found.len(), 1);
/// assert_eq!((found[0].path.as_str(), found[0].query.as_deref()), ("/posts/7", Some("a=1")));
/// ```
pub fn named(host: &[u8], path: &[u8], answer: &(impl Fields + ?Sized)) -> Vec<Named> {
    if host.iter().any(|byte| b"/?#@\\".contains(byte)) {
        return Vec::new();
    }
    let mut base = b"http://".to_vec();
    base.extend_from_slice(host);
    base.push(b'/');
    base.extend_from_slice(path.strip_prefix(b"/").unwrap_or(path));
    // A question mark or a number sign within the path would end it.
    let path = base.split_off("http://".len() + host.len());
    let base = [clean(&base, b""), clean(&path, b"?#")].concat();
    let Ok(base) = Uri::parse(base) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for field in [header::LOCATION, header::CONTENT_LOCATION] {
        let reference = only(answer, &field);
        let one = reference.and_then(|reference| resolved(&reference, &base));
        found.extend(one.filter(|one| !found.contains(one)));
    }
    found
}

fn resolved(reference: &[u8], base: &Uri<String>) -> Option<Named> {
    let reference = UriRef::parse(clean(reference, b"")).ok()?;
    let target = reference.resolve_against(base).ok()?;
    let is_web = |scheme: &str| matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    if !is_web(target.scheme().as_str()) || place(target.authority()?) != place(base.authority()?) {
        return None;
    }
    let path = match target.path().as_str() {
        "" => "/",
        path => path,
    };
    Some(Named {
        path: path.to_owned(),
        query: target.query().map(EStr::as_str).map(str::to_owned),
    })
}

/// The host in lower case, and the port unless a scheme implies it.
fn place(authority: Authority<'_>) -> (String, Option<&str>) {
    let port = authority.port().map(EStr::as_str);
    let port = port.filter(|port| !matches!(*port, "" | "80" | "443"));
    (authority.host().to_ascii_lowercase(), port)
}

/// A URI in which everything that none may hold is percent-encoded, as browsers read it; and these
/// bytes too.
fn clean(text: &[u8], also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let stays = match byte {
            b'%' => {
                let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
                digit(at + 1) && digit(at + 2)
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if stays && !also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    out
}
