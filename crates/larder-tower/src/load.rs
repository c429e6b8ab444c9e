//! One request that was not answered at once: wait, load, or leave it alone.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use larder_core::store::AnyStore;
use larder_core::{Chain, Hit, Lookup, Permit, Reason, Served};
use larder_http::{CacheStatus, Forward};
use tower_service::Service;

use crate::answer;
use crate::body::CacheBody;
use crate::detach::{self, Detached};
use crate::layer::{Question, Rules};
use crate::page::Page;
use crate::settle::{OriginFailed, Settle};

pub(crate) type PagePermit = Permit<Page, AnyStore<Page>>;

/// A request, whom to ask, and what it asks of the cache.
pub(crate) struct Job<S, A> {
    pub(crate) service: S,
    pub(crate) request: Request<A>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) asked: Question,
}

type Answer<B, E> = Result<Response<CacheBody<B>>, E>;

impl<S, A, B> Job<S, A>
where
    S: Service<Request<A>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    /// Looks, waits where somebody loads already, and answers.
    pub(crate) async fn answer(self) -> Answer<B, S::Error> {
        let cache = self.rules.engine();
        match cache.lookup(&self.asked.key, &self.asked.policy).await {
            Lookup::Hit(hit) => Ok(answer::hit(&hit, false)),
            Lookup::Stale(hit, permit) if detach::can_spawn() => {
                detach::spawn(async move { drop(self.load(permit).await) });
                Ok(answer::hit(&hit, false))
            }
            Lookup::Stale(_, permit) | Lookup::Miss(permit) => {
                Detached::new(self.load(permit)).await
            }
            Lookup::Failed(failure) => match OriginFailed::page_of(&failure) {
                Some(page) => {
                    let status = CacheStatus::forward(Forward::Miss).collapsed();
                    Ok(answer::loaded(page, &status))
                }
                None => self.pass(&Reason::Failed).await,
            },
            Lookup::Pass(reason) => self.pass(&reason).await,
        }
    }

    /// HEAD is answered from what GET stored, and never leads: its answer has no body to store.
    pub(crate) async fn head(self) -> Answer<B, S::Error> {
        let cache = self.rules.engine();
        match cache.get_entry(&self.asked.key).await {
            Ok(Some(entry)) => {
                let at = cache.clock().now();
                let served = Served::Fresh;
                Ok(answer::hit(&Hit { entry, served, at }, true))
            }
            Ok(None) => {
                let status = CacheStatus::forward(Forward::Miss).because(&Reason::Method);
                pass(self.service, self.request, status).await
            }
            Err(error) => self.pass(&Reason::Store(error.to_string().into())).await,
        }
    }

    async fn pass(self, reason: &Reason) -> Answer<B, S::Error> {
        pass(self.service, self.request, CacheStatus::pass(reason)).await
    }

    /// Asks the origin, and settles the permit by what it answers.
    async fn load(self, permit: PagePermit) -> Answer<B, S::Error> {
        let Self {
            service,
            request,
            rules,
            asked,
        } = self;
        let chain = Chain::current().and(permit.load());
        let result = chain.within(ask(service, request)).await;
        let settle = Settle::new(rules, asked, permit);
        match result {
            Ok(response) => Ok(settle.answer(response).await),
            Err(error) => settle.error(error).await,
        }
    }
}

/// Asks the origin and keeps out of it.
pub(crate) async fn pass<S, A, B>(
    service: S,
    request: Request<A>,
    status: CacheStatus,
) -> Answer<B, S::Error>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes> + 'static,
{
    let (head, body) = ask(service, request).await?.into_parts();
    Ok(answer::passed(head, CacheBody::origin(body), &status))
}

async fn ask<S, A>(mut service: S, request: Request<A>) -> Result<S::Response, S::Error>
where
    S: Service<Request<A>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}
