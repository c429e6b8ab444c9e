//! Which answers are the same.

mod narrow;
mod query;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use http::Method;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Uri};
use larder_core::{Key, KeyPart, KeyWriter, Kind};
use larder_http::NoVarySearch;
use larder_http::key;
use larder_http::key::page::{self, Path, Place};

use self::query::Query;
use crate::by_body::BodyKey;

type Write = Arc<dyn Fn(&Parts, &mut KeyWriter) -> bool + Send + Sync>;

/// Says which requests have the same answer.
///
/// The path is the base key. To it comes, unless told otherwise, the method class (GET and HEAD share
/// their answers), the scheme and the host as far as the request names them, and the whole query,
/// sorted. What else an answer depends on has to be named here; an answer that says by `Vary` that it
/// depends on more is served and not stored.
///
/// ```
/// use larder_tower::KeyRule;
///
/// let rule = KeyRule::new()
///     .header("accept-language")
///     .cookie("theme")
///     .query_except(["utm_source", "utm_medium"]);
/// ```
///
/// A request that carries `Authorization` is left alone unless the key holds that header or says by
/// [`user`](Self::user) who it is; one that carries cookies, unless some are named or
/// [`ignore_cookies`](Self::ignore_cookies) says that none matters.
#[derive(Clone, Debug)]
pub struct KeyRule {
    form: Form,
    any_host: bool,
    query: Query,
    cookies: bool,
    narrow: bool,
    learns: bool,
    parts: Vec<Part>,
}

/// Whose keys they are.
#[derive(Clone, Debug)]
enum Form {
    Own,
    /// Those of a Flask application, which clients reach by this scheme.
    Flask(Cow<'static, str>),
}

/// A part of the key beyond the path, the host and the query, in the order of kinds and names, so that
/// the order in which a rule was written makes no difference.
#[derive(Clone)]
enum Part {
    Header(HeaderName),
    Cookie(String),
    Value(String, Write),
    User(Write),
}

/// Room for a usual variant, so that writing it does not move it.
const ROOM: usize = 128;

/// A writer whose memory the thread keeps for its next key.
struct Scratch(KeyWriter);

thread_local! {
    static SCRATCH: Cell<Option<KeyWriter>> = const { Cell::new(None) };
}

impl Scratch {
    /// The thread's writer; a new one where somebody up the stack is writing a key with it.
    fn take() -> Self {
        let kept = SCRATCH.take();
        Self(kept.unwrap_or_else(|| KeyWriter::with_capacity(ROOM)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut writer = std::mem::take(&mut self.0);
        // One long URL is not to be remembered for ever.
        if writer.as_bytes().len() <= 64 * ROOM {
            writer.clear();
            SCRATCH.set(Some(writer));
        }
    }
}

impl Deref for Scratch {
    type Target = KeyWriter;

    fn deref(&self) -> &KeyWriter {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut KeyWriter {
        &mut self.0
    }
}

impl Default for KeyRule {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyRule {
    /// Path, host and query.
    pub const fn new() -> Self {
        Self {
            form: Form::Own,
            any_host: false,
            query: Query::All,
            cookies: false,
            narrow: false,
            learns: false,
            parts: Vec::new(),
        }
    }

    /// Path, host and query, in the keys of a Flask application whose views are cached with
    /// `as_page=True`: with one store, each answers from what the other has stored.
    ///
    /// `scheme` is the one that the application sees, `http` or `https`: it is in its keys, and a Rust
    /// service does not get to know it. [`header`](Self::header), [`cookie`](Self::cookie) and
    /// [`query_only`](Self::query_only) say what `vary=` says there; with anything else the service
    /// has keys of its own.
    ///
    /// ```
    /// use larder_tower::KeyRule;
    ///
    /// // In Flask: @cache.cached(60, as_page=True, vary=["Accept-Language"])
    /// let rule = KeyRule::flask("https").header("accept-language");
    /// ```
    #[must_use]
    pub fn flask(scheme: impl Into<Cow<'static, str>>) -> Self {
        Self {
            form: Form::Flask(scheme.into()),
            ..Self::new()
        }
    }

    /// Adds the values of a header.
    ///
    /// # Panics
    ///
    /// When `name` is no name of a header in lower case: that is a mistake in the program.
    #[must_use]
    pub fn header(self, name: &'static str) -> Self {
        self.with(Part::Header(HeaderName::from_static(name)))
    }

    /// Adds the value of a cookie. All other cookies are then said not to matter.
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookies = true;
        self.with(Part::Cookie(name.into()))
    }

    /// Says that no answer depends on a cookie.
    #[must_use]
    pub fn ignore_cookies(mut self) -> Self {
        self.cookies = true;
        self
    }

    /// Only these parameters of the query make a difference.
    #[must_use]
    pub fn query_only<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.query = Query::Only(names.into_iter().map(Into::into).collect());
        self
    }

    /// All parameters of the query but these make a difference.
    #[must_use]
    pub fn query_except<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.query = Query::Except(names.into_iter().map(Into::into).collect());
        self
    }

    /// The query as it stands there: the order of its parameters makes a difference. For a proxy, who
    /// cannot know what an origin makes of it.
    #[must_use]
    pub fn exact_query(mut self) -> Self {
        self.query = Query::Exact;
        self
    }

    /// Learns from the `Vary` of answers which headers their key has to hold, besides those that are
    /// named. An answer is stored under a key with these headers, and from then on all requests for its
    /// path are looked up so; `Vary: *` is never stored. What is learned stays, for 64 headers of a path
    /// at most and in this process: a key with more headers than an answer needs is as right as one
    /// without.
    ///
    /// It makes no difference to requests with `Authorization` or cookies, which are left alone as
    /// before.
    ///
    /// ```
    /// use larder_tower::KeyRule;
    ///
    /// let rule = KeyRule::new().learn_vary();
    /// ```
    #[must_use]
    pub fn learn_vary(mut self) -> Self {
        self.learns = true;
        self
    }

    /// Whether it learns from answers.
    pub(crate) const fn learns(&self) -> bool {
        self.learns
    }

    /// All hosts have the same answers.
    #[must_use]
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Adds a value computed from the request, under a name of its own.
    #[must_use]
    pub fn value<T: KeyPart>(
        self,
        name: impl Into<String>,
        compute: impl Fn(&Parts) -> T + Send + Sync + 'static,
    ) -> Self {
        let write = move |request: &Parts, key: &mut KeyWriter| {
            compute(request).write(key);
            true
        };
        self.with(Part::Value(name.into(), Arc::new(write)))
    }

    /// Adds who asks, computed from the request: then each user has answers of their own, and a request
    /// with `Authorization` or cookies may be answered from the cache.
    ///
    /// Where `compute` answers `None` nobody is known, and such a request is left alone as before.
    #[must_use]
    pub fn user<T: KeyPart>(
        self,
        compute: impl Fn(&Parts) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let write = move |request: &Parts, key: &mut KeyWriter| {
            let user = compute(request);
            user.write(key);
            user.is_some()
        };
        self.with(Part::User(Arc::new(write)))
    }

    fn with(mut self, part: Part) -> Self {
        self.parts.retain(|other| other.order() != part.order());
        self.parts.push(part);
        self.parts
            .sort_by(|one, other| one.order().cmp(&other.order()));
        self
    }

    /// The key of a request, and what it holds, by what answers of this path have said: of their queries,
    /// unless the rule chooses among the parameters and knows better, and of headers.
    pub(crate) fn key(&self, request: &Parts, known: Known<'_>) -> (Key, Held) {
        let mut variant = Scratch::take();
        let path = asked(request).path().as_bytes();
        match &self.form {
            Form::Own => {
                key::method_class(&mut variant);
                if !self.any_host {
                    key::host(&mut variant, asked(request).scheme_str(), host(request));
                }
            }
            Form::Flask(scheme) => page::variant(
                &mut variant,
                &Place {
                    scheme,
                    host: if self.any_host { b"" } else { host(request) },
                    mount: b"",
                    path: Path::Raw(path),
                },
            ),
        }
        self.query.write(request, known.search, &mut variant);
        let mut held = Held {
            user: false,
            cookies: self.cookies,
            body: false,
        };
        for part in &self.parts {
            part.write(request, &mut variant, &mut held);
        }
        if let Some(BodyKey(digest)) = body_of(request) {
            held.body = true;
            key::body(
                &mut variant,
                request.method.as_str(),
                &request.headers,
                digest,
            );
        }
        for name in known.vary {
            let is = |part: &Part| matches!(part, Part::Header(header) if header == name);
            if !self.parts.iter().any(is) {
                key::header(&mut variant, &request.headers, name);
            }
        }
        let key = match &self.form {
            Form::Own => Key::assemble(Kind::View, path, variant.as_bytes()),
            Form::Flask(_) => {
                let base = page::base(Path::Raw(path));
                Key::assemble(Kind::User, &base, variant.as_bytes())
            }
        };
        (key, held)
    }

    /// Whether the key holds this header of the request.
    pub(crate) fn holds(&self, name: &HeaderName, held: Held) -> bool {
        let is = |part: &Part| matches!(part, Part::Header(header) if header == name);
        self.parts.iter().any(is)
            || (name == HOST && !self.any_host)
            || (name == COOKIE && (held.cookies || held.user))
            || (name == AUTHORIZATION && held.user)
    }

    /// Whether the key holds what no other cache can see: a value that is computed, or who asks.
    pub(crate) fn is_computed(&self) -> bool {
        let is = |part: &Part| matches!(part, Part::Value(..) | Part::User(_));
        self.parts.iter().any(is)
    }

    /// What caches further on have to know: the headers that the key holds, as `Vary` lists them.
    pub(crate) fn vary(&self) -> Vec<HeaderName> {
        let mut names: Vec<HeaderName> = Vec::new();
        for part in &self.parts {
            let name = match part {
                Part::Header(name) => name.clone(),
                Part::Cookie(_) => COOKIE,
                Part::Value(..) | Part::User(_) => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// What answers of a path have said about the requests that they are for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// Which parameters of the query make no difference.
    pub(crate) search: Option<&'a NoVarySearch>,
    /// Which headers make one.
    pub(crate) vary: &'a [HeaderName],
}

/// What the key of one request holds beyond what its rule names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) user: bool,
    body: bool,
    cookies: bool,
}

impl Part {
    fn order(&self) -> (u8, &str) {
        match self {
            Self::Header(name) => (0, name.as_str()),
            Self::Cookie(name) => (1, name),
            Self::Value(name, _) => (2, name),
            Self::User(_) => (3, ""),
        }
    }

    fn write(&self, request: &Parts, variant: &mut KeyWriter, held: &mut Held) {
        match self {
            Self::Header(name) => key::header(variant, &request.headers, name),
            Self::Cookie(name) => key::cookie(variant, &request.headers, name),
            Self::Value(name, write) => {
                write(request, key::value(variant, name));
            }
            Self::User(write) => held.user = write(request, variant.object("user")),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Value(name, _) => write!(f, "value {name}"),
            Self::User(_) => f.write_str("user"),
        }
    }
}

/// The URI that the client asked for. A router nested in another one sees a shorter path; two of them
/// behind one layer must not meet.
#[cfg(feature = "axum")]
fn asked(request: &Parts) -> &Uri {
    let original = request.extensions.get::<axum::extract::OriginalUri>();
    original.map_or(&request.uri, |original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn asked(request: &Parts) -> &Uri {
    &request.uri
}

/// The body of a request with another method than GET and HEAD, where it was read for the key.
pub(crate) fn body_of(request: &Parts) -> Option<&BodyKey> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    if reads {
        None
    } else {
        request.extensions.get()
    }
}

/// The path that the client asked for, as it stands in the base key.
pub(crate) fn path(request: &Parts) -> &str {
    asked(request).path()
}

/// The host that the client asked; empty where it names none.
pub(crate) fn host(request: &Parts) -> &[u8] {
    match asked(request).authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => request
            .headers
            .get(HOST)
            .map_or(&b""[..], HeaderValue::as_bytes),
    }
}

/// The base keys of the page at `path`, as it stands in URLs: of this face, and of a Flask application
/// that shares it.
pub(crate) fn bases(path: &str) -> [Key; 2] {
    [
        Key::new(Kind::View, path),
        Key::new(Kind::User, page::base(Path::Raw(path.as_bytes()))),
    ]
}

/// Whether a request names more than one host; such a one is left alone. The key has the host of an
/// absolute target, and a handler may read the other one.
pub(crate) fn is_ambiguous(request: &Parts) -> bool {
    let mut named = request.headers.get_all(HOST).iter();
    let first = named.next();
    // A router nested in another one shortens the path and nothing else.
    let target = request.uri.authority();
    let differ = |(host, target): (&HeaderValue, &Authority)| {
        !host
            .as_bytes()
            .eq_ignore_ascii_case(target.as_str().as_bytes())
    };
    named.next().is_some() || first.zip(target).is_some_and(differ)
}
