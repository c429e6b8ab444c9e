//! The codec of the scenarios' values.

use larder_core::codec::Codec;
use larder_core::{Error, ErrorKind, Result};

/// Makes bytes of the numbers that scenarios store, for stores outside the process.
#[derive(Clone, Copy, Debug)]
pub struct Numbers;

impl Codec<u64> for Numbers {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, payload: &[u8]) -> Result<u64> {
        let bytes = payload.try_into().map_err(|_| {
            let detail = format!("{} bytes are no number (8 are one)", payload.len());
            Error::new(ErrorKind::Codec, detail)
        })?;
        Ok(u64::from_be_bytes(bytes))
    }
}
