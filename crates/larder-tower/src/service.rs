//! The service: look first, and go to the origin only if that is the answer.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use larder_core::{Lookup, Reason, Store};
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
        let question = self.rules.question(&head);
        let request = Request::from_parts(head, body);
        let asked = match question {
            Ok(asked) => asked,
            Err(reason) => return self.pass(request, reason),
        };
        let job = |asked| Job {
            service: self.inner.clone(),
            request,
            rules: Arc::clone(&self.rules),
            asked,
        };
        if asked.is_head {
            return ResponseFuture::working(job(asked).head());
        }
        // What lies in this process is found at the first poll, without a box and without a clone of
        // the inner service. A lookup that has to wait is dropped, which concerns nobody else, and
        // asked again where it can wait.
        let cache = self.rules.engine();
        if !cache.store().may_wait()
            && let Some(lookup) = at_once(cache.lookup(&asked.key, &asked.policy))
        {
            return match lookup {
                Lookup::Hit(hit) => ResponseFuture::ready(answer::hit(&hit, false)),
                lookup => ResponseFuture::working(job(asked).act(lookup)),
            };
        }
        ResponseFuture::working(job(asked).answer())
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

fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
