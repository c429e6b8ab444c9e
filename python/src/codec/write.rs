//! From Python objects straight into the bytes of the safe codec.

use larder_core::codec::{Date, DateTime, Time, TimeDelta, Writer, Zone};
use larder_core::{Error, ErrorKind, Result};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};

use super::failed;
use crate::value::{Page, Types, latin_bytes, type_name};

/// Bytes that any value may take, however small it is in memory.
pub(super) const SLACK: usize = 1 << 16;

/// The bytes that a value of this weight may take. Objects that occur often in a value are counted
/// once there and written each time; a few of them, nested, could fill any memory.
pub(super) const fn limit(weight: usize) -> usize {
    weight.saturating_mul(16).saturating_add(SLACK)
}

/// Appends the bytes of an object of plain data, at most about `limit` of them.
pub(super) fn value(object: &Bound<'_, PyAny>, limit: usize, out: &mut Vec<u8>) -> Result<()> {
    let types = Types::get(object.py()).map_err(failed)?;
    let mut encoder = Encoder {
        types,
        left: limit,
        writer: Writer::new(out),
    };
    encoder.value(object)?;
    encoder.writer.finish()
}

/// The refusal of a type that is no plain data, with its cure.
pub(super) fn not_plain(name: &str) -> Error {
    let detail = format!(
        "a value of type {name} is no plain data and leaves the process only as a sealed pickle \
         (set SECRET_KEY or CACHE_SECRET so that it can be sealed, or return plain data)"
    );
    Error::new(ErrorKind::Codec, detail)
}

struct Encoder<'a> {
    types: &'static Types,
    left: usize,
    writer: Writer<'a>,
}

impl Encoder<'_> {
    fn value(&mut self, object: &Bound<'_, PyAny>) -> Result<()> {
        if let Ok(text) = object.cast_exact::<PyString>() {
            self.text(text)
        } else if let Ok(int) = object.cast_exact::<PyInt>() {
            self.int(int)
        } else if object.is_none() {
            self.writer.none();
            self.spend(1)
        } else if let Ok(value) = object.cast_exact::<PyBool>() {
            self.writer.bool(value.is_true());
            self.spend(1)
        } else if let Ok(value) = object.cast_exact::<PyFloat>() {
            self.writer.float(value.value());
            self.spend(9)
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            self.spend(bytes.as_bytes().len())?;
            self.writer.bytes(bytes.as_bytes());
            Ok(())
        } else {
            self.container(object)
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes + 1).ok_or_else(|| {
            let detail = "a value repeats an object so often that its bytes would be far larger \
                          than itself (return a flatter value)";
            Error::new(ErrorKind::Codec, detail)
        })?;
        self.left = left;
        Ok(())
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> Result<()> {
        if let Ok(utf8) = text.to_str() {
            self.spend(utf8.len())?;
            self.writer.text(utf8);
            return Ok(());
        }
        let bytes = surrogates(text).map_err(failed)?;
        self.spend(bytes.as_bytes().len())?;
        self.writer.wide_text(bytes.as_bytes())
    }

    fn int(&mut self, int: &Bound<'_, PyInt>) -> Result<()> {
        if let Ok(value) = int.extract::<i64>() {
            self.writer.int(value);
            return self.spend(8);
        }
        let (negative, magnitude) = magnitude(int).map_err(failed)?;
        let magnitude = magnitude.as_bytes();
        self.spend(magnitude.len())?;
        self.writer.big_int(negative, magnitude);
        Ok(())
    }

    fn container(&mut self, object: &Bound<'_, PyAny>) -> Result<()> {
        self.spend(1)?;
        let open = if let Ok(list) = object.cast_exact::<PyList>() {
            let open = self.writer.list(list.len())?;
            list.iter().try_for_each(|member| self.value(&member))?;
            open
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            let open = self.writer.tuple(tuple.len())?;
            tuple.iter().try_for_each(|member| self.value(&member))?;
            open
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            let open = self.writer.map(dict.len())?;
            for (key, value) in dict.iter() {
                self.value(&key)?;
                self.value(&value)?;
            }
            open
        } else if let Ok(set) = object.cast_exact::<PySet>() {
            let open = self.writer.set(set.len())?;
            set.iter().try_for_each(|member| self.value(&member))?;
            open
        } else if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
            let open = self.writer.frozen_set(set.len())?;
            set.iter().try_for_each(|member| self.value(&member))?;
            open
        } else {
            return self.known(object);
        };
        self.writer.close(open)
    }

    fn known(&mut self, object: &Bound<'_, PyAny>) -> Result<()> {
        let types = self.types;
        let is = |kind| Types::is_exact(object, kind);
        if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
            let bytes = bytes.to_vec();
            self.spend(bytes.len())?;
            self.writer.byte_array(&bytes);
            Ok(())
        } else if is(&types.datetime) {
            let fields = self.date_time(object).map_err(failed)?;
            let fields = fields.ok_or_else(|| unknown_zone(object))?;
            self.writer.date_time(&fields)
        } else if is(&types.date) {
            self.writer.date(date(object).map_err(failed)?)
        } else if is(&types.time) {
            let fields = self.time(object).map_err(failed)?;
            let fields = fields.ok_or_else(|| unknown_zone(object))?;
            self.writer.time(&fields)
        } else if is(&types.timedelta) {
            self.writer.time_delta(span(object).map_err(failed)?)
        } else if is(&types.decimal) {
            let text = object.str().map_err(failed)?;
            let text = text.to_str().map_err(failed)?;
            self.spend(text.len())?;
            self.writer.decimal(text)
        } else {
            self.special(object)
        }
    }

    fn special(&mut self, object: &Bound<'_, PyAny>) -> Result<()> {
        let is = |kind| Types::is_exact(object, kind);
        if is(&self.types.uuid) {
            self.uuid(object)
        } else if is(&self.types.markup) {
            let text = object.cast::<PyString>().map_err(failed)?;
            let text = text.to_str().map_err(failed)?;
            self.spend(text.len())?;
            self.writer.markup(text);
            Ok(())
        } else if let Ok(page) = object.cast_exact::<Page>() {
            self.page(page)
        } else {
            Err(not_plain(&type_name(object)))
        }
    }

    /// A UUID is its 128 bits; one that also says how safely it was made is more than plain data.
    fn uuid(&mut self, object: &Bound<'_, PyAny>) -> Result<()> {
        let py = object.py();
        let number = object.getattr(intern!(py, "int")).map_err(failed)?;
        let (_, magnitude) = magnitude(&number).map_err(failed)?;
        let magnitude = magnitude.as_bytes();
        let mut bytes = [0; 16];
        let Some(start) = bytes.len().checked_sub(magnitude.len()) else {
            return Err(not_plain(&type_name(object)));
        };
        bytes[start..].copy_from_slice(magnitude);
        self.writer.uuid(bytes);
        Ok(())
    }

    fn page(&mut self, page: &Bound<'_, Page>) -> Result<()> {
        let (py, page) = (page.py(), page.get());
        let mut headers = Vec::new();
        for pair in page.list(py).iter() {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) =
                pair.extract().map_err(failed)?;
            let name = latin_bytes(&name).map_err(failed)?;
            let value = latin_bytes(&value).map_err(failed)?;
            self.spend(name.len() + value.len())?;
            headers.push((name, value));
        }
        let body = page.body(py);
        self.spend(body.as_bytes().len())?;
        let headers = headers.iter().map(|(name, value)| (&name[..], &value[..]));
        self.writer.page(page.status(), headers, body.as_bytes())
    }

    fn date_time(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<DateTime<String>>> {
        let date = date(object)?;
        Ok(self.time(object)?.map(|time| DateTime { date, time }))
    }

    /// The time of day; `None` if its zone is more than an offset or a name.
    fn time(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<Time<String>>> {
        let py = object.py();
        let zone = object.getattr(intern!(py, "tzinfo"))?;
        let Some(zone) = self.zone(&zone)? else {
            return Ok(None);
        };
        let fold: u8 = object.getattr(intern!(py, "fold"))?.extract()?;
        Ok(Some(Time {
            hour: object.getattr(intern!(py, "hour"))?.extract()?,
            minute: object.getattr(intern!(py, "minute"))?.extract()?,
            second: object.getattr(intern!(py, "second"))?.extract()?,
            microsecond: object.getattr(intern!(py, "microsecond"))?.extract()?,
            fold: fold == 1,
            zone,
        }))
    }

    fn zone(&self, zone: &Bound<'_, PyAny>) -> PyResult<Option<Zone<String>>> {
        let py = zone.py();
        if zone.is_none() {
            return Ok(Some(Zone::Naive));
        }
        if Types::is_exact(zone, &self.types.zone_info) {
            let name = zone.getattr(intern!(py, "key"))?;
            return Ok(name.extract::<String>().ok().map(Zone::Named));
        }
        if !Types::is_exact(zone, &self.types.timezone) {
            return Ok(None);
        }
        // A timezone with a name of its own has two of these, and the name would be lost.
        let made_of = zone.call_method0(intern!(py, "__getinitargs__"))?;
        let Ok((offset,)) = made_of.extract::<(Bound<'_, PyAny>,)>() else {
            return Ok(None);
        };
        let offset = span(&offset)?;
        let seconds = i64::from(offset.days) * 86_400 + i64::from(offset.seconds);
        let whole = offset.microseconds == 0;
        Ok(i32::try_from(seconds)
            .ok()
            .filter(|_| whole)
            .map(Zone::Offset))
    }
}

fn unknown_zone(object: &Bound<'_, PyAny>) -> Error {
    let zone = object.getattr(intern!(object.py(), "tzinfo"));
    let zone = zone.map_or_else(|_| String::new(), |zone| type_name(&zone));
    not_plain(&format!(
        "{} with a tzinfo of type {zone}",
        type_name(object)
    ))
}

fn date(object: &Bound<'_, PyAny>) -> PyResult<Date> {
    let py = object.py();
    Ok(Date {
        year: object.getattr(intern!(py, "year"))?.extract()?,
        month: object.getattr(intern!(py, "month"))?.extract()?,
        day: object.getattr(intern!(py, "day"))?.extract()?,
    })
}

fn span(object: &Bound<'_, PyAny>) -> PyResult<TimeDelta> {
    let py = object.py();
    Ok(TimeDelta {
        days: object.getattr(intern!(py, "days"))?.extract()?,
        seconds: object.getattr(intern!(py, "seconds"))?.extract()?,
        microseconds: object.getattr(intern!(py, "microseconds"))?.extract()?,
    })
}

/// Whether an exact integer is below zero, and its magnitude, big-endian.
pub(crate) fn magnitude<'py>(int: &Bound<'py, PyAny>) -> PyResult<(bool, Bound<'py, PyBytes>)> {
    let py = int.py();
    let absolute = int.abs()?;
    let bits: usize = absolute
        .call_method0(intern!(py, "bit_length"))?
        .extract()?;
    let bytes = absolute.call_method1(intern!(py, "to_bytes"), (bits.div_ceil(8), "big"))?;
    Ok((int.lt(0)?, bytes.cast_into()?))
}

/// A text that UTF-8 cannot hold: as UTF-8 in which a surrogate takes the three bytes of its number.
pub(crate) fn surrogates<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    let bytes = text.call_method1(intern!(py, "encode"), ("utf-8", "surrogatepass"))?;
    Ok(bytes.cast_into()?)
}
