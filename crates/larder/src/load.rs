//! Get a value, or load it.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use larder_core::{
    Cache, Chain, Failure, Handed, Key, Lookup, Permit, Policy, Settled, Store, ThreadPark,
    TimedOut, Value, Waited, drive,
};

use crate::background::{self, Work};
use crate::late::{self, LoadError};

/// Get a value from a cache, or load it: once for all who ask at the same time.
///
/// A stale value is answered at once, where the policy allows it, and refreshed behind the answer (see
/// [`background`]); therefore a load owns what it needs. A load that asks for its own key again runs
/// that inner load in place.
pub trait Load<V: Value> {
    /// The value of `key`; if there is none, what `load` makes. It always answers, so a hard timeout in
    /// the policy has no effect; a soft one has.
    fn get_or_load<F, T>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> impl Future<Output = V> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = V> + Send + 'static;

    /// As [`get_or_load`](Self::get_or_load), for a load that may fail. A failure is not stored; it goes
    /// to everyone who waited for it. So does a load that takes longer than the
    /// [hard timeout](Policy::hard_timeout) of the policy; it goes on as a task of tokio (feature
    /// `tokio`) or on a thread, and what it brings is stored.
    fn try_get_or_load<F, T, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> impl Future<Output = Result<V, LoadError<E>>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static;

    /// As [`get_or_load`](Self::get_or_load), on this thread. Waits by putting the thread to sleep, so on
    /// a thread that runs tasks it holds them up as long as it waits and loads.
    fn get_or_load_blocking<F>(&self, key: &Key, policy: &Policy, load: F) -> V
    where
        F: FnOnce() -> V + Send + 'static;

    /// As [`try_get_or_load`](Self::try_get_or_load), on this thread. With a timeout in the policy the
    /// load runs on another thread, for this one cannot leave it.
    ///
    /// # Errors
    ///
    /// What `load` failed with, unless a stale value may stand in for it; and
    /// [`LoadError::TimedOut`].
    fn try_get_or_load_blocking<F, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, LoadError<E>>
    where
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Send + Sync + 'static;
}

impl<V: Value, S: Store<V>> Load<V> for Cache<V, S> {
    async fn get_or_load<F, T>(&self, key: &Key, policy: &Policy, load: F) -> V
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = V> + Send + 'static,
    {
        let load = || async { Ok::<V, Infallible>(load().await) };
        let policy = to_the_end(policy);
        sure(self.try_get_or_load(key, &policy, load).await)
    }

    async fn try_get_or_load<F, T, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, LoadError<E>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(hit) = self.hit_at_once(key) {
            return Ok(hit.value().clone());
        }
        match self.lookup(key, policy).await {
            Lookup::Hit(hit) => Ok(hit.value().clone()),
            Lookup::Miss(permit) | Lookup::Stale(_, permit) if permit.is_limited() => {
                lead_for_a_while(permit, policy, load).await
            }
            Lookup::Miss(permit) => lead(permit, policy, load).await,
            Lookup::Stale(hit, permit) => {
                let policy = policy.clone();
                let refresh = async move { drop(lead(permit, &policy, load).await) };
                background::run(Work::Future(Box::pin(refresh)));
                Ok(hit.value().clone())
            }
            Lookup::Failed(failure) => match known(&failure, policy) {
                Some(error) => Err(error),
                None => load().await.map_err(failed),
            },
            Lookup::Pass(_) | Lookup::Again => load().await.map_err(failed),
        }
    }

    fn get_or_load_blocking<F>(&self, key: &Key, policy: &Policy, load: F) -> V
    where
        F: FnOnce() -> V + Send + 'static,
    {
        let load = || Ok::<V, Infallible>(load());
        let policy = to_the_end(policy);
        sure(self.try_get_or_load_blocking(key, &policy, load))
    }

    fn try_get_or_load_blocking<F, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, LoadError<E>>
    where
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(hit) = self.hit_at_once(key) {
            return Ok(hit.value().clone());
        }
        match block(self.lookup(key, policy)) {
            Lookup::Hit(hit) => Ok(hit.value().clone()),
            Lookup::Miss(permit) | Lookup::Stale(_, permit) if permit.is_limited() => {
                lead_elsewhere(permit, policy, load)
            }
            Lookup::Miss(permit) => lead_blocking(permit, policy, load),
            Lookup::Stale(hit, permit) => {
                let policy = policy.clone();
                let refresh = move || drop(lead_blocking(permit, &policy, load));
                background::run(Work::Call(Box::new(refresh)));
                Ok(hit.value().clone())
            }
            Lookup::Failed(failure) => match known(&failure, policy) {
                Some(error) => Err(error),
                None => load().map_err(failed),
            },
            Lookup::Pass(_) | Lookup::Again => load().map_err(failed),
        }
    }
}

async fn lead<V, S, T, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> T,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    T: Future<Output = Result<V, E>>,
    E: Send + Sync + 'static,
{
    let chain = Chain::current().and(permit.load());
    let loading = chain.enter(load);
    let result = chain.within(loading).await;
    settle(permit, policy, result).await
}

/// Leads a load that goes on by itself when the wait for it is over.
async fn lead_for_a_while<V, S, T, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> T + Send + 'static,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    T: Future<Output = Result<V, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    let (handed, patience) = permit.hand_over();
    let chain = Chain::current().and(handed.load());
    let under = policy.clone();
    let mut loading = Box::pin(async move {
        let loading = chain.enter(load);
        let result = chain.within(loading).await;
        settle_handed(&handed, &under, result).await
    });
    let waited = patience.wait(&mut loading).await;
    if !matches!(waited, Waited::Ended(_)) && !policy.discard_late {
        background::load(Work::Future(Box::pin(async move { drop(loading.await) })));
    }
    match waited {
        Waited::Ended(result) => result,
        Waited::Serve(hit) => Ok(hit.value().clone()),
        Waited::TimedOut(error) => Err(LoadError::TimedOut(error)),
    }
}

/// As `lead_for_a_while`, on this thread; the load runs on another.
fn lead_elsewhere<V, S, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> Result<V, E> + Send + 'static,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    E: Send + Sync + 'static,
{
    let (handed, patience) = permit.hand_over();
    let chain = Chain::current().and(handed.load());
    let under = policy.clone();
    let ending = late::on_a_thread(move || {
        let result = chain.enter(load);
        block(settle_handed(&handed, &under, result))
    });
    let waited = match ending {
        Some(mut ending) => block(patience.wait(&mut ending)),
        None => block(patience.is_over()),
    };
    match waited {
        Waited::Ended(Ok(result)) => result,
        Waited::Ended(Err(panic)) => resume_unwind(panic),
        Waited::Serve(hit) => Ok(hit.value().clone()),
        Waited::TimedOut(error) => Err(LoadError::TimedOut(error)),
    }
}

/// Settles a load, unless it ended too late and is to be thrown away.
async fn settle_handed<V, S, E>(
    handed: &Handed<V, S>,
    policy: &Policy,
    result: Result<V, E>,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    E: Send + Sync + 'static,
{
    match handed.take() {
        Some(permit) => settle(permit, policy, result).await,
        None => result.map_err(failed),
    }
}

fn lead_blocking<V, S, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> Result<V, E>,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    E: Send + Sync + 'static,
{
    let result = Chain::current().and(permit.load()).enter(load);
    block(settle(permit, policy, result))
}

async fn settle<V, S, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    result: Result<V, E>,
) -> Result<V, LoadError<E>>
where
    V: Value,
    S: Store<V>,
    E: Send + Sync + 'static,
{
    match result {
        Ok(value) => {
            permit.store(value.clone(), policy).await;
            Ok(value)
        }
        Err(error) => {
            let error = Arc::new(error);
            match permit.fail(Arc::new(Raised(Arc::clone(&error)))).await {
                Settled::Serve(hit) => Ok(hit.value().clone()),
                Settled::Raise(_) => Err(LoadError::Failed(error)),
            }
        }
    }
}

fn failed<E>(error: E) -> LoadError<E> {
    LoadError::Failed(Arc::new(error))
}

/// What somebody else's load failed with, if it says so.
fn known<E>(failure: &Failure, policy: &Policy) -> Option<LoadError<E>>
where
    E: Send + Sync + 'static,
{
    // One who waits to the end does not mind that another has not.
    let timed_out = TimedOut::of(failure).filter(|_| policy.hard_timeout.is_some());
    let timed_out = timed_out.map(LoadError::TimedOut);
    timed_out.or_else(|| Raised::of(failure).map(LoadError::Failed))
}

/// The policy of a call that cannot fail.
fn to_the_end(policy: &Policy) -> Cow<'_, Policy> {
    if policy.hard_timeout.is_none() {
        return Cow::Borrowed(policy);
    }
    let mut policy = policy.clone();
    policy.hard_timeout = None;
    Cow::Owned(policy)
}

fn block<F: Future>(future: F) -> F::Output {
    let Ok(output) = drive(future, &ThreadPark);
    output
}

/// The value of a call that cannot fail, and has no hard timeout.
fn sure<V>(result: Result<V, LoadError<Infallible>>) -> V {
    match result {
        Ok(value) => value,
        Err(LoadError::Failed(never)) => match *never {},
        Err(LoadError::TimedOut(error)) => unreachable!("{error}, and it has none"),
    }
}

/// What a load failed with, on its way to those who waited.
struct Raised<E>(Arc<E>);

impl<E: Send + Sync + 'static> Raised<E> {
    fn of(failure: &Failure) -> Option<Arc<E>> {
        let failure: &(dyn std::error::Error + 'static) = &**failure;
        let raised = failure.downcast_ref::<Self>()?;
        Some(Arc::clone(&raised.0))
    }
}

impl<E> fmt::Debug for Raised<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raised({})", std::any::type_name::<E>())
    }
}

impl<E> fmt::Display for Raised<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load failed: {}", std::any::type_name::<E>())
    }
}

impl<E> std::error::Error for Raised<E> {}
