//! Writes values as the safe codec has them, one call each, without a tree of them in between.

use super::calendar::{Date, DateTime, Time, TimeDelta, Zone};
use super::checks::{is_big, is_decimal, is_wide, significant};
use super::wire::{put_number, put_sized, zigzag};
use super::{NESTING, types};
use crate::error::{Error, ErrorKind, Result};

/// Writes values in the bytes of the safe codec.
///
/// A container is opened with the number of its members, which the next calls write (a map's as key,
/// value, key, value), and closed. [`finish`](Self::finish) ends one whole value.
///
/// A call that fails leaves a part of the value in the output; the caller throws it away.
///
/// ```
/// use larder_core::codec::{Item, Reader, Writer};
///
/// let mut bytes = Vec::new();
/// let mut writer = Writer::new(&mut bytes);
/// let list = writer.list(2)?;
/// writer.int(7);
/// writer.text("seven");
/// writer.close(list)?;
/// writer.finish()?;
///
/// let mut reader = Reader::new(&bytes);
/// assert_eq!(reader.item()?, Item::List(2));
/// assert_eq!(reader.item()?, Item::Int(7));
/// assert_eq!(reader.item()?, Item::Text("seven"));
/// reader.close();
/// reader.finish()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Values that open containers still wait for, and the one that the writer is made for.
    /// Below zero when too many were written.
    owed: i64,
    depth: usize,
}

/// A container that has been opened and not yet closed.
#[derive(Debug)]
#[must_use = "a container is closed after its members are written"]
pub struct Open {
    owed: i64,
}

impl<'a> Writer<'a> {
    /// A writer that appends one value to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            owed: 1,
            depth: 0,
        }
    }

    fn begin(&mut self, kind: u8) -> &mut Vec<u8> {
        self.owed -= 1;
        self.out.push(kind);
        self.out
    }

    fn begin_sized(&mut self, kind: u8, bytes: &[u8]) {
        put_sized(self.begin(kind), bytes);
    }

    /// The absence of a value.
    pub fn none(&mut self) {
        self.begin(types::NONE);
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.begin(if value { types::TRUE } else { types::FALSE });
    }

    /// An integer that fits in 64 bits.
    pub fn int(&mut self, value: i64) {
        match u8::try_from(value) {
            Ok(small) if small < types::SMALL_INT => {
                self.begin(types::SMALL_INT | small);
            }
            _ => put_number(self.begin(types::INT), zigzag(value)),
        }
    }

    /// An integer of any size: a sign and a big-endian magnitude. One that fits in 64 bits is written
    /// as [`int`](Self::int) would write it.
    pub fn big_int(&mut self, negative: bool, magnitude: &[u8]) {
        let magnitude = significant(magnitude);
        if is_big(negative, magnitude) {
            let out = self.begin(types::BIG_INT);
            out.push(u8::from(negative));
            put_sized(out, magnitude);
        } else {
            let value = magnitude
                .iter()
                .fold(0_i64, |sum, &byte| sum << 8 | i64::from(byte));
            self.int(if negative {
                value.wrapping_neg()
            } else {
                value
            });
        }
    }

    /// A floating-point number, by its bits.
    pub fn float(&mut self, value: f64) {
        self.begin(types::FLOAT)
            .extend_from_slice(&value.to_bits().to_be_bytes());
    }

    /// A text.
    pub fn text(&mut self, value: &str) {
        match u8::try_from(value.len()) {
            Ok(length) if value.len() < types::LONG_TEXT => {
                self.begin(types::SHORT_TEXT | length)
                    .extend_from_slice(value.as_bytes());
            }
            _ => self.begin_sized(types::TEXT, value.as_bytes()),
        }
    }

    /// A text with surrogates that stand alone, as Python's `str` may hold: UTF-8 in which a
    /// surrogate takes the three bytes that its number would (Python's `surrogatepass`).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for bytes that are anything else, and for a text without a surrogate.
    pub fn wide_text(&mut self, value: &[u8]) -> Result<()> {
        valid(
            is_wide(value),
            "a text with lone surrogates is not in UTF-8 with surrogates",
        )?;
        self.begin_sized(types::WIDE_TEXT, value);
        Ok(())
    }

    /// A string of bytes that cannot be changed.
    pub fn bytes(&mut self, value: &[u8]) {
        self.begin_sized(types::BYTES, value);
    }

    /// A string of bytes that can be changed.
    pub fn byte_array(&mut self, value: &[u8]) {
        self.begin_sized(types::BYTE_ARRAY, value);
    }

    /// Opens a list of `count` values.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`], here and in the methods below, when containers stand in one another
    /// [too deep](super::NESTING).
    pub fn list(&mut self, count: usize) -> Result<Open> {
        self.open(types::LIST, count, 1)
    }

    /// Opens a tuple of `count` values.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn tuple(&mut self, count: usize) -> Result<Open> {
        self.open(types::TUPLE, count, 1)
    }

    /// Opens a map of `count` pairs; their order is kept.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn map(&mut self, count: usize) -> Result<Open> {
        self.open(types::MAP, count, 2)
    }

    /// Opens a set of `count` values.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn set(&mut self, count: usize) -> Result<Open> {
        self.open(types::SET, count, 1)
    }

    /// Opens a set of `count` values that cannot be changed.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn frozen_set(&mut self, count: usize) -> Result<Open> {
        self.open(types::FROZEN_SET, count, 1)
    }

    fn open(&mut self, kind: u8, count: usize, each: i64) -> Result<Open> {
        if self.depth == NESTING {
            return Err(Error::new(ErrorKind::Codec, too_deep()));
        }
        put_number(self.begin(kind), count as u64);
        let open = Open { owed: self.owed };
        self.depth += 1;
        self.owed += i64::try_from(count)
            .unwrap_or(i64::MAX / 4)
            .saturating_mul(each);
        Ok(open)
    }

    /// Closes a container.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] when it got more or fewer members than it was opened with: something
    /// changed it while it was being written.
    pub fn close(&mut self, open: Open) -> Result<()> {
        valid(
            self.owed == open.owed,
            "a container changed its length while it was being encoded",
        )?;
        self.depth -= 1;
        Ok(())
    }

    /// A day.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`], here and in the methods below, for fields outside their ranges.
    pub fn date(&mut self, value: Date) -> Result<()> {
        valid(value.is_valid(), "a date has a field outside its range")?;
        put_date(self.begin(types::DATE), value);
        Ok(())
    }

    /// A time of day.
    ///
    /// # Errors
    ///
    /// As [`date`](Self::date).
    pub fn time<S: AsRef<str>>(&mut self, value: &Time<S>) -> Result<()> {
        valid(value.is_valid(), "a time has a field outside its range")?;
        put_time(self.begin(types::TIME), value);
        Ok(())
    }

    /// A time of a day.
    ///
    /// # Errors
    ///
    /// As [`date`](Self::date).
    pub fn date_time<S: AsRef<str>>(&mut self, value: &DateTime<S>) -> Result<()> {
        valid(value.is_valid(), "a datetime has a field outside its range")?;
        let out = self.begin(types::DATE_TIME);
        put_date(out, value.date);
        put_time(out, &value.time);
        Ok(())
    }

    /// A span of time.
    ///
    /// # Errors
    ///
    /// As [`date`](Self::date).
    pub fn time_delta(&mut self, value: TimeDelta) -> Result<()> {
        valid(
            value.is_valid(),
            "a timedelta has a field outside its range",
        )?;
        let out = self.begin(types::TIME_DELTA);
        put_number(out, zigzag(value.days.into()));
        put_number(out, value.seconds.into());
        put_number(out, value.microseconds.into());
        Ok(())
    }

    /// A decimal number, as the text that says it exactly.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for a text that is no decimal number.
    pub fn decimal(&mut self, value: &str) -> Result<()> {
        valid(is_decimal(value), "a decimal is not written as one")?;
        self.begin_sized(types::DECIMAL, value.as_bytes());
        Ok(())
    }

    /// A UUID.
    pub fn uuid(&mut self, value: [u8; 16]) {
        self.begin(types::UUID).extend_from_slice(&value);
    }

    /// A text that is safe HTML already.
    pub fn markup(&mut self, value: &str) {
        self.begin_sized(types::MARKUP, value.as_bytes());
    }

    /// A finished HTTP response: its status, its headers in their order, its body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for a status outside 100 to 999.
    pub fn page<'h, H>(&mut self, status: u16, headers: H, body: &[u8]) -> Result<()>
    where
        H: ExactSizeIterator<Item = (&'h [u8], &'h [u8])>,
    {
        valid(
            (100..=999).contains(&status),
            "a response has a status outside 100 to 999",
        )?;
        let out = self.begin(types::PAGE);
        out.extend_from_slice(&status.to_be_bytes());
        put_number(out, headers.len() as u64);
        for (name, value) in headers {
            put_sized(out, name);
            put_sized(out, value);
        }
        put_sized(out, body);
        Ok(())
    }

    /// Bytes of a foreign codec, such as a pickle, under that codec's name. They are carried and
    /// never run; who decodes them does so only from a sealed envelope.
    pub fn opaque(&mut self, codec: &str, bytes: &[u8]) {
        let out = self.begin(types::OPAQUE);
        put_sized(out, codec.as_bytes());
        put_sized(out, bytes);
    }

    /// Ends the value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] unless exactly one value was written and all its containers are closed.
    pub fn finish(self) -> Result<()> {
        valid(
            self.owed == 0 && self.depth == 0,
            "the calls wrote no single whole value",
        )
    }
}

pub(super) fn too_deep() -> String {
    format!("containers are nested more than {NESTING} deep (store a flatter value)")
}

fn valid(holds: bool, detail: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Codec, detail))
    }
}

fn put_date(out: &mut Vec<u8>, date: Date) {
    out.extend_from_slice(&date.year.to_be_bytes());
    out.extend_from_slice(&[date.month, date.day]);
}

fn put_time<S: AsRef<str>>(out: &mut Vec<u8>, time: &Time<S>) {
    out.extend_from_slice(&[time.hour, time.minute, time.second]);
    put_number(out, time.microsecond.into());
    let fold = if time.fold { types::FOLD } else { 0 };
    match &time.zone {
        Zone::Naive => out.push(fold | types::NAIVE),
        Zone::Offset(seconds) => {
            out.push(fold | types::OFFSET);
            put_number(out, zigzag((*seconds).into()));
        }
        Zone::Named(name) => {
            out.push(fold | types::NAMED);
            put_sized(out, name.as_ref().as_bytes());
        }
    }
}
