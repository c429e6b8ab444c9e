//! Which headers of the request an answer says that it depends on.

use http::header::{self, HeaderName, HeaderValue};

use crate::fields::{Fields, members};

/// The most names that are told apart. An answer that names more depends on everything.
const MOST: usize = 64;

/// What `Vary` says (RFC 9110 section 12.5.5).
///
/// ```
/// use larder_http::Vary;
///
/// let answer = [("Vary", "Cookie, accept"), ("vary", "ACCEPT")];
/// let Vary::On(names) = Vary::read(answer.as_slice()) else { panic!() };
/// assert_eq!(names, ["accept", "cookie"]);
/// assert_eq!(Vary::read([("vary", "accept, *")].as_slice()), Vary::Everything);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// On these headers and nothing else: sorted, each once; none where there is no `Vary`.
    On(Vec<HeaderName>),
    /// On what no request can say: `*`, a name that is none, or more names than anyone means.
    Everything,
}

impl Vary {
    /// Reads the field of an answer.
    pub fn read(answer: &(impl Fields + ?Sized)) -> Self {
        let mut names = Vec::new();
        let mut everything = false;
        members(answer, &header::VARY, &mut |member| {
            let name = HeaderName::from_bytes(member).ok();
            match name.filter(|_| member != b"*" && names.len() < MOST) {
                Some(name) if !names.contains(&name) => names.push(name),
                Some(_) => {}
                None => everything = true,
            }
        });
        if everything {
            return Self::Everything;
        }
        sort(&mut names);
        Self::On(names)
    }

    /// The same, and on these headers too: what an answer says whose key holds them.
    #[must_use]
    pub fn and(self, key: impl IntoIterator<Item = HeaderName>) -> Self {
        let Self::On(mut names) = self else {
            return self;
        };
        for name in key {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        sort(&mut names);
        Self::On(names)
    }

    /// The value of the field; `None` where there is nothing to say.
    ///
    /// ```
    /// use http::header::{ACCEPT, COOKIE};
    /// use larder_http::Vary;
    ///
    /// let vary = Vary::On(vec![COOKIE]).and([ACCEPT]);
    /// assert_eq!(vary.value().unwrap(), "accept, cookie");
    /// assert_eq!(Vary::On(vec![]).value(), None);
    /// ```
    pub fn value(&self) -> Option<HeaderValue> {
        let names = match self {
            Self::Everything => return Some(HeaderValue::from_static("*")),
            Self::On(names) => names,
        };
        let texts: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
        let text = (!texts.is_empty()).then(|| texts.join(", "))?;
        HeaderValue::from_str(&text).ok()
    }
}

fn sort(names: &mut [HeaderName]) {
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
}
