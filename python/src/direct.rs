//! `Cache.get` and `Cache.set`, as far as they go without asking anybody.

use larder_core::Store;
use larder_core::store::Memory;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyTuple};

use crate::answer::is_stored;
use crate::context::current_app;
use crate::ending;
use crate::engine::Engine;
use crate::key::named_bytes;
use crate::policy::Policy;
use crate::recent::Near;
use crate::value::{Page, PyValue};

/// What stands in the classes of the package, to see where somebody has put something else.
struct Own {
    /// The class `Cache`, and its property `cache`.
    class: Py<PyAny>,
    store: Py<PyAny>,
    /// Methods of `Backend`.
    get: Py<PyAny>,
    get_many: Py<PyAny>,
    set: Py<PyAny>,
    set_many: Py<PyAny>,
    /// The class of what an application knows its caches' stores by, a dict.
    registry: Py<PyAny>,
}

static OWN: PyOnceLock<Own> = PyOnceLock::new();

/// Tells the classes whose methods may be answered here: `Cache`, `Backend`, and the class of what an
/// application knows its caches' stores by. Said once, when they are made.
#[pyfunction]
#[pyo3(signature = (class_, backend, registry))]
fn know_classes(
    class_: &Bound<'_, PyAny>,
    backend: &Bound<'_, PyAny>,
    registry: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let own = Own {
        class: class_.clone().unbind(),
        store: class_.getattr("cache")?.unbind(),
        get: backend.getattr("get")?.unbind(),
        get_many: backend.getattr("get_many")?.unbind(),
        set: backend.getattr("set")?.unbind(),
        set_many: backend.getattr("set_many")?.unbind(),
        registry: registry.clone().unbind(),
    };
    let _ = OWN.set(class_.py(), own);
    Ok(())
}

/// Which method of the store a call would come to.
#[derive(Clone, Copy)]
enum Method {
    Get,
    GetMany,
    Set,
    SetMany,
}

impl Method {
    /// Its name, and what `Backend` has under it.
    fn of<'py>(
        self,
        py: Python<'py>,
        own: &'py Own,
    ) -> (&'py Bound<'py, PyString>, &'py Py<PyAny>) {
        match self {
            Self::Get => (intern!(py, "get"), &own.get),
            Self::GetMany => (intern!(py, "get_many"), &own.get_many),
            Self::Set => (intern!(py, "set"), &own.set),
            Self::SetMany => (intern!(py, "set_many"), &own.set_many),
        }
    }

    /// Whether a store with these attributes has what `Backend` has under this name.
    fn is_own(
        self,
        own: &Own,
        store: &Bound<'_, PyAny>,
        attributes: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        let (name, expected) = self.of(store.py(), own);
        // What stands in for a store need not have the method.
        let method = store.get_type().getattr_opt(name)?;
        Ok(method.is_some_and(|method| method.is(expected)) && !attributes.contains(name)?)
    }
}

/// A store of entries in this process.
struct Plain<'py> {
    /// The attributes of the store.
    attributes: Bound<'py, PyDict>,
    engine: Bound<'py, Engine>,
}

impl<'py> Plain<'py> {
    /// The store of the current application, if `cache` and the store say themselves what they are, and
    /// the method of the store is that of `Backend`.
    fn of(cache: &Bound<'py, PyAny>, method: Method) -> PyResult<Option<Self>> {
        let py = cache.py();
        let Some(own) = OWN.get(py) else {
            return Ok(None);
        };
        let class = cache.get_type();
        if !class.is(&own.class) && !class.getattr(intern!(py, "cache"))?.is(&own.store) {
            return Ok(None);
        }
        let Some(app) = current_app(py)? else {
            return Ok(None);
        };
        let extensions = app.getattr(intern!(py, "extensions"))?;
        let Ok(extensions) = extensions.cast_exact::<PyDict>() else {
            return Ok(None);
        };
        let Some(stores) = extensions.get_item(intern!(py, "cache"))? else {
            return Ok(None);
        };
        if !stores.get_type().is(&own.registry) {
            return Ok(None);
        }
        let Ok(stores) = stores.cast::<PyDict>() else {
            return Ok(None);
        };
        let Some(store) = stores.get_item(cache)? else {
            return Ok(None);
        };
        // What stands in for a store need not have attributes of its own.
        let Some(attributes) = store.getattr_opt(intern!(py, "__dict__"))? else {
            return Ok(None);
        };
        let Ok(attributes) = attributes.cast_into_exact::<PyDict>() else {
            return Ok(None);
        };
        if !method.is_own(own, &store, &attributes)? {
            return Ok(None);
        }
        // Several are stored as one is, where somebody has said how.
        if matches!(method, Method::SetMany) && !Method::Set.is_own(own, &store, &attributes)? {
            return Ok(None);
        }
        let Some(engine) = attributes.get_item(intern!(py, "engine"))? else {
            return Ok(None);
        };
        let Ok(engine) = engine.cast_into_exact::<Engine>() else {
            return Ok(None);
        };
        Ok(Some(Self { attributes, engine }))
    }

    fn memory(&self) -> Option<&Memory<PyValue>> {
        self.engine.get().cache.store().as_memory()
    }

    /// The policy of calls that name no timeout, if that is known.
    fn policy(&self) -> PyResult<Option<Bound<'py, Policy>>> {
        let py = self.attributes.py();
        let default = self.attributes.get_item(intern!(py, "_default"))?;
        let timeout = self.attributes.get_item(intern!(py, "default_timeout"))?;
        let (Some(default), Some(timeout)) = (default, timeout) else {
            return Ok(None);
        };
        let Ok(default) = default.cast_exact::<PyTuple>() else {
            return Ok(None);
        };
        if default.len() != 2 || !default.get_borrowed_item(0)?.is(&timeout) {
            return Ok(None);
        }
        Ok(default.get_item(1)?.cast_into_exact::<Policy>().ok())
    }

    /// The fresh value of a text key that is at hand in this process. `None` says nothing: ask the store
    /// then.
    fn find(&self, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, engine) = (self.attributes.py(), self.engine.get());
        let value = match self.memory() {
            Some(memory) => {
                let at = engine.cache.clock().now();
                match engine.recent.find(py, memory, text.as_bytes(), (at, false)) {
                    Near::Object(value, _) => value,
                    Near::Entry(_, entry) => entry.value.give(py)?,
                    near => {
                        let key = match near {
                            Near::Key(key) => key,
                            _ => named_bytes(text.as_bytes()),
                        };
                        let Some(entry) = engine.fresh_at_hand(&key) else {
                            return Ok(None);
                        };
                        engine
                            .recent
                            .note(py, memory, text.as_bytes(), (key, &entry));
                        entry.value.give(py)?
                    }
                }
            }
            None if Store::<PyValue>::keeps_at_hand(engine.cache.store()) => {
                match engine.fresh_at_hand(&named_bytes(text.as_bytes())) {
                    Some(entry) => entry.value.give(py)?,
                    None => return Ok(None),
                }
            }
            None => return Ok(None),
        };
        // A page becomes a response, which is not done here.
        Ok((!value.is_exact_instance_of::<Page>()).then_some(value))
    }

    /// Stores a value; whether it is stored. `None` where that takes more words: nothing has been done
    /// then that is wrong to be done again.
    fn store(
        &self,
        text: &str,
        value: &Bound<'py, PyAny>,
        policy: &Policy,
    ) -> PyResult<Option<bool>> {
        let engine = self.engine.get();
        let Ok(value) = engine.kept(value)? else {
            return Ok(None);
        };
        let key = named_bytes(text.as_bytes());
        let put = engine.cache.put(&key, value, &policy.0);
        Ok(is_stored(&engine.run(self.attributes.py(), put)?))
    }

    /// Stores values; the keys of those that are stored. `None` as [`store`](Self::store) says it.
    fn store_many<'p>(
        &self,
        pairs: Vec<(Bound<'p, PyAny>, Bound<'p, PyAny>)>,
        policy: &Policy,
    ) -> PyResult<Option<Vec<Bound<'p, PyAny>>>> {
        let engine = self.engine.get();
        let mut values = Vec::with_capacity(pairs.len());
        for (key, value) in &pairs {
            let (Some(text), Ok(value)) = (text(key), engine.kept(value)?) else {
                return Ok(None);
            };
            values.push((named_bytes(text.as_bytes()), value));
        }
        let put = engine.cache.put_many(values, &policy.0);
        let stored = engine.run(self.attributes.py(), put)?;
        let mut kept = Vec::with_capacity(pairs.len());
        for ((key, _), stored) in pairs.into_iter().zip(&stored) {
            match is_stored(stored) {
                Some(true) => kept.push(key),
                Some(false) => {}
                None => return Ok(None),
            }
        }
        Ok(Some(kept))
    }
}

/// A text as it stands, if it is one and can be borrowed: one with lone surrogates cannot.
fn text<'a>(key: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    key.cast_exact::<PyString>().ok()?.to_str().ok()
}

/// Whether a view of the cache may have this key, which stands for more than one entry then; also where
/// that is not known yet.
fn may_be_view(cache: &Bound<'_, PyAny>, text: &str) -> PyResult<bool> {
    begins_as_views(&cache.getattr(intern!(cache.py(), "_view_starts"))?, text)
}

fn begins_as_views(starts: &Bound<'_, PyAny>, text: &str) -> PyResult<bool> {
    let Ok(starts) = starts.cast_exact::<PyTuple>() else {
        return Ok(true);
    };
    for start in starts.iter_borrowed() {
        if text.starts_with(start.cast::<PyString>()?.to_str()?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn get<'py>(
    cache: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(text) = text(key) else {
        return Ok(None);
    };
    if may_be_view(cache, text)? {
        return Ok(None);
    }
    match Plain::of(cache, Method::Get)? {
        Some(store) => store.find(text),
        None => Ok(None),
    }
}

fn get_many<'py>(
    cache: &Bound<'py, PyAny>,
    keys: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let Some(store) = Plain::of(cache, Method::GetMany)? else {
        return Ok(None);
    };
    if store.memory().is_none() {
        return Ok(None);
    }
    let starts = cache.getattr(intern!(cache.py(), "_view_starts"))?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys.iter_borrowed() {
        let is_plain = |text: &&str| !begins_as_views(&starts, text).unwrap_or(true);
        let Some(text) = text(&key).filter(is_plain) else {
            return Ok(None);
        };
        let Some(value) = store.find(text)? else {
            return Ok(None);
        };
        found.push(value);
    }
    PyList::new(cache.py(), found).map(Some)
}

fn set<'py>(
    cache: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<bool>> {
    let (Some(text), Some(store)) = (text(key), Plain::of(cache, Method::Set)?) else {
        return Ok(None);
    };
    match store.policy()? {
        Some(policy) if store.memory().is_some() => store.store(text, value, policy.get()),
        _ => Ok(None),
    }
}

fn set_many<'py>(
    cache: &Bound<'py, PyAny>,
    mapping: &Bound<'py, PyAny>,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let (Ok(mapping), Some(store)) = (
        mapping.cast_exact::<PyDict>(),
        Plain::of(cache, Method::SetMany)?,
    ) else {
        return Ok(None);
    };
    match store.policy()? {
        // Pickling runs people's code, which may change the dict: what it held is copied first.
        Some(policy) if store.memory().is_some() => {
            store.store_many(mapping.iter().collect(), policy.get())
        }
        _ => Ok(None),
    }
}

/// The part of `Cache` that answers for stores in this process, where nobody has put anything in the
/// place of a method that a call would pass through. `_get`, `_get_many`, `_set` and
/// `_set_many` are the rest.
#[pyclass(frozen, subclass, module = "flask_larder._native")]
pub struct AtHand;

#[pymethods]
impl AtHand {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self
    }

    /// The value of `key`, or None. Of a view's key: this request's variant.
    fn get<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match quietly(slf, get(slf, key))? {
            Some(value) => Ok(value),
            None => ending::call(&slf.getattr(intern!(slf.py(), "_get"))?, (key,)),
        }
    }

    /// The values in order, None for what is not there. Of a view's key: as `get`.
    #[pyo3(signature = (*keys))]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match quietly(slf, get_many(slf, keys))? {
            Some(values) => Ok(values.into_any()),
            None => ending::call(&slf.getattr(intern!(slf.py(), "_get_many"))?, keys.clone()),
        }
    }

    /// Stores a value; under a view's key it serves every variant. False if it cannot be kept.
    #[pyo3(signature = (key, value, timeout=None))]
    fn set<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if timeout.is_none()
            && let Some(stored) = softly(slf, set(slf, key, value))?
        {
            return Ok(PyBool::new(slf.py(), stored).to_owned().into_any());
        }
        let store = slf.getattr(intern!(slf.py(), "_set"))?;
        ending::call(&store, (key, value, timeout))
    }

    /// Stores values. Answers the keys that were stored.
    #[pyo3(signature = (mapping, timeout=None))]
    fn set_many<'py>(
        slf: &Bound<'py, Self>,
        mapping: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if timeout.is_none()
            && let Some(stored) = softly(slf, set_many(slf, mapping))?
        {
            return Ok(PyList::new(slf.py(), stored)?.into_any());
        }
        ending::call(
            &slf.getattr(intern!(slf.py(), "_set_many"))?,
            (mapping, timeout),
        )
    }
}

/// What came of a write; nothing where a store is away or an object fails so, which Python sees to.
fn softly<T>(cache: &Bound<'_, AtHand>, done: PyResult<Option<T>>) -> PyResult<Option<T>> {
    match done {
        Err(error) if error.is_instance_of::<PyOSError>(cache.py()) => Ok(None),
        done => done,
    }
}

/// What was found; nothing where that failed, for Python fails alike and knows what to do about it.
fn quietly<T>(cache: &Bound<'_, AtHand>, found: PyResult<Option<T>>) -> PyResult<Option<T>> {
    match found {
        Err(error) if error.is_instance_of::<PyException>(cache.py()) => Ok(None),
        found => found,
    }
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<AtHand>()?;
    m.add_function(wrap_pyfunction!(know_classes, m)?)
}
