//! What must be as it was when it was found that nothing else has a say in an answer.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

/// A member of a dict: the dict, the key, and the very object; `None` where none is there, or Python's.
type Member = (Py<PyDict>, Py<PyAny>, Option<Py<PyAny>>);
/// An attribute: of what, its name, and the very object.
type Attribute = (Py<PyAny>, Py<PyString>, Py<PyAny>);
/// A container, and how many members it has.
type Size = (Py<PyAny>, usize);

/// The state of an application in which its hits need nobody but the store. It is looked through at every
/// hit, so it is identities and numbers only.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Guard {
    members: Vec<Member>,
    attributes: Vec<Attribute>,
    sizes: Vec<Size>,
    /// The application's views by endpoint.
    views: Py<PyDict>,
    /// The cookie that the session is in, if a request with it is answered with more than the page.
    cookie: Option<String>,
    /// The headers of the response to a text, where they are the same for all texts but for the length.
    text: Option<Vec<Py<PyTuple>>>,
}

#[pymethods]
impl Guard {
    /// `views` are the application's views by endpoint; `cookie` is the name of one that no request may
    /// carry that is answered early; `text` are the headers of the response to a text, or `None` where
    /// its class has a say in each.
    #[new]
    #[pyo3(signature = (*, members, attributes, sizes, views, cookie=None, text=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords")]
    fn new(
        members: Vec<Member>,
        attributes: Vec<Attribute>,
        sizes: Vec<Size>,
        views: Py<PyDict>,
        cookie: Option<String>,
        text: Option<Vec<Py<PyTuple>>>,
    ) -> Self {
        Self {
            members,
            attributes,
            sizes,
            views,
            cookie,
            text,
        }
    }

    /// Whether everything is as it was.
    pub(super) fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        for (container, size) in &self.sizes {
            if container.bind(py).len()? != *size {
                return Ok(false);
            }
        }
        for (dict, key, expected) in &self.members {
            let found = dict.bind(py).get_item(key)?;
            let same = match (found.filter(|found| !found.is_none()), expected) {
                (Some(found), Some(expected)) => found.is(expected),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        for (object, name, expected) in &self.attributes {
            if !object.bind(py).getattr(name)?.is(expected) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for (dict, key, expected) in &self.members {
            visit.call(dict)?;
            visit.call(key)?;
            visit.call(expected)?;
        }
        for (object, name, expected) in &self.attributes {
            visit.call(object)?;
            visit.call(name)?;
            visit.call(expected)?;
        }
        for (container, _) in &self.sizes {
            visit.call(container)?;
        }
        visit.call(&self.views)
    }
}

impl Guard {
    /// The headers of the response to a text, as far as they are known.
    pub(crate) fn text(&self) -> Option<&[Py<PyTuple>]> {
        self.text.as_deref()
    }

    /// Whether `view` is what the application calls for the endpoint.
    pub(super) fn leads_to(
        &self,
        endpoint: &Bound<'_, PyAny>,
        view: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let found = self.views.bind(endpoint.py()).get_item(endpoint)?;
        Ok(found.is_some_and(|found| found.is(view)))
    }

    /// Whether these cookies may be those of a session that is answered with more than the page. A name
    /// that merely ends like it counts as well.
    pub(super) fn is_watched_for(&self, cookies: &str) -> bool {
        let Some(name) = &self.cookie else {
            return false;
        };
        cookies
            .match_indices(name.as_str())
            .any(|(at, _)| cookies[at + name.len()..].trim_start().starts_with('='))
    }
}
