//! A policy, as Python hands it over: built once for each decorated function.

use std::time::Duration;

use larder_core::{Lifetime, Tag};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::raise;

/// How long a value may be used, and what then. Seconds are floats; `None` as `timeout` is for ever,
/// a negative one is "do not keep".
#[pyclass(frozen, from_py_object, module = "flask_larder._native")]
#[derive(Clone, Debug)]
pub struct Policy(pub(crate) larder_core::Policy);

/// A span of seconds, from 0 upwards.
pub(crate) fn span(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} is {seconds} seconds (use a number from 0 upwards)"
        ))
    })
}

fn lifetime(timeout: Option<f64>) -> PyResult<Lifetime> {
    match timeout {
        None => Ok(Lifetime::Forever),
        Some(seconds) if seconds < 0.0 => Ok(Lifetime::DoNotKeep),
        Some(seconds) => Ok(Lifetime::For(span("timeout", seconds)?)),
    }
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (timeout, *, stale=0.0, stale_on_error=0.0, revalidate=0.0, throttle=None,
        wait=None, soft_timeout=None, hard_timeout=None, background=true))]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    fn new(
        timeout: Option<f64>,
        stale: f64,
        stale_on_error: f64,
        revalidate: f64,
        throttle: Option<f64>,
        wait: Option<f64>,
        soft_timeout: Option<f64>,
        hard_timeout: Option<f64>,
        background: bool,
    ) -> PyResult<Self> {
        let mut policy = larder_core::Policy::new(lifetime(timeout)?)
            .stale_while_revalidate(span("stale", stale)?)
            .stale_if_error(span("stale_on_error", stale_on_error)?)
            .revalidate_for(span("revalidate", revalidate)?);
        if let Some(throttle) = throttle {
            policy = policy.throttle(span("throttle", throttle)?);
        }
        if let Some(wait) = wait {
            policy = policy.wait(span("wait", wait)?);
        }
        if let Some(soft) = soft_timeout {
            policy = policy.soft_timeout(span("soft_timeout", soft)?);
        }
        if let Some(hard) = hard_timeout {
            policy = policy.hard_timeout(span("hard_timeout", hard)?);
        }
        policy.discard_late = !background;
        policy.checked().map(Self).map_err(raise)
    }

    /// The same policy with these tags besides its own. `functions` are namespaces of memoized
    /// functions, `names` are tags that people chose.
    #[pyo3(signature = (names, functions=Vec::new()))]
    fn tagged(&self, names: Vec<String>, functions: Vec<String>) -> Self {
        let mut policy = self.0.clone();
        let tags = names
            .iter()
            .map(Tag::new)
            .chain(functions.iter().map(Tag::function));
        for tag in tags {
            policy.tags = policy.tags.with(tag);
        }
        Self(policy)
    }

    /// The same policy with another timeout.
    fn lasting(&self, timeout: Option<f64>) -> PyResult<Self> {
        let mut policy = self.0.clone();
        policy.ttl = lifetime(timeout)?;
        Ok(Self(policy))
    }

    /// The same policy for an answer that must not be served stale.
    fn never_stale(&self) -> Self {
        Self(self.0.clone().must_revalidate())
    }

    /// Seconds, or `None` for ever.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        match self.0.ttl {
            Lifetime::For(span) => Some(span.as_secs_f64()),
            Lifetime::Forever => None,
            Lifetime::DoNotKeep => Some(-1.0),
        }
    }

    /// Whether a stale value may be served while it is being refreshed.
    #[getter]
    fn refreshes(&self) -> bool {
        !self.0.stale_while_revalidate.is_zero()
    }
}
