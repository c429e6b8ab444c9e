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
