//! What may be asked of the cache, and what may be kept: the safe defaults.
//!
//! RFC 9111 section 3 says what a shared cache may store. These rules store less: they are for a
//! cache that its developer put in front of code that was written without one in mind.

use std::time::Duration;

use http::header::{self, HeaderName};
use larder_core::Reason;

use crate::fields::{Fields, members};
use crate::freshness::Told;

/// Whether a header of the request is part of the key.
pub type InKey<'a> = &'a dyn Fn(&HeaderName) -> bool;

/// Whether the cache may answer this request at all.
///
/// # Errors
///
/// [`Reason::Method`] unless it is GET or HEAD, [`Reason::Stream`] when it wants another protocol or
/// has a body, which no key holds,
/// [`Reason::Authorization`] or [`Reason::Cookie`] when it carries credentials that the key does
/// not.
pub fn askable(
    method: &str,
    headers: &(impl Fields + ?Sized),
    in_key: InKey<'_>,
) -> Result<(), Reason> {
    if method != "GET" && method != "HEAD" {
        return Err(Reason::Method);
    }
    if !headers.has_any(&TELLING) {
        return Ok(());
    }
    if has_body(headers) {
        return Err(Reason::Stream);
    }
    told_apart(headers, in_key)
}

/// The fields that a request which asks like all others does not have.
static TELLING: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::AUTHORIZATION,
    header::COOKIE,
];

/// Whether a request may be answered from the cache by its headers, whatever its method, and a body that
/// the key holds.
///
/// # Errors
///
/// [`Reason::Stream`] when it wants another protocol, [`Reason::Authorization`] or [`Reason::Cookie`]
/// when it carries credentials that the key does not.
pub fn told_apart(headers: &(impl Fields + ?Sized), in_key: InKey<'_>) -> Result<(), Reason> {
    if headers.has(&header::UPGRADE) {
        return Err(Reason::Stream);
    }
    if headers.has(&header::AUTHORIZATION) && !in_key(&header::AUTHORIZATION) {
        return Err(Reason::Authorization);
    }
    if headers.has(&header::COOKIE) && !in_key(&header::COOKIE) {
        return Err(Reason::Cookie);
    }
    Ok(())
}

fn has_body(headers: &(impl Fields + ?Sized)) -> bool {
    let mut length = false;
    headers.each(&header::CONTENT_LENGTH, &mut |value| {
        length |= !matches!(value, b"" | b"0")
    });
    length || headers.has(&header::TRANSFER_ENCODING)
}

/// Whether answers with this status are stored by default: 200, 203, 204, 301 and 308.
pub const fn is_kept(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 301 | 308)
}

/// Whether an answer with this status says that something is not there: 404 and 410. Those are stored
/// when asked, for a lifetime of their own.
pub const fn is_absence(status: u16) -> bool {
    matches!(status, 404 | 410)
}

/// Whether a stale answer may stand in for one with this status: 500, 502, 503 and 504 (RFC 5861
/// section 4).
pub const fn is_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// Which statuses are stored, and for how long those that are not stored by themselves.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Reason;
/// use larder_http::storable::Statuses;
///
/// let statuses = Statuses::default().with(404, Duration::from_secs(10));
/// assert_eq!(statuses.kept(200), Ok(None));
/// assert_eq!(statuses.kept(404), Ok(Some(Duration::from_secs(10))));
/// assert_eq!(statuses.kept(500), Err(Reason::Status(500)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, Duration)>);

impl Statuses {
    /// Stores answers with this status too, for a lifetime of their own.
    ///
    /// What is no answer of its own changes nothing: a status below 200, 206 and 304 are never stored,
    /// see [`can_be_kept`].
    #[must_use]
    pub fn with(mut self, status: u16, ttl: Duration) -> Self {
        self.0.retain(|(known, _)| *known != status);
        if can_be_kept(status) {
            self.0.push((status, ttl));
        }
        self
    }

    /// Whether answers with this status are stored; those that have one, for a lifetime of their own.
    ///
    /// # Errors
    ///
    /// [`Reason::Status`] where they are not.
    pub fn kept(&self, status: u16) -> Result<Option<Duration>, Reason> {
        let own = self.0.iter().find(|(known, _)| *known == status);
        match own {
            Some((_, ttl)) => Ok(Some(*ttl)),
            None if is_kept(status) => Ok(None),
            None => Err(Reason::Status(status)),
        }
    }
}

/// Whether an answer with this status can stand for itself: not one that comes before the answer, not a
/// part of one (206), and not one that says that there is no news (304).
pub const fn can_be_kept(status: u16) -> bool {
    matches!(status, 200..=205 | 207..=303 | 305..=599)
}

/// Whether an answer may be given to somebody else than the one who asked, whatever its status. `told` is
/// what it says about its lifetime.
///
/// # Errors
///
/// [`Reason::SetCookie`], [`Reason::Private`] and [`Reason::NoStore`] as [`Told`] has them, or
/// [`Reason::Vary`] with the name of a header that the key does not hold.
pub fn shareable(
    headers: &(impl Fields + ?Sized),
    told: &Told,
    in_key: InKey<'_>,
) -> Result<(), Reason> {
    if headers.has(&header::SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    if let Some(reason) = &told.refuses {
        return Err(reason.clone());
    }
    let mut outside = None;
    members(headers, &header::VARY, &mut |name| {
        let known = HeaderName::from_bytes(name).is_ok_and(|name| in_key(&name));
        if !known && outside.is_none() {
            outside = Some(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
    });
    outside.map_or(Ok(()), |name| Err(Reason::Vary(name.into())))
}

/// Whether an answer sends its reader to a page where people sign in: it is a redirect whose target has
/// such a word in its path, or carries the address to come back to. Somebody who is signed in would get
/// another answer, although nothing in the request has to show that.
///
/// ```
/// use larder_http::storable::is_login;
///
/// let to = |location| is_login(301, [("location", location)].as_slice());
/// assert!(to("/accounts/login/"));
/// assert!(to("https://id.example/start?return_to=%2Fcart"));
/// assert!(!to("/blog/logins-explained"));
/// assert!(!is_login(200, [("location", "/login")].as_slice()));
/// ```
pub fn is_login(status: u16, headers: &(impl Fields + ?Sized)) -> bool {
    let mut found = false;
    if (300..400).contains(&status) {
        headers.each(&header::LOCATION, &mut |location| {
            found |= names_login(location);
        });
    }
    found
}

/// What the path of a page is called where people sign in, or are sent to do so.
const LOGIN: [&str; 14] = [
    "login",
    "log-in",
    "log_in",
    "logon",
    "signin",
    "sign-in",
    "sign_in",
    "auth",
    "authenticate",
    "authorize",
    "oauth",
    "oauth2",
    "sso",
    "saml",
];

/// What the parameter with the way back is called.
const WAY_BACK: [&str; 14] = [
    "next",
    "return",
    "return_to",
    "returnto",
    "return_url",
    "returnurl",
    "redirect",
    "redirect_to",
    "redirect_uri",
    "redirect_url",
    "continue",
    "came_from",
    "goto",
    "backurl",
];

fn names_login(location: &[u8]) -> bool {
    let end = location.iter().position(|&byte| byte == b'#');
    let location = &location[..end.unwrap_or(location.len())];
    let start = location.iter().position(|&byte| byte == b'?');
    let (path, query) = location.split_at(start.unwrap_or(location.len()));
    let is = |words: &[&str], text: &[u8]| {
        words
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    // A page may have an ending: `login.php`.
    let stem = |part: &[u8]| part.iter().position(|byte| b".;".contains(byte));
    let mut parts = path.split(|&byte| byte == b'/');
    let mut pairs = query
        .get(1..)
        .unwrap_or_default()
        .split(|&byte| byte == b'&');
    parts.any(|part| is(&LOGIN, &part[..stem(part).unwrap_or(part.len())]))
        || pairs.any(|pair| {
            let name = pair.split(|&byte| byte == b'=').next();
            is(&WAY_BACK, name.unwrap_or_default())
        })
}
