//! What every format here is made of: numbers, and bytes behind their length.
//!
//! A number is written as unsigned LEB128 in the fewest bytes that hold it, and a reader takes no
//! other form: a value has one encoding. Numbers of fixed width are big-endian.

/// The most bytes that a number takes.
const NUMBER_BYTES: usize = 10;

pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(super) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A signed number as an unsigned one, small where its magnitude is small.
pub(super) const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

/// The signed number of which [`zigzag`] made `value`.
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Bytes that are yet to be read. Every method answers `None` for bytes that are not there, and for
/// numbers in a longer form than they need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            Some(first.into())
        } else {
            self.long_number(first)
        }
    }

    fn long_number(&mut self, first: u8) -> Option<u64> {
        let mut value = u64::from(first & 0x7f);
        for place in 1..NUMBER_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * place;
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return (byte != 0).then_some(value);
            }
        }
        None
    }

    /// A length or a count; `None` when it is more than the bytes that are left.
    pub(super) fn size(&mut self) -> Option<usize> {
        let size = usize::try_from(self.number()?).ok()?;
        (size <= self.len()).then_some(size)
    }

    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let size = self.size()?;
        self.take(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Option<u64> {
        Input::new(bytes).number()
    }

    #[test]
    fn numbers_come_back_in_their_one_form() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(number(&out), Some(value));
            assert_eq!(
                number(&out[..out.len() - 1]),
                None,
                "{value} without its last byte"
            );
        }
    }

    #[test]
    fn a_number_in_more_bytes_than_it_needs_is_none() {
        assert_eq!(number(&[0x80, 0x00]), None);
        assert_eq!(number(&[0xff, 0x80, 0x00]), None);
    }

    #[test]
    fn a_number_above_64_bits_is_none() {
        let mut bytes = [0xff; NUMBER_BYTES];
        bytes[NUMBER_BYTES - 1] = 0x01;
        assert_eq!(number(&bytes), Some(u64::MAX));
        bytes[NUMBER_BYTES - 1] = 0x02;
        assert_eq!(number(&bytes), None);
        assert_eq!(number(&[0xff; NUMBER_BYTES + 1]), None);
    }

    #[test]
    fn zigzag_keeps_every_sign() {
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(zigzag(-1), 1);
        assert_eq!(zigzag(1), 2);
    }

    #[test]
    fn a_size_is_bounded_by_what_is_left() {
        assert_eq!(Input::new(&[2, 0, 0]).size(), Some(2));
        assert_eq!(Input::new(&[3, 0, 0]).size(), None);
        assert_eq!(Input::new(&[2, 7, 8]).sized(), Some(&[7, 8][..]));
    }
}
