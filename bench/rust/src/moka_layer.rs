//! What one writes by hand: answers by their path and query in a moka cache, and no rules at all.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::Either;
use moka::sync::Cache;
use tower::{Layer, Service};

type Loading = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

#[derive(Clone)]
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The layer.
#[derive(Clone)]
pub struct MokaLayer(Cache<Uri, Page>);

impl MokaLayer {
    /// A cache of 10 000 answers that live for a minute.
    pub fn new() -> Self {
        let lifetime = Duration::from_secs(60);
        Self(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(lifetime)
                .build(),
        )
    }
}

impl<S> Layer<S> for MokaLayer {
    type Service = MokaService<S>;

    fn layer(&self, inner: S) -> MokaService<S> {
        MokaService {
            inner,
            cache: self.0.clone(),
        }
    }
}

/// The service.
#[derive(Clone)]
pub struct MokaService<S> {
    inner: S,
    cache: Cache<Uri, Page>,
}

impl<S> Service<Request> for MokaService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, Loading>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(page) = self.cache.get(request.uri()) {
            return Either::Left(ready(Ok(answer(page))));
        }
        let (key, cache) = (request.uri().clone(), self.cache.clone());
        let loading = self.inner.call(request);
        Either::Right(Box::pin(async move {
            let (parts, body) = loading.await?.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let page = Page {
                status: parts.status,
                headers: parts.headers,
                body,
            };
            cache.insert(key, page.clone());
            Ok(answer(page))
        }))
    }
}

fn answer(page: Page) -> Response {
    let mut response = Response::new(Body::from(page.body));
    *response.status_mut() = page.status;
    *response.headers_mut() = page.headers;
    response
}
