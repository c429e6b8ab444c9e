//! The answers that come from here.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use larder_http::{CacheStatus, Forward};

use crate::failure::{Failure, Fault};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The answer to a request that goes no further.
pub(crate) fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = match status {
        StatusCode::BAD_REQUEST => "A request names one host, and that is a host.\n",
        StatusCode::NOT_IMPLEMENTED => "Tunnels are not made here.\n",
        StatusCode::METHOD_NOT_ALLOWED => "TRACE goes no further, and is not answered here.\n",
        _ => "",
    };
    let mut answer = plain(status, text.into());
    if status == StatusCode::BAD_REQUEST || status == StatusCode::NOT_IMPLEMENTED {
        // What follows may be meant for somebody else.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NO_CONTENT {
        let all = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        answer.headers_mut().insert(ALLOW, all);
    }
    answer
}

/// The answer where the origin has none, and the cache has nothing that may stand in for it.
pub(crate) fn without_origin(method: &Method, fault: &Fault) -> Response<Full<Bytes>> {
    let failure = fault.downcast_ref().copied().unwrap_or(Failure::Broken);
    let status = match failure {
        Failure::Slow => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let mut answer = plain(status, format!("{failure}\n").into());
    let why = match *method {
        Method::GET | Method::HEAD => Forward::Miss,
        _ => Forward::Method,
    };
    let said = CacheStatus::forward(why).with(failure.name()).to_bytes();
    let said = HeaderValue::from_maybe_shared(Bytes::from(said)).ok();
    answer
        .headers_mut()
        .extend(said.map(|said| (CACHE_STATUS, said)));
    answer
}

fn plain(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text));
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        let fields = answer.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}
