//! What a request asks of caches.

use std::time::Duration;

use larder_http::{RequestControl, Requests};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::view::wire;

/// The directives of a request.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Asked(RequestControl);

impl Asked {
    /// Those of a request that are listened to; `None` where there are none.
    pub(super) fn of(
        environ: &Bound<'_, PyDict>,
        how: Requests,
        trusted: bool,
    ) -> PyResult<Option<Self>> {
        let py = environ.py();
        let mut found = Vec::new();
        for (name, key) in [
            ("cache-control", intern!(py, "HTTP_CACHE_CONTROL")),
            ("pragma", intern!(py, "HTTP_PRAGMA")),
        ] {
            if let Some(value) = wire(environ, key)? {
                found.push((name, value.bytes()?.into_owned()));
            }
        }
        let control = RequestControl::obeyed(found.as_slice(), how, trusted);
        Ok((control != RequestControl::default()).then_some(Self(control)))
    }
}

#[pymethods]
impl Asked {
    /// Whether nothing may be stored for it.
    #[getter]
    fn no_store(&self) -> bool {
        self.0.no_store
    }

    /// Whether it wants what is stored, or nothing.
    #[getter]
    fn only_if_cached(&self) -> bool {
        self.0.only_if_cached
    }

    /// Whether it takes an answer that was stored `age` seconds ago and stays fresh for `ttl` seconds;
    /// `None` is for ever, a negative number is how long it is stale.
    fn accepts(&self, age: f64, ttl: Option<i64>) -> bool {
        let age = Duration::try_from_secs_f64(age).unwrap_or_default();
        let span = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let (left, since) = match ttl {
            None => (Duration::MAX, Duration::ZERO),
            Some(ttl) => (span(ttl), span(ttl.saturating_neg())),
        };
        self.0.accepts(age, left, since)
    }
}
