//! memcached for the compat dialect: servers as Flask-Caching's users configure them.

use larder_core::AnyStore;
use larder_memcached::MemcachedBuilder;
use pyo3::prelude::*;

use crate::clock::process_clock;
use crate::codec::PyCodec;
use crate::engine::Engine;
use crate::errors::raise;
use crate::packing::Packing;
use crate::policy::span;

/// Entries in memcached. `weights` are those of `servers`, in their order; `login` is a user and a
/// password for servers with `-Y`; `deadline` is how many seconds one trip may take. Building it does
/// not connect.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
#[pyo3(signature = (servers, *, weights, login=None, namespace, packing, deadline, max_value,
    on_event=None))]
fn open_memcached(
    servers: Vec<String>,
    weights: Vec<u32>,
    login: Option<(String, String)>,
    namespace: &str,
    packing: &Packing,
    deadline: f64,
    max_value: usize,
    on_event: Option<Py<PyAny>>,
) -> PyResult<Engine> {
    let mut builder = MemcachedBuilder::new(servers)
        .weights(weights)
        .namespace(namespace)
        .packing(packing.0.clone())
        .deadline(span("deadline", deadline)?)
        .max_value(max_value)
        .clock(process_clock());
    if let Some((user, password)) = login {
        builder = builder.login(user, password);
    }
    let store = builder
        .build(PyCodec::new(packing.0.seals()))
        .map_err(raise)?;
    Ok(Engine::build(AnyStore::new(store), max_value, on_event))
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(open_memcached, m)?)
}
