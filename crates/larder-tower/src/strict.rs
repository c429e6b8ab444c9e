//! The strict mode: what answers and requests say in their headers decides, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    AGE, CONTENT_LENGTH, DATE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode, request, response};
use larder_core::{Entry, Hit, Key, Lifetime, Policy, Reason, Served, Store, Timestamp};
use larder_http::strict::{self, Answer, Terms};
use larder_http::{RequestControl, dates, freshness};

use crate::layer::{Keeping, Question, Rules, can_be_learned};
use crate::page::Page;

/// Whether a request has a condition that only the origin can judge.
pub(crate) fn is_for_the_origin(request: &request::Parts) -> bool {
    [IF_MATCH, IF_UNMODIFIED_SINCE]
        .iter()
        .any(|name| request.headers.contains_key(name))
}

/// Asks the origin whether a stored page is still right (RFC 9111 section 4.3.1). Says whether there is
/// anything to ask by.
pub(crate) fn ask_for_news(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    let mut asks = false;
    for (validator, condition) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = stored.get(validator) {
            request.insert(condition, value.clone());
            asks = true;
        }
    }
    asks
}

/// Whether something stored may never be served before the origin has confirmed it.
pub(crate) fn is_never_fresh(hit: &Hit<Page>) -> bool {
    hit.entry.fresh_until() <= hit.entry.stored_at()
}

impl Rules {
    /// What is stored for a request and in what state, if the client takes it in that state.
    pub(crate) async fn acceptable(
        &self,
        asked: &Question,
        control: &RequestControl,
    ) -> (bool, Option<Hit<Page>>) {
        let Some(entry) = self.kept(&asked.key).await else {
            return (false, None);
        };
        let at = self.engine().clock().now();
        let until = entry.fresh_until();
        let (left, since) = (until.since(at), at.since(until));
        let served = if until > at {
            Served::Fresh
        } else {
            Served::Stale
        };
        let hit = Hit { entry, served, at };
        let page = hit.value();
        let arrived = Duration::from_secs(page.age_on_arrival());
        let mut takes = control.accepts(arrived.saturating_add(hit.age()), left, since);
        if served == Served::Stale {
            let (said, _) = freshness::control(page.headers(), &self.targets);
            takes &= control.max_stale.is_some() && !said.never_stale() && !said.no_cache;
        }
        (true, takes.then_some(hit))
    }

    /// What is stored under a key, in whatever state. A store that fails is met again by whoever looks
    /// next.
    async fn kept(&self, key: &Key) -> Option<Arc<Entry<Page>>> {
        let store = self.engine().ready().await.ok()?;
        store.peek(key).await.ok().flatten()
    }

    /// Forgets the page under a key if the answer to HEAD tells of another one (RFC 9111 section 4.3.5).
    pub(crate) async fn compare(&self, key: &Key, answer: &response::Parts) {
        if answer.status != StatusCode::OK {
            return;
        }
        let Some(entry) = self.kept(key).await else {
            return;
        };
        let stored = entry.value.headers();
        let differs = |name: &HeaderName| {
            let new = answer.headers.get(name);
            new.is_some_and(|new| stored.get(name) != Some(new))
        };
        if [ETAG, LAST_MODIFIED, CONTENT_LENGTH].iter().any(differs) {
            // One that fails is owed.
            drop(self.engine().remove(key).await);
        }
    }

    /// Whether a page says that it stands in for an answer that failed (RFC 5861 section 4); for an
    /// origin that does not answer at all, it is enough that the page does not forbid it.
    pub(crate) fn stands_in(&self, entry: &Entry<Page>) -> bool {
        let (page, stored_at) = (&entry.value, entry.meta().stored_at);
        let answer = Answer {
            status: page.status().as_u16(),
            fields: page.headers(),
            targets: &self.targets,
        };
        let mut terms = Terms::of(&answer, stored_at, stored_at);
        terms.age = Duration::from_secs(page.age_on_arrival());
        let resident = entry.meta().age(self.engine().clock().now());
        terms.stands_in(&RequestControl::default(), resident)
    }

    /// What an answer is stored under by what it says, or why it is not stored; `since` is when it was
    /// asked for. Its headers get a `Date` where they have none, and its age.
    ///
    /// An answer that sets a cookie is stored only if it says that it is for everybody.
    pub(crate) fn storable_strictly(
        &self,
        asked: &Question,
        request: &request::Parts,
        (head, since): (&mut response::Parts, Timestamp),
    ) -> Result<Keeping, Reason> {
        let now = self.engine().clock().now();
        let headers = &mut head.headers;
        if !headers.contains_key(DATE)
            && let Ok(date) = HeaderValue::try_from(dates::write(now))
        {
            headers.insert(DATE, date);
        }
        can_be_learned(headers)?;
        let answer = Answer {
            status: head.status.as_u16(),
            fields: &*headers,
            targets: &self.targets,
        };
        if strict::sets_cookie_for_one(&answer) {
            return Err(Reason::SetCookie);
        }
        // What the client says of storing has been obeyed before.
        let (method, asked_by) = (request.method.as_str(), &request.headers);
        strict::storable(method, asked_by, &RequestControl::default(), &answer)?;
        let terms = Terms::of(&answer, since, now);
        let mut policy = terms.policy(&asked.policy);
        if !headers.contains_key(ETAG) && !headers.contains_key(LAST_MODIFIED) {
            policy.revalidate_for = Duration::ZERO;
        }
        if is_of_no_use(&policy) {
            return Err(Reason::DoNotKeep);
        }
        match terms.age.as_secs() {
            0 => headers.remove(AGE),
            age => headers.insert(AGE, age.into()),
        };
        Ok(Keeping {
            policy: policy.into(),
            is_told: false,
        })
    }
}

fn is_of_no_use(policy: &Policy) -> bool {
    policy.ttl == Lifetime::For(Duration::ZERO)
        && (policy.must_revalidate
            || policy.stale_while_revalidate.is_zero() && policy.stale_if_error.is_zero())
        && policy.revalidate_for.is_zero()
}
