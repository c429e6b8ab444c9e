//! Marks: the generations that entries are compared with.

use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// A generation: an entry is valid as long as it carries the number that stands here. A mark that is
/// not there has no number, so that nothing is valid under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Random, never 0.
    pub(super) generation: u64,
    /// When the mark ends; what was stored under it ends no later.
    pub(super) until: Timestamp,
}

const MAGIC: &[u8] = b"LRDm1:";
/// Sixteen hexadecimal digits, a colon, twenty decimal ones, a colon.
const NUMBERS: usize = 38;

impl Mark {
    pub(super) fn new(until: Timestamp) -> Result<Self> {
        Ok(Self {
            generation: random()?,
            until,
        })
    }

    /// The bytes of the mark of `owner`: the key or tag that it belongs to.
    pub(super) fn write(self, owner: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let numbers = format!("{:016x}:{:020}:", self.generation, self.until.as_millis());
        bytes.extend_from_slice(numbers.as_bytes());
        bytes.extend_from_slice(owner);
        bytes
    }

    /// The mark in these bytes and its owner; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (numbers, owner) = bytes.strip_prefix(MAGIC)?.split_at_checked(NUMBERS)?;
        let numbers = std::str::from_utf8(numbers).ok()?.strip_suffix(':')?;
        let (generation, until) = numbers.split_once(':')?;
        let generation = u64::from_str_radix(generation, 16).ok()?;
        let until = Timestamp::from_millis(until.parse().ok()?);
        (generation != 0).then_some((Self { generation, until }, owner))
    }
}

/// A number that nobody comes up with again: not another thread, not another process, not the child
/// of a fork. Below 2^63, and never 0.
pub(super) fn random() -> Result<u64> {
    match getrandom::u64() {
        Ok(number) => Ok((number >> 1).max(1)),
        Err(error) => {
            Err(Error::new(ErrorKind::Store, "the system gives no random numbers").caused_by(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;
    use crate::time::Timestamp;

    #[test]
    fn a_mark_comes_back() {
        for until in [Timestamp::EPOCH, Timestamp::NEVER] {
            let mark = Mark::new(until).expect("numbers");
            for owner in [&b""[..], b":a\0\xff:"] {
                assert_eq!(Mark::read(&mark.write(owner)), Some((mark, owner)));
            }
        }
    }

    #[test]
    fn what_is_no_mark_is_none() {
        let whole = Mark::new(Timestamp::EPOCH).expect("numbers").write(b"");
        for end in 0..whole.len() {
            assert_eq!(Mark::read(&whole[..end]), None, "{end}");
        }
        for bad in [
            &b"LRDm1:0000000000000000:00000000000000000001:k"[..],
            b"LRDm1:000000000000000g:00000000000000000001:k",
            b"LRDm1:0000000000000001:99999999999999999999:k",
            b"LRDm2:0000000000000001:00000000000000000001:k",
        ] {
            assert_eq!(Mark::read(bad), None, "{}", bad.escape_ascii());
        }
    }
}
