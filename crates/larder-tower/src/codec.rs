//! Pages as bytes, for the stores outside the process.

use larder_core::codec::{Codec, Plain, Safe};
use larder_core::{Error, ErrorKind, Result};

use crate::page::Page;

/// Writes a [`Page`] as the engine writes plain data: status, headers and body, in a form that
/// `docs/FORMAT.md` gives byte for byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageCodec;

impl Codec<Page> for PageCodec {
    fn id(&self) -> u8 {
        Safe::ID
    }

    fn encode(&self, page: &Page, out: &mut Vec<u8>) -> Result<()> {
        Safe.encode(&Plain::Page(page.to_plain().into()), out)
    }

    fn decode(&self, payload: &[u8]) -> Result<Page> {
        let page = match Safe.decode(payload)? {
            Plain::Page(page) => Page::from_plain(&page),
            _ => None,
        };
        page.ok_or_else(|| Error::new(ErrorKind::Codec, "the entry is no answer of HTTP"))
    }
}
