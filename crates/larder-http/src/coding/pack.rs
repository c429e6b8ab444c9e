//! Bodies in their codings.

use std::io::Write;

use super::Coding;

/// What is asked of brotli, of 11: it takes about as long as gzip at its 6. From 7 on it takes several times
/// as long, for one part in a hundred.
const BROTLI: i32 = 5;
/// The window of brotli, as a power of two: what every decoder takes.
const WINDOW: i32 = 22;
/// What is asked of zstd, of 22: its own default. From 6 on it takes three times as long, for a twentieth.
const ZSTD: i32 = 3;
/// What is asked of gzip, of 9: its own default. More of it changes next to nothing.
const GZIP: u32 = 6;

/// A body in a coding; `None` where that does not save an eighth of it.
///
/// It takes a few milliseconds for a hundred kilobytes, and memory of a few times the body: nothing for a
/// thread that others wait for.
///
/// ```
/// use larder_http::{Coding, coding::pack};
///
/// let body = "so it goes, ".repeat(1000);
/// assert!(pack(Coding::Gzip, body.as_bytes()).unwrap().len() < 200);
/// assert_eq!(pack(Coding::Gzip, b"short"), None);
/// ```
pub fn pack(coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
    let packed = match coding {
        Coding::Brotli => {
            let params = brotli::enc::BrotliEncoderParams {
                quality: BROTLI,
                lgwin: WINDOW,
                size_hint: body.len(),
                ..Default::default()
            };
            let mut packed = Vec::new();
            brotli::BrotliCompress(&mut &body[..], &mut packed, &params).ok()?;
            packed
        }
        Coding::Zstd => zstd::bulk::compress(body, ZSTD).ok()?,
        Coding::Gzip => {
            let level = flate2::Compression::new(GZIP);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).ok()?;
            encoder.finish().ok()?
        }
    };
    (packed.len() <= body.len() - body.len() / 8).then_some(packed)
}
