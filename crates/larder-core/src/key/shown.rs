//! What has been written into a key, as text for people.

use std::fmt::{self, Write};

use super::writer::kind;

/// Values within values are shown up to here; no key that a face writes is deeper.
const DEPTH: usize = 32;

/// Shows what a [`KeyWriter`](super::KeyWriter) has written; what is cut off, or was written by
/// something else, ends in `?`.
pub(super) fn show(f: &mut impl Write, written: &[u8]) -> fmt::Result {
    let mut reader = Reader(written);
    let mut first = true;
    while !reader.0.is_empty() {
        if !first {
            f.write_str(", ")?;
        }
        first = false;
        if reader.value(f, DEPTH)?.is_none() {
            return f.write_char('?');
        }
    }
    Ok(())
}

struct Reader<'a>(&'a [u8]);

/// `None` where the bytes are not those of a value.
type Shown = Result<Option<()>, fmt::Error>;

impl<'a> Reader<'a> {
    fn value(&mut self, f: &mut impl Write, depth: usize) -> Shown {
        let Some(kind) = self.byte().filter(|_| depth > 0) else {
            return Ok(None);
        };
        match kind {
            kind::NONE => f.write_str("none")?,
            kind::FALSE => f.write_str("false")?,
            kind::TRUE => f.write_str("true")?,
            kind::INT => match self.number() {
                Some(zigzag) => {
                    let sign = if zigzag & 1 == 1 { -1_i64 } else { 0 };
                    write!(f, "{}", (zigzag >> 1).cast_signed() ^ sign)?;
                }
                None => return Ok(None),
            },
            kind::BIG_INT => match (self.byte(), self.sized()) {
                (Some(negative), Some(magnitude)) => {
                    f.write_str(if negative == 1 { "-0x" } else { "0x" })?;
                    magnitude
                        .iter()
                        .try_for_each(|byte| write!(f, "{byte:02x}"))?;
                }
                _ => return Ok(None),
            },
            kind::FLOAT => match self.take(8).and_then(|bits| bits.try_into().ok()) {
                Some(bits) => write!(f, "{:?}", f64::from_bits(u64::from_be_bytes(bits)))?,
                None => return Ok(None),
            },
            kind::TEXT | kind::BYTES => match self.sized() {
                Some(text) => write!(f, "{:?}", String::from_utf8_lossy(text))?,
                None => return Ok(None),
            },
            kind::LIST => return self.members(f, ("[", "]"), depth),
            kind::TUPLE => return self.members(f, ("(", ")"), depth),
            kind::SET => return self.members(f, ("{", "}"), depth),
            kind::MAP => return self.pairs(f, depth),
            kind::OBJECT => {
                let Some(name) = self.sized() else {
                    return Ok(None);
                };
                f.write_str(&String::from_utf8_lossy(name))?;
                return self.value(f, depth - 1);
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    fn members(&mut self, f: &mut impl Write, marks: (&str, &str), depth: usize) -> Shown {
        let Some(count) = self.number() else {
            return Ok(None);
        };
        f.write_str(marks.0)?;
        for at in 0..count {
            f.write_str(if at == 0 { "" } else { ", " })?;
            if self.value(f, depth - 1)?.is_none() {
                return Ok(None);
            }
        }
        f.write_str(marks.1).map(Some)
    }

    fn pairs(&mut self, f: &mut impl Write, depth: usize) -> Shown {
        let Some(count) = self.number() else {
            return Ok(None);
        };
        f.write_str("{")?;
        for at in 0..count {
            f.write_str(if at == 0 { "" } else { ", " })?;
            if self.value(f, depth - 1)?.is_none() {
                return Ok(None);
            }
            f.write_str(": ")?;
            if self.value(f, depth - 1)?.is_none() {
                return Ok(None);
            }
        }
        f.write_str("}").map(Some)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyWriter;

    fn shown(bytes: &[u8]) -> String {
        let mut text = String::new();
        super::show(&mut text, bytes).unwrap();
        text
    }

    #[test]
    fn every_kind_of_value() {
        let mut writer = KeyWriter::new();
        writer.none().bool(true).bool(false);
        writer.int(0).int(-7).int(i64::MIN).int(i64::MAX);
        writer.big_int(true, &[1; 9]).float(1.5);
        writer.text("a\"\n").bytes(b"\xff");
        writer.list(2).int(1).list(0).tuple(1).none();
        let part = |value: i64| {
            let mut writer = KeyWriter::new();
            writer.int(value);
            writer
        };
        writer.map(vec![(part(1), part(2))]).set(vec![part(3)]);
        writer.object("header").tuple(2).text("accept").list(0);
        assert_eq!(
            shown(writer.as_bytes()),
            "none, true, false, 0, -7, -9223372036854775808, 9223372036854775807, \
             -0x010101010101010101, 1.5, \"a\\\"\\n\", \"\u{fffd}\", [1, []], (none), {1: 2}, {3}, \
             header(\"accept\", [])"
        );
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn what_is_no_value_is_said_and_never_a_panic() {
        let mut writer = KeyWriter::new();
        writer.text("abc").object("o").list(3).int(1).float(2.0);
        let whole = writer.into_bytes();
        for end in 0..whole.len() {
            shown(&whole[..end]);
        }
        assert_eq!(shown(&whole), "\"abc\", o[1, 2.0, ?");
        assert_eq!(shown(&[0xff, 1, 2]), "?");
        // A length that no key has, and values nested deeper than the stack is.
        assert_eq!(
            shown(&[0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            "?"
        );
        let deep: Vec<u8> = [0x08, 0x01].repeat(100_000);
        assert!(shown(&deep).ends_with('?'));
    }
}
