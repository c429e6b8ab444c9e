//! The canonical encoding of the values that a key is made of.
//!
//! Every value begins with a byte for its type, and everything of variable length with its length,
//! so that no two different lists of values have the same bytes: `("a_b", "c")` and `("a", "b_c")`
//! are two keys, and so are `1`, `1.0`, `true` and `"1"`. Maps and sets are sorted by the bytes of
//! their members, because their order is no part of their value.

pub(super) mod kind {
    pub(in crate::key) const NONE: u8 = 0x00;
    pub(in crate::key) const FALSE: u8 = 0x01;
    pub(in crate::key) const TRUE: u8 = 0x02;
    pub(in crate::key) const INT: u8 = 0x03;
    pub(in crate::key) const BIG_INT: u8 = 0x04;
    pub(in crate::key) const FLOAT: u8 = 0x05;
    pub(in crate::key) const TEXT: u8 = 0x06;
    pub(in crate::key) const BYTES: u8 = 0x07;
    pub(in crate::key) const LIST: u8 = 0x08;
    pub(in crate::key) const TUPLE: u8 = 0x09;
    pub(in crate::key) const MAP: u8 = 0x0a;
    pub(in crate::key) const SET: u8 = 0x0b;
    pub(in crate::key) const OBJECT: u8 = 0x0c;
}

/// Writes values into the bytes of a key; the calls chain.
///
/// ```
/// use larder_core::KeyWriter;
///
/// let mut one = KeyWriter::new();
/// one.text("a_b").text("c");
/// let mut other = KeyWriter::new();
/// other.text("a").text("b_c");
/// assert_ne!(one.as_bytes(), other.as_bytes());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyWriter {
    bytes: Vec<u8>,
}

impl KeyWriter {
    /// An empty writer.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty writer with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What has been written, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes fit into the memory that it has.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets what has been written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The absence of a value.
    pub fn none(&mut self) -> &mut Self {
        self.byte(kind::NONE)
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.byte(if value { kind::TRUE } else { kind::FALSE })
    }

    /// An integer that fits in 64 bits: zigzag, then LEB128.
    pub fn int(&mut self, value: i64) -> &mut Self {
        let zigzag = value.wrapping_shl(1) ^ (value >> 63);
        self.byte(kind::INT).number(zigzag.cast_unsigned())
    }

    /// An integer of any size, as a sign and a big-endian magnitude without leading zeros. One that
    /// fits in 64 bits is written as [`int`](Self::int) would, so that a value has one encoding.
    pub fn big_int(&mut self, negative: bool, magnitude: &[u8]) -> &mut Self {
        let start = magnitude
            .iter()
            .position(|&byte| byte != 0)
            .unwrap_or(magnitude.len());
        let magnitude = &magnitude[start..];
        if magnitude.len() <= 8 {
            let value = magnitude
                .iter()
                .fold(0_i128, |sum, &byte| sum << 8 | i128::from(byte));
            if let Ok(small) = i64::try_from(if negative { -value } else { value }) {
                return self.int(small);
            }
        }
        self.byte(kind::BIG_INT)
            .byte(u8::from(negative))
            .sized(magnitude)
    }

    /// A floating-point number, by its bits; every NaN is the same value.
    pub fn float(&mut self, value: f64) -> &mut Self {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.bytes.push(kind::FLOAT);
        self.bytes.extend_from_slice(&value.to_bits().to_be_bytes());
        self
    }

    /// A text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.byte(kind::TEXT).sized(value.as_bytes())
    }

    /// A string of bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.byte(kind::BYTES).sized(value)
    }

    /// The head of a list of `count` values, which the next calls write.
    pub fn list(&mut self, count: usize) -> &mut Self {
        self.byte(kind::LIST).number(count as u64)
    }

    /// The head of a tuple of `count` values, which the next calls write.
    pub fn tuple(&mut self, count: usize) -> &mut Self {
        self.byte(kind::TUPLE).number(count as u64)
    }

    /// A map. Each member is one written key and one written value; their order does not matter.
    pub fn map(&mut self, mut members: Vec<(KeyWriter, KeyWriter)>) -> &mut Self {
        members.sort_unstable_by(|one, other| one.0.bytes.cmp(&other.0.bytes));
        self.byte(kind::MAP).number(members.len() as u64);
        for (key, value) in &members {
            self.bytes.extend_from_slice(&key.bytes);
            self.bytes.extend_from_slice(&value.bytes);
        }
        self
    }

    /// A set of written values; their order does not matter.
    pub fn set(&mut self, mut members: Vec<KeyWriter>) -> &mut Self {
        members.sort_unstable_by(|one, other| one.bytes.cmp(&other.bytes));
        self.byte(kind::SET).number(members.len() as u64);
        for member in &members {
            self.bytes.extend_from_slice(&member.bytes);
        }
        self
    }

    /// The head of any other value: the name of its type. The next call writes its content.
    pub fn object(&mut self, type_name: &str) -> &mut Self {
        self.byte(kind::OBJECT).sized(type_name.as_bytes())
    }

    /// What another writer has written, as it stands.
    pub fn append(&mut self, written: &Self) -> &mut Self {
        self.bytes.extend_from_slice(&written.bytes);
        self
    }

    /// 128 bits that name what has been written. They do not withstand an adversary: whoever uses
    /// them keeps the bytes as well and compares them.
    pub fn digest(&self) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&self.bytes)
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    /// An unsigned LEB128 number.
    fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.byte(value.to_le_bytes()[0])
    }

    fn sized(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }
}
