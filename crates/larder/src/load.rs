//! Get a value, or load it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use larder_core::{
    Cache, Chain, Failure, Key, Lookup, Permit, Policy, Settled, Store, ThreadPark, Value, drive,
};

use crate::background::{self, Work};

/// Get a value from a cache, or load it: once for all who ask at the same time.
///
/// A stale value is answered at once, where the policy allows it, and refreshed behind the answer (see
/// [`background`]); therefore a load owns what it needs. A load that asks for its own key again runs
/// that inner load in place.
pub trait Load<V: Value> {
    /// The value of `key`; if there is none, what `load` makes.
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
    /// to everyone who waited for it.
    fn try_get_or_load<F, T, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> impl Future<Output = Result<V, Arc<E>>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static;

    /// As [`get_or_load`](Self::get_or_load), on this thread. Waits by putting the thread to sleep, so on
    /// a thread that runs tasks it holds them up as long as it waits and loads.
    fn get_or_load_blocking<F>(&self, key: &Key, policy: &Policy, load: F) -> V
    where
        F: FnOnce() -> V + Send + 'static;

    /// As [`try_get_or_load`](Self::try_get_or_load), on this thread.
    ///
    /// # Errors
    ///
    /// What `load` failed with, unless a stale value may stand in for it.
    fn try_get_or_load_blocking<F, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, Arc<E>>
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
        sure(self.try_get_or_load(key, policy, load).await)
    }

    async fn try_get_or_load<F, T, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, Arc<E>>
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
            Lookup::Miss(permit) => lead(permit, policy, load).await,
            Lookup::Stale(hit, permit) => {
                let policy = policy.clone();
                let refresh = async move { drop(lead(permit, &policy, load).await) };
                background::run(Work::Future(Box::pin(refresh)));
                Ok(hit.value().clone())
            }
            Lookup::Failed(failure) => match Raised::of(&failure) {
                Some(error) => Err(error),
                None => load().await.map_err(Arc::new),
            },
            Lookup::Pass(_) => load().await.map_err(Arc::new),
        }
    }

    fn get_or_load_blocking<F>(&self, key: &Key, policy: &Policy, load: F) -> V
    where
        F: FnOnce() -> V + Send + 'static,
    {
        let load = || Ok::<V, Infallible>(load());
        sure(self.try_get_or_load_blocking(key, policy, load))
    }

    fn try_get_or_load_blocking<F, E>(
        &self,
        key: &Key,
        policy: &Policy,
        load: F,
    ) -> Result<V, Arc<E>>
    where
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(hit) = self.hit_at_once(key) {
            return Ok(hit.value().clone());
        }
        match block(self.lookup(key, policy)) {
            Lookup::Hit(hit) => Ok(hit.value().clone()),
            Lookup::Miss(permit) => lead_blocking(permit, policy, load),
            Lookup::Stale(hit, permit) => {
                let policy = policy.clone();
                let refresh = move || drop(lead_blocking(permit, &policy, load));
                background::run(Work::Call(Box::new(refresh)));
                Ok(hit.value().clone())
            }
            Lookup::Failed(failure) => match Raised::of(&failure) {
                Some(error) => Err(error),
                None => load().map_err(Arc::new),
            },
            Lookup::Pass(_) => load().map_err(Arc::new),
        }
    }
}

async fn lead<V, S, T, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> T,
) -> Result<V, Arc<E>>
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

fn lead_blocking<V, S, E>(
    permit: Permit<V, S>,
    policy: &Policy,
    load: impl FnOnce() -> Result<V, E>,
) -> Result<V, Arc<E>>
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
) -> Result<V, Arc<E>>
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
                Settled::Raise(_) => Err(error),
            }
        }
    }
}

fn block<F: Future>(future: F) -> F::Output {
    let Ok(output) = drive(future, &ThreadPark);
    output
}

fn sure<V>(result: Result<V, Arc<Infallible>>) -> V {
    match result {
        Ok(value) => value,
        Err(never) => match *never {},
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
