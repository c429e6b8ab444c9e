//! Keys of memoized calls as Flask-Caching makes them.
//!
//! The text of such a key is a format, for others share stores with Flask-Caching: 96 bits of the
//! digest of the function's name and of Python's own text for the arguments, and behind them the
//! versions of the function and of the instance. `flask_larder.compat.utils` has the formula in
//! Python; a property test compares the two.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_core::Key;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::forking::once;
use crate::hashing::Method;
use crate::key::named_bytes;
use crate::signature::{Described, EITHER, POSITIONAL_ONLY};

/// A parameter that has a position.
struct Place {
    name: Py<PyString>,
    /// What stands in the key when nothing is given; `None` where there is no default.
    default: Py<PyAny>,
    /// Only by position.
    positional: bool,
    ignored: bool,
    /// `self` or `cls`, which stands in the key by its identity.
    receiver: bool,
}

/// How the calls of one function become Flask-Caching's keys.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct ClassicCall {
    /// The function's module and qualified name, as they are.
    name: String,
    /// The same with the characters that names of versions keep.
    namespace: String,
    /// Where the version of the function is stored.
    version: Key,
    places: Vec<Place>,
    /// Whether what is given by position stands in the key as it is.
    plain: bool,
    ignored: Vec<String>,
    /// Whether the first argument is the instance that the method belongs to.
    of_instance: bool,
    /// The instance of a method that was bound when it was decorated.
    bound: Option<Py<PyAny>>,
    /// Whether each instance has a version of its own.
    versioned: bool,
    /// Puts another name into the digest.
    make_name: Option<Py<PyAny>>,
    method: Method,
    source: Vec<u8>,
}

/// The parts of one call's key.
pub(crate) struct CallKey {
    /// The part that stands for the arguments.
    pub(crate) digest: String,
    /// The namespace of the instance, where it has a version of its own.
    pub(crate) instance: Option<String>,
}

/// How the names of versions end.
const VERSION: &str = "_memver";
/// Of how many bytes of a digest the key tells.
const SHOWN: usize = 12;

#[pymethods]
impl ClassicCall {
    /// `parameters` are `(name, kind, has_default, default)`; `bound` is the instance of a bound
    /// method; `make_name` is called with the namespace at each call.
    #[new]
    #[pyo3(signature = (name, parameters, *, method, ignored=Vec::new(), bound=None, make_name=None,
        source=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keywords")]
    fn new(
        name: String,
        parameters: Vec<Described<'_>>,
        method: &Bound<'_, PyAny>,
        ignored: Vec<String>,
        bound: Option<Py<PyAny>>,
        make_name: Option<Py<PyAny>>,
        source: Vec<u8>,
    ) -> PyResult<Self> {
        let mut places = Vec::new();
        let mut of_instance = false;
        for (place, (name, kind, has_default, default)) in parameters.into_iter().enumerate() {
            let text = name.to_str()?;
            of_instance |= place == 0 && text == "self";
            if !matches!(kind, POSITIONAL_ONLY | EITHER) {
                continue;
            }
            let none = default.py().None();
            places.push(Place {
                default: if has_default { default.unbind() } else { none },
                positional: kind == POSITIONAL_ONLY,
                ignored: ignored.iter().any(|ignored| ignored == text),
                receiver: place == 0 && matches!(text, "self" | "cls"),
                name: name.unbind(),
            });
        }
        let namespace = kept(&name);
        Ok(Self {
            version: named_bytes(format!("{namespace}{VERSION}").as_bytes()),
            versioned: !ignored.iter().any(|ignored| ignored == "self"),
            method: Method::of(method)?,
            plain: !places.iter().any(|place| place.ignored || place.receiver),
            name,
            namespace,
            places,
            ignored,
            of_instance,
            bound,
            make_name,
            source,
        })
    }

    /// The part of a call's key that stands for its arguments, and the namespace of the instance that
    /// has a version of its own.
    fn digest(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<(String, Option<String>)> {
        let found = self.read(py, args, Some(kwargs))?;
        Ok((found.digest, found.instance))
    }

    /// The name that the version of the function stands under.
    #[getter]
    fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A default or a callable may hold the function, which holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let defaults = self.places.iter().map(|place| &place.default);
        let more = [
            self.bound.as_ref(),
            self.make_name.as_ref(),
            self.method.called(),
        ];
        let mut all = defaults.chain(more.into_iter().flatten());
        all.try_for_each(|object| visit.call(object))
    }
}

impl ClassicCall {
    /// The parts of the key of a call.
    ///
    /// # Errors
    ///
    /// What the program's own code raises: a `__repr__`, a `__caching_id__`, `make_name`.
    pub(crate) fn read(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<CallKey> {
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        let first = self.identity(args)?;
        let mut text = self.shown_name(py)?;
        let (bound, left) = self.bind(args, kwargs, first.as_ref())?;
        text.push_str(bound.repr()?.to_str()?);
        write_left(py, &mut text, left)?;
        let mut data = text.into_bytes();
        data.extend_from_slice(&self.source);
        let digest = self.method.digest(py, &data, |digest| {
            STANDARD.encode(&digest[..digest.len().min(SHOWN)])
        })?;
        let instance = match (&self.bound, &first) {
            _ if !self.versioned => None,
            (Some(bound), _) => Some(id_of(bound.bind(py))?),
            (None, Some(first)) if self.of_instance => Some(first.clone()),
            _ => None,
        };
        let instance = instance
            .map(|id| Ok::<_, PyErr>(kept(&format!("{}.{}", self.name, id.to_str()?))))
            .transpose()?;
        Ok(CallKey { digest, instance })
    }

    /// The key of a call, its versions found by `version`; `None` where one of them is not there.
    pub(crate) fn key(
        &self,
        parts: CallKey,
        version: impl Fn(&Key, &mut String) -> Option<()>,
    ) -> Option<Key> {
        let mut text = parts.digest;
        version(&self.version, &mut text)?;
        if let Some(instance) = parts.instance {
            version(&named_bytes((instance + VERSION).as_bytes()), &mut text)?;
        }
        Some(named_bytes(text.as_bytes()))
    }

    /// What identifies the first argument, where a key needs that.
    fn identity<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Option<Bound<'py, PyString>>> {
        let place = self.places.first();
        let shown = place.is_some_and(|place| place.receiver && !place.ignored);
        let versioned = self.of_instance && self.versioned && self.bound.is_none();
        match args.get_item(0) {
            Ok(first) if shown || versioned => id_of(&first).map(Some),
            _ => Ok(None),
        }
    }

    /// The name in the digest.
    fn shown_name(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = String::with_capacity(self.namespace.len() + ROOM);
        match &self.make_name {
            None => text.push_str(&self.namespace),
            Some(make_name) => {
                let name = make_name.bind(py).call1((&self.namespace,))?;
                text.push_str(name.str()?.to_str()?);
            }
        }
        Ok(text)
    }

    /// The arguments by position where that is possible, and those that are left by name.
    fn bind<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        first: Option<&Bound<'py, PyString>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Vec<Left<'py>>)> {
        let py = args.py();
        if self.plain && kwargs.is_none() && args.len() >= self.places.len() {
            return Ok((args.clone(), Vec::new()));
        }
        let mut positions = args.iter();
        let mut values = Vec::with_capacity(self.places.len().max(args.len()));
        let mut used = 0;
        for place in &self.places {
            let by_name = match kwargs {
                Some(kwargs) if !place.positional => kwargs.get_item(place.name.bind(py))?,
                _ => None,
            };
            used += usize::from(by_name.is_some());
            let named = by_name.is_some();
            let given = by_name.or_else(|| positions.next());
            values.push(match given {
                _ if place.ignored => py.None().into_bound(py),
                None => place.default.bind(py).clone(),
                Some(value) if place.receiver => match first {
                    Some(first) if !named => first.clone().into_any(),
                    _ => id_of(&value)?.into_any(),
                },
                Some(value) => value,
            });
        }
        values.extend(args.iter().skip(self.places.len()));
        let left = match kwargs {
            Some(kwargs) if kwargs.len() > used => self.left(kwargs)?,
            _ => Vec::new(),
        };
        Ok((PyTuple::new(py, values)?, left))
    }

    /// The keywords that fill no position, sorted by name.
    fn left<'py>(&self, kwargs: &Bound<'py, PyDict>) -> PyResult<Vec<Left<'py>>> {
        let py = kwargs.py();
        let mut left = Vec::new();
        for (name, value) in kwargs {
            let text = name.cast::<PyString>()?.to_str()?.to_owned();
            let mut named = self.places.iter().filter(|place| !place.positional);
            let filled = named.any(|place| place.name.bind(py).to_str().is_ok_and(|n| n == text));
            if !filled && !self.ignored.contains(&text) {
                left.push((text, name, value));
            }
        }
        left.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(left)
    }
}

/// A keyword that is left: its text, and the two objects.
type Left<'py> = (String, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// Bytes that the text of most calls fits in, besides the name.
const ROOM: usize = 96;

/// Appends the text of an `OrderedDict`, which is another one from Python 3.12 on.
fn write_left(py: Python<'_>, text: &mut String, left: Vec<Left<'_>>) -> PyResult<()> {
    if left.is_empty() {
        text.push_str("OrderedDict()");
        return Ok(());
    }
    static KIND: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let kind = once(py, &KIND, || {
        let kind = py.import("collections")?.getattr("OrderedDict")?;
        Ok(kind.cast_into::<PyType>()?.unbind())
    })?;
    let ordered = kind.bind(py).call0()?;
    for (_, name, value) in left {
        ordered.set_item(name, value)?;
    }
    text.push_str(ordered.repr()?.to_str()?);
    Ok(())
}

/// What tells an instance from others: its `__caching_id__()`, else its repr.
fn id_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let hook = intern!(object.py(), "__caching_id__");
    if !object.is_instance_of::<PyType>()
        && let Some(own) = object.getattr_opt(hook)?
    {
        return own.call0()?.str();
    }
    object.repr()
}

/// A text without the characters that names of versions leave out.
fn kept(text: &str) -> String {
    let keeps = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || *c >= '\u{100}';
    text.chars().filter(keeps).collect()
}
