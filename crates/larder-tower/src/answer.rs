//! What the client gets.

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, EXPIRES, HeaderName, HeaderValue, VARY,
};
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use larder_core::{Hit, Policy};
use larder_http::range::{self, Slice};
use larder_http::{CacheStatus, conditional, fields, freshness, revalidated};

use crate::body::CacheBody;
use crate::page::{Page, tell};
use crate::sign::Signed;
use crate::wants::{Form, Wants};

/// The answer for a page from the cache, or what the client wants of it.
pub(crate) fn hit<B>(hit: &Hit<Page>, wants: Wants<'_>, by: Signed<'_>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let page = &*wants.page(hit.value());
    match wants.form(page) {
        Form::Whole => made(
            page.status(),
            page.headers_of(hit, by),
            CacheBody::whole(page.body().clone()),
        ),
        Form::NotModified => made(
            StatusCode::NOT_MODIFIED,
            page.news_of(hit, by),
            CacheBody::nothing(),
        ),
        form => formed(page, page.headers_of(hit, by), &form),
    }
}

/// The answer for a page that the origin just gave, or what the client wants of it.
pub(crate) fn loaded<B>(
    page: &Page,
    status: CacheStatus,
    wants: Wants<'_>,
    by: Signed<'_>,
) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let page = &*wants.page(page);
    let form = wants.form(page);
    let status = match form {
        Form::Whole | Form::Head => status,
        _ => status.origin_said(page.status().as_u16()),
    };
    let mut headers = page.headers().clone();
    tell(&mut headers, by.write(status));
    match page.age_on_arrival() {
        0 => headers.remove(AGE),
        age => headers.insert(AGE, age.into()),
    };
    formed(page, headers, &form)
}

/// As much of a page as the client wants.
fn formed<B>(page: &Page, mut headers: HeaderMap, form: &Form) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    match form {
        Form::Whole => made(
            page.status(),
            headers,
            CacheBody::whole(page.body().clone()),
        ),
        Form::Head => made(page.status(), headers, CacheBody::whole(Bytes::new())),
        Form::NotModified => {
            keep_news(&mut headers);
            made(StatusCode::NOT_MODIFIED, headers, CacheBody::nothing())
        }
        Form::Slice(slice) => {
            headers.insert(CONTENT_LENGTH, slice.len().into());
            headers.insert(CONTENT_RANGE, value(slice.content_range()));
            made(
                StatusCode::PARTIAL_CONTENT,
                headers,
                CacheBody::whole(cut(page.body(), *slice)),
            )
        }
        Form::Unsatisfied => {
            keep_news(&mut headers);
            let length = page.body().len() as u64;
            headers.insert(CONTENT_RANGE, value(range::unsatisfied(length)));
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            made(
                StatusCode::RANGE_NOT_SATISFIABLE,
                headers,
                CacheBody::whole(Bytes::new()),
            )
        }
    }
}

#[inline]
fn made<B>(status: StatusCode, headers: HeaderMap, body: CacheBody<B>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Leaves of the headers of a page those that are told without it.
pub(crate) fn keep_news(headers: &mut HeaderMap) {
    let rest: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !conditional::is_told(name))
        .cloned()
        .collect();
    for name in rest {
        headers.remove(name);
    }
}

/// A slice lies within its body, which is in memory; so its ends fit.
fn cut(body: &Bytes, slice: Slice) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(body.len());
    body.slice(at(slice.first)..at(slice.last + 1))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The origin's answer with its body untouched.
pub(crate) fn passed<B>(
    head: response::Parts,
    body: CacheBody<B>,
    status: CacheStatus,
    by: Signed<'_>,
) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let mut response = Response::from_parts(head, body);
    tell(response.headers_mut(), by.write(status));
    response
}

/// The origin's answer, which is not stored; but the origin was not asked whether it has news for this
/// client, so that is judged here.
pub(crate) fn declined<B>(
    mut head: response::Parts,
    body: CacheBody<B>,
    status: CacheStatus,
    (wants, by): (Wants<'_>, Signed<'_>),
) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    if !wants.is_conditional() || !wants.has(head.status, &head.headers) {
        return passed(head, body, status, by);
    }
    let status = status.origin_said(head.status.as_u16());
    head.status = StatusCode::NOT_MODIFIED;
    // `Set-Cookie` and the like are news too; only what describes the body goes.
    for name in revalidated::OF_THE_BODY {
        head.headers.remove(name);
    }
    passed(head, CacheBody::nothing(), status, by)
}

/// The answer of a cache that was told to answer alone, and cannot (RFC 9111 section 5.2.1.7).
pub(crate) fn absent<B>(status: CacheStatus, by: Signed<'_>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let mut headers = HeaderMap::new();
    tell(&mut headers, by.write(status));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    made(
        StatusCode::GATEWAY_TIMEOUT,
        headers,
        CacheBody::whole(Bytes::new()),
    )
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

/// Tells caches further on how long an answer is kept that says nothing of it itself, not even that it
/// has lain elsewhere before. Says whether it did.
pub(crate) fn add_cache_control(headers: &mut HeaderMap, policy: &Policy) -> bool {
    let says = [CACHE_CONTROL, EXPIRES, AGE];
    let silent = says.iter().all(|name| !headers.contains_key(name));
    let text = freshness::synthesise(policy).filter(|_| silent);
    let said = text.is_some();
    headers.extend(text.map(|text| (CACHE_CONTROL, value(text))));
    said
}
