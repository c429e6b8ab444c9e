//! The signature of a memoized function, read once, and the keys of its calls.

use larder_core::{KeyWriter, Kind};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::arguments::{self, Unkeyable};
use crate::key::Key;
use crate::positions::Positions;

/// A parameter that can be filled by position or by name.
struct Parameter {
    name: Py<PyString>,
    default: Option<Default>,
    /// Only by position.
    positional: bool,
    ignored: bool,
    /// The instance or the class of a method: identified, not written out.
    receiver: bool,
}

/// A default value; written in advance where nobody can change it.
struct Default {
    value: Py<PyAny>,
    written: Option<KeyWriter>,
}

/// How the arguments of one function become keys.
///
/// The key of a call is the function's namespace and a digest of its arguments, bound to their
/// parameters: `f(1, 2)`, `f(1, b=2)` and a default written out are one call. The arguments stand in
/// full in the variant, so that two calls never share an entry.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Signature {
    namespace: String,
    named: Vec<Parameter>,
    keyword_only: Vec<Parameter>,
    more_positions: bool,
    more_names: bool,
    /// Further text in every key: the digest of the source.
    salt: Option<String>,
}

/// Why a call has no key.
pub(crate) enum NoKey {
    /// The arguments do not fit the function: calling it raises the right error.
    Unbound,
    /// An argument cannot be part of a key; the reason names its type.
    Unkeyable(String),
    /// The user's own code failed.
    Raised(PyErr),
}

impl From<PyErr> for NoKey {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// What Python says of a parameter: its name, its kind as in `inspect.Parameter`, whether it has a
/// default, and the default.
pub(crate) type Described<'py> = (Bound<'py, PyString>, u8, bool, Bound<'py, PyAny>);

pub(crate) const POSITIONAL_ONLY: u8 = 0;
pub(crate) const EITHER: u8 = 1;
const MORE_POSITIONS: u8 = 2;
const KEYWORD_ONLY: u8 = 3;

#[pymethods]
impl Signature {
    /// `parameters` are `(name, kind, has_default, default)`; the first is the receiver of a method if
    /// `receiver` says so; those in `ignored` are not part of the key.
    #[new]
    #[pyo3(signature = (namespace, parameters, *, ignored=Vec::new(), receiver=false, salt=None))]
    fn new(
        namespace: String,
        parameters: Vec<Described<'_>>,
        ignored: Vec<String>,
        receiver: bool,
        salt: Option<String>,
    ) -> PyResult<Self> {
        let mut signature = Self {
            namespace,
            named: Vec::new(),
            keyword_only: Vec::new(),
            more_positions: false,
            more_names: false,
            salt,
        };
        for (place, (name, kind, has_default, default)) in parameters.into_iter().enumerate() {
            let text = name.to_str()?;
            let parameter = Parameter {
                default: has_default.then(|| Default::new(&default)),
                positional: kind == POSITIONAL_ONLY,
                ignored: ignored.iter().any(|ignored| ignored == text),
                receiver: receiver && place == 0,
                name: name.unbind(),
            };
            match kind {
                POSITIONAL_ONLY | EITHER => signature.named.push(parameter),
                MORE_POSITIONS => signature.more_positions = true,
                KEYWORD_ONLY => signature.keyword_only.push(parameter),
                _ => signature.more_names = true,
            }
        }
        Ok(signature)
    }

    /// A default may hold the function, which holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let parameters = self.named.iter().chain(&self.keyword_only);
        let mut defaults = parameters.filter_map(|parameter| parameter.default.as_ref());
        defaults.try_for_each(|default| visit.call(&default.value))
    }

    /// The key of a call, or the reason why it has none as a str; `None` when the arguments do not fit
    /// the function.
    #[pyo3(name = "key")]
    fn py_key<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.key(py, args, Some(kwargs)) {
            Ok(key) => Ok(Some(Bound::new(py, Key(key))?.into_any())),
            Err(NoKey::Unbound) => Ok(None),
            Err(NoKey::Unkeyable(reason)) => Ok(Some(PyString::new(py, &reason).into_any())),
            Err(NoKey::Raised(error)) => Err(error),
        }
    }

    /// The namespace of one instance of a method, or the reason why it has none.
    fn receiver_of(&self, receiver: &Bound<'_, PyAny>) -> PyResult<(bool, String)> {
        let mut writer = KeyWriter::new();
        match write_receiver(&mut writer, receiver) {
            Ok(()) => Ok((true, format!("{}#{:032x}", self.namespace, writer.digest()))),
            Err(NoKey::Unkeyable(reason)) => Ok((false, reason)),
            Err(NoKey::Unbound) => Ok((false, String::new())),
            Err(NoKey::Raised(error)) => Err(error),
        }
    }
}

impl Default {
    fn new(value: &Bound<'_, PyAny>) -> Self {
        let mut writer = KeyWriter::new();
        let fixed = value.is_none()
            || value.is_exact_instance_of::<PyString>()
            || value.is_exact_instance_of::<pyo3::types::PyInt>()
            || value.is_exact_instance_of::<pyo3::types::PyBool>()
            || value.is_exact_instance_of::<pyo3::types::PyFloat>()
            || value.is_exact_instance_of::<pyo3::types::PyBytes>();
        let written = fixed && arguments::write(&mut writer, value).is_ok();
        Self {
            value: value.clone().unbind(),
            written: written.then_some(writer),
        }
    }
}

impl Signature {
    pub(crate) fn key(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> Result<larder_core::Key, NoKey> {
        let mut writer = KeyWriter::with_capacity(ROOM);
        self.write(py, &mut writer, args, kwargs)?;
        Ok(self.key_of(&writer))
    }

    /// Writes down what tells a call from other calls.
    pub(crate) fn write<'py>(
        &self,
        py: Python<'py>,
        writer: &mut KeyWriter,
        args: &impl Positions<'py>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Result<(), NoKey> {
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        let mut used = self.write_named(py, writer, args, kwargs)?;
        for parameter in &self.keyword_only {
            used += usize::from(parameter.write(py, writer, None, kwargs)?);
        }
        self.write_more(writer, args, kwargs, used)?;
        if let Some(salt) = &self.salt {
            writer.text(salt);
        }
        Ok(())
    }

    /// The key of a call that is written down.
    pub(crate) fn key_of(&self, writer: &KeyWriter) -> larder_core::Key {
        let mut base = Vec::with_capacity(self.namespace.len() + 33);
        base.extend_from_slice(self.namespace.as_bytes());
        base.push(b'/');
        base.extend_from_slice(&hex(writer.digest()));
        larder_core::Key::assemble(Kind::Memoize, &base, writer.as_bytes())
    }

    /// Writes the parameters that have a position; answers how many names were used for them.
    fn write_named<'py>(
        &self,
        py: Python<'py>,
        writer: &mut KeyWriter,
        args: &impl Positions<'py>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Result<usize, NoKey> {
        writer.tuple(self.named.len() + self.keyword_only.len());
        let mut used = 0;
        for (place, parameter) in self.named.iter().enumerate() {
            let given = (place < args.count()).then(|| args.at(place)).transpose()?;
            used += usize::from(parameter.write(py, writer, given.as_deref(), kwargs)?);
        }
        Ok(used)
    }

    /// Writes what only `*args` and `**kwargs` take.
    fn write_more<'py>(
        &self,
        writer: &mut KeyWriter,
        args: &impl Positions<'py>,
        kwargs: Option<&Bound<'py, PyDict>>,
        used: usize,
    ) -> Result<(), NoKey> {
        if args.count() > self.named.len() {
            if !self.more_positions {
                return Err(NoKey::Unbound);
            }
            writer.list(args.count() - self.named.len());
            for place in self.named.len()..args.count() {
                write(writer, &*args.at(place)?)?;
            }
        } else if self.more_positions {
            writer.list(0);
        }
        let given = kwargs.map_or(0, |kwargs| kwargs.len());
        if given == used {
            return Ok(());
        }
        if !self.more_names {
            return Err(NoKey::Unbound);
        }
        let mut members = Vec::new();
        for (name, value) in kwargs.into_iter().flatten() {
            let known = |p: &Parameter| {
                !p.positional && p.name.bind(name.py()).as_any().eq(&name).unwrap_or(false)
            };
            if !self.named.iter().any(known) && !self.keyword_only.iter().any(known) {
                let (mut key, mut member) = (KeyWriter::new(), KeyWriter::new());
                write(&mut key, &name)?;
                write(&mut member, &value)?;
                members.push((key, member));
            }
        }
        writer.map(members);
        Ok(())
    }
}

impl Parameter {
    /// Writes the value that this parameter gets. Whether it came by name.
    fn write(
        &self,
        py: Python<'_>,
        writer: &mut KeyWriter,
        given: Option<&Bound<'_, PyAny>>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> Result<bool, NoKey> {
        let by_name = match kwargs {
            Some(kwargs) if !self.positional => kwargs.get_item(self.name.bind(py))?,
            _ => None,
        };
        let named = by_name.is_some();
        let value = match (given, by_name) {
            (Some(_), Some(_)) => return Err(NoKey::Unbound),
            (Some(value), None) => value.clone(),
            (None, Some(value)) => value,
            (None, None) => {
                let default = self.default.as_ref().ok_or(NoKey::Unbound)?;
                if let (Some(written), false) = (&default.written, self.ignored) {
                    writer.append(written);
                    return Ok(false);
                }
                default.value.bind(py).clone()
            }
        };
        if self.ignored {
            writer.none();
        } else if self.receiver {
            write_receiver(writer, &value)?;
        } else {
            write(writer, &value)?;
        }
        Ok(named)
    }
}

/// Bytes that the arguments of most calls fit in.
const ROOM: usize = 96;

/// A digest in lower-case hexadecimal digits; `format!` takes longer than the rest of a hit.
fn hex(digest: u128) -> [u8; 32] {
    let bytes = digest.to_be_bytes();
    std::array::from_fn(|place| {
        let byte = bytes[place / 2];
        b"0123456789abcdef"[usize::from(if place % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}

fn write(writer: &mut KeyWriter, value: &Bound<'_, PyAny>) -> Result<(), NoKey> {
    arguments::write(writer, value).map_err(Unkeyable::into_no_key)
}

/// Writes what identifies the receiver of a method: its content or `__caching_id__()` where it has
/// one, the class itself for a class method, else a `__repr__` that the class wrote for itself.
fn write_receiver(writer: &mut KeyWriter, receiver: &Bound<'_, PyAny>) -> Result<(), NoKey> {
    let py = receiver.py();
    // The reason is put into words only where it is given: most methods come by here.
    let refused = match arguments::write(writer, receiver) {
        Ok(()) => return Ok(()),
        Err(raised @ Unkeyable::Raised(_)) => return Err(raised.into_no_key()),
        Err(refused) => refused,
    };
    let kind = receiver.get_type();
    let plain = py.get_type::<PyAny>().getattr(intern!(py, "__repr__"))?;
    if receiver.is_instance_of::<PyType>() || kind.getattr(intern!(py, "__repr__"))?.is(&plain) {
        return Err(refused.into_no_key());
    }
    let text = receiver.repr()?;
    write(writer.object("receiver").tuple(2), kind.as_any())?;
    write(writer, text.as_any())
}
