//! What the origin answered, and what becomes of the permit.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderValue};
use http::{HeaderMap, Response, StatusCode, request, response};
use http_body::Body;
use larder_core::{Entry, Failure, Key, Policy, Reason, Settled, Stored, Timestamp};
use larder_http::{CacheStatus, Forward, dates, revalidated, storable};

use crate::answer;
use crate::body::{CacheBody, Collected, Copying, Flow, Keep, Length, Tee, broken, collect, fill};
use crate::context::{self, PageContext};
use crate::detach;
use crate::layer::{Keeping, Question, Rules};
use crate::load::PagePermit;
use crate::page::Page;
use crate::terms::PageTerms;
use crate::wants::Wish;

/// A permit, and everything that says how to settle it.
pub(crate) struct Settle {
    rules: Arc<Rules>,
    asked: Question,
    permit: PagePermit,
    why: Forward,
    /// What the handler could say about its answer.
    context: PageContext,
    /// What the client wants of the answer that the origin was asked for whole.
    wish: Wish,
    /// The request as the client sent it, where the answer may say what its key is.
    original: Option<Box<request::Parts>>,
    /// When the origin was asked, and whether only for news of the page that is stored.
    since: Timestamp,
    news: bool,
    /// What the origin said, where that is not the status of the answer.
    said: Option<StatusCode>,
    /// The page whose body is that of the answer.
    same: Option<Page>,
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
            context: PageContext::default(),
            wish: Wish::default(),
            original: None,
            since: Timestamp::EPOCH,
            news: false,
            said: None,
            same: None,
        }
    }

    /// When the origin was asked, and whether only for news of what is stored.
    pub(crate) fn asked_at(mut self, since: Timestamp, news: bool) -> Self {
        (self.since, self.news) = (since, news);
        self
    }

    /// For a client that was not content with what is stored.
    pub(crate) fn on_request(mut self) -> Self {
        self.why = Forward::Request;
        self
    }

    /// For a client that wants this of the answer, and asked so.
    pub(crate) fn wanted(mut self, wish: Wish, original: Option<Box<request::Parts>>) -> Self {
        self.wish = wish;
        self.original = original;
        self
    }

    /// The key that the answer is stored under.
    fn target(&self, headers: &HeaderMap) -> Key {
        match &self.original {
            Some(original) => self.rules.learn(original, headers),
            None => self.asked.key.clone(),
        }
    }

    /// With what the handler says about its answer.
    pub(crate) fn told_by(mut self, context: PageContext) -> Self {
        self.context = context;
        self
    }

    /// The service failed without an answer. Its error goes to the caller; those who wait go on alone,
    /// for an error of any type cannot be shared.
    pub(crate) async fn error<B, E>(self, error: E) -> Result<Response<CacheBody<B>>, E>
    where
        B: Body<Data = Bytes> + 'static,
    {
        if self.permit.spare().is_none() {
            self.permit.decline(&Reason::Failed);
            return Err(error);
        }
        let by = self.rules.sign.of(&self.asked.key);
        match self.permit.fail(Arc::new(OriginFailed(None))).await {
            Settled::Serve(hit) => Ok(answer::hit(&hit, self.wish.wants(), by)),
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
        if self.news && head.status == StatusCode::NOT_MODIFIED {
            return self.revalidated(head).await;
        }
        if let Some(entry) = self.context.kept(head.status).cloned() {
            return self.confirmed(head, &entry).await;
        }
        if self.is_failure(head.status) {
            return self.failure(head, body).await;
        }
        match self.judge(&mut head) {
            Ok(keeping) => self.keep(head, body, keeping).await,
            Err(reason) => self.decline(head, CacheBody::origin(body), &reason),
        }
    }

    /// The origin says that what is stored has not changed.
    async fn revalidated<B>(mut self, mut head: response::Parts) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + 'static,
    {
        self.said = Some(head.status);
        let stored = self.permit.previous().cloned();
        let speaks_of =
            |entry: &Arc<Entry<Page>>| revalidated::selects(entry.value.headers(), &head.headers);
        if let Some(entry) = stored.filter(speaks_of) {
            // It is as old as what it confirms.
            if !head.headers.contains_key(DATE) {
                let now = self.rules.engine().clock().now();
                head.headers
                    .extend(HeaderValue::try_from(dates::write(now)).map(|date| (DATE, date)));
            }
            return self.confirmed(head, &entry).await;
        }
        // A page that nobody has, and a client that may not have asked for news.
        head.status = StatusCode::BAD_GATEWAY;
        head.headers.clear();
        self.decline(head, CacheBody::whole(Bytes::new()), &Reason::Failed)
    }

    /// The handler says that what was stored is still right: that is the answer, for the one who asked
    /// and for the store.
    async fn confirmed<B>(
        mut self,
        mut head: response::Parts,
        entry: &Entry<Page>,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + 'static,
    {
        let page = &entry.value;
        self.same = Some(page.clone());
        head.status = page.status();
        head.headers = context::confirmed(page, &head.headers);
        let body = page.body().clone();
        match self.judge(&mut head) {
            Ok(mut keeping) => {
                let policy = Arc::make_mut(&mut keeping.policy);
                for tag in entry.tags().iter() {
                    policy.tags = policy.tags.with(tag.clone());
                }
                // What it takes to load it is what it took then.
                self.permit = self.permit.took(entry.cost());
                self.store(head, body, &keeping).await
            }
            Err(reason) => self.decline(head, CacheBody::whole(body), &reason),
        }
    }

    /// Whether something stale is better than an answer with this status; one that has a lifetime of its
    /// own is an answer like others where there is nothing stale.
    fn is_failure(&self, status: StatusCode) -> bool {
        let is_kept = self.rules.strict || self.rules.statuses.kept(status.as_u16()).is_ok();
        storable::is_failure(status.as_u16()) && (self.has_stand_in() || !is_kept)
    }

    /// Whether something is stored that may be served in place of an answer that is a failure.
    fn has_stand_in(&self) -> bool {
        let may = |entry: &Arc<Entry<Page>>| !self.rules.strict || self.rules.stands_in(entry);
        self.permit.spare().is_some_and(may)
    }

    /// What an answer with this head is stored under, or why it is not stored.
    fn judge(&self, head: &mut response::Parts) -> Result<Keeping, Reason> {
        if let (true, Some(original)) = (self.rules.strict, &self.original) {
            let answer = (head, self.since);
            return self.rules.storable_strictly(&self.asked, original, answer);
        }
        let said = head.extensions.remove::<PageTerms>().unwrap_or_default();
        let terms = self.context.terms().and(said);
        let mut keeping = self.rules.storable(&self.asked, head)?;
        if terms.is_skip() {
            return Err(Reason::Filtered);
        }
        answer::add_vary(&mut head.headers, &self.rules.vary);
        keeping.policy = terms.over(keeping.policy);
        Ok(keeping)
    }

    /// Stores an answer whose head may be stored, if its body can be.
    async fn keep<B>(
        self,
        mut head: response::Parts,
        body: B,
        keeping: Keeping,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let limit = self.rules.max_body;
        let size = body.size_hint();
        let length = Length::said(head.status, &head.headers);
        if size.lower() > limit as u64 {
            return self.decline(head, CacheBody::origin(body), &Reason::TooLarge);
        }
        if is_event_stream(&head.headers) {
            return self.decline(head, CacheBody::origin(body), &Reason::Stream);
        }
        let at_once = limit.min(self.rules.stream_from) as u64;
        if size.upper().is_none_or(|most| most > at_once) {
            keeping.tell(&mut head.headers);
            self.rules
                .coder
                .tell(head.status, &mut head.headers, size.exact());
            let status = CacheStatus::forward(self.why);
            let copying = Copying {
                limit,
                length,
                on_disconnect: self.rules.on_disconnect,
            };
            let key = self.target(&head.headers);
            // Those who wait for another key may be given another page.
            let joins =
                self.rules.join_streams && key == self.asked.key && broken::<B::Error>().is_some();
            let clock = Arc::clone(self.rules.engine().clock());
            let filling = Filling {
                key,
                permit: self.permit,
                rules: Arc::clone(&self.rules),
                policy: keeping.policy,
                status: head.status,
                headers: head.headers.clone(),
            };
            let body = if joins && detach::can_spawn() {
                CacheBody::stream(fill(body, copying, clock, |flow| filling.announced(flow)))
            } else {
                CacheBody::tee(Tee::new(body, copying, Box::new(filling)))
            };
            let by = self.rules.sign.of(&self.asked.key);
            return answer::passed(head, body, status, by);
        }
        match collect(body, limit).await {
            Collected::Whole(body) if length.is(body.len()) => {
                self.store(head, body, &keeping).await
            }
            Collected::Whole(body) => self.decline(head, CacheBody::whole(body), &Reason::Failed),
            Collected::Long(rest) => self.decline(head, CacheBody::replay(rest), &Reason::TooLarge),
            Collected::Broken(rest) => self.decline(head, CacheBody::replay(rest), &Reason::Failed),
        }
    }

    /// Stores an answer, which is whole.
    async fn store<B>(
        self,
        mut head: response::Parts,
        body: Bytes,
        keeping: &Keeping,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + 'static,
    {
        let is_told = keeping.tell(&mut head.headers);
        let length = Some(body.len() as u64);
        self.rules
            .coder
            .tell(head.status, &mut head.headers, length);
        let key = self.target(&head.headers);
        let page = self.rules.plain_page(head.status, head.headers, body);
        let page = self.rules.coded_as(page, self.same.as_ref()).await;
        let stored = self
            .permit
            .store_under(&key, page.clone(), &keeping.policy)
            .await;
        let by = self.rules.sign.of(&self.asked.key);
        let status = match self.said {
            Some(said) => told(self.why, &stored).origin_said(said.as_u16()),
            None => told(self.why, &stored),
        };
        let mut answer = answer::loaded(&page, status, self.wish.wants(), by);
        if is_told && stored != Stored::Stored {
            // A promise that is not kept here.
            answer.headers_mut().remove(CACHE_CONTROL);
        }
        answer
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
        if self.has_stand_in() {
            let by = self.rules.sign.of(&self.asked.key);
            return match self.permit.fail(Arc::new(OriginFailed(None))).await {
                Settled::Serve(hit) => answer::hit(&hit, self.wish.wants(), by),
                Settled::Raise(_) => {
                    let status = CacheStatus::forward(self.why).because(&reason);
                    answer::passed(head, CacheBody::origin(body), status, by)
                }
            };
        }
        if !short || !self.rules.is_for_all(&self.asked, &head) {
            return self.decline(head, CacheBody::origin(body), &reason);
        }
        match collect(body, self.rules.max_body).await {
            Collected::Whole(body) => {
                let page = Page::new(head.status, head.headers, body);
                let failure: Failure = Arc::new(OriginFailed(Some(page.clone())));
                let status = CacheStatus::forward(self.why).because(&reason);
                // Without a page to spare this is never a stale answer.
                drop(self.permit.fail(failure).await);
                let by = self.rules.sign.of(&self.asked.key);
                answer::loaded(&page, status, self.wish.wants(), by)
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
        let by = self.rules.sign.of(&self.asked.key);
        answer::declined(head, body, status, (self.wish.wants(), by))
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
struct Filling {
    permit: PagePermit,
    key: Key,
    rules: Arc<Rules>,
    policy: Arc<Policy>,
    status: StatusCode,
    headers: HeaderMap,
}

impl Filling {
    /// The same, after those who wait were told that the answer is on its way.
    fn announced(self, flow: &Arc<Flow>) -> Box<dyn Keep> {
        let page = Page::on_its_way(self.status, self.headers.clone(), Arc::clone(flow));
        self.permit.announce(page, &self.policy);
        Box::new(self)
    }
}

impl Keep for Filling {
    fn store(self: Box<Self>, body: Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let page = self.rules.plain_page(self.status, self.headers, body);
            let page = self.rules.coded_as(page, None).await;
            self.permit.store_under(&self.key, page, &self.policy).await;
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
