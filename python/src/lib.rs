//! The engine of Larder for Python: `flask_larder._native`.
//!
//! What stands here answers questions that only Python can ask: how its objects become values and
//! keys, how its threads, greenlets and event loops wait, and how Flask's request is read. Every
//! decision about freshness, waiting and purges is the engine's.

mod answer;
mod arguments;
mod cell;
mod classic;
mod classic_view;
mod clock;
mod codec;
mod context;
mod direct;
mod early;
mod ending;
mod engine;
mod errors;
mod events;
mod files;
mod foreign;
mod forking;
mod function;
mod hashing;
mod http;
mod key;
mod memcached;
mod packing;
mod patience;
mod plan;
mod policy;
mod positions;
mod query;
mod recent;
mod redis;
mod respond;
mod seen;
mod settings;
mod signature;
mod stats;
mod value;
#[cfg(not(feature = "abi3"))]
mod vector;
mod view;
mod waiting;

use pyo3::prelude::*;

/// The native half of `flask_larder`.
#[pymodule(gil_used = true)]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<answer::Answer>()?;
    m.add_class::<answer::Permit>()?;
    m.add_class::<classic::ClassicCall>()?;
    m.add_class::<classic_view::ClassicView>()?;
    m.add_class::<engine::Engine>()?;
    m.add_class::<files::FileStore>()?;
    m.add_class::<foreign::ForeignStore>()?;
    m.add_class::<function::CachedFunction>()?;
    m.add_class::<key::Key>()?;
    m.add_class::<packing::Packing>()?;
    m.add_class::<patience::Patience>()?;
    m.add_class::<policy::Policy>()?;
    m.add_class::<redis::RedisLink>()?;
    m.add_class::<redis::RedisSpace>()?;
    m.add_class::<respond::Responder>()?;
    m.add_class::<seen::EntrySeen>()?;
    m.add_class::<signature::Signature>()?;
    m.add_class::<stats::FunctionStats>()?;
    m.add_class::<view::ViewKey>()?;
    m.add_class::<waiting::Pending>()?;
    #[cfg(not(feature = "abi3"))]
    vector::announce(&function::CachedFunction::nobody(m.py())?);
    arguments::register(m)?;
    clock::register(m)?;
    codec::register(m)?;
    context::register(m)?;
    direct::register(m)?;
    early::register(m)?;
    forking::register(m)?;
    http::register(m)?;
    memcached::register(m)?;
    settings::register(m)?;
    value::register(m)?;
    view::register(m)?;
    Ok(())
}
