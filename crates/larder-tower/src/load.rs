//! One request that was not answered at once: wait, load, or leave it alone.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use larder_core::store::AnyStore;
use larder_core::{Chain, Lookup, Permit, Reason, Served, TimedOut};
use larder_http::{CacheStatus, Forward};
use tower_service::Service;

use crate::answer;
use crate::asked::{self, Change, Obeyed};
use crate::body::{CacheBody, Flow, OnDisconnect, Stream, broken};
use crate::context::PageContext;
use crate::detach::{self, Detached};
use crate::layer::{Question, Rules};
use crate::overtime::{self, Duty};
use crate::page::Page;
use crate::settle::{OriginFailed, Settle};
use crate::strict;
use crate::wants::{Wants, Wish, make_whole};

pub(crate) type PagePermit = Permit<Page, AnyStore<Page>>;

/// A request, whom to ask, and what it asks of the cache.
pub(crate) struct Job<S, A> {
    pub(crate) service: S,
    pub(crate) head: Parts,
    pub(crate) body: A,
    pub(crate) rules: Arc<Rules>,
    pub(crate) asked: Question,
}

/// How often a page may turn out to have another key before its request is left alone.
const LOOKS: usize = 4;

pub(crate) type Answer<B, E> = Result<Response<CacheBody<B>>, E>;

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
    pub(crate) async fn answer(mut self) -> Answer<B, S::Error> {
        if let Some(control) = self.asked.control.take() {
            match asked::obey(&self.rules, &self.asked, &control).await {
                Obeyed::Serve(hit) => {
                    return Ok(self.rules.answer(&self.asked, &self.head, &hit).await);
                }
                Obeyed::Absent => return Ok(self.absent()),
                Obeyed::Leave => return self.pass(&Reason::Request).await,
                Obeyed::Load => return self.load_anew().await,
                Obeyed::Look => {}
            }
        }
        let wants = Wants::of(&self.head);
        let (is_head, is_part) = (wants.is_head(), wants.is_part());
        if wants.is_for_head() {
            match asked::head(&self.rules, &self.asked, wants).await {
                Ok(Some(hit)) => return Ok(self.rules.answer(&self.asked, &self.head, &hit).await),
                Ok(None) => {}
                Err(error) => return self.pass(&Reason::Store(error.to_string().into())).await,
            }
        }
        if is_head {
            let status = CacheStatus::forward(Forward::Miss).because(&Reason::Method);
            self.forward(status).await
        } else if is_part {
            self.of_stored().await
        } else {
            self.look().await
        }
    }

    async fn look(mut self) -> Answer<B, S::Error> {
        if let Some(hit) = self.rules.coded(&self.asked, &self.head).await {
            let by = self.rules.sign.of(&self.asked.key);
            return Ok(answer::hit(&hit, Wants::of(&self.head), by));
        }
        for _ in 0..LOOKS {
            let cache = self.rules.engine();
            match cache.lookup(&self.asked.key, &self.asked.policy).await {
                Lookup::Again => self.asked.key = self.rules.key_of(&self.head).0,
                found => return self.act(found).await,
            }
        }
        self.pass(&Reason::Bypass).await
    }

    async fn act(self, found: Lookup<Page, AnyStore<Page>>) -> Answer<B, S::Error> {
        match found {
            // What another client was told is no confirmation for this one.
            Lookup::Hit(hit)
                if self.rules.strict
                    && hit.served == Served::Collapsed
                    && strict::is_never_fresh(&hit) =>
            {
                self.load_beside().await
            }
            Lookup::Hit(hit) => match hit.value().flow() {
                None => Ok(self.rules.answer(&self.asked, &self.head, &hit).await),
                Some(flow) => self.join(hit.value(), flow).await,
            },
            Lookup::Stale(hit, permit) if !permit.is_limited() && detach::can_spawn() => {
                let answer = self.rules.answer(&self.asked, &self.head, &hit).await;
                detach::spawn(async move { self.refresh(permit).await });
                Ok(answer)
            }
            Lookup::Stale(_, permit) | Lookup::Miss(permit) => self.lead(permit, false).await,
            Lookup::Failed(failure) if TimedOut::of(&failure).is_some() => Ok(self.too_slow()),
            Lookup::Failed(failure) => match OriginFailed::page_of(&failure) {
                Some(page) => {
                    let status = CacheStatus::forward(Forward::Miss).collapsed();
                    let by = self.rules.sign.of(&self.asked.key);
                    Ok(answer::loaded(page, status, Wants::of(&self.head), by))
                }
                None => self.pass(&Reason::Failed).await,
            },
            Lookup::Pass(reason) => self.pass(&reason).await,
            Lookup::Again => self.pass(&Reason::Bypass).await,
        }
    }

    /// Gives what has come of an answer that is on its way, and then the rest. Loads beside it where
    /// that is no use: it broke off or does not move, or this service's bodies cannot say so.
    async fn join(self, page: &Page, flow: &Arc<Flow>) -> Answer<B, S::Error> {
        let cache = self.rules.engine();
        let patience = self.asked.policy.wait;
        let joined = broken::<B::Error>().and_then(|_| flow.join(cache.clock().now(), patience));
        if let Some(reader) = joined {
            let status = CacheStatus::forward(Forward::Miss).collapsed();
            let by = self.rules.sign.of(&self.asked.key);
            // All of it, whatever the client has: nobody knows yet whether that is the same.
            let whole = Wish::default();
            let answer = answer::loaded::<B>(page, status, whole.wants(), by);
            return Ok(answer.map(|_| CacheBody::stream(Stream::joined(reader))));
        }
        self.load_beside().await
    }

    /// Loads although somebody else has just done so.
    async fn load_beside(self) -> Answer<B, S::Error> {
        let cache = self.rules.engine();
        match cache.refresh(&self.asked.key, &self.asked.policy).await {
            Lookup::Miss(permit) => self.lead(permit, false).await,
            _ => self.pass(&Reason::Failed).await,
        }
    }

    /// Loads although something fresh is stored: the client is not content with it.
    async fn load_anew(self) -> Answer<B, S::Error> {
        let wants = Wants::of(&self.head);
        if wants.is_head() || wants.is_part() {
            return self.pass(&Reason::Request).await;
        }
        let cache = self.rules.engine();
        match cache.refresh(&self.asked.key, &self.asked.policy).await {
            Lookup::Miss(permit) => self.lead(permit, true).await,
            Lookup::Pass(reason) => self.pass(&reason).await,
            _ => self.pass(&Reason::Request).await,
        }
    }

    /// A part is cut out of what is stored. It leads to no load, whose answer would be no whole page.
    async fn of_stored(self) -> Answer<B, S::Error> {
        match asked::stored(&self.rules, &self.asked.key).await {
            Ok(Some(hit)) => Ok(self.rules.answer(&self.asked, &self.head, &hit).await),
            Ok(None) => {
                let status = CacheStatus::forward(Forward::Miss).because(&Reason::Range);
                self.forward(status).await
            }
            Err(error) => self.pass(&Reason::Store(error.to_string().into())).await,
        }
    }

    /// The origin takes longer than this client waits.
    fn too_slow(&self) -> Response<CacheBody<B>> {
        overtime::too_slow(self.rules.sign.of(&self.asked.key))
    }

    fn absent(&self) -> Response<CacheBody<B>> {
        let status = CacheStatus::forward(Forward::Request).with("only-if-cached");
        answer::absent(status, self.rules.sign.of(&self.asked.key))
    }

    async fn pass(self, reason: &Reason) -> Answer<B, S::Error> {
        self.forward(CacheStatus::pass(reason)).await
    }

    /// Asks the origin what it would be asked for the cache, and stores nothing of its answer.
    async fn forward(mut self, status: CacheStatus) -> Answer<B, S::Error> {
        let is_head = Wants::of(&self.head).is_head();
        self.rules.key.cut(&mut self.head, self.asked.held);
        self.rules.ask_by_plain_tags(&mut self.head);
        if is_head || Wants::of(&self.head).is_part() {
            self.rules.ask_plain(&mut self.head);
        }
        let request = Request::from_parts(self.head, self.body);
        let (head, body) = ask(self.service, request).await?.into_parts();
        if is_head && self.rules.strict {
            self.rules.compare(&self.asked.key, &head).await;
        }
        let by = self.rules.sign.of(&self.asked.key);
        Ok(answer::passed(head, CacheBody::origin(body), status, by))
    }

    /// Loads behind an answer, to the end of the body, whoever goes away.
    async fn refresh(self, permit: PagePermit) {
        overtime::finish(self.load(Duty::Own(permit), false)).await;
    }

    /// Loads for the client, and for those who wait.
    async fn lead(self, permit: PagePermit, on_request: bool) -> Answer<B, S::Error> {
        if permit.is_limited() {
            return Box::pin(overtime::lead(self, permit, on_request)).await;
        }
        let duty = Duty::Own(permit);
        match self.rules.on_disconnect {
            OnDisconnect::Finish => Detached::new(self.load(duty, on_request)).await,
            OnDisconnect::Abandon => Box::pin(self.load(duty, on_request)).await,
        }
    }

    /// Asks the origin, and settles the permit by what it answers.
    pub(crate) async fn load(self, duty: Duty, on_request: bool) -> Answer<B, S::Error> {
        let Self {
            service,
            mut head,
            body,
            rules,
            asked,
        } = self;
        let wish = Wants::of(&head).keep();
        let original = rules.learns().then(|| Box::new(head.clone()));
        make_whole(&mut head);
        let stored = duty.previous().filter(|_| rules.strict);
        let news = stored
            .is_some_and(|stored| strict::ask_for_news(&mut head.headers, stored.value.headers()));
        let since = rules.engine().clock().now();
        rules.key.cut(&mut head, asked.held);
        rules.ask_plain(&mut head);
        rules.ask_by_plain_tags(&mut head);
        let context = PageContext::of_load(duty.previous());
        head.extensions.insert(context.clone());
        let chain = Chain::current().and(duty.load());
        let request = Request::from_parts(head, body);
        let result = chain.within(ask(service, request)).await;
        let Some(permit) = duty.take() else {
            return result.map(|answer| overtime::unwanted(answer, rules.sign.of(&asked.key)));
        };
        let mut settle = Settle::new(rules, asked, permit)
            .told_by(context)
            .wanted(wish, original)
            .asked_at(since, news);
        if on_request {
            settle = settle.on_request();
        }
        match result {
            Ok(response) => Ok(settle.answer(response).await),
            Err(error) => settle.error(error).await,
        }
    }
}

/// Asks the origin and keeps out of it, but for pages that the answer makes invalid.
pub(crate) async fn pass<S, A, B>(
    service: S,
    request: (Parts, A),
    rules: Arc<Rules>,
    reason: Reason,
) -> Answer<B, S::Error>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes> + 'static,
{
    let (mut head, body) = request;
    rules.ask_by_plain_tags(&mut head);
    let change = Change::of(&head).filter(|_| rules.invalidates);
    let request = Request::from_parts(head, body);
    let (head, body) = ask(service, request).await?.into_parts();
    if let Some(change) = change {
        change.settle(&rules, &head).await;
    }
    let status = CacheStatus::pass(&reason);
    let by = rules.sign.alone();
    Ok(answer::passed(head, CacheBody::origin(body), status, by))
}

async fn ask<S, A>(mut service: S, request: Request<A>) -> Result<S::Response, S::Error>
where
    S: Service<Request<A>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}
