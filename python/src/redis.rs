//! Redis for the compat dialect: namespaces that share their connections, and what Flask-Caching wrote.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::Mode;
use larder_core::{AnyStore, Freshness, Tag};
use larder_redis::{Blocking, Redis, RedisBuilder};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::clock::process_clock;
use crate::codec::PyCodec;
use crate::engine::{Engine, keys_of};
use crate::errors::raise;
use crate::events::listener;
use crate::key::named;
use crate::packing::Packing;
use crate::policy::span;
use crate::value::PyValue;

/// A Redis server, as one process uses it. Building it does not connect.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct RedisLink {
    builder: RedisBuilder,
    transport: Arc<Blocking>,
    codec: PyCodec,
    max_value: usize,
    on_event: Option<Py<PyAny>>,
}

#[pymethods]
impl RedisLink {
    /// A server. `packing` seals what is written, `deadline` is how many seconds one operation may take,
    /// and at most about `connections` are kept for their next use.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    #[pyo3(signature = (url, *, packing, deadline=None, connections=None, max_value, on_event=None))]
    fn new(
        py: Python<'_>,
        url: String,
        packing: &Packing,
        deadline: Option<f64>,
        connections: Option<usize>,
        max_value: usize,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let codec = PyCodec::new(packing.0.seals()).reading_strangers();
        let mut builder = Redis::builder(url)
            .packing(packing.0.clone())
            .max_value(max_value)
            .clock(process_clock())
            // Flask-Caching's callers count their trips, and wait for nobody.
            .without_leases();
        if let Some(seconds) = deadline {
            builder = builder.deadline(span("deadline", seconds)?);
        }
        if let Some(most) = connections {
            builder = builder.connections(most);
        }
        if let Some(callback) = on_event.as_ref().map(|callback| callback.clone_ref(py)) {
            builder = builder.on_unreadable(listener(callback));
        }
        let mut transport = None;
        builder
            .clone()
            .build_with(codec, |link| {
                let shared = Arc::new(Blocking::new(link));
                transport = Some(Arc::clone(&shared));
                shared
            })
            .map_err(raise)?;
        let transport = transport.ok_or_else(|| {
            pyo3::exceptions::PyRuntimeError::new_err("a store was built without its transport")
        })?;
        Ok(Self {
            builder,
            transport,
            codec,
            max_value,
            on_event,
        })
    }

    /// The entries whose names begin with `namespace`.
    fn space(&self, py: Python<'_>, namespace: &str) -> PyResult<RedisSpace> {
        let transport = Arc::clone(&self.transport);
        let store = self
            .builder
            .clone()
            .namespace(namespace)
            .build_with(self.codec, move |_| transport)
            .map_err(raise)?;
        let on_event = self
            .on_event
            .as_ref()
            .map(|callback| callback.clone_ref(py));
        let engine = Engine::build(AnyStore::new(store.clone()), self.max_value, on_event);
        let engine = Py::new(py, engine)?;
        Ok(RedisSpace { store, engine })
    }
}

/// The entries of one namespace in a Redis server.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct RedisSpace {
    store: Redis<PyCodec, Arc<Blocking>>,
    engine: Py<Engine>,
}

#[pymethods]
impl RedisSpace {
    /// The engine over these entries.
    #[getter]
    fn engine(&self, py: Python<'_>) -> Py<Engine> {
        self.engine.clone_ref(py)
    }

    /// The fresh values of these keys as tuples of one, or `None`, in their order; in one trip if no
    /// entry has other tags than `functions`.
    #[pyo3(signature = (keys, functions))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyTuple>,
        functions: Vec<String>,
    ) -> PyResult<Bound<'py, PyList>> {
        let keys = keys_of(keys)?;
        let tags: Vec<Tag> = functions.iter().map(Tag::function).collect();
        let engine = self.engine.get();
        let readings = engine.run(py, async {
            engine.cache.ready().await?;
            self.store.get_many_tagged::<PyValue>(&keys, &tags).await
        })?;
        let now = engine.cache.clock().now();
        let list = PyList::empty(py);
        for reading in readings {
            match reading.entry {
                Some(entry) if entry.freshness(now) == Freshness::Fresh => {
                    list.append((entry.value.give(py)?,))?;
                }
                _ => list.append(py.None())?,
            }
        }
        Ok(list)
    }

    /// Stores plain data that has no end of its own: the server forgets it after `seconds`. Where
    /// `replace` does not hold, what is there stays, and is answered as a tuple of one.
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    #[pyo3(signature = (key, value, seconds, *, replace))]
    fn lend<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        seconds: f64,
        replace: bool,
    ) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let (key, life) = (named(key)?, span("seconds", seconds)?);
        let value = PyValue::keep(value).map_err(crate::value::NotKept::into_py_err)?;
        let mode = if replace {
            Mode::Replace
        } else {
            Mode::IfAbsent
        };
        let engine = self.engine.get();
        let there = engine.run(py, async {
            engine.cache.ready().await?;
            self.store.lend(&key, value, (life, mode)).await
        })?;
        there.map(|value| Ok((value.give(py)?,))).transpose()
    }

    /// Makes what was lent live for `seconds` more at least; `None` is for ever.
    fn prolong(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyTuple>,
        seconds: Option<f64>,
    ) -> PyResult<()> {
        let keys = keys_of(keys)?;
        let life: Option<Duration> = seconds
            .map(|seconds| span("seconds", seconds))
            .transpose()?;
        self.engine.get().run(py, self.store.prolong(&keys, life))
    }
}
