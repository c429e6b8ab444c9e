//! What may be asked of the cache, and what may be kept: the safe defaults.
//!
//! RFC 9111 section 3 says what a shared cache may store. These rules store less: they are for a
//! cache that its developer put in front of code that was written without one in mind.

use http::header::{self, HeaderName};
use larder_core::Reason;

use crate::cache_control::CacheControl;
use crate::fields::{Fields, members};

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
    if headers.has(&header::UPGRADE) || has_body(headers) {
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

/// Whether an answer may be given to somebody else than the one who asked, whatever its status.
///
/// # Errors
///
/// [`Reason::SetCookie`], [`Reason::Private`], [`Reason::NoStore`] (which also stands for `no-cache`,
/// `s-maxage=0`, and `max-age=0` without `s-maxage`), or [`Reason::Vary`] with the name of a header
/// that the key does not hold.
pub fn shareable(headers: &(impl Fields + ?Sized), in_key: InKey<'_>) -> Result<(), Reason> {
    if headers.has(&header::SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    let control = CacheControl::read(headers);
    if control.private {
        return Err(Reason::Private);
    }
    let lifetime = control.s_maxage.or(control.max_age);
    if control.no_store || control.no_cache || lifetime == Some(0) {
        return Err(Reason::NoStore);
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
