//! What a request asks beyond a page: an answer that is fresh enough, or a change.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, response};
use larder_core::{Hit, Key, Result, Served, Timestamp};
use larder_http::{RequestControl, invalidation};

use crate::detach::Detached;
use crate::key_rule::{bases, host, path};
use crate::layer::{Question, Rules};
use crate::page::Page;
use crate::wants::Wants;

/// What becomes of a request whose directives are obeyed.
pub(crate) enum Obeyed {
    /// The client takes what is stored.
    Serve(Hit<Page>),
    /// It wants nothing but what is stored, and there is nothing that it takes.
    Absent,
    /// It wants nothing to be stored.
    Leave,
    /// It does not take what is stored, or would not take something stale.
    Load,
    /// Its directives decide nothing.
    Look,
}

/// The fresh page that is stored under a key.
pub(crate) async fn stored(rules: &Rules, key: &Key) -> Result<Option<Hit<Page>>> {
    let cache = rules.engine();
    let entry = cache.get_entry(key).await?;
    let at = cache.clock().now();
    Ok(entry.map(|entry| Hit {
        entry,
        served: Served::Fresh,
        at,
    }))
}

/// What is enough of a page for an answer that may need no body, so that none is read: to HEAD, from what
/// GET stored, and to a client who has the page.
pub(crate) async fn head(
    rules: &Rules,
    asked: &Question,
    wants: Wants<'_>,
) -> Result<Option<Hit<Page>>> {
    let cache = rules.engine();
    let found = cache.head(&asked.key, &asked.policy).await?;
    let is_enough = |hit: &Hit<Page>| {
        let page = hit.value();
        if wants.is_head() || !hit.entry.is_head() {
            return true;
        }
        let page = wants.page(page);
        wants.has(page.status(), page.headers())
    };
    let found = found.filter(is_enough);
    if found.is_some() {
        cache.was_served(&asked.key);
    }
    Ok(found)
}

/// What the directives of a request come to (RFC 9111 section 5.2.1). A store that fails is met again
/// by whoever looks next.
pub(crate) async fn obey(rules: &Rules, asked: &Question, control: &RequestControl) -> Obeyed {
    let (is_there, hit) = if rules.strict {
        rules.acceptable(asked, control).await
    } else {
        let hit = stored(rules, &asked.key).await.ok().flatten();
        (hit.is_some(), hit.filter(|hit| is_content(control, hit)))
    };
    if let Some(hit) = hit {
        return Obeyed::Serve(hit);
    }
    let wants_fresh = control.no_cache || control.max_age.is_some() || control.min_fresh.is_some();
    if control.only_if_cached {
        Obeyed::Absent
    } else if control.no_store {
        Obeyed::Leave
    } else if is_there || wants_fresh {
        Obeyed::Load
    } else {
        Obeyed::Look
    }
}

fn is_content(control: &RequestControl, hit: &Hit<Page>) -> bool {
    let on_arrival = Duration::from_secs(hit.value().age_on_arrival());
    let age = on_arrival.saturating_add(hit.age());
    let left = match hit.entry.fresh_until() {
        Timestamp::NEVER => Duration::MAX,
        until => until.since(hit.at),
    };
    control.accepts(age, left, Duration::ZERO)
}

/// A request that may make pages invalid (RFC 9111 section 4.4).
pub(crate) struct Change {
    method: Method,
    host: Vec<u8>,
    path: String,
}

impl Change {
    /// The change that a request may make. The methods of reading make none.
    pub(crate) fn of(request: &Parts) -> Option<Self> {
        // What its answer will be is not known yet.
        let may = invalidation::invalidates(request.method.as_str(), 200);
        may.then(|| Self {
            method: request.method.clone(),
            host: host(request).to_vec(),
            path: path(request).to_owned(),
        })
    }

    /// Forgets the page of the request, and those on its host that the answer names, if the answer is no
    /// failure. A store that is away owes it: see [`PageCache::remove`](crate::PageCache::remove).
    pub(crate) async fn settle(self, rules: &Arc<Rules>, answer: &response::Parts) {
        if !invalidation::invalidates(self.method.as_str(), answer.status.as_u16()) {
            return;
        }
        let path = self.path.as_bytes();
        let named = invalidation::named(&self.host, path, &answer.headers);
        let paths = named.iter().map(|named| named.path.as_str());
        let keys: Vec<Key> = paths.chain([self.path.as_str()]).flat_map(bases).collect();
        let rules = Arc::clone(rules);
        // The origin has made its change, whatever becomes of the client.
        let forget = async move { drop(rules.engine().remove_many(&keys).await) };
        Detached::new(forget).await;
    }
}
