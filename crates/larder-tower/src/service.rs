//! The service: look first, and go to the origin only if that is the answer.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use larder_core::Reason;
use larder_http::CacheStatus;
use tower_service::Service;

use crate::answer;
use crate::body::CacheBody;
use crate::future::ResponseFuture;
use crate::layer::Rules;
use crate::load::{self, Job};

/// Caches the answers of `S`.
///
/// It is always ready: a page from the cache needs nothing of `S`, and a request that does is made to
/// wait for a clone of `S` to be ready when it gets there.
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> CacheService<S> {
    pub(crate) const fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }

    /// The service that the cache stands in front of.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, A, B> Service<Request<A>> for CacheService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    type Response = Response<CacheBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<B, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (head, body) = request.into_parts();
        let asked = match self.rules.question(&head) {
            Ok(asked) => asked,
            Err(reason) => return self.pass(Request::from_parts(head, body), reason),
        };
        // What lies in this process is found at once, without a box and without a clone of the inner
        // service.
        if !asked.is_head
            && let Some(hit) = self.rules.engine().hit_at_once(&asked.key)
        {
            return ResponseFuture::ready(answer::hit(&hit, false));
        }
        let job = Job {
            service: self.inner.clone(),
            request: Request::from_parts(head, body),
            rules: Arc::clone(&self.rules),
            asked,
        };
        if job.asked.is_head {
            ResponseFuture::working(job.head())
        } else {
            ResponseFuture::working(job.answer())
        }
    }
}

impl<S> CacheService<S> {
    fn pass<A, B>(&self, request: Request<A>, reason: Reason) -> ResponseFuture<B, S::Error>
    where
        S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        A: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
    {
        let inner = self.inner.clone();
        ResponseFuture::working(load::pass(inner, request, CacheStatus::pass(&reason)))
    }
}
