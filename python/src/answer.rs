//! What a lookup answers, and the right to load, as Python sees them.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_core::{
    AnyStore, Chain, Failure, Hit, LoadId, Lookup, Reason, Served, Settled, Stored, TimedOut, Value,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::key::Key;
use crate::patience::{Patience, cache_timeout};
use crate::policy::Policy;
use crate::value::{Page, PyValue};
use crate::waiting::run;

pub(crate) type CorePermit = larder_core::Permit<PyValue, AnyStore<PyValue>>;
type CoreHanded = larder_core::Handed<PyValue, AnyStore<PyValue>>;
pub(crate) type CoreLookup = Lookup<PyValue, AnyStore<PyValue>>;

/// The answer to a lookup.
///
/// `kind` is "hit" (serve `value`), "stale" (serve `value`, then use `permit` in the background),
/// "miss" (load, then settle `permit`), "pass" (call the function and store nothing; `reason` says
/// why), "failed" (the load that this caller waited for raised `error`), "timeout" (it takes longer than
/// this caller waits: raise `error`) or "again" (what this caller
/// waited for is under another variant: make the key anew, and look that up).
#[pyclass(frozen, get_all, module = "flask_larder._native")]
pub(crate) struct Answer {
    kind: &'static str,
    value: Option<Py<PyAny>>,
    permit: Option<Py<Permit>>,
    reason: Option<String>,
    error: Option<Py<PyAny>>,
    /// How the value is served: "fresh", "collapsed", "stale", "stale-error", "soft-timeout",
    /// "hard-timeout".
    served: Option<&'static str>,
    /// Seconds since the value was stored.
    age: f64,
    /// Whole seconds that the value stays fresh; `None` for ever.
    ttl: Option<i64>,
    /// Seconds that the value took to load.
    cost: f64,
}

impl Answer {
    pub(crate) fn new(py: Python<'_>, lookup: CoreLookup, blocks: bool) -> PyResult<Self> {
        let permit = |permit| Py::new(py, Permit::new(permit, blocks)).map(Some);
        Ok(match lookup {
            Lookup::Hit(hit) => Self::hit(py, "hit", &hit)?,
            Lookup::Stale(hit, right) => Self {
                permit: permit(right)?,
                ..Self::hit(py, "stale", &hit)?
            },
            Lookup::Miss(right) => Self {
                permit: permit(right)?,
                ..Self::plain("miss")
            },
            Lookup::Pass(reason) => Self {
                reason: Some(reason.to_string()),
                ..Self::plain("pass")
            },
            Lookup::Again => Self::plain("again"),
            Lookup::Failed(failure) => match TimedOut::of(&failure) {
                Some(error) => Self::timed_out(py, error)?,
                None => Self {
                    error: Some(raised(py, &failure)),
                    ..Self::plain("failed")
                },
            },
        })
    }

    pub(crate) fn timed_out(py: Python<'_>, error: TimedOut) -> PyResult<Self> {
        Ok(Self {
            error: Some(cache_timeout(py, error)?),
            ..Self::plain("timeout")
        })
    }

    pub(crate) fn plain(kind: &'static str) -> Self {
        Self {
            kind,
            value: None,
            permit: None,
            reason: None,
            error: None,
            served: None,
            age: 0.0,
            ttl: None,
            cost: 0.0,
        }
    }

    pub(crate) fn hit(py: Python<'_>, kind: &'static str, hit: &Hit<PyValue>) -> PyResult<Self> {
        Ok(Self {
            value: Some(hit.value().give(py)?.unbind()),
            served: Some(name_of(hit.served)),
            age: hit.age().as_secs_f64(),
            ttl: hit.seconds_left(),
            cost: hit.entry.cost().as_secs_f64(),
            ..Self::plain(kind)
        })
    }
}

impl Answer {
    pub(crate) fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.as_ref().map(|value| value.bind(py).clone())
    }

    /// The same with another form of the page.
    pub(crate) fn with_page(&self, page: &Bound<'_, Page>) -> Self {
        let py = page.py();
        Self {
            value: Some(page.clone().into_any().unbind()),
            permit: self.permit.as_ref().map(|permit| permit.clone_ref(py)),
            reason: self.reason.clone(),
            error: self.error.as_ref().map(|error| error.clone_ref(py)),
            ..*self
        }
    }
}

pub(crate) fn name_of(served: Served) -> &'static str {
    served.name()
}

/// An exception of the user's code, on its way to everyone who waited for it.
#[derive(Debug)]
struct Raised(Py<PyAny>);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Python::attach(|py| write!(f, "{}", self.0.bind(py)))
    }
}

impl std::error::Error for Raised {}

fn raised(py: Python<'_>, failure: &Failure) -> Py<PyAny> {
    let error: &(dyn std::error::Error + 'static) = &**failure;
    match error.downcast_ref::<Raised>() {
        Some(raised) => raised.0.clone_ref(py),
        None => PyRuntimeError::new_err(failure.to_string())
            .into_value(py)
            .into_any(),
    }
}

/// The right and the duty to load. Settle it by `store`, `decline` or `fail`; dropping it lets one of
/// those who wait load instead.
#[pyclass(frozen, module = "flask_larder._native")]
pub(crate) struct Permit {
    permit: Mutex<Option<CorePermit>>,
    /// Where the permit is while the load may outlive the wait for it.
    handed: Mutex<Option<CoreHanded>>,
    blocks: bool,
    number: u64,
    is_limited: bool,
}

impl Permit {
    fn new(permit: CorePermit, blocks: bool) -> Self {
        let number = permit.load().number();
        let is_limited = permit.is_limited();
        Self {
            permit: Mutex::new(Some(permit)),
            handed: Mutex::new(None),
            blocks,
            number,
            is_limited,
        }
    }

    fn take(&self) -> PyResult<CorePermit> {
        let taken = self
            .permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        taken.ok_or_else(|| PyRuntimeError::new_err("the permit was settled already"))
    }
}

/// What became of a value: "stored", "fenced" or "refused", the reason, and the weight in bytes.
pub(crate) type Outcome = (&'static str, Option<String>, usize);

#[pymethods]
impl Permit {
    /// Names the load, for the chain of what runs under it.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// Whether whoever asked waits for the load for a limited time.
    #[getter]
    fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Gives the permit to a load that may outlive the wait for it, and answers what the caller waits
    /// with. The load takes it `back` when it has ended.
    fn hand_over(&self) -> PyResult<Patience> {
        let (handed, patience) = self.take()?.hand_over();
        *self.handed.lock().unwrap_or_else(PoisonError::into_inner) = Some(handed);
        Ok(Patience::new(patience, self.blocks))
    }

    /// Takes the permit back at the end of the load. False where it ended too late, and what it brings is
    /// to be thrown away.
    fn back(&self) -> bool {
        let handed = self
            .handed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let permit = handed.and_then(|handed| handed.take());
        let is_there = permit.is_some();
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        is_there
    }

    /// Whether something out of date is stored.
    #[getter]
    fn has_previous(&self) -> bool {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit
            .as_ref()
            .is_some_and(|permit| permit.previous().is_some())
    }

    /// Whether something out of date is stored that `fail` would serve.
    #[getter]
    fn has_spare(&self) -> bool {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit
            .as_ref()
            .is_some_and(|permit| permit.spare().is_some())
    }

    /// What is stored and out of date, in a tuple of one; `None` where there is nothing.
    #[getter]
    fn previous(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        let own = {
            let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
            permit
                .as_ref()
                .and_then(|permit| permit.previous().cloned())
        };
        let entry = own.or_else(|| {
            let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            handed
                .as_ref()
                .and_then(|handed| handed.previous().cloned())
        });
        // Unpickling runs code, which may ask for this permit.
        entry
            .map(|entry| Ok((entry.value.give(py)?.unbind(),)))
            .transpose()
    }

    /// Stores what was loaded in `seconds`, and hands it to everyone who waits.
    fn store(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        policy: &Policy,
        seconds: f64,
    ) -> PyResult<Outcome> {
        self.settle(py, value, seconds, |permit, value| {
            permit.store(value, &policy.0)
        })
    }

    /// Stores what is stored already under new times, with its tags and those of the policy. `value` is what
    /// `previous` has; a page may have got its codings again.
    fn renew(
        &self,
        py: Python<'_>,
        policy: &Policy,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Outcome> {
        let page = match value.cast_exact::<Page>() {
            Ok(page) => PyValue::keep(page.as_any()).ok(),
            Err(_) => None,
        };
        let permit = self.take()?;
        let previous = permit.previous().map(|previous| previous.value.clone());
        let Some(value) = page.or(previous) else {
            return Err(nothing_to_renew());
        };
        let weight = value.weight();
        match run(py, self.blocks, permit.renew_as(value, &policy.0))? {
            Ok(stored) => Ok(outcome(stored, weight)),
            Err(_) => Err(nothing_to_renew()),
        }
    }

    /// As `store`, under another variant of the same base key; those who wait look up anew.
    #[expect(clippy::too_many_arguments, reason = "those of `store`, and the key")]
    fn store_under(
        &self,
        py: Python<'_>,
        variant: &Key,
        value: &Bound<'_, PyAny>,
        policy: &Policy,
        seconds: f64,
    ) -> PyResult<Outcome> {
        let variant = variant.0.clone();
        self.settle(py, value, seconds, |permit, value| async move {
            permit.store_under(&variant, value, &policy.0).await
        })
    }

    /// Stores a value that stands in for one that could not be loaded, for the throttle only.
    fn stand_in(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        policy: &Policy,
    ) -> PyResult<Outcome> {
        self.settle(py, value, 0.0, |permit, value| {
            permit.stand_in(value, &policy.0)
        })
    }

    /// The answer is not to be stored and not to be shared. `reason` is one of the engine's names,
    /// with a detail behind a colon where there is one.
    fn decline(&self, reason: &str) -> PyResult<()> {
        self.take()?.decline(&reason_named(reason));
        Ok(())
    }

    /// The load raised `error`. Answers a stale value to serve in its place as a "hit", or "failed":
    /// raise it.
    fn fail(&self, py: Python<'_>, error: Py<PyAny>) -> PyResult<Answer> {
        let permit = self.take()?;
        let failure: Failure = Arc::new(Raised(error));
        match run(py, self.blocks, permit.fail(failure))? {
            Settled::Serve(hit) => Answer::hit(py, "hit", &hit),
            Settled::Raise(failure) => Ok(Answer {
                error: Some(raised(py, &failure)),
                ..Answer::plain("failed")
            }),
        }
    }

    /// Gives the permit back unused: one of those who wait loads instead.
    fn drop(&self) {
        let permit = self
            .permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let handed = self
            .handed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop((permit, handed));
    }
}

impl Permit {
    fn settle<F>(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        seconds: f64,
        store: impl FnOnce(CorePermit, PyValue) -> F,
    ) -> PyResult<Outcome>
    where
        F: Future<Output = Stored> + Send,
    {
        let permit = self
            .take()?
            .took(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let value = match PyValue::keep(value) {
            Ok(value) => value,
            Err(not_kept) => {
                let reason = not_kept.into_reason()?;
                permit.decline(&reason);
                return Ok(("refused", Some(reason.to_string()), 0));
            }
        };
        let weight = value.weight();
        Ok(outcome(run(py, self.blocks, store(permit, value))?, weight))
    }
}

fn nothing_to_renew() -> PyErr {
    PyRuntimeError::new_err("nothing is stored to be renewed")
}

pub(crate) fn outcome(stored: Stored, weight: usize) -> Outcome {
    match stored {
        Stored::Stored => ("stored", None, weight),
        Stored::Fenced => ("fenced", None, weight),
        Stored::Refused(reason) => ("refused", Some(reason.to_string()), weight),
    }
}

/// Whether something is stored, where that says all.
pub(crate) fn is_stored(stored: &Stored) -> Option<bool> {
    match stored {
        Stored::Stored => Some(true),
        Stored::Fenced | Stored::Refused(Reason::Superseded) => Some(false),
        Stored::Refused(_) => None,
    }
}

/// The engine's reason of this name.
fn reason_named(text: &str) -> Reason {
    let (name, detail) = text.split_once(": ").unwrap_or((text, ""));
    let detail = detail.to_owned();
    match name {
        "bypass" => Reason::Bypass,
        "private" => Reason::Private,
        "cookie" => Reason::Cookie,
        "no-store" => Reason::NoStore,
        "set-cookie" => Reason::SetCookie,
        "authorization" => Reason::Authorization,
        "session" => Reason::Session,
        "method" => Reason::Method,
        "status" => Reason::Status(detail.parse().unwrap_or(0)),
        "vary" => Reason::Vary(detail.into()),
        "too-large" => Reason::TooLarge,
        "do-not-keep" => Reason::DoNotKeep,
        "stream" => Reason::Stream,
        "unkeyable" => Reason::Unkeyable(detail.into()),
        "unkeyed-input" => Reason::UnkeyedInput(detail.into()),
        "range" => Reason::Range,
        "login" => Reason::Login,
        "request" => Reason::Request,
        "uncodable" => Reason::Uncodable(detail.into()),
        _ => Reason::Filtered,
    }
}

/// The chain of open loads that Python carries in a context variable, innermost first.
pub(crate) fn chain_of(numbers: &[u64]) -> Chain {
    let loads = numbers
        .iter()
        .rev()
        .filter_map(|&number| NonZeroU64::new(number));
    loads.fold(Chain::empty(), |chain, number| {
        chain.and(LoadId::from_number(number))
    })
}
