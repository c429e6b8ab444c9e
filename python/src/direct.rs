//! `Cache.get`, as far as it goes without asking anybody.

use larder_core::Store;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::context::current_app;
use crate::engine::Engine;
use crate::key::named_bytes;
use crate::value::{Page, PyValue};

/// What stands in the classes of the package, to see where somebody has put something else.
struct Own {
    /// The class `Cache`, and its property `cache`.
    class: Py<PyAny>,
    store: Py<PyAny>,
    /// The method `get` of `Backend`.
    get: Py<PyAny>,
    /// The class of what an application knows its caches' stores by, a dict.
    registry: Py<PyAny>,
}

static OWN: PyOnceLock<Own> = PyOnceLock::new();

/// Tells the classes whose `get` may be answered here: `Cache`, `Backend`, and the class of what an
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
        registry: registry.clone().unbind(),
    };
    let _ = OWN.set(class_.py(), own);
    Ok(())
}

/// The store of the current application, if `cache` and the store say themselves what they are.
fn store_of<'py>(cache: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
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
    let get = intern!(py, "get");
    if !store.get_type().getattr(get)?.is(&own.get) {
        return Ok(None);
    }
    let attributes = store.getattr(intern!(py, "__dict__"))?;
    let Ok(attributes) = attributes.cast_exact::<PyDict>() else {
        return Ok(None);
    };
    Ok((!attributes.contains(get)?).then_some(store))
}

/// The fresh value of a text key that is at hand in this process. `None` says nothing: ask the store
/// then. `starts` are how the keys of views begin, which stand for more than one entry.
#[pyfunction]
fn at_hand<'py>(
    cache: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(text) = key.cast_exact::<PyString>() else {
        return Ok(None);
    };
    // A text with lone surrogates is none that can be borrowed.
    let Ok(text) = text.to_str() else {
        return Ok(None);
    };
    for start in starts.iter_borrowed() {
        if text.starts_with(start.cast::<PyString>()?.to_str()?) {
            return Ok(None);
        }
    }
    let Some(store) = store_of(cache)? else {
        return Ok(None);
    };
    let engine = store.getattr(intern!(store.py(), "engine"))?;
    let Ok(engine) = engine.cast_exact::<Engine>() else {
        return Ok(None);
    };
    let engine = engine.get();
    if !Store::<PyValue>::keeps_at_hand(engine.cache.store()) {
        return Ok(None);
    }
    let Some(entry) = engine.fresh_at_hand(&named_bytes(text.as_bytes())) else {
        return Ok(None);
    };
    let value = entry.value.give(store.py())?;
    // A page becomes a response, which is not done here.
    Ok((!value.is_exact_instance_of::<Page>()).then_some(value))
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(know_classes, m)?)?;
    m.add_function(wrap_pyfunction!(at_hand, m)?)
}
