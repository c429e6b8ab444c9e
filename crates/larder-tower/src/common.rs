//! Header values that many pages have in common, in static memory.
//!
//! A hit copies the headers of its page. Of a value that was allocated it counts one more user, and one
//! less when the answer is sent: two atomic operations for each header. Static values have no users to count, and
//! pages share them.

use bytes::Bytes;
use http::header::HeaderValue;

/// Values of `Content-Type`, `Cache-Control`, `Vary` and others that are the same on most sites.
const VALUES: [&str; 53] = [
    "text/html",
    "text/html; charset=utf-8",
    "text/html; charset=UTF-8",
    "text/html;charset=utf-8",
    "text/plain",
    "text/plain; charset=utf-8",
    "text/css",
    "text/css; charset=utf-8",
    "text/javascript",
    "text/javascript; charset=utf-8",
    "text/xml; charset=utf-8",
    "application/javascript",
    "application/json",
    "application/json; charset=utf-8",
    "application/octet-stream",
    "application/rss+xml",
    "application/xml",
    "image/jpeg",
    "image/png",
    "image/svg+xml",
    "image/webp",
    "font/woff2",
    "public",
    "no-cache",
    "max-age=0",
    "max-age=30",
    "max-age=60",
    "max-age=300",
    "max-age=600",
    "max-age=3600",
    "max-age=86400",
    "public, max-age=60",
    "public, max-age=300",
    "public, max-age=600",
    "public, max-age=3600",
    "public, max-age=86400",
    "public, max-age=31536000",
    "public, max-age=31536000, immutable",
    "accept-encoding",
    "Accept-Encoding",
    "origin",
    "Origin",
    "gzip",
    "br",
    "zstd",
    "bytes",
    "*",
    "nosniff",
    "DENY",
    "SAMEORIGIN",
    "same-origin",
    "no-referrer",
    "strict-origin-when-cross-origin",
];

/// So many numbers, from 0 on, have a text.
const NUMBERS: usize = 10_000;
/// The digits of one.
const WIDTH: usize = 4;

/// The texts of the numbers one after the other, with zeros before the shorter ones.
static DIGITS: [u8; WIDTH * NUMBERS] = {
    let mut all = [b'0'; WIDTH * NUMBERS];
    let mut number = 0;
    while number < NUMBERS {
        let (mut place, mut rest) = (WIDTH * (number + 1), number);
        while rest > 0 {
            place -= 1;
            all[place] = b"0123456789"[rest % 10];
            rest /= 10;
        }
        number += 1;
    }
    all
};

/// The same value in static memory, if it is one of those. One that is sensitive is nobody else's.
pub(crate) fn value(value: &HeaderValue) -> Option<HeaderValue> {
    if value.is_sensitive() {
        return None;
    }
    let mut values = VALUES.into_iter();
    let same = values.find(|same| same.as_bytes() == value.as_bytes())?;
    Some(HeaderValue::from_static(same))
}

/// A number as the value of a header.
pub(crate) fn number(number: u64) -> HeaderValue {
    let text = usize::try_from(number).ok().and_then(|number| {
        let zeros = match number {
            0..10 => 3,
            10..100 => 2,
            100..1000 => 1,
            _ => 0,
        };
        DIGITS.get(WIDTH * number.min(NUMBERS) + zeros..WIDTH * (number.min(NUMBERS) + 1))
    });
    let value = text.map(|text| HeaderValue::from_maybe_shared(Bytes::from_static(text)));
    match value {
        Some(Ok(value)) => value,
        _ => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_numbers_are() {
        for one in (0..10_100).chain([99_999, u64::from(u32::MAX), u64::MAX]) {
            assert_eq!(number(one), HeaderValue::from(one));
        }
    }

    #[test]
    fn common_values_stay_what_they_are() {
        let html = HeaderValue::from_static("text/html");
        assert_eq!(value(&html), Some(html));
        for other in ["text/htm", "text/html ", "TEXT/HTML", ""] {
            assert_eq!(value(&HeaderValue::from_static(other)), None);
        }
        let mut secret = HeaderValue::from_static("no-cache");
        secret.set_sensitive(true);
        assert_eq!(value(&secret), None);
    }
}
