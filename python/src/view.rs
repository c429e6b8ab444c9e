//! The keys of views: from the path that people see, and from what tells its variants apart.

use std::borrow::Cow;

use http::header::HeaderName;
use larder_core::{Clock, Key as CoreKey, KeyWriter, Kind, SystemClock};
use larder_http::NoVarySearch;
use larder_http::key as rule;
use larder_http::key::page::{self, Path, Place};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::arguments;
use crate::ending;
use crate::http::{PageFields, Searches};
use crate::key::Key;
use crate::value::Page;

/// The key rule of one view.
///
/// The base key is the prefix with the path in it; the variant holds what the rule names: the host,
/// the sorted query, headers, cookies, single query parameters and computed values.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct ViewKey {
    before: String,
    /// What stands behind the path; `None` when the path is not in the key.
    after: Option<String>,
    host: bool,
    query: bool,
    /// Names in the order of the rule, as WSGI spells them (`HTTP_ACCEPT_LANGUAGE`).
    headers: Vec<Py<PyString>>,
    cookies: Vec<String>,
    parameters: Vec<String>,
    values: Vec<Py<PyAny>>,
    /// Which function this is, where the prefix alone does not say it; written in advance.
    identity: KeyWriter,
    /// Whether the key is the one that a Rust service has for the same URL.
    shared: bool,
    searches: Searches,
}

/// Bytes that the variant of most requests fits in, host and query included.
const ROOM: usize = 128;

#[pymethods]
impl ViewKey {
    /// `before` and `after` are what stands around the path; `after` is `None` for a fixed key.
    #[new]
    #[pyo3(signature = (before, after, *, host=false, query=false, headers=Vec::new(),
        cookies=Vec::new(), parameters=Vec::new(), values=Vec::new(), identity=None, shared=false))]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "keywords"
    )]
    fn new(
        before: String,
        after: Option<String>,
        host: bool,
        query: bool,
        headers: Vec<Py<PyString>>,
        cookies: Vec<String>,
        parameters: Vec<String>,
        values: Vec<Py<PyAny>>,
        identity: Option<String>,
        shared: bool,
    ) -> Self {
        let mut written = KeyWriter::new();
        if let Some(identity) = identity {
            written.text("view").text(&identity);
        }
        let identity = written;
        Self {
            before,
            after,
            host,
            query,
            headers,
            cookies,
            parameters,
            values,
            identity,
            shared,
            searches: Searches::default(),
        }
    }

    /// Learns what a page says of the queries that it does not depend on; the keys of its path are made
    /// accordingly from now on. Whether anything is known of any path.
    fn learn_search(&self, request: &Bound<'_, PyAny>, page: &Bound<'_, Page>) -> PyResult<bool> {
        if !self.query {
            return Ok(false);
        }
        let environ = environ_of(request)?;
        let path = wire(&environ, intern!(request.py(), "PATH_INFO"))?;
        let headers = page.get().headers(request.py());
        let said = NoVarySearch::read(&PageFields(&headers));
        self.searches.learn(&bytes_of(path.as_ref())?, said);
        Ok(self.searches.any())
    }

    /// What computes a value may hold the view, which holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.values.iter().try_for_each(|value| visit.call(value))
    }

    /// The key of `request`; of `base` instead of the prefix and the path, if it is given.
    #[pyo3(name = "key", signature = (request, base=None))]
    fn py_key(&self, request: &Bound<'_, PyAny>, base: Option<&str>) -> PyResult<Key> {
        self.key(request, base).map(Key)
    }
}

impl ViewKey {
    pub(crate) fn key(&self, request: &Bound<'_, PyAny>, base: Option<&str>) -> PyResult<CoreKey> {
        let environ = environ_of(request)?;
        self.key_in(request, &environ, base)
    }

    /// As `key`, for a caller that has the request's environment at hand.
    pub(crate) fn key_in(
        &self,
        request: &Bound<'_, PyAny>,
        environ: &Bound<'_, PyDict>,
        base: Option<&str>,
    ) -> PyResult<CoreKey> {
        if self.shared {
            return self.shared_key(environ);
        }
        let variant = self.variant(environ)?;
        if let Some(base) = base {
            return Ok(CoreKey::assemble(
                Kind::User,
                base.as_bytes(),
                variant.as_bytes(),
            ));
        }
        if self.after.is_none() {
            return Ok(self.key_with(&variant, b""));
        }
        let path = request.getattr(intern!(request.py(), "path"))?;
        let path = path.cast_into::<PyString>()?;
        Ok(match path.to_str() {
            Ok(path) => self.key_with(&variant, path.as_bytes()),
            Err(_) => self.key_with(&variant, &text(&path)?),
        })
    }

    /// Writes down all that the key of a request is made of, as it stands there: the key of the same
    /// bytes is the same. `path` is that of the request as Flask decodes it. `false` where the key is made
    /// of more than a few texts, or changes with what is learned.
    pub(crate) fn sketch(
        &self,
        environ: &Bound<'_, PyDict>,
        path: &[u8],
        out: &mut KeyWriter,
    ) -> PyResult<bool> {
        let asked = self.cookies.is_empty() && self.parameters.is_empty() && self.values.is_empty();
        if self.shared || !asked || self.searches.any() {
            return Ok(false);
        }
        let py = environ.py();
        if self.after.is_some() {
            out.bytes(path);
        }
        if self.host {
            // `SERVER_NAME` is asked for where there is no `HTTP_HOST`: a text is in the place of one, and
            // two are in the place of none.
            let host = intern!(py, "HTTP_HOST");
            if !sketch(environ, host, out)? {
                sketch(environ, intern!(py, "SERVER_NAME"), out)?;
            }
            sketch(environ, intern!(py, "wsgi.url_scheme"), out)?;
            sketch(environ, intern!(py, "SCRIPT_NAME"), out)?;
        }
        if self.query {
            sketch(environ, intern!(py, "QUERY_STRING"), out)?;
        }
        for name in &self.headers {
            sketch(environ, name.bind(py), out)?;
        }
        Ok(true)
    }

    /// Whether the key takes a request that is being handled: what is computed asks for it.
    pub(crate) fn needs_request(&self) -> bool {
        !self.values.is_empty()
    }

    /// The key of a request whose path is known as Flask decodes it, in UTF-8.
    pub(crate) fn key_of_path(
        &self,
        environ: &Bound<'_, PyDict>,
        path: &[u8],
    ) -> PyResult<CoreKey> {
        if self.shared {
            return self.shared_key(environ);
        }
        Ok(self.key_with(&self.variant(environ)?, path))
    }

    fn key_with(&self, variant: &KeyWriter, path: &[u8]) -> CoreKey {
        let Some(after) = &self.after else {
            let base = self.before.as_bytes();
            return CoreKey::assemble(Kind::User, base, variant.as_bytes());
        };
        let mut whole = Vec::with_capacity(self.before.len() + after.len() + path.len());
        whole.extend_from_slice(self.before.as_bytes());
        whole.extend_from_slice(path);
        whole.extend_from_slice(after.as_bytes());
        CoreKey::assemble(Kind::User, &whole, variant.as_bytes())
    }

    /// The key that a Rust service has too.
    fn shared_key(&self, environ: &Bound<'_, PyDict>) -> PyResult<CoreKey> {
        let py = environ.py();
        let path = wire(environ, intern!(py, "PATH_INFO"))?;
        let path = bytes_of(path.as_ref())?;
        let mount = wire(environ, intern!(py, "SCRIPT_NAME"))?;
        let host = host_of(environ)?;
        let scheme = scheme_of(environ)?;
        let mut writer = KeyWriter::with_capacity(ROOM);
        let place = Place {
            scheme: scheme
                .as_ref()
                .map_or(Ok("http"), |scheme| scheme.to_str())?,
            host: &bytes_of(host.as_ref())?,
            mount: &bytes_of(mount.as_ref())?,
            path: Path::Decoded(&path),
        };
        page::variant(&mut writer, &place);
        let query = wire(environ, intern!(py, "QUERY_STRING"))?;
        let query = query.as_ref().map(Wire::bytes).transpose()?;
        // WSGI does not tell an empty query from none.
        let query = query.as_deref().filter(|query| !query.is_empty());
        if self.parameters.is_empty() {
            self.searches.write(&mut writer, &path, query);
        } else {
            rule::query_only(&mut writer, query, &self.parameters);
        }
        let mut headers = Vec::with_capacity(self.headers.len());
        for name in &self.headers {
            let name = name.bind(py);
            headers.push((header_name(&name.to_cow()?)?, wire(environ, name)?));
        }
        headers.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        for (name, value) in &headers {
            let value = value.as_ref().map(Wire::bytes).transpose()?;
            let sent: Vec<(&str, &[u8])> = value
                .iter()
                .map(|value| (name.as_str(), &value[..]))
                .collect();
            rule::header(&mut writer, &sent[..], name);
        }
        if !self.cookies.is_empty() {
            let mut names: Vec<&String> = self.cookies.iter().collect();
            names.sort();
            write_cookies(&mut writer, environ, names)?;
        }
        let base = page::base(Path::Decoded(&path));
        Ok(CoreKey::assemble(Kind::User, &base, writer.as_bytes()))
    }

    fn variant(&self, environ: &Bound<'_, PyDict>) -> PyResult<KeyWriter> {
        let py = environ.py();
        let mut writer = KeyWriter::with_capacity(ROOM);
        writer.append(&self.identity);
        if self.host {
            write_host(&mut writer, environ)?;
        }
        if self.query {
            // WSGI does not tell an empty query from none.
            let query = wire(environ, intern!(py, "QUERY_STRING"))?;
            let query = bytes_of(query.as_ref())?;
            if self.searches.any() {
                let path = wire(environ, intern!(py, "PATH_INFO"))?;
                self.searches
                    .write(&mut writer, &bytes_of(path.as_ref())?, Some(&query));
            } else {
                rule::query(&mut writer, Some(&query));
            }
        }
        for name in &self.headers {
            let name = name.bind(py);
            writer.object("header").tuple(2).text(&name.to_cow()?);
            match wire(environ, name)? {
                Some(value) => writer.bytes(&value.bytes()?),
                None => writer.none(),
            };
        }
        if !self.cookies.is_empty() {
            write_cookies(&mut writer, environ, &self.cookies)?;
        }
        if !self.parameters.is_empty() {
            let query = wire(environ, intern!(py, "QUERY_STRING"))?;
            let query = query.as_ref().map(Wire::bytes).transpose()?;
            rule::query_only(&mut writer, query.as_deref(), &self.parameters);
        }
        for value in &self.values {
            let value = ending::call(value.bind(py), ())?;
            arguments::write(rule::value(&mut writer, "value"), &value)
                .map_err(arguments::Unkeyable::into_py_err)?;
        }
        Ok(writer)
    }
}

/// The WSGI environment of a request.
pub(crate) fn environ_of<'py>(request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    Ok(request
        .getattr(intern!(request.py(), "environ"))?
        .cast_into::<PyDict>()?)
}

/// The bytes of a text, lone surrogates included.
pub(crate) fn text(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let value = value.cast::<PyString>()?;
    if let Ok(text) = value.to_cow() {
        return Ok(text.into_owned().into_bytes());
    }
    let wide = value.call_method1("encode", ("utf-8", "surrogatepass"))?;
    Ok(wide.cast::<PyBytes>()?.as_bytes().to_vec())
}

/// Writes single cookies.
fn write_cookies<'a>(
    writer: &mut KeyWriter,
    environ: &Bound<'_, PyDict>,
    names: impl IntoIterator<Item = &'a String>,
) -> PyResult<()> {
    let line = wire(environ, intern!(environ.py(), "HTTP_COOKIE"))?;
    let line = bytes_of(line.as_ref())?.into_owned();
    for name in names {
        rule::cookie(writer, [("cookie", &line)].as_slice(), name);
    }
    Ok(())
}

/// The header that has this name in a WSGI environment.
fn header_name(name: &str) -> PyResult<HeaderName> {
    let name = name.strip_prefix("HTTP_").unwrap_or(name).replace('_', "-");
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|error| PyValueError::new_err(format!("vary={name:?}: {error}")))
}

fn scheme_of<'py>(environ: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyString>>> {
    let scheme = environ.get_item(intern!(environ.py(), "wsgi.url_scheme"))?;
    Ok(scheme.map(Bound::cast_into::<PyString>).transpose()?)
}

pub(crate) fn host_of<'py>(environ: &Bound<'py, PyDict>) -> PyResult<Option<Wire<'py>>> {
    let py = environ.py();
    match wire(environ, intern!(py, "HTTP_HOST"))? {
        Some(host) => Ok(Some(host)),
        None => wire(environ, intern!(py, "SERVER_NAME")),
    }
}

/// The host that the client asked for.
fn write_host(writer: &mut KeyWriter, environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = environ.py();
    let scheme = scheme_of(environ)?;
    let scheme = scheme.as_ref().map(|scheme| scheme.to_str()).transpose()?;
    let host = host_of(environ)?;
    rule::host(writer, scheme, &bytes_of(host.as_ref())?);
    // Where the application is mounted: no part of `request.path`, and in every URL that it builds.
    let mount = wire(environ, intern!(py, "SCRIPT_NAME"))?;
    writer.bytes(&bytes_of(mount.as_ref())?);
    Ok(())
}

/// Writes down a text of a WSGI environment. Whether there is one.
fn sketch(
    environ: &Bound<'_, PyDict>,
    name: &Bound<'_, PyString>,
    out: &mut KeyWriter,
) -> PyResult<bool> {
    let Some(value) = wire(environ, name)? else {
        out.none();
        return Ok(false);
    };
    out.text(value.text()?);
    Ok(true)
}

/// A text of a WSGI environment.
pub(crate) struct Wire<'py>(Bound<'py, PyString>);

impl Wire<'_> {
    /// The text, for what is compared with words.
    pub(crate) fn text(&self) -> PyResult<&str> {
        self.0.to_str()
    }

    /// The bytes that the client sent (PEP 3333: each character is one).
    pub(crate) fn bytes(&self) -> PyResult<Cow<'_, [u8]>> {
        let text = self.0.to_str()?;
        if text.is_ascii() {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
        Ok(Cow::Owned(text.chars().map(byte).collect()))
    }
}

pub(crate) fn wire<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Wire<'py>>> {
    let found = environ.get_item(name)?;
    Ok(found
        .map(Bound::cast_into::<PyString>)
        .transpose()?
        .map(Wire))
}

/// The bytes of a text that may be absent; none where it is.
pub(crate) fn bytes_of<'a>(text: Option<&'a Wire<'_>>) -> PyResult<Cow<'a, [u8]>> {
    text.map_or(Ok(Cow::Borrowed(&[])), Wire::bytes)
}

/// What `@cache.cached` of the safe dialect asks of a request before it looks for an answer: the name
/// of the reason to leave the cache alone, or `None`. `keyed` says that the key tells users apart.
#[pyfunction]
fn askable(method: &str, authorization: bool, keyed: bool) -> Option<String> {
    let fields: &[(&str, &str)] = if authorization {
        &[("authorization", "")]
    } else {
        &[]
    };
    larder_http::storable::askable(method, fields, &|_| keyed)
        .err()
        .map(|reason| reason.to_string())
}

/// Why an answer with these headers must not be given to anybody else, or `None`. `keyed` are the
/// names of the request's headers that the key holds, in lower case.
#[pyfunction]
fn shareable(headers: Vec<(String, String)>, keyed: Vec<String>) -> Option<String> {
    let in_key = |name: &http::HeaderName| keyed.iter().any(|key| key == name.as_str());
    let now = SystemClock::shared().now();
    let told = larder_http::Told::read(headers.as_slice(), &[], now);
    let refused = larder_http::storable::shareable(headers.as_slice(), &told, &in_key).err();
    refused.map(|reason| reason.to_string())
}

/// Whether an answer with these headers must not be served stale.
#[pyfunction]
fn is_never_stale(headers: Vec<(String, String)>) -> bool {
    larder_http::CacheControl::read(headers.as_slice()).never_stale()
}

/// Whether answers with this status are stored without being asked for.
#[pyfunction]
fn is_kept(status: u16) -> bool {
    larder_http::storable::is_kept(status)
}

/// Whether something stale may stand in for an answer with this status.
#[pyfunction]
fn is_failure(status: u16) -> bool {
    larder_http::storable::is_failure(status)
}

/// The key of a fragment: its readable text, and the values that it varies on. The reason as a str
/// where one of them makes no key.
#[pyfunction]
fn fragment_key<'py>(
    text: &Bound<'py, PyAny>,
    vary: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, mut key) = (text.py(), crate::key::named(text)?);
    if !vary.is_empty() {
        let mut writer = KeyWriter::new();
        writer.text("fragment").tuple(vary.len());
        for value in &vary {
            match arguments::write(&mut writer, value) {
                Ok(()) => {}
                Err(arguments::Unkeyable::Raised(error)) => return Err(error),
                Err(reason) => return Ok(PyString::new(py, &reason.to_string()).into_any()),
            }
        }
        key = key.with_variant(&writer);
    }
    Ok(Bound::new(py, Key(key))?.into_any())
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(askable, m)?)?;
    m.add_function(wrap_pyfunction!(shareable, m)?)?;
    m.add_function(wrap_pyfunction!(is_kept, m)?)?;
    m.add_function(wrap_pyfunction!(is_never_stale, m)?)?;
    m.add_function(wrap_pyfunction!(is_failure, m)?)?;
    m.add_function(wrap_pyfunction!(fragment_key, m)?)
}
