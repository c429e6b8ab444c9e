//! What the client gets.

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, Response, response};
use http_body::Body;
use larder_core::Hit;
use larder_http::{CacheStatus, age, fields};

use crate::body::CacheBody;
use crate::page::{CACHE_STATUS, Page};

/// The answer for a page from the cache. With `is_head` it has the headers of the page and no body.
pub(crate) fn hit<B>(hit: &Hit<Page>, is_head: bool) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let page = hit.value();
    let mut response = page_with(page, &CacheStatus::of_hit(hit), is_head);
    let age = age::age(page.age_on_arrival(), hit.age());
    response.headers_mut().insert(AGE, age.into());
    response
}

/// The answer for a page that the origin just gave.
pub(crate) fn loaded<B>(page: &Page, status: &CacheStatus) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let mut response = page_with(page, status, false);
    match page.age_on_arrival() {
        0 => response.headers_mut().remove(AGE),
        age => response.headers_mut().insert(AGE, age.into()),
    };
    response
}

fn page_with<B>(page: &Page, status: &CacheStatus, is_head: bool) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let body = if is_head {
        Bytes::new()
    } else {
        page.body().clone()
    };
    let mut response = Response::new(CacheBody::whole(body));
    *response.status_mut() = page.status();
    let mut headers = page.headers().clone();
    tell(&mut headers, status);
    // RFC 9110 section 9.3.2: what GET would have sent, where a body would have been sent at all.
    if is_head && page.status() != http::StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, page.body().len().into());
    }
    *response.headers_mut() = headers;
    response
}

/// The origin's answer with its body untouched.
pub(crate) fn passed<B>(
    head: response::Parts,
    body: CacheBody<B>,
    status: &CacheStatus,
) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let mut response = Response::from_parts(head, body);
    tell(response.headers_mut(), status);
    response
}

/// Says what this cache did, after what caches nearer to the origin said (RFC 9211 section 2).
fn tell(headers: &mut HeaderMap, status: &CacheStatus) {
    let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(status.to_bytes())) else {
        return;
    };
    match headers.get_mut(CACHE_STATUS) {
        Some(place) if place.is_empty() => *place = value,
        _ => {
            headers.append(CACHE_STATUS, value);
        }
    }
}

/// Tells caches further on which headers the key holds.
pub(crate) fn add_vary(headers: &mut HeaderMap, vary: &[(HeaderName, HeaderValue)]) {
    for (name, value) in vary {
        let mut said = false;
        fields::members(headers, &VARY, &mut |member| {
            said |= member == b"*" || member.eq_ignore_ascii_case(name.as_str().as_bytes());
        });
        if !said {
            headers.append(VARY, value.clone());
        }
    }
}
