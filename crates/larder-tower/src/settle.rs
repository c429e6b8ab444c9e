//! What the origin answered, and what becomes of the permit.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use larder_core::{Failure, Policy, Reason, Settled, Stored};
use larder_http::{CacheStatus, Forward, storable};

use crate::answer;
use crate::body::{CacheBody, Collected, Keep, Tee, collect};
use crate::layer::{Question, Rules};
use crate::load::PagePermit;
use crate::page::Page;

/// A permit, and everything that says how to settle it.
pub(crate) struct Settle {
    rules: Arc<Rules>,
    asked: Question,
    permit: PagePermit,
    why: Forward,
}

impl Settle {
    pub(crate) fn new(rules: Arc<Rules>, asked: Question, permit: PagePermit) -> Self {
        let why = match permit.previous() {
            Some(_) => Forward::Stale,
            None => Forward::Miss,
        };
        Self {
            rules,
            asked,
            permit,
            why,
        }
    }

    /// The service failed without an answer. Its error goes to the caller; those who wait go on alone,
    /// for an error of any type cannot be shared.
    pub(crate) async fn error<B, E>(self, error: E) -> Result<Response<CacheBody<B>>, E>
    where
        B: Body<Data = Bytes> + 'static,
    {
        if self.permit.previous().is_none() {
            self.permit.decline(&Reason::Failed);
            return Err(error);
        }
        match self.permit.fail(Arc::new(OriginFailed(None))).await {
            Settled::Serve(hit) => Ok(answer::hit(&hit, false)),
            Settled::Raise(_) => Err(error),
        }
    }

    /// The service answered.
    pub(crate) async fn answer<B>(self, response: Response<B>) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let (mut head, body) = response.into_parts();
        if storable::is_failure(head.status.as_u16()) {
            return self.failure(head, body).await;
        }
        let policy = match self.rules.storable(&self.asked, &head) {
            Ok(policy) => policy,
            Err(reason) => return self.decline(head, CacheBody::origin(body), &reason),
        };
        answer::add_vary(&mut head.headers, &self.rules.vary);
        self.keep(head, body, policy).await
    }

    /// Stores an answer whose head may be stored, if its body can be.
    async fn keep<B>(
        self,
        head: response::Parts,
        body: B,
        policy: Arc<Policy>,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let limit = self.rules.max_body;
        let size = body.size_hint();
        if size.lower() > limit as u64 {
            return self.decline(head, CacheBody::origin(body), &Reason::TooLarge);
        }
        if is_event_stream(&head.headers) {
            return self.decline(head, CacheBody::origin(body), &Reason::Stream);
        }
        if size.upper().is_none_or(|most| most > limit as u64) {
            let status = CacheStatus::forward(self.why);
            let keep = Copying {
                permit: self.permit,
                policy,
                status: head.status,
                headers: head.headers.clone(),
            };
            let body = CacheBody::tee(Tee::new(body, limit, Box::new(keep)));
            return answer::passed(head, body, &status);
        }
        match collect(body, limit).await {
            Collected::Whole(body) => {
                let page = Page::new(head.status, head.headers, body);
                let stored = self.permit.store(page.clone(), &policy).await;
                answer::loaded(&page, &told(self.why, &stored))
            }
            Collected::Long(rest) => self.decline(head, CacheBody::replay(rest), &Reason::TooLarge),
            Collected::Broken(rest) => self.decline(head, CacheBody::replay(rest), &Reason::Failed),
        }
    }

    /// The origin says that it failed: a stale page goes out in its place if there is one that may;
    /// else the failure goes to everyone who waits, unless it is for one of them only.
    async fn failure<B>(self, head: response::Parts, body: B) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let reason = Reason::Status(head.status.as_u16());
        let limit = self.rules.max_body as u64;
        let short = body.size_hint().upper().is_some_and(|most| most <= limit);
        if self.permit.previous().is_some() {
            return match self.permit.fail(Arc::new(OriginFailed(None))).await {
                Settled::Serve(hit) => answer::hit(&hit, false),
                Settled::Raise(_) => {
                    let status = CacheStatus::forward(self.why).because(&reason);
                    answer::passed(head, CacheBody::origin(body), &status)
                }
            };
        }
        if !short || self.rules.shareable(&self.asked, &head).is_err() {
            return self.decline(head, CacheBody::origin(body), &reason);
        }
        match collect(body, self.rules.max_body).await {
            Collected::Whole(body) => {
                let page = Page::new(head.status, head.headers, body);
                let failure: Failure = Arc::new(OriginFailed(Some(page.clone())));
                let status = CacheStatus::forward(self.why).because(&reason);
                // Without a previous page this is never a stale answer.
                drop(self.permit.fail(failure).await);
                answer::loaded(&page, &status)
            }
            Collected::Long(rest) | Collected::Broken(rest) => {
                self.decline(head, CacheBody::replay(rest), &reason)
            }
        }
    }

    fn decline<B>(
        self,
        head: response::Parts,
        body: CacheBody<B>,
        reason: &Reason,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + 'static,
    {
        self.permit.decline(reason);
        let status = CacheStatus::forward(self.why).because(reason);
        answer::passed(head, body, &status)
    }
}

fn told(why: Forward, stored: &Stored) -> CacheStatus {
    let status = CacheStatus::forward(why);
    match stored {
        Stored::Stored => status.stored(),
        Stored::Fenced => status.with("fenced"),
        Stored::Refused(reason) => status.because(reason),
    }
}

/// Whether an answer goes on until somebody hangs up.
fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.len() >= 17 && kind[..17].eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// A page whose body is on its way to the client.
struct Copying {
    permit: PagePermit,
    policy: Arc<Policy>,
    status: StatusCode,
    headers: HeaderMap,
}

impl Keep for Copying {
    fn store(self: Box<Self>, body: Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let page = Page::new(self.status, self.headers, body);
            self.permit.store(page, &self.policy).await;
        })
    }

    fn decline(self: Box<Self>, reason: &Reason) {
        self.permit.decline(reason);
    }
}

/// Why a load failed: with an answer that everyone who waited gets, or with an error that only the
/// caller got.
#[derive(Debug)]
pub(crate) struct OriginFailed(Option<Page>);

impl OriginFailed {
    /// The answer that a load failed with, if it can be shared.
    pub(crate) fn page_of(failure: &Failure) -> Option<&Page> {
        let failure: &(dyn std::error::Error + 'static) = &**failure;
        failure.downcast_ref::<Self>()?.0.as_ref()
    }
}

impl fmt::Display for OriginFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(page) => write!(f, "origin failed: it answered {}", page.status()),
            None => f.write_str("origin failed"),
        }
    }
}

impl std::error::Error for OriginFailed {}
