//! One memoized function, and one call of it.

use std::borrow::Cow;
use std::fmt;

use larder_core::{
    Chain, Failure, Key, KeyWriter, Kind, Lookup, Permit, Policy, Reason, Result, Settled, Tag,
};

use super::outcome::{Outcome, Raised};
use super::{Kept, MemoCache, block};
use crate::background::{self, Work};

/// A memoized function: its name, its policy, and where its answers lie.
///
/// `V` is what it keeps, `E` what it fails with.
pub struct Memo<V, E> {
    name: String,
    policy: Policy,
    cache: fn() -> &'static MemoCache,
    traits: Traits<V, E>,
}

/// What depends on the types of a function alone.
pub struct Traits<V, E> {
    /// The weight of an answer in bytes.
    pub weigh: fn(&V) -> usize,
    /// A failure that others can have too.
    pub share: fn(&E) -> Option<Failure>,
}

/// One call of a memoized function: its key, and its policy with the tags of this call.
pub struct Call<V: 'static, E: 'static> {
    memo: &'static Memo<V, E>,
    key: Key,
    policy: Cow<'static, Policy>,
}

impl<V, E> Memo<V, E> {
    /// A function whose answers lie under `name`, which no other function has.
    pub fn new(
        name: String,
        policy: Policy,
        cache: fn() -> &'static MemoCache,
        traits: Traits<V, E>,
    ) -> Self {
        Self {
            name,
            policy,
            cache,
            traits,
        }
    }

    /// The key of the call whose arguments `write` writes.
    pub fn key(&self, write: impl FnOnce(&mut KeyWriter)) -> Key {
        let mut arguments = KeyWriter::new();
        write(&mut arguments);
        Key::assemble(Kind::Memoize, self.name.as_bytes(), arguments.as_bytes())
    }

    /// The key under which all calls lie.
    pub fn base(&self) -> Key {
        Key::new(Kind::Memoize, &self.name)
    }

    /// Forgets the answer of `key`, or all answers under a base key. Answers whether there was one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn forget(&self, key: &Key) -> Result<bool> {
        (self.cache)().remove(key).await
    }

    /// As [`forget`](Self::forget), on this thread.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn forget_blocking(&self, key: &Key) -> Result<bool> {
        block(self.forget(key))
    }

    /// A call with this key and these tags.
    pub fn call(&'static self, key: Key, tags: impl IntoIterator<Item = String>) -> Call<V, E> {
        let mut policy = Cow::Borrowed(&self.policy);
        for tag in tags {
            let policy = policy.to_mut();
            policy.tags = policy.tags.with(Tag::new(tag));
        }
        Call {
            memo: self,
            key,
            policy,
        }
    }
}

/// What a call has to do after the lookup.
enum Next<V, E> {
    Return(std::result::Result<V, E>),
    Load(Leading),
    Refresh(V, Leading),
    Alone,
}

type Leading = Permit<Kept, larder_core::AnyStore<Kept>>;

impl<V, E> Call<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: 'static,
{
    /// The answer from the cache, or that of `load`.
    ///
    /// # Errors
    ///
    /// What `load` failed with, unless a stale answer may stand in for it.
    pub async fn load<T>(self, load: impl FnOnce() -> T) -> std::result::Result<V, E>
    where
        T: Future<Output = Outcome<V, E>>,
    {
        match self.next().await {
            Next::Return(result) => result,
            Next::Alone => unpack(load().await),
            Next::Load(permit) | Next::Refresh(_, permit) => self.lead(permit, load).await,
        }
    }

    /// As [`load`](Self::load), for a function that may be refreshed behind a stale answer.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub async fn load_behind<T>(
        self,
        load: impl FnOnce() -> T + Send + 'static,
    ) -> std::result::Result<V, E>
    where
        T: Future<Output = Outcome<V, E>> + Send + 'static,
        E: Send,
    {
        match self.next().await {
            Next::Return(result) => result,
            Next::Alone => unpack(load().await),
            Next::Load(permit) => self.lead(permit, load).await,
            Next::Refresh(value, permit) => {
                let refresh = async move { drop(self.lead(permit, load).await) };
                background::run(Work::Future(Box::pin(refresh)));
                Ok(value)
            }
        }
    }

    /// As [`load`](Self::load), on this thread.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_blocking(self, load: impl FnOnce() -> Outcome<V, E>) -> std::result::Result<V, E> {
        match block(self.next()) {
            Next::Return(result) => result,
            Next::Alone => unpack(load()),
            Next::Load(permit) | Next::Refresh(_, permit) => self.lead_blocking(permit, load),
        }
    }

    /// As [`load_behind`](Self::load_behind), on this thread; the refresh runs on another.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_blocking_behind(
        self,
        load: impl FnOnce() -> Outcome<V, E> + Send + 'static,
    ) -> std::result::Result<V, E> {
        match block(self.next()) {
            Next::Return(result) => result,
            Next::Alone => unpack(load()),
            Next::Load(permit) => self.lead_blocking(permit, load),
            Next::Refresh(value, permit) => {
                let refresh = move || drop(self.lead_blocking(permit, load));
                background::run(Work::Call(Box::new(refresh)));
                Ok(value)
            }
        }
    }

    async fn next(&self) -> Next<V, E> {
        // Two functions that share a name would find each other's answers; those of another type are
        // as good as none.
        let value = |kept: &Kept| kept.get::<V>().cloned();
        let cache = (self.memo.cache)();
        if let Some(hit) = cache.hit_at_once(&self.key) {
            return value(hit.value()).map_or(Next::Alone, |value| Next::Return(Ok(value)));
        }
        match cache.lookup(&self.key, &self.policy).await {
            Lookup::Hit(hit) => {
                value(hit.value()).map_or(Next::Alone, |value| Next::Return(Ok(value)))
            }
            Lookup::Stale(hit, permit) => match value(hit.value()) {
                Some(value) => Next::Refresh(value, permit),
                None => Next::Load(permit),
            },
            Lookup::Miss(permit) => Next::Load(permit),
            Lookup::Failed(failure) => {
                Raised::error(&failure).map_or(Next::Alone, |error| Next::Return(Err(error)))
            }
            Lookup::Pass(_) => Next::Alone,
        }
    }

    async fn lead<T>(self, permit: Leading, load: impl FnOnce() -> T) -> std::result::Result<V, E>
    where
        T: Future<Output = Outcome<V, E>>,
    {
        let chain = Chain::current().and(permit.load());
        let loading = chain.enter(load);
        let outcome = chain.within(loading).await;
        self.settle(permit, outcome).await
    }

    fn lead_blocking(
        self,
        permit: Leading,
        load: impl FnOnce() -> Outcome<V, E>,
    ) -> std::result::Result<V, E> {
        let outcome = Chain::current().and(permit.load()).enter(load);
        block(self.settle(permit, outcome))
    }

    async fn settle(self, permit: Leading, outcome: Outcome<V, E>) -> std::result::Result<V, E> {
        match outcome {
            Outcome::Keep(value) => {
                let weight = (self.memo.traits.weigh)(&value);
                let kept = Kept::new(value.clone(), weight);
                permit.store(kept, &self.policy).await;
                Ok(value)
            }
            Outcome::Return(value) => {
                permit.decline(&Reason::Failed);
                Ok(value)
            }
            Outcome::Fail(error) => self.fail(permit, error).await,
        }
    }

    /// A stale answer stands in for the error if there is one; else those who wait get a clone of the
    /// error, or ask for themselves where it has none.
    async fn fail(self, permit: Leading, error: E) -> std::result::Result<V, E> {
        let shared = (self.memo.traits.share)(&error);
        if shared.is_none() && permit.previous().is_none() {
            permit.decline(&Reason::Failed);
            return Err(error);
        }
        match permit.fail(shared.unwrap_or_else(Raised::untold)).await {
            Settled::Serve(hit) => hit.value().get().cloned().ok_or(error),
            Settled::Raise(_) => Err(error),
        }
    }
}

fn unpack<V, E>(outcome: Outcome<V, E>) -> std::result::Result<V, E> {
    match outcome {
        Outcome::Keep(value) | Outcome::Return(value) => Ok(value),
        Outcome::Fail(error) => Err(error),
    }
}

impl<V, E> fmt::Debug for Memo<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<V, E> fmt::Debug for Call<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("key", &self.key)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<V, E> fmt::Debug for Traits<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traits")
    }
}
