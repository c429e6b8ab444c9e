//! Whether a payload can become a Python object, asked without the interpreter.

use larder_core::codec::{Item, Reader, Zone};
use larder_core::{Error, ErrorKind, Result};

/// Digits of an exponent that a decimal number may have in any case.
const SAFE_EXPONENT: usize = 17;

/// Checks that a payload is one value of plain data. Answers whether only Python can tell the rest:
/// whether it has a zone of that name, or a decimal number of that size.
pub(super) fn payload(payload: &[u8]) -> Result<bool> {
    let mut check = Check {
        reader: Reader::new(payload),
        needs_python: false,
    };
    check.value(false)?;
    check.reader.finish()?;
    Ok(check.needs_python)
}

struct Check<'a> {
    reader: Reader<'a>,
    needs_python: bool,
}

impl Check<'_> {
    /// One value; `hashed` when it is a key or a member of a set, which lists cannot be.
    fn value(&mut self, hashed: bool) -> Result<()> {
        let item = self.reader.item()?;
        let mutable = matches!(
            item,
            Item::List(_) | Item::Map(_) | Item::Set(_) | Item::ByteArray(_)
        );
        if hashed && mutable {
            let detail = "the payload has a key that can be changed";
            return Err(Error::new(ErrorKind::Codec, detail));
        }
        match item {
            Item::List(count) => self.members(count, false),
            Item::Tuple(count) => self.members(count, hashed),
            Item::Set(count) | Item::FrozenSet(count) => self.members(count, true),
            Item::Map(count) => self.pairs(count),
            other => self.single(&other),
        }
    }

    fn members(&mut self, count: usize, hashed: bool) -> Result<()> {
        for _ in 0..count {
            self.value(hashed)?;
        }
        self.reader.close();
        Ok(())
    }

    fn pairs(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.value(true)?;
            self.value(false)?;
        }
        self.reader.close();
        Ok(())
    }

    fn single(&mut self, item: &Item<'_>) -> Result<()> {
        let named = match item {
            Item::Opaque { .. } => {
                let detail = "the payload has a pickle inside plain data";
                return Err(Error::new(ErrorKind::Codec, detail));
            }
            Item::Time(time) => matches!(time.zone, Zone::Named(_)),
            Item::DateTime(both) => matches!(both.time.zone, Zone::Named(_)),
            Item::Decimal(text) => text
                .split_once(['E', 'e'])
                .is_some_and(|(_, exponent)| exponent.len() > SAFE_EXPONENT),
            _ => false,
        };
        self.needs_python |= named;
        Ok(())
    }
}
