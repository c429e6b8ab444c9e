//! Requests with a body, whose answers depend on it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use larder_http::key;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{Collected, collect};

/// Puts the body of a request into its key, so that what is asked by QUERY or POST can be answered from
/// the cache: a search, say, or a query of GraphQL.
///
/// It stands around a [`CacheLayer`](crate::CacheLayer). The body is read first, if its length is known
/// and within the limit; together with the method and what kind of body it is, it makes the key. A request
/// that says no length, or a greater one, passes as it is, and the cache leaves it alone. One whose body
/// breaks off gets 400.
///
/// Choose it for routes that only read: a POST that is answered from the cache does not reach its
/// handler, and one that does makes no page invalid.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::time::Duration;
/// use axum::{Router, routing::post};
/// use http::Method;
/// use larder_tower::{BodyKeyLayer, CacheLayer};
///
/// # fn main() -> Result<(), larder_core::Error> {
/// let pages = CacheLayer::builder(Duration::from_secs(60)).build()?;
/// let app: Router = Router::new()
///     .route("/search", post(|body: String| async move { format!("found by {body}") }))
///     .layer(pages)
///     .layer(BodyKeyLayer::new([Method::POST]));
/// # Ok(())
/// # }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BodyKeyLayer {
    methods: Arc<[Method]>,
    limit: usize,
}

impl BodyKeyLayer {
    /// The longest body that is read unless told otherwise: 64 KiB.
    pub const LIMIT: usize = 64 << 10;

    /// For requests with one of these methods. GET and HEAD have no body that means anything.
    pub fn new(methods: impl IntoIterator<Item = Method>) -> Self {
        let has_body = |method: &Method| *method != Method::GET && *method != Method::HEAD;
        Self {
            methods: methods.into_iter().filter(has_body).collect(),
            limit: Self::LIMIT,
        }
    }

    /// The longest body that is read, in bytes. Default: 64 KiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl<S> Layer<S> for BodyKeyLayer {
    type Service = BodyKeyService<S>;

    fn layer(&self, inner: S) -> BodyKeyService<S> {
        BodyKeyService {
            inner,
            layer: self.clone(),
        }
    }
}

/// What a request carries, by its digest: in the extensions of the request.
#[derive(Clone, Copy)]
pub(crate) struct BodyKey(pub(crate) [u8; 32]);

/// Puts the body of a request into its key.
#[derive(Clone, Debug)]
pub struct BodyKeyService<S> {
    inner: S,
    layer: BodyKeyLayer,
}

impl<S, A, B> Service<Request<A>> for BodyKeyService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    A::Error: Send,
    B: Default + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BodyKeyFuture<S::Future, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let length = request.body().size_hint().exact();
        let is_short = length.is_some_and(|length| length <= self.layer.limit as u64);
        if !is_short || !self.layer.methods.contains(request.method()) {
            let future = self.inner.call(request);
            return BodyKeyFuture {
                state: State::Passed { future },
            };
        }
        // The one that is ready goes along, and its clone stays.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let work = read(inner, request, self.layer.limit);
        BodyKeyFuture {
            state: State::Reading {
                work: Box::pin(work),
            },
        }
    }
}

async fn read<S, A, B>(
    mut inner: S,
    request: Request<A>,
    limit: usize,
) -> Result<Response<B>, S::Error>
where
    S: Service<Request<A>, Response = Response<B>>,
    A: Body<Data = Bytes> + From<Bytes>,
    B: Default,
{
    let (mut head, body) = request.into_parts();
    let Collected::Whole(body) = collect(body, limit).await else {
        let mut refused = Response::new(B::default());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    head.extensions.insert(BodyKey(key::body_digest(&body)));
    inner.call(Request::from_parts(head, body.into())).await
}

pin_project! {
    /// The future of an answer to a request whose body may be read first.
    pub struct BodyKeyFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, T> {
        Passed { #[pin] future: F },
        Reading { work: Pin<Box<dyn Future<Output = T> + Send>> },
    }
}

impl<F: Future<Output = T>, T> Future for BodyKeyFuture<F, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project().state.project() {
            Projected::Passed { future } => future.poll(cx),
            Projected::Reading { work } => work.as_mut().poll(cx),
        }
    }
}

impl<F, T> fmt::Debug for BodyKeyFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Passed { .. } => "BodyKeyFuture(passed)",
            State::Reading { .. } => "BodyKeyFuture(reading)",
        })
    }
}
