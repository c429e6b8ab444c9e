//! Reads the values of the safe codec one by one, borrowed from the payload.

use super::calendar::{Date, DateTime, Time, TimeDelta, Zone};
use super::checks::{is_big, is_decimal, is_wide};
use super::wire::{Input, unzigzag};
use super::writer::too_deep;
use super::{NESTING, types};
use crate::error::{Error, ErrorKind, Result};

/// One value, or the head of a container, whose members follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// The absence of a value.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer that fits in 64 bits.
    Int(i64),
    /// An integer that does not.
    BigInt {
        /// Whether it is below zero.
        negative: bool,
        /// Its magnitude, big-endian, without leading zeros.
        magnitude: &'a [u8],
    },
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// A text with surrogates that stand alone; see [`Writer::wide_text`](super::Writer::wide_text).
    WideText(&'a [u8]),
    /// A string of bytes that cannot be changed.
    Bytes(&'a [u8]),
    /// A string of bytes that can be changed.
    ByteArray(&'a [u8]),
    /// A list of so many values.
    List(usize),
    /// A tuple of so many values.
    Tuple(usize),
    /// A map of so many pairs: key, value, key, value.
    Map(usize),
    /// A set of so many values.
    Set(usize),
    /// A set that cannot be changed, of so many values.
    FrozenSet(usize),
    /// A day.
    Date(Date),
    /// A time of day.
    Time(Time<&'a str>),
    /// A time of a day.
    DateTime(DateTime<&'a str>),
    /// A span of time.
    TimeDelta(TimeDelta),
    /// A decimal number, as the text that says it exactly.
    Decimal(&'a str),
    /// A UUID.
    Uuid([u8; 16]),
    /// A text that is safe HTML already.
    Markup(&'a str),
    /// A finished HTTP response.
    Page {
        /// Its status.
        status: u16,
        /// Its headers, in their order.
        headers: Headers<'a>,
        /// Its body.
        body: &'a [u8],
    },
    /// Bytes of a foreign codec, such as a pickle: refuse them unless they were sealed.
    Opaque {
        /// The name of that codec.
        codec: &'a str,
        /// What it wrote.
        bytes: &'a [u8],
    },
}

/// The headers of a stored response: name and value, one after the other.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    count: usize,
    input: Input<'a>,
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.input.rest() == other.input.rest()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        Some((self.input.sized()?, self.input.sized()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Reads values in the bytes of the safe codec; nothing that it answers is a copy.
///
/// The head of a container is followed by its members and then by a call of [`close`](Self::close).
/// The counts of all containers that are open never add up to more than the bytes that are left, so
/// that a caller may make room for them. See [`Writer`](super::Writer) for an example.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: Input<'a>,
    length: usize,
    /// Values that are yet to come: those that open containers announced, or the only one.
    owed: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the one value in `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            input: Input::new(payload),
            length: payload.len(),
            owed: 1,
            depth: 0,
        }
    }

    /// The next value, or the head of the next container.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for bytes that the safe codec did not write, for containers nested
    /// [too deep](super::NESTING), and after the last value.
    pub fn item(&mut self) -> Result<Item<'a>> {
        let Some(owed) = self.owed.checked_sub(1) else {
            return Err(self.wrong("has no more values"));
        };
        self.owed = owed;
        let kind = self
            .input
            .byte()
            .ok_or_else(|| self.wrong("is cut short"))?;
        match kind {
            types::SMALL_INT.. => Ok(Item::Int((kind & !types::SMALL_INT).into())),
            types::SHORT_TEXT.. => {
                let text = self
                    .input
                    .take((kind & !types::SHORT_TEXT).into())
                    .and_then(utf8);
                text.map(Item::Text)
                    .ok_or_else(|| self.wrong("has a text that is none"))
            }
            types::LIST..=types::FROZEN_SET => self.container(kind),
            _ => self
                .value(kind)
                .ok_or_else(|| self.wrong("has a value that is none")),
        }
    }

    fn container(&mut self, kind: u8) -> Result<Item<'a>> {
        if self.depth == NESTING {
            return Err(Error::new(ErrorKind::Codec, too_deep()));
        }
        let each = if kind == types::MAP { 2 } else { 1 };
        let announced = self.input.size().and_then(|count| {
            let owed = self.owed.checked_add(count.checked_mul(each)?)?;
            (owed <= self.input.len()).then_some((count, owed))
        });
        let Some((count, owed)) = announced else {
            return Err(self.wrong("announces more members than it has"));
        };
        self.owed = owed;
        self.depth += 1;
        Ok(match kind {
            types::LIST => Item::List(count),
            types::TUPLE => Item::Tuple(count),
            types::MAP => Item::Map(count),
            types::SET => Item::Set(count),
            _ => Item::FrozenSet(count),
        })
    }

    fn value(&mut self, kind: u8) -> Option<Item<'a>> {
        let input = &mut self.input;
        Some(match kind {
            types::NONE => Item::None,
            types::FALSE => Item::Bool(false),
            types::TRUE => Item::Bool(true),
            types::INT => Item::Int(large_int(input)?),
            types::BIG_INT => big_int(input)?,
            types::FLOAT => Item::Float(f64::from_bits(u64::from_be_bytes(input.array()?))),
            types::TEXT => Item::Text(long_text(input)?),
            types::WIDE_TEXT => Item::WideText(input.sized().filter(|bytes| is_wide(bytes))?),
            types::BYTES => Item::Bytes(input.sized()?),
            types::BYTE_ARRAY => Item::ByteArray(input.sized()?),
            types::DATE => Item::Date(date(input)?),
            types::TIME => Item::Time(time(input)?),
            types::DATE_TIME => Item::DateTime(DateTime {
                date: date(input)?,
                time: time(input)?,
            }),
            types::TIME_DELTA => Item::TimeDelta(time_delta(input)?),
            types::DECIMAL => Item::Decimal(sized_text(input).filter(|text| is_decimal(text))?),
            types::UUID => Item::Uuid(input.array()?),
            types::MARKUP => Item::Markup(sized_text(input)?),
            types::PAGE => page(input)?,
            types::OPAQUE => Item::Opaque {
                codec: sized_text(input)?,
                bytes: input.sized()?,
            },
            _ => return None,
        })
    }

    /// Leaves the container whose members have all been read.
    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Ends the value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] when values or bytes are left.
    pub fn finish(self) -> Result<()> {
        if self.owed == 0 && self.input.len() == 0 {
            Ok(())
        } else {
            Err(self.wrong("has bytes after its value"))
        }
    }

    #[cold]
    fn wrong(&self, what: &str) -> Error {
        let (at, length) = (self.length - self.input.len(), self.length);
        Error::new(
            ErrorKind::Codec,
            format!("the payload {what} (at byte {at} of {length})"),
        )
    }
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn sized_text<'a>(input: &mut Input<'a>) -> Option<&'a str> {
    input.sized().and_then(utf8)
}

/// A text too long for the short form.
fn long_text<'a>(input: &mut Input<'a>) -> Option<&'a str> {
    sized_text(input).filter(|text| text.len() >= types::LONG_TEXT)
}

/// An integer outside the range of the small form.
fn large_int(input: &mut Input<'_>) -> Option<i64> {
    let value = unzigzag(input.number()?);
    (!(0..types::SMALL_INT.into()).contains(&value)).then_some(value)
}

fn flag(byte: u8) -> Option<bool> {
    (byte <= 1).then_some(byte == 1)
}

fn big_int<'a>(input: &mut Input<'a>) -> Option<Item<'a>> {
    let negative = flag(input.byte()?)?;
    let magnitude = input.sized()?;
    let minimal = magnitude.first().is_some_and(|&byte| byte != 0);
    (minimal && is_big(negative, magnitude)).then_some(Item::BigInt {
        negative,
        magnitude,
    })
}

fn date(input: &mut Input<'_>) -> Option<Date> {
    let year = u16::from_be_bytes(input.array()?);
    let [month, day] = input.array()?;
    Some(Date { year, month, day }).filter(Date::is_valid)
}

fn time<'a>(input: &mut Input<'a>) -> Option<Time<&'a str>> {
    let [hour, minute, second] = input.array()?;
    let microsecond = u32::try_from(input.number()?).ok()?;
    let byte = input.byte()?;
    let zone = match byte & !types::FOLD {
        types::NAIVE => Zone::Naive,
        types::OFFSET => Zone::Offset(i32::try_from(unzigzag(input.number()?)).ok()?),
        types::NAMED => Zone::Named(sized_text(input)?),
        _ => return None,
    };
    let fold = byte & types::FOLD != 0;
    Some(Time {
        hour,
        minute,
        second,
        microsecond,
        fold,
        zone,
    })
    .filter(Time::is_valid)
}

fn time_delta(input: &mut Input<'_>) -> Option<TimeDelta> {
    let days = i32::try_from(unzigzag(input.number()?)).ok()?;
    let seconds = u32::try_from(input.number()?).ok()?;
    let microseconds = u32::try_from(input.number()?).ok()?;
    Some(TimeDelta {
        days,
        seconds,
        microseconds,
    })
    .filter(TimeDelta::is_valid)
}

fn page<'a>(input: &mut Input<'a>) -> Option<Item<'a>> {
    let status = u16::from_be_bytes(input.array()?);
    let count = input.size()?;
    let from = *input;
    for _ in 0..count {
        input.sized()?;
        input.sized()?;
    }
    let headers = Input::new(&from.rest()[..from.len() - input.len()]);
    let headers = Headers {
        count,
        input: headers,
    };
    let body = input.sized()?;
    (100..=999).contains(&status).then_some(Item::Page {
        status,
        headers,
        body,
    })
}
