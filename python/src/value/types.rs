//! The types that are known by name, and what follows from a type alone.

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyComplex, PyList, PyTuple, PyType, PyTypeMethods};

use crate::forking::once;

use super::page::Page;
use super::weight;

/// Types of the standard library and of Flask's own dependencies, looked up once.
pub(crate) struct Types {
    pub(crate) date: Py<PyType>,
    pub(crate) datetime: Py<PyType>,
    pub(crate) decimal: Py<PyType>,
    pub(crate) markup: Py<PyType>,
    pub(crate) time: Py<PyType>,
    pub(crate) timedelta: Py<PyType>,
    pub(crate) timezone: Py<PyType>,
    pub(crate) uuid: Py<PyType>,
    pub(crate) zone_info: Py<PyType>,
    pub(crate) enum_meta: Py<PyType>,
    pub(crate) local_proxy: Py<PyType>,
    /// Addresses of the types whose objects hold no others and cannot be changed. The types are kept
    /// alive by the fields above and by their modules.
    leaves: Vec<Address>,
    /// Types of what can be used once only, and what they are.
    once: Vec<(Py<PyType>, &'static str)>,
    /// The base of everything that is an open file.
    file: Py<PyType>,
    response: Py<PyType>,
}

/// The address of a type: compared, never followed.
type Address = usize;

static TYPES: PyOnceLock<Types> = PyOnceLock::new();

impl Types {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        once(py, &TYPES, || Self::find(py))
    }

    fn find(py: Python<'_>) -> PyResult<Self> {
        let of = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            let found = py.import(module)?.getattr(name)?;
            Ok(found.cast_into::<PyType>()?.unbind())
        };
        let mut types = Self {
            date: of("datetime", "date")?,
            datetime: of("datetime", "datetime")?,
            decimal: of("decimal", "Decimal")?,
            markup: of("markupsafe", "Markup")?,
            time: of("datetime", "time")?,
            timedelta: of("datetime", "timedelta")?,
            timezone: of("datetime", "timezone")?,
            uuid: of("uuid", "UUID")?,
            zone_info: of("zoneinfo", "ZoneInfo")?,
            enum_meta: of("enum", "EnumMeta")?,
            local_proxy: of("werkzeug.local", "LocalProxy")?,
            leaves: Vec::new(),
            once: vec![
                (of("types", "GeneratorType")?, "a generator"),
                (of("types", "CoroutineType")?, "a coroutine"),
                (of("types", "AsyncGeneratorType")?, "an async generator"),
            ],
            file: of("_io", "_IOBase")?,
            response: of("werkzeug.wrappers", "Response")?,
        };
        types.leaves = types.leaf_addresses(py);
        Ok(types)
    }

    fn leaf_addresses(&self, py: Python<'_>) -> Vec<Address> {
        let known = [
            &self.decimal,
            &self.date,
            &self.timedelta,
            &self.timezone,
            &self.uuid,
            &self.markup,
            &self.zone_info,
        ];
        let built_in = [
            py.get_type::<PyComplex>(),
            py.Ellipsis().bind(py).get_type(),
            py.get_type::<pyo3::types::PyRange>(),
            py.get_type::<Page>(),
        ];
        let known = known.iter().map(|kind| kind.bind(py).as_ptr() as Address);
        known
            .chain(built_in.iter().map(|kind| kind.as_ptr() as Address))
            .collect()
    }

    /// Whether `object` is of exactly this type.
    pub(crate) fn is_exact(object: &Bound<'_, PyAny>, kind: &Py<PyType>) -> bool {
        address(object.get_type_ptr()) == kind.as_ptr() as Address
    }

    /// The bytes of an object that cannot be changed and holds nothing that can; `None` for all
    /// others. Containers are not looked at.
    pub(super) fn leaf(&self, object: &Bound<'_, PyAny>) -> Option<usize> {
        weight::common(object).or_else(|| {
            let known = self.leaves.contains(&address(object.get_type_ptr()))
                || self.is_time(object) && self.has_known_zone(object);
            known.then(|| weight::measured(object))
        })
    }

    /// Whether `object` is a time of day, or of a day.
    fn is_time(&self, object: &Bound<'_, PyAny>) -> bool {
        Self::is_exact(object, &self.datetime) || Self::is_exact(object, &self.time)
    }

    fn has_known_zone(&self, object: &Bound<'_, PyAny>) -> bool {
        let zone = object.getattr(pyo3::intern!(object.py(), "tzinfo"));
        zone.is_ok_and(|zone| {
            zone.is_none()
                || Self::is_exact(&zone, &self.timezone)
                || Self::is_exact(&zone, &self.zone_info)
        })
    }

    /// Whether `object` is a member of an enumeration: every unpickling answers the same object.
    pub(crate) fn is_member_of_enum(&self, object: &Bound<'_, PyAny>) -> bool {
        let of_class = object.get_type().get_type();
        let usual = object.py().get_type::<PyType>();
        of_class.is(&self.enum_meta) || !of_class.is(&usual) && derives(&of_class, &self.enum_meta)
    }

    /// What `object` is, if it can be used once only. No code of its class is run.
    pub(super) fn stream(&self, object: &Bound<'_, PyAny>) -> Option<&'static str> {
        let once = self.once.iter();
        if let Some((_, what)) = once.clone().find(|(kind, _)| Self::is_exact(object, kind)) {
            return Some(what);
        }
        let kind = object.get_type();
        if derives(&kind, &self.file) {
            return Some("an open file");
        }
        (derives(&kind, &self.response) && is_streamed(object)).then_some("a streamed response")
    }
}

/// Whether the body of a response comes from an iterator.
fn is_streamed(response: &Bound<'_, PyAny>) -> bool {
    let body = response.getattr(pyo3::intern!(response.py(), "response"));
    body.is_ok_and(|body| {
        !body.is_exact_instance_of::<PyList>() && !body.is_exact_instance_of::<PyTuple>()
    })
}

/// Whether `kind` derives from `base`, whose own class is `type`: then nobody's code is asked.
pub(crate) fn derives(kind: &Bound<'_, PyType>, base: &Py<PyType>) -> bool {
    kind.is_subclass(base.bind(kind.py())).unwrap_or(false)
}

fn address(kind: *mut PyTypeObject) -> Address {
    kind as Address
}

/// The name of the type of an object, with its module unless that is `builtins`.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    name_of(&object.get_type())
}

/// The name of a type, with its module unless that is `builtins`.
pub(crate) fn name_of(kind: &Bound<'_, PyType>) -> String {
    kind.fully_qualified_name().map_or_else(
        |_| String::from("?"),
        |name| name.to_string_lossy().into_owned(),
    )
}
