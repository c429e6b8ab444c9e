//! From the bytes of the safe codec straight into Python objects.

use larder_core::codec::{Date, Headers, Item, Reader, Time, TimeDelta, Zone};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};

use crate::value::{Page, Types, latin};

/// A new object of a payload.
///
/// # Errors
///
/// Of bytes that the safe codec did not write; and of what Python alone can judge, such as the name of
/// a zone that this machine does not have.
pub(crate) fn build<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut builder = Builder {
        py,
        types: Types::get(py)?,
        reader: Reader::new(payload),
        rows: Vec::new(),
    };
    let object = builder.value()?;
    builder.reader.finish().map_err(super::raise)?;
    Ok(object)
}

struct Builder<'py, 'a> {
    py: Python<'py>,
    types: &'static Types,
    reader: Reader<'a>,
    /// The keys of the last maps, the innermost first.
    rows: Vec<Keys<'py, 'a>>,
}

type Keys<'py, 'a> = Vec<(&'a str, Bound<'py, PyString>)>;

impl<'py, 'a> Builder<'py, 'a> {
    fn value(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        // The item is matched where it is: moving it first took a third of the time.
        match self.reader.item() {
            Ok(Item::Text(text)) => Ok(PyString::new(py, text).into_any()),
            Ok(Item::Int(value)) => Ok(value.into_pyobject(py)?.into_any()),
            Ok(Item::Float(value)) => Ok(PyFloat::new(py, value).into_any()),
            Ok(Item::None) => Ok(py.None().into_bound(py)),
            Ok(Item::Bool(value)) => Ok(PyBool::new(py, value).to_owned().into_any()),
            Ok(Item::Map(count)) => self.map(count),
            Ok(other) => self.make(other),
            Err(error) => Err(super::raise(error)),
        }
    }

    #[inline(never)]
    fn make(&mut self, item: Item<'a>) -> PyResult<Bound<'py, PyAny>> {
        match item {
            Item::List(count) => Ok(PyList::new(self.py, self.members(count)?)?.into_any()),
            Item::Tuple(count) => Ok(PyTuple::new(self.py, self.members(count)?)?.into_any()),
            Item::Set(count) => Ok(PySet::new(self.py, self.members(count)?)?.into_any()),
            Item::FrozenSet(count) => {
                Ok(PyFrozenSet::new(self.py, self.members(count)?)?.into_any())
            }
            other => self.single(other),
        }
    }

    /// The room for `count` members is bounded by the bytes that are left, as the reader promises.
    fn members(&mut self, count: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            members.push(self.value()?);
        }
        self.reader.close();
        Ok(members)
    }

    /// A map. The rows of a table have the same keys in the same places: they are made once.
    fn map(&mut self, count: usize) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(self.py);
        let mut before = self.rows.pop().unwrap_or_default();
        for place in 0..count {
            let key = match self.reader.item() {
                Ok(Item::Text(text)) => self.key(&mut before, place, text),
                Ok(Item::Int(value)) => value.into_pyobject(self.py)?.into_any(),
                Ok(other) => self.make(other)?,
                Err(error) => return Err(super::raise(error)),
            };
            dict.set_item(key, self.value()?)?;
        }
        self.rows.push(before);
        self.reader.close();
        Ok(dict.into_any())
    }

    fn key(&self, before: &mut Keys<'py, 'a>, place: usize, text: &'a str) -> Bound<'py, PyAny> {
        match before.get(place) {
            Some((same, key)) if *same == text => key.clone().into_any(),
            _ => {
                let key = PyString::new(self.py, text);
                before.truncate(place);
                if before.len() == place {
                    before.push((text, key.clone()));
                }
                key.into_any()
            }
        }
    }

    fn single(&self, item: Item<'_>) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match item {
            Item::None => py.None().into_bound(py),
            Item::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Item::Float(value) => PyFloat::new(py, value).into_any(),
            Item::BigInt {
                negative,
                magnitude,
            } => self.big_int(negative, magnitude)?,
            Item::WideText(bytes) => self.wide_text(bytes)?,
            Item::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
            Item::ByteArray(bytes) => PyByteArray::new(py, bytes).into_any(),
            Item::Page {
                status,
                headers,
                body,
            } => self.page(status, headers, body)?,
            other => self.known(other)?,
        })
    }

    /// A value of one of the types that the standard library has.
    fn known(&self, item: Item<'_>) -> PyResult<Bound<'py, PyAny>> {
        let (py, types) = (self.py, self.types);
        match item {
            Item::Date(Date { year, month, day }) => types.date.bind(py).call1((year, month, day)),
            Item::Time(time) => {
                let fields = (time.hour, time.minute, time.second, time.microsecond);
                let fields = PyTuple::new(py, fields_of(py, fields, self.zone(&time)?)?)?;
                types
                    .time
                    .bind(py)
                    .call(fields, self.fold(time.fold)?.as_ref())
            }
            Item::DateTime(both) => {
                let (date, time) = (both.date, both.time);
                let clock = (time.hour, time.minute, time.second, time.microsecond);
                let mut fields = vec![
                    date.year.into_pyobject(py)?.into_any(),
                    date.month.into_pyobject(py)?.into_any(),
                    date.day.into_pyobject(py)?.into_any(),
                ];
                fields.extend(fields_of(py, clock, self.zone(&time)?)?);
                let fields = PyTuple::new(py, fields)?;
                types
                    .datetime
                    .bind(py)
                    .call(fields, self.fold(time.fold)?.as_ref())
            }
            Item::TimeDelta(span) => self.span(span),
            Item::Decimal(text) => types.decimal.bind(py).call1((text,)),
            Item::Uuid(bytes) => self.uuid(&bytes),
            Item::Markup(text) => types.markup.bind(py).call1((text,)),
            _ => Err(PyValueError::new_err(
                "the payload has a pickle inside plain data",
            )),
        }
    }

    fn big_int(&self, negative: bool, magnitude: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let kind = self.py.get_type::<PyInt>();
        let magnitude = PyBytes::new(self.py, magnitude);
        let value = kind.call_method1(intern!(self.py, "from_bytes"), (magnitude, "big"))?;
        if negative { value.neg() } else { Ok(value) }
    }

    fn wide_text(&self, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let bytes = PyBytes::new(self.py, bytes);
        bytes.call_method1(intern!(self.py, "decode"), ("utf-8", "surrogatepass"))
    }

    fn span(&self, span: TimeDelta) -> PyResult<Bound<'py, PyAny>> {
        let fields = (span.days, span.seconds, span.microseconds);
        self.types.timedelta.bind(self.py).call1(fields)
    }

    fn uuid(&self, bytes: &[u8; 16]) -> PyResult<Bound<'py, PyAny>> {
        let named = PyDict::new(self.py);
        named.set_item(intern!(self.py, "bytes"), PyBytes::new(self.py, bytes))?;
        self.types.uuid.bind(self.py).call((), Some(&named))
    }

    fn zone(&self, time: &Time<&str>) -> PyResult<Bound<'py, PyAny>> {
        let (py, types) = (self.py, self.types);
        match time.zone {
            Zone::Naive => Ok(py.None().into_bound(py)),
            Zone::Offset(0) => types.timezone.bind(py).getattr(intern!(py, "utc")),
            Zone::Offset(seconds) => {
                let offset = types.timedelta.bind(py).call1((0, seconds))?;
                types.timezone.bind(py).call1((offset,))
            }
            Zone::Named(name) => types.zone_info.bind(py).call1((name,)),
        }
    }

    fn fold(&self, fold: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
        if !fold {
            return Ok(None);
        }
        let named = PyDict::new(self.py);
        named.set_item(intern!(self.py, "fold"), 1)?;
        Ok(Some(named))
    }

    fn page(&self, status: u16, headers: Headers<'_>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(self.py);
        for (name, value) in headers {
            list.append((latin(self.py, name)?, latin(self.py, value)?))?;
        }
        let body = PyBytes::new(self.py, body);
        Ok(Bound::new(self.py, Page::assemble(status, list, body))?.into_any())
    }
}

/// The arguments that `time` and the end of `datetime` have in common.
fn fields_of<'py>(
    py: Python<'py>,
    (hour, minute, second, microsecond): (u8, u8, u8, u32),
    zone: Bound<'py, PyAny>,
) -> PyResult<[Bound<'py, PyAny>; 5]> {
    Ok([
        hour.into_pyobject(py)?.into_any(),
        minute.into_pyobject(py)?.into_any(),
        second.into_pyobject(py)?.into_any(),
        microsecond.into_pyobject(py)?.into_any(),
        zone,
    ])
}
