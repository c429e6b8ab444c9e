//! The types of the standard library that both faces understand, and a few more that are built in.

use larder_core::KeyWriter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyComplexMethods, PyMemoryView, PyString};

use super::{Walk, Written};
use crate::value::Types;

impl Walk {
    /// Writes a value of a type that has a short name. Says whether it has one.
    pub(super) fn known(
        &mut self,
        out: &mut KeyWriter,
        object: &Bound<'_, PyAny>,
    ) -> Result<bool, super::Unkeyable> {
        let types = self.types;
        let is = |kind| Types::is_exact(object, kind);
        if is(&types.datetime) {
            self.fields(out.object("datetime"), object, &DATE_TIME)?;
        } else if is(&types.date) {
            self.fields(out.object("date"), object, &DATE_TIME[..3])?;
        } else if is(&types.decimal) {
            self.shown(out.object("decimal"), object)?;
        } else if is(&types.uuid) {
            let bytes = object.getattr(intern!(object.py(), "bytes"))?;
            self.value(out.object("uuid"), &bytes)?;
        } else if is(&types.time) {
            self.fields(out.object("time"), object, &DATE_TIME[3..])?;
        } else if is(&types.timedelta) {
            self.fields(out.object("timedelta"), object, &SPAN)?;
        } else if is(&types.timezone) {
            let made_of = object.call_method0(intern!(object.py(), "__getinitargs__"))?;
            self.value(out.object("timezone"), &made_of)?;
        } else if is(&types.zone_info) {
            return self.zone(out, object);
        } else if is(&types.markup) {
            self.text(
                out.object("markup"),
                object.cast::<PyString>().map_err(PyErr::from)?,
            )?;
        } else {
            return self.built_in(out, object);
        }
        Ok(true)
    }

    fn built_in(
        &mut self,
        out: &mut KeyWriter,
        object: &Bound<'_, PyAny>,
    ) -> Result<bool, super::Unkeyable> {
        if let Ok(value) = object.cast_exact::<PyComplex>() {
            self.spend(2 * size_of::<f64>())?;
            out.object("complex")
                .tuple(2)
                .float(value.real())
                .float(value.imag());
        } else if object.is(object.py().Ellipsis()) {
            out.object("ellipsis").none();
        } else if let Ok(view) = object.cast_exact::<PyMemoryView>() {
            self.view(out, view)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// A zone of the tz database is its name; one that was read from a file may have none.
    fn zone(
        &mut self,
        out: &mut KeyWriter,
        zone: &Bound<'_, PyAny>,
    ) -> Result<bool, super::Unkeyable> {
        let name = zone.getattr(intern!(zone.py(), "key"))?;
        let Ok(name) = name.cast_exact::<PyString>() else {
            return Ok(false);
        };
        self.text(out.object("zone"), name)?;
        Ok(true)
    }

    /// The fields of a date or a time as a tuple.
    fn fields(
        &mut self,
        out: &mut KeyWriter,
        object: &Bound<'_, PyAny>,
        names: &[&str],
    ) -> Written {
        out.tuple(names.len());
        for name in names {
            self.value(out, &object.getattr(*name)?)?;
        }
        Ok(())
    }

    /// A value whose text says it exactly.
    fn shown(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        self.text(out, &object.str()?)
    }

    fn view(&mut self, out: &mut KeyWriter, view: &Bound<'_, PyMemoryView>) -> Written {
        let py = view.py();
        let size: usize = view.getattr(intern!(py, "nbytes"))?.extract()?;
        self.spend(size)?;
        out.object("memoryview").tuple(3);
        self.value(out, &view.getattr(intern!(py, "format"))?)?;
        self.value(out, &view.getattr(intern!(py, "shape"))?)?;
        let bytes = view.call_method0(intern!(py, "tobytes"))?;
        out.bytes(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        Ok(())
    }
}

const DATE_TIME: [&str; 9] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "microsecond",
    "tzinfo",
    "fold",
];
const SPAN: [&str; 3] = ["days", "seconds", "microseconds"];
