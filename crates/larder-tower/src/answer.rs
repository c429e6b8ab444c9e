//! What the client gets.

use bytes::Bytes;
use http::header::{AGE, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, Response, response};
use http_body::Body;
use larder_core::Hit;
use larder_http::{CacheStatus, fields};

use crate::body::CacheBody;
use crate::page::{CACHE_STATUS, Page, written};

/// The answer for a page from the cache. With `is_head` it has the headers of the page and no body.
pub(crate) fn hit<B>(hit: &Hit<Page>, is_head: bool) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let page = hit.value();
    let (age, status) = page.told(hit);
    answer(page, Some(age), status, is_head)
}

/// The answer for a page that the origin just gave.
pub(crate) fn loaded<B>(page: &Page, status: &CacheStatus) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let age = page.age_on_arrival();
    answer(page, (age > 0).then(|| age.into()), written(status), false)
}

fn answer<B>(
    page: &Page,
    age: Option<HeaderValue>,
    status: HeaderValue,
    is_head: bool,
) -> Response<CacheBody<B>>
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
    let headers = response.headers_mut();
    *headers = page.headers().clone();
    tell(headers, status);
    match age {
        Some(age) => headers.insert(AGE, age),
        None => headers.remove(AGE),
    };
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
    tell(response.headers_mut(), written(status));
    response
}

/// Says what this cache did, after what caches nearer to the origin said (RFC 9211 section 2).
fn tell(headers: &mut HeaderMap, status: HeaderValue) {
    match headers.get_mut(CACHE_STATUS) {
        Some(place) if place.is_empty() => *place = status,
        _ => {
            headers.append(CACHE_STATUS, status);
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
