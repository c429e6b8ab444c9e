//! What a client asks, brought into the form in which it goes to the cache and to the origin.

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, MAX_FORWARDS, TE, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, StatusCode, Uri, Version};

use crate::fields;

/// What is changed in requests on purpose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Takes the place of the client's `Host`.
    pub(crate) host: Option<HeaderValue>,
    /// Fields that do not reach the origin.
    pub(crate) dropped: Vec<HeaderName>,
}

/// Brings a request into the form in which it is looked up and passed on: its target is a path or `*`,
/// its one `Host` is who it is for, and nothing in its fields is for this connection alone. The path and
/// the query stay as they are, to the byte.
///
/// # Errors
///
/// The status that refuses it, or answers it here.
pub(crate) fn prepare(head: &mut Parts, changes: &Changes) -> Result<(), StatusCode> {
    if head.method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    name_host(head)?;
    let upgrades = head.version == Version::HTTP_11 && fields::is_websocket(&head.headers);
    let trailers = fields::has_member(&head.headers, &TE, "trailers");
    head.headers = fields::end_to_end(&head.headers);
    if upgrades {
        fields::upgrade(&mut head.headers);
    }
    if trailers {
        fields::welcome_trailers(&mut head.headers);
    }
    for name in &changes.dropped {
        head.headers.remove(name);
    }
    if let Some(host) = &changes.host {
        head.headers.insert(HOST, host.clone());
    }
    count_down(head)?;
    fields::sign(&mut head.headers, head.version);
    Ok(())
}

/// Makes `Host` say who a request is for, and the target a path (RFC 9112 sections 3.2 and 3.2.2).
fn name_host(head: &mut Parts) -> Result<(), StatusCode> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let is_right = match first {
        None => head.version == Version::HTTP_10,
        Some(host) => second.is_none() && is_host(host),
    };
    if !is_right {
        return Err(StatusCode::BAD_REQUEST);
    }
    let target = std::mem::take(&mut head.uri).into_parts();
    let path = target.path_and_query;
    if let Some(asked) = target.authority {
        let host = HeaderValue::try_from(asked.as_str()).map_err(|_| StatusCode::BAD_REQUEST)?;
        if !is_host(&host) {
            return Err(StatusCode::BAD_REQUEST);
        }
        head.headers.insert(HOST, host);
    }
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    Ok(())
}

/// Whether a value of `Host` is a host, with a port or without, and nothing else.
fn is_host(value: &HeaderValue) -> bool {
    let is_authority = |text: &str| !text.contains('@') && text.parse::<Authority>().is_ok();
    value
        .to_str()
        .is_ok_and(|text| text.is_empty() || is_authority(text))
}

/// RFC 9110 section 7.6.2: TRACE and OPTIONS may say how far they go.
fn count_down(head: &mut Parts) -> Result<(), StatusCode> {
    if head.method != Method::TRACE && head.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(left) = number(head, &MAX_FORWARDS) else {
        return Ok(());
    };
    match left.checked_sub(1) {
        Some(left) => {
            head.headers.insert(MAX_FORWARDS, left.into());
            Ok(())
        }
        // The request ends here. What came in is not sent back: it may hold credentials.
        None if head.method == Method::TRACE => Err(StatusCode::METHOD_NOT_ALLOWED),
        None => Err(StatusCode::NO_CONTENT),
    }
}

fn number(head: &Parts, name: &HeaderName) -> Option<u64> {
    head.headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Whether a request that was [prepared](prepare) asks for a WebSocket.
pub(crate) fn upgrades(head: &Parts) -> bool {
    head.headers.contains_key(UPGRADE) && head.headers.contains_key(CONNECTION)
}
