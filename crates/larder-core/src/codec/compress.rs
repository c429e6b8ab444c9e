//! Payloads made smaller: the unpacked length as a number, then one frame of zstd.

#[cfg(feature = "zstd")]
use super::wire::{Input, put_number};
use crate::error::{Error, ErrorKind, Result};

/// A payload that says it unpacks to more than this many times its length is not unpacked, and is not
/// written: small entries must not fill the memory of who reads them.
#[cfg(feature = "zstd")]
const MOST_TIMES: usize = 1_000;
/// zstd's fastest ordinary level: higher ones cost several times as much, and pages shrink hardly more.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 1;

/// A payload packed; `None` where that does not save an eighth of it, for reading it costs time.
#[cfg(feature = "zstd")]
pub(super) fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_number(&mut out, payload.len() as u64);
    let frame = contexts::compress(payload)?;
    let worth = out.len() + frame.len() <= payload.len() - payload.len() / 8;
    let bounded = payload.len() <= frame.len().saturating_mul(MOST_TIMES);
    (worth && bounded).then(|| {
        out.extend_from_slice(&frame);
        out
    })
}

#[cfg(not(feature = "zstd"))]
pub(super) const fn pack(_payload: &[u8]) -> Option<Vec<u8>> {
    None
}

/// The payload of a packed one, of at most `limit` bytes.
#[cfg(feature = "zstd")]
pub(super) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut input = Input::new(packed);
    let size = input.number().and_then(|size| usize::try_from(size).ok());
    let frame = input.rest();
    let Some(size) = size.filter(|&size| size <= frame.len().saturating_mul(MOST_TIMES)) else {
        return Err(damaged());
    };
    if size > limit {
        let detail = format!(
            "the payload is compressed and takes {size} bytes (at most {limit} are unpacked here)"
        );
        return Err(Error::new(ErrorKind::Codec, detail));
    }
    contexts::decompress(frame, size).ok_or_else(damaged)
}

#[cfg(feature = "zstd")]
fn damaged() -> Error {
    Error::new(ErrorKind::Codec, "the compressed payload is damaged")
}

#[cfg(not(feature = "zstd"))]
pub(super) fn unpack(_packed: &[u8], _limit: usize) -> Result<Vec<u8>> {
    let detail = "the payload is compressed, which this program cannot read \
                  (build larder with its feature zstd)";
    Err(Error::new(ErrorKind::Codec, detail))
}

/// What zstd works with is made once in a thread: making it takes longer than a page of 4 kB.
#[cfg(feature = "zstd")]
mod contexts {
    use std::cell::RefCell;

    use zstd::bulk::{Compressor, Decompressor};

    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    /// `None` where there is no memory for it.
    pub(super) fn compress(payload: &[u8]) -> Option<Vec<u8>> {
        COMPRESSOR.with_borrow_mut(|place| {
            if place.is_none() {
                *place = Some(Compressor::new(super::LEVEL).ok()?);
            }
            place.as_mut()?.compress(payload).ok()
        })
    }

    /// `None` where the frame does not hold exactly `size` bytes.
    pub(super) fn decompress(frame: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        out.try_reserve_exact(size).ok()?;
        DECOMPRESSOR.with_borrow_mut(|place| {
            if place.is_none() {
                *place = Some(Decompressor::new().ok()?);
            }
            let context = place.as_mut()?;
            context.decompress_to_buffer(frame, &mut out).ok()
        })?;
        (out.len() == size).then_some(out)
    }
}

#[cfg(all(test, not(feature = "zstd")))]
mod tests {
    use crate::ErrorKind;
    use crate::codec::{Envelope, Packing, Plain, Safe};

    #[test]
    fn without_the_feature_a_compressed_entry_cannot_be_read() {
        // The golden vector of a compressed entry, whose checksum fits.
        let golden = include_str!("../../../../tests/golden/packed.json");
        let hex = golden.split("\"hex\": \"").nth(1).unwrap();
        let hex = hex.split('"').next().unwrap();
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        let envelope = Envelope::new("flask_cache_", Packing::new()).unwrap();
        let opened = envelope.open_any(&bytes).unwrap();
        assert!(opened.packed);
        let error = opened.into_entry::<Plain>(&Safe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(
            error
                .detail()
                .ends_with("(build larder with its feature zstd)"),
            "{error}"
        );
    }
}
