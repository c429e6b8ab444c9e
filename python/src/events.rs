//! What the engine and its stores tell Python.

use larder_core::{Event, Key};
use larder_stores::StoreEvent;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::ending;
use crate::foreign::{interrupt, is_interrupted};

/// Hands an event of the engine to Python. Only what a person may want to know of goes there: hits,
/// misses and stores are counted elsewhere.
pub(crate) fn tell(callback: &Py<PyAny>, event: &Event<'_>) {
    let (name, key, detail) = match event {
        Event::StoreFailed(_) if is_interrupted() => return,
        Event::StoreFailed(error) => ("store-failed", None, error.to_string()),
        Event::LoadFailed {
            key,
            hidden: true,
            error,
        } => ("load-failed", Some(*key), error.to_string()),
        Event::LateLoadFailed { key, error } => ("background-error", Some(*key), error.to_string()),
        Event::PurgeOwed { owed, error } => ("purge-owed", None, format!("{owed} so far: {error}")),
        Event::PurgesPaid(paid) => ("purges-paid", None, paid.to_string()),
        Event::Fenced(key) => ("fenced", Some(*key), String::new()),
        Event::GaveUp(key) => ("gave-up", Some(*key), String::new()),
        Event::VariantEvicted(key) => ("variants-capped", Some(*key), String::new()),
        _ => return,
    };
    call(callback, name, key.map(shown), &detail);
}

/// Hands an event of a store to Python.
pub(crate) fn tell_of_store(callback: &Py<PyAny>, event: &StoreEvent<'_>) {
    match event {
        StoreEvent::Unreadable(key, what) => call(callback, "unreadable", Some(shown(key)), what),
        StoreEvent::UnreadableFile(file, what) => {
            call(callback, "unreadable", Some(file.clone()), what);
        }
        StoreEvent::Rebuilt(how) => call(callback, "store-rebuilt", None, how),
        StoreEvent::Replaced(why) => call(callback, "store-replaced", None, why),
        StoreEvent::Refused(why) => call(callback, "store-full", None, why),
        StoreEvent::ReadersCleared(count) => {
            call(callback, "readers-cleared", None, &count.to_string());
        }
        StoreEvent::Alone(error) => call(callback, "store-alone", None, error),
        StoreEvent::Back => call(callback, "store-back", None, "the far store answers again"),
        StoreEvent::PurgesPaid(paid) => call(callback, "purges-paid", None, &paid.to_string()),
        _ => {}
    }
}

/// Who is told of entries that cannot be read.
pub(crate) fn listener(callback: Py<PyAny>) -> impl Fn(&Key, &str) + Send + Sync {
    move |key, what| call(&callback, "unreadable", Some(shown(key)), what)
}

fn shown(key: &Key) -> String {
    key.to_string()
}

/// Calls with an event: its name, the key or the file that it is about, and what there is to say.
pub(crate) fn call(callback: &Py<PyAny>, name: &str, about: Option<String>, detail: &str) {
    // An interpreter that is shutting down has nobody left to tell.
    Python::try_attach(|py| {
        match ending::call(callback.bind(py), (name, about, detail)) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, Some(callback.bind(py)));
            }
            // Ctrl-C is for whoever called, wherever Python happened to be when it came.
            Err(error) => interrupt(error),
            Ok(_) => {}
        }
    });
}
