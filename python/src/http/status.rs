//! What `Cache-Status` says: the one place where the Flask face has it written.

use larder_http::{CacheStatus, Forward};
use pyo3::prelude::*;

/// An entry was served; `served` is how.
pub(crate) fn of_hit(served: &str, ttl: Option<i64>) -> CacheStatus {
    match served {
        "collapsed" => CacheStatus::forward(Forward::Miss).collapsed(),
        "fresh" => CacheStatus::hit(ttl),
        stale => CacheStatus::hit(ttl).with(stale.to_owned()),
    }
}

/// The origin was asked, because of what `forward` says.
pub(super) fn of_load(forward: &str) -> CacheStatus {
    CacheStatus::forward(match forward {
        "stale" => Forward::Stale,
        "request" => Forward::Request,
        "bypass" => Forward::Bypass,
        "method" => Forward::Method,
        _ => Forward::Miss,
    })
}

/// A reason as a detail. What a store said when it failed stays inside: it may name machines.
fn because(status: CacheStatus, reason: &str) -> CacheStatus {
    let hidden = reason.starts_with("store-failed");
    let shown = if hidden { "store-failed" } else { reason };
    status.with(shown.to_owned())
}

fn text(status: &CacheStatus) -> String {
    String::from_utf8_lossy(&status.to_bytes()).into_owned()
}

/// What is said of an entry that was served.
#[pyfunction]
fn status_of_hit(served: &str, ttl: Option<i64>) -> String {
    text(&of_hit(served, ttl))
}

/// What is said of an answer that was loaded; `reason` is why it was not stored.
#[pyfunction]
fn status_of_load(forward: &str, stored: bool, reason: Option<&str>) -> String {
    let status = of_load(forward);
    let status = if stored { status.stored() } else { status };
    text(&match reason {
        Some(reason) => because(status, reason),
        None => status,
    })
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(status_of_hit, m)?)?;
    m.add_function(wrap_pyfunction!(status_of_load, m)?)
}
