//! The safe codec: plain data as bytes that can do nothing but be data.

use std::sync::Arc;

use super::{Codec, Item, Opaque, Page, Plain, Reader, Writer};
use crate::error::{Error, Result};

/// The codec of plain data. Its bytes begin with a type, carry every length in front, nest at most
/// [64](super::NESTING) deep and say each value in one way only; `docs/FORMAT.md` has the whole of it.
///
/// ```
/// use larder_core::codec::{Codec, Plain, Safe};
///
/// let mut bytes = Vec::new();
/// Safe.encode(&Plain::text("lamp"), &mut bytes)?;
/// assert_eq!(bytes, b"\x44lamp");
/// assert_eq!(Safe.decode(&bytes)?, Plain::text("lamp"));
/// assert!(Codec::<Plain>::decode(&Safe, b"\x45lamp").is_err());
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Safe;

impl Safe {
    /// The number of the safe codec in the envelope.
    pub const ID: u8 = 1;
}

impl Codec<Plain> for Safe {
    fn id(&self) -> u8 {
        Self::ID
    }

    fn encode(&self, value: &Plain, out: &mut Vec<u8>) -> Result<()> {
        let mut writer = Writer::new(out);
        write(&mut writer, value)?;
        writer.finish()
    }

    fn decode(&self, payload: &[u8]) -> Result<Plain> {
        let mut reader = Reader::new(payload);
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

fn write(writer: &mut Writer<'_>, value: &Plain) -> Result<()> {
    match value {
        Plain::None => writer.none(),
        Plain::Bool(value) => writer.bool(*value),
        Plain::Int(value) => writer.int(*value),
        Plain::BigInt {
            negative,
            magnitude,
        } => writer.big_int(*negative, magnitude),
        Plain::Float(value) => writer.float(*value),
        Plain::Text(text) => writer.text(text),
        Plain::WideText(bytes) => writer.wide_text(bytes)?,
        Plain::Bytes(bytes) => writer.bytes(bytes),
        Plain::ByteArray(bytes) => writer.byte_array(bytes),
        Plain::List(_) | Plain::Tuple(_) | Plain::Map(_) | Plain::Set(_) | Plain::FrozenSet(_) => {
            write_container(writer, value)?;
        }
        Plain::Date(date) => writer.date(*date)?,
        Plain::Time(time) => writer.time(time)?,
        Plain::DateTime(both) => writer.date_time(both)?,
        Plain::TimeDelta(span) => writer.time_delta(*span)?,
        Plain::Decimal(text) => writer.decimal(text)?,
        Plain::Uuid(bytes) => writer.uuid(*bytes),
        Plain::Markup(text) => writer.markup(text),
        Plain::Page(page) => {
            let headers = page
                .headers
                .iter()
                .map(|(name, value)| (&name[..], &value[..]));
            writer.page(page.status, headers, &page.body)?;
        }
        Plain::Opaque(opaque) => writer.opaque(&opaque.codec, &opaque.bytes),
    }
    Ok(())
}

fn write_container(writer: &mut Writer<'_>, value: &Plain) -> Result<()> {
    let (open, members) = match value {
        Plain::List(all) => (writer.list(all.len())?, all),
        Plain::Tuple(all) => (writer.tuple(all.len())?, all),
        Plain::Set(all) => (writer.set(all.len())?, all),
        Plain::FrozenSet(all) => (writer.frozen_set(all.len())?, all),
        Plain::Map(pairs) => {
            let open = writer.map(pairs.len())?;
            for (key, value) in pairs.iter() {
                write(writer, key)?;
                write(writer, value)?;
            }
            return writer.close(open);
        }
        single => return write(writer, single),
    };
    for member in members.iter() {
        write(writer, member)?;
    }
    writer.close(open)
}

fn read(reader: &mut Reader<'_>) -> Result<Plain> {
    Ok(match reader.item()? {
        Item::None => Plain::None,
        Item::Bool(value) => Plain::Bool(value),
        Item::Int(value) => Plain::Int(value),
        Item::BigInt {
            negative,
            magnitude,
        } => Plain::BigInt {
            negative,
            magnitude: magnitude.into(),
        },
        Item::Float(value) => Plain::Float(value),
        Item::Text(text) => Plain::Text(text.into()),
        Item::WideText(bytes) => Plain::WideText(bytes.into()),
        Item::Bytes(bytes) => Plain::Bytes(bytes.into()),
        Item::ByteArray(bytes) => Plain::ByteArray(bytes.into()),
        Item::List(count) => Plain::List(members(reader, count, read)?),
        Item::Tuple(count) => Plain::Tuple(members(reader, count, read)?),
        Item::Set(count) => Plain::Set(members(reader, count, read)?),
        Item::FrozenSet(count) => Plain::FrozenSet(members(reader, count, read)?),
        Item::Map(count) => Plain::Map(members(reader, count, pair)?),
        Item::Date(date) => Plain::Date(date),
        Item::Time(time) => Plain::Time(Arc::new(time.map_zone(Arc::from))),
        Item::DateTime(both) => Plain::DateTime(Arc::new(both.map_zone(Arc::from))),
        Item::TimeDelta(span) => Plain::TimeDelta(span),
        Item::Decimal(text) => Plain::Decimal(text.into()),
        Item::Uuid(bytes) => Plain::Uuid(bytes),
        Item::Markup(text) => Plain::Markup(text.into()),
        Item::Page {
            status,
            headers,
            body,
        } => {
            let headers = headers
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            let body = bytes::Bytes::copy_from_slice(body);
            Plain::Page(Arc::new(Page {
                status,
                headers,
                body,
            }))
        }
        Item::Opaque { codec, bytes } => {
            let bytes = bytes::Bytes::copy_from_slice(bytes);
            Plain::Opaque(Arc::new(Opaque {
                codec: codec.into(),
                bytes,
            }))
        }
    })
}

fn pair(reader: &mut Reader<'_>) -> Result<(Plain, Plain)> {
    Ok((read(reader)?, read(reader)?))
}

/// The members of a container. The reader bounds the counts of all open containers together by the
/// bytes that are left, so the room made here is bounded by the payload.
fn members<T>(
    reader: &mut Reader<'_>,
    count: usize,
    each: fn(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Arc<[T]>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(each(reader)?);
    }
    reader.close();
    Ok(all.into())
}
