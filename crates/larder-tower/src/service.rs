//! The service: look first, and go to the origin only if that is the answer.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::answer;
use crate::body::CacheBody;
use crate::future::ResponseFuture;
use crate::layer::Rules;
use crate::load::{self, Job};
use crate::wants::Wants;

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
        let asking = match self.rules.asking(&head) {
            Ok(asking) => asking,
            Err(reason) => {
                let rules = Arc::clone(&self.rules);
                let pass = load::pass(self.inner.clone(), (head, body), rules, reason);
                return ResponseFuture::working(pass);
            }
        };
        let wants = Wants::of(&head);
        // What lies in this process is found at once, without a box and without a clone of the inner
        // service. Elsewhere a page would be read with its body, which may not be wanted.
        if asking.control.is_none()
            && (self.rules.at_hand || !wants.is_for_head())
            && let Some(hit) = self.rules.hit_at_once(&asking.key, wants)
        {
            let by = self.rules.sign.of(&asking.key);
            return ResponseFuture::ready(answer::hit(&hit, wants, by));
        }
        let asked = self.rules.question(asking, &head);
        let job = Job {
            service: self.inner.clone(),
            head,
            body,
            rules: Arc::clone(&self.rules),
            asked,
        };
        ResponseFuture::working(job.answer())
    }
}
