//! One cookie out of many.

use http::header::COOKIE;
use larder_core::KeyWriter;

use crate::fields::Fields;

/// The value of one cookie; absent is not empty. Where a name comes twice all its values count,
/// because readers differ in which one they take.
pub fn cookie(writer: &mut KeyWriter, headers: &(impl Fields + ?Sized), name: &str) {
    let mut count = 0;
    each(headers, name.as_bytes(), &mut |_| count += 1);
    writer.object("cookie").tuple(2).text(name);
    writer.list(count);
    each(headers, name.as_bytes(), &mut |value| {
        writer.bytes(value);
    });
}

/// The cookies that a key holds by their names, as one `Cookie` header: whoever sees only this cannot
/// depend on another one. `None` when the request has none of them.
///
/// ```
/// use larder_http::key;
///
/// let sent = [("cookie", "sid=1; theme=dark")];
/// assert_eq!(key::held_cookies(sent.as_slice(), &["theme"]), Some(b"theme=dark".to_vec()));
/// assert_eq!(key::held_cookies(sent.as_slice(), &["language"]), None);
/// ```
pub fn held_cookies(
    headers: &(impl Fields + ?Sized),
    names: &[impl AsRef<str>],
) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        each(headers, name.as_bytes(), &mut |value| {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(name.as_bytes());
            kept.push(b'=');
            kept.extend_from_slice(value);
        });
    }
    (!kept.is_empty()).then_some(kept)
}

fn each(headers: &(impl Fields + ?Sized), name: &[u8], visit: &mut dyn FnMut(&[u8])) {
    headers.each(&COOKIE, &mut |line| {
        for pair in line.split(|&byte| byte == b';') {
            let pair = pair.trim_ascii();
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            if halves.next().unwrap_or_default().trim_ascii() == name {
                visit(halves.next().unwrap_or_default().trim_ascii());
            }
        }
    });
}
