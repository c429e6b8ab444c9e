//! Pages in codings that lie in a store by themselves.

use larder_core::Store;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::HttpRule;
use super::coding::{self, Chosen};
use crate::answer::Answer;
use crate::engine::Engine;
use crate::key::Key;
use crate::policy::Policy;
use crate::value::Page;
use crate::waiting::run;

/// A fresh hit under `key` in the coding that a request gets, where that lies by itself and is to be
/// expected there: as the answer of a lookup; `None` says nothing.
#[pyfunction]
fn coded_hit(
    engine: &Engine,
    key: &Key,
    policy: &Policy,
    rule: &HttpRule,
    environ: &Bound<'_, PyDict>,
) -> PyResult<Option<Answer>> {
    let (py, cache) = (environ.py(), &engine.cache);
    let wanted = (environ, &policy.0.tags[..]);
    let Some(form) = coding::expected_at(cache, &key.0, wanted, rule.codings())? else {
        return Ok(None);
    };
    let found = run(py, engine.blocks, cache.form_at(&form, &policy.0))?;
    // A lookup deals with a store that fails.
    let Some(hit) = found.ok().flatten() else {
        return Ok(None);
    };
    cache.was_served(&key.0);
    Answer::hit(py, "hit", &hit).map(Some)
}

/// An answer with a page, with the page in the coding that a request gets in its place; `None` where that
/// is not to be had by a read.
#[pyfunction]
fn in_coding(
    engine: &Engine,
    key: &Key,
    policy: &Policy,
    answer: &Answer,
    environ: &Bound<'_, PyDict>,
) -> PyResult<Option<Answer>> {
    let (py, cache) = (environ.py(), &engine.cache);
    let Some(value) = answer.value(py) else {
        return Ok(None);
    };
    let Ok(page) = value.cast_exact::<Page>() else {
        return Ok(None);
    };
    let Chosen::Lacking(coding) = coding::chosen(page, environ)? else {
        return Ok(None);
    };
    let Some(form) = cache.form_of(&key.0, coding.form()) else {
        return Ok(None);
    };
    let read = async { cache.ready().await?.get(&form, &policy.0.tags).await };
    let Ok(Some(entry)) = run(py, engine.blocks, read)?.map(|read| read.entry) else {
        return Ok(None);
    };
    let value = entry.value.give(py)?;
    let found = value.cast_exact::<Page>().ok();
    let found = found.filter(|found| coding::is_form_of(found, page, coding));
    Ok(found.map(|found| answer.with_page(found)))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(coded_hit, m)?)?;
    m.add_function(wrap_pyfunction!(in_coding, m)?)
}
