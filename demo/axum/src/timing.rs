//! What each request cost: a `Server-Timing` header for the browser, a line for the log.

use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;

/// Measures a request, cache included.
pub(crate) async fn stopwatch(request: Request, next: Next) -> Response {
    let target = request.uri().to_string();
    let method = request.method().clone();
    let started = Instant::now();
    let mut response = next.run(request).await;
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    let status = response.headers().get("cache-status");
    let cache = status.and_then(|value| value.to_str().ok()).unwrap_or("-");
    let told = cache.replace(['"', '\\'], "");
    let timing = format!("app;dur={millis:.2}, cache;desc=\"{told}\"");
    if !target.starts_with("/static/") {
        println!(
            "{method:4} {target:40.40} {} {millis:8.2} ms  {told}",
            response.status().as_u16()
        );
    }
    if let Ok(value) = HeaderValue::try_from(timing) {
        response.headers_mut().insert("server-timing", value);
    }
    response
}
