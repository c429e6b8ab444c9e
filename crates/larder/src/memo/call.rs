//! One memoized function, and one call of it.

use std::borrow::Cow;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use larder_core::{
    Cache, Chain, Key, KeyWriter, Kind, Lookup, Permit, Policy, Reason, Result, Settled, Store,
    Tag, TimedOut, Waited,
};

use super::answer::{Answer, Raised, Traits};
use super::home::own;
use super::{Holds, MemoCache, block};
use crate::background::{self, Work};
use crate::late;

/// A memoized function: its name, its policy, and the cache that it may have for itself.
pub struct Memo {
    name: String,
    policy: Policy,
    own: OnceLock<&'static MemoCache>,
}

impl Memo {
    /// A function whose answers lie under `name`, which no other function has.
    pub const fn new(name: String, policy: Policy) -> Self {
        Self {
            name,
            policy,
            own: OnceLock::new(),
        }
    }

    /// The cache of this function alone, with these bounds; `None` is the default of the store.
    pub fn own(&self, entries: Option<usize>, bytes: Option<usize>) -> &'static MemoCache {
        self.own.get_or_init(|| own(entries, bytes))
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

    /// The policy of a call with these tags.
    pub fn policy(&'static self, tags: impl IntoIterator<Item = String>) -> Cow<'static, Policy> {
        let mut policy = Cow::Borrowed(&self.policy);
        for tag in tags {
            let policy = policy.to_mut();
            policy.tags = policy.tags.with(Tag::new(tag));
        }
        policy
    }
}

/// A policy whose timeouts were written as expressions.
///
/// # Panics
///
/// When they do not fit together ([`Policy::checked`]): with the first call of its function.
#[must_use]
pub fn fitting(policy: Policy) -> Policy {
    match policy.checked() {
        Ok(policy) => policy,
        Err(error) => panic!("{error}"),
    }
}

/// Forgets the answer of `key`, or all answers under a base key. Answers whether there was one.
///
/// # Errors
///
/// When the store fails.
pub fn forget_blocking<K, S>(cache: &Cache<K, S>, key: &Key) -> Result<bool>
where
    K: larder_core::Value,
    S: Store<K>,
{
    block(cache.remove(key))
}

/// One call of a memoized function.
pub struct Call<'a, A: Answer, K: Holds<A::Value>, S: Store<K>> {
    /// Where its answer lies.
    pub cache: &'a Cache<K, S>,
    /// Under which key.
    pub key: Key,
    /// For how long, and under which tags.
    pub policy: Cow<'static, Policy>,
    /// How what the function returns is taken apart.
    pub answer: A,
    /// What its types can do.
    pub traits: Traits<A::Value, A::Error>,
}

/// What a call found.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it arrives, and a load is longer than a copy of 200 bytes"
)]
pub enum Found<A: Answer, K: Holds<A::Value>, S: Store<K>> {
    /// What the function would have returned.
    Answer(A::Returned),
    /// It has to run.
    Load(Loading<A, K, S>),
}

/// A call whose function has to run.
pub struct Loading<A: Answer, K: Holds<A::Value>, S: Store<K>> {
    how: How<A, K, S>,
    policy: Cow<'static, Policy>,
    traits: Traits<A::Value, A::Error>,
}

enum How<A: Answer, K: Holds<A::Value>, S: Store<K>> {
    /// Leaves the cache alone.
    Alone,
    Lead(Cache<K, S>, Permit<K, S>),
    /// This answer is stale, and may be given at once.
    Refresh(A::Value, Cache<K, S>, Permit<K, S>),
}

impl<A, K, S> Call<'_, A, K, S>
where
    A: Answer,
    A::Value: Clone,
    A::Error: 'static,
    K: Holds<A::Value>,
    S: Store<K>,
{
    /// Looks the answer up.
    pub async fn find(self) -> Found<A, K, S> {
        if let Some(hit) = self.cache.hit_at_once(&self.key)
            && let Some(value) = hit.value().held()
        {
            return Found::Answer(A::join(Ok(value)));
        }
        // What lies there may be no answer of this function: one of another type whose name it shares,
        // or one that another version of the program wrote. It is in nobody's way once it is gone.
        let how = match self.look().await {
            Ok(found) => found,
            Err(()) => {
                drop(self.cache.remove(&self.key).await);
                let again = self.look().await;
                again.unwrap_or(Ok(How::Alone))
            }
        };
        match how {
            Ok(how) => Found::Load(Loading {
                how,
                policy: self.policy,
                traits: self.traits,
            }),
            Err(result) => Found::Answer(A::join(result)),
        }
    }

    /// As [`find`](Self::find), on this thread.
    pub fn find_blocking(self) -> Found<A, K, S> {
        block(self.find())
    }

    /// How to load, or how the call ended; an error where what lies there cannot be read.
    async fn look(&self) -> std::result::Result<Next<A, K, S>, ()> {
        let lead = |permit| Ok(Ok(How::Lead(self.cache.clone(), permit)));
        match self.cache.lookup(&self.key, &self.policy).await {
            Lookup::Hit(hit) => hit.value().held().map(|value| Err(Ok(value))).ok_or(()),
            Lookup::Stale(hit, permit) => match hit.value().held() {
                Some(value) => Ok(Ok(How::Refresh(value, self.cache.clone(), permit))),
                None => lead(permit),
            },
            Lookup::Miss(permit) => lead(permit),
            Lookup::Failed(failure) => {
                let timed_out = TimedOut::of(&failure).and_then(self.traits.timed_out);
                let raised = timed_out.or_else(|| Raised::error(&failure));
                Ok(raised.map_or(Ok(How::Alone), |error| Err(Err(error))))
            }
            Lookup::Pass(_) | Lookup::Again => Ok(Ok(How::Alone)),
        }
    }
}

/// How to go on, or how the call ended.
type Next<A, K, S> = std::result::Result<
    How<A, K, S>,
    std::result::Result<<A as Answer>::Value, <A as Answer>::Error>,
>;

impl<A, K, S> Loading<A, K, S>
where
    A: Answer,
    A::Value: Clone,
    A::Error: 'static,
    K: Holds<A::Value>,
    S: Store<K>,
{
    /// What `load` returns, or would have returned in place of an error that something stale hides.
    pub async fn load<T>(self, load: impl FnOnce() -> T) -> A::Returned
    where
        T: Future<Output = A::Returned>,
    {
        match self.how {
            How::Alone => load().await,
            How::Lead(cache, permit) | How::Refresh(_, cache, permit) => {
                let chain = Chain::current().and(permit.load());
                let loading = chain.enter(load);
                let returned = chain.within(loading).await;
                let settling = Settling(cache, permit, self.policy, self.traits);
                A::join(settling.settle(A::split(returned)).await)
            }
        }
    }

    /// As [`load`](Self::load), for a function that may be refreshed behind a stale answer.
    pub async fn load_behind<T>(self, load: impl FnOnce() -> T + Send + 'static) -> A::Returned
    where
        T: Future<Output = A::Returned> + Send + 'static,
        A::Value: Send,
        A::Error: Send,
    {
        match self.stale() {
            (Some(value), loading) => {
                let refresh = async move { drop(loading.load(load).await) };
                background::run(Work::Future(Box::pin(refresh)));
                A::join(Ok(value))
            }
            (None, loading) => loading.load(load).await,
        }
    }

    /// As [`load`](Self::load), on this thread.
    pub fn load_blocking(self, load: impl FnOnce() -> A::Returned) -> A::Returned {
        match self.how {
            How::Alone => load(),
            How::Lead(cache, permit) | How::Refresh(_, cache, permit) => {
                let returned = Chain::current().and(permit.load()).enter(load);
                let settling = Settling(cache, permit, self.policy, self.traits);
                A::join(block(settling.settle(A::split(returned))))
            }
        }
    }

    /// As [`load_behind`](Self::load_behind), on this thread; the refresh runs on another.
    pub fn load_blocking_behind(
        self,
        load: impl FnOnce() -> A::Returned + Send + 'static,
    ) -> A::Returned
    where
        A::Value: Send,
    {
        match self.stale() {
            (Some(value), loading) => {
                let refresh = move || drop(loading.load_blocking(load));
                background::run(Work::Call(Box::new(refresh)));
                A::join(Ok(value))
            }
            (None, loading) => loading.load_blocking(load),
        }
    }

    /// What is left of it but the call, where whoever asked waits for a limited time.
    #[expect(
        clippy::result_large_err,
        reason = "it is taken apart where it arrives"
    )]
    fn limited(self) -> std::result::Result<Settling<A::Value, A::Error, K, S>, Self> {
        match self.how {
            How::Lead(cache, permit) | How::Refresh(_, cache, permit) if permit.is_limited() => {
                Ok(Settling(cache, permit, self.policy, self.traits))
            }
            how => Err(Self { how, ..self }),
        }
    }

    /// As [`load_behind`](Self::load_behind), for a function with timeouts: it goes on by itself when one
    /// of them is over.
    pub async fn load_for_a_while<T>(self, load: impl FnOnce() -> T + Send + 'static) -> A::Returned
    where
        T: Future<Output = A::Returned> + Send + 'static,
        A::Value: Send,
        A::Error: Send,
    {
        let Settling(cache, permit, policy, traits) = match self.limited() {
            Ok(limited) => limited,
            Err(loading) => return loading.load_behind(load).await,
        };
        let (handed, patience) = permit.hand_over();
        let chain = Chain::current().and(handed.load());
        let discards = policy.discard_late;
        let mut loading = Box::pin(async move {
            let loading = chain.enter(load);
            let result = A::split(chain.within(loading).await);
            match handed.take() {
                Some(permit) => Settling(cache, permit, policy, traits).settle(result).await,
                None => result,
            }
        });
        let answer = match patience.wait(&mut loading).await {
            Waited::Ended(result) => return A::join(result),
            waited => traits.in_place(waited),
        };
        let Some(result) = answer else {
            return A::join(loading.await);
        };
        if !discards {
            background::load(Work::Future(Box::pin(async move { drop(loading.await) })));
        }
        A::join(result)
    }

    /// As [`load_for_a_while`](Self::load_for_a_while), on this thread; the function runs on another.
    pub fn load_elsewhere(self, load: impl FnOnce() -> A::Returned + Send + 'static) -> A::Returned
    where
        A::Value: Send,
        A::Error: Send,
    {
        let Settling(cache, permit, policy, traits) = match self.limited() {
            Ok(limited) => limited,
            Err(loading) => return loading.load_blocking_behind(load),
        };
        let (handed, patience) = permit.hand_over();
        let chain = Chain::current().and(handed.load());
        let ending = late::on_a_thread(move || {
            let result = A::split(chain.enter(load));
            match handed.take() {
                Some(permit) => block(Settling(cache, permit, policy, traits).settle(result)),
                None => result,
            }
        });
        let Some(mut ending) = ending else {
            let over = block(patience.is_over::<()>());
            let answer = traits.in_place(over);
            return A::join(answer.expect("whoever has a limit gets something when it is over"));
        };
        let ended = match block(patience.wait(&mut ending)) {
            Waited::Ended(ended) => ended,
            waited => match traits.in_place(waited) {
                Some(result) => return A::join(result),
                None => block(ending),
            },
        };
        match ended {
            Ok(result) => A::join(result),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The stale answer to give now, if there is one, and the load.
    fn stale(self) -> (Option<A::Value>, Self) {
        match self.how {
            How::Refresh(value, cache, permit) => {
                let how = How::Lead(cache, permit);
                (Some(value), Self { how, ..self })
            }
            how => (None, Self { how, ..self }),
        }
    }
}

impl<V, E> Traits<V, E> {
    /// What a caller gets who does not wait any longer; `None` where that cannot be told, and it waits
    /// on.
    fn in_place<K: Holds<V>, T>(self, waited: Waited<K, T>) -> Option<std::result::Result<V, E>> {
        match waited {
            Waited::Ended(_) => None,
            Waited::Serve(hit) => hit.value().held().map(Ok),
            Waited::TimedOut(error) => (self.timed_out)(error).map(Err),
        }
    }
}

/// A call that has run.
struct Settling<V, E, K: Holds<V>, S: Store<K>>(
    Cache<K, S>,
    Permit<K, S>,
    Cow<'static, Policy>,
    Traits<V, E>,
);

impl<V: Clone, E, K: Holds<V>, S: Store<K>> Settling<V, E, K, S> {
    async fn settle(self, result: std::result::Result<V, E>) -> std::result::Result<V, E> {
        match result {
            Ok(value) => {
                self.settle_with(value.clone()).await;
                Ok(value)
            }
            Err(error) => self.fail(error).await,
        }
    }

    async fn settle_with(self, value: V) {
        let Self(cache, permit, policy, traits) = self;
        let keep = (traits.keeps)(&value);
        let weight = (traits.weighs)(&value);
        let value = K::hold(value, weight);
        if keep {
            permit.store(value, &policy).await;
            return;
        }
        // Those who waited get it too. What was there before is not so any more.
        let (key, outdated) = (permit.key().clone(), permit.previous().is_some());
        let told = Policy {
            ttl: larder_core::Lifetime::DoNotKeep,
            ..Policy::clone(&policy)
        };
        permit.store(value, &told).await;
        if outdated {
            drop(cache.remove(&key).await);
        }
    }

    /// A stale answer stands in for the error if there is one; else those who wait get a clone of the
    /// error, or ask for themselves where it has none.
    async fn fail(self, error: E) -> std::result::Result<V, E> {
        let Self(_, permit, _, traits) = self;
        let shared = (traits.shares)(&error);
        if shared.is_none() && permit.previous().is_none() {
            permit.decline(&Reason::Failed);
            return Err(error);
        }
        match permit.fail(shared.unwrap_or_else(Raised::untold)).await {
            Settled::Serve(hit) => hit.value().held().ok_or(error),
            Settled::Raise(_) => Err(error),
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<A: Answer, K: Holds<A::Value>, S: Store<K>> fmt::Debug for Call<'_, A, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("key", &self.key)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<A: Answer, K: Holds<A::Value>, S: Store<K>> fmt::Debug for Found<A, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Found::Answer",
            Self::Load(_) => "Found::Load",
        })
    }
}

impl<A: Answer, K: Holds<A::Value>, S: Store<K>> fmt::Debug for Loading<A, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
