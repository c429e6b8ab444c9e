//! Loads that a client waits for only so long.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use larder_core::store::AnyStore;
use larder_core::{Entry, Handed, LoadId, Reason, Waited};
use larder_http::{CacheStatus, Forward};
use tower_service::Service;

use crate::answer;
use crate::body::{CacheBody, OnDisconnect};
use crate::detach::{self, Detached};
use crate::load::{Answer, Job, PagePermit};
use crate::page::Page;
use crate::sign::Signed;
use crate::wants::Wants;

/// The duty to load, as whoever loads has it.
pub(crate) enum Duty {
    /// The load ends for whoever waits for it.
    Own(PagePermit),
    /// It may end later.
    Handed(Handed<Page, AnyStore<Page>>),
}

impl Duty {
    pub(crate) fn previous(&self) -> Option<&Arc<Entry<Page>>> {
        match self {
            Self::Own(permit) => permit.previous(),
            Self::Handed(handed) => handed.previous(),
        }
    }

    pub(crate) fn load(&self) -> LoadId {
        match self {
            Self::Own(permit) => permit.load(),
            Self::Handed(handed) => handed.load(),
        }
    }

    /// The permit at the end of the load; `None` where that came too late.
    pub(crate) fn take(self) -> Option<PagePermit> {
        match self {
            Self::Own(permit) => Some(permit),
            Self::Handed(handed) => handed.take(),
        }
    }
}

/// Loads for a client that waits for a limited time, and for those who wait.
pub(crate) async fn lead<S, A, B>(
    job: Job<S, A>,
    permit: PagePermit,
    on_request: bool,
) -> Answer<B, S::Error>
where
    S: Service<Request<A>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    let (rules, key) = (Arc::clone(&job.rules), job.asked.key.clone());
    let discards = job.asked.policy.discard_late;
    let finishes = matches!(rules.on_disconnect, OnDisconnect::Finish);
    let wish = Wants::of(&job.head).keep();
    let (handed, patience) = permit.hand_over();
    let mut load = Loading::new(job.load(Duty::Handed(handed), on_request), finishes);
    let waited = match &mut load {
        Loading::Finished(load) => patience.wait(load).await,
        Loading::Abandoned(load) => patience.wait(load).await,
    };
    if !discards && !matches!(waited, Waited::Ended(_)) {
        detach::spawn(async move {
            match load {
                Loading::Finished(load) => finish(load).await,
                Loading::Abandoned(load) => finish(load).await,
            }
        });
    } else if let Loading::Finished(load) = load {
        load.forget();
    }
    match waited {
        Waited::Ended(answer) => answer,
        Waited::Serve(hit) => Ok(answer::hit(&hit, wish.wants(), rules.sign.of(&key))),
        Waited::TimedOut(_) => Ok(too_slow(rules.sign.of(&key))),
    }
}

/// A load, and what becomes of it when its client goes away.
enum Loading<T: 'static> {
    Finished(Detached<T>),
    Abandoned(std::pin::Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Loading<T> {
    fn new(load: impl Future<Output = T> + Send + 'static, finishes: bool) -> Self {
        match finishes {
            true => Self::Finished(Detached::new(load)),
            false => Self::Abandoned(Box::pin(load)),
        }
    }
}

/// Loads to the end of the body, for nobody.
pub(crate) async fn finish<B, E>(load: impl Future<Output = Answer<B, E>>)
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    if let Ok(answer) = load.await {
        let mut body = pin!(answer.into_body());
        while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
    }
}

/// The answer for a client that has waited for long enough.
pub(crate) fn too_slow<B>(by: Signed<'_>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    answer::absent(CacheStatus::forward(Forward::Miss).with("hard-timeout"), by)
}

/// An answer that came too late, and that is thrown away.
pub(crate) fn unwanted<B>(response: Response<B>, by: Signed<'_>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + 'static,
{
    let (head, body) = response.into_parts();
    let status = CacheStatus::pass(&Reason::Failed);
    answer::passed(head, CacheBody::origin(body), status, by)
}
