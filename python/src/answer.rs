//! What a lookup answers, and the right to load, as Python sees them.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_core::{
    AnyStore, Chain, Failure, Hit, LoadId, Lookup, Reason, Served, Settled, Stored, Value,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::policy::Policy;
use crate::value::PyValue;
use crate::waiting::run;

pub(crate) type CorePermit = larder_core::Permit<PyValue, AnyStore<PyValue>>;
pub(crate) type CoreLookup = Lookup<PyValue, AnyStore<PyValue>>;

/// The answer to a lookup.
///
/// `kind` is "hit" (serve `value`), "stale" (serve `value`, then use `permit` in the background),
/// "miss" (load, then settle `permit`), "pass" (call the function and store nothing; `reason` says
/// why) or "failed" (the load that this caller waited for raised `error`).
#[pyclass(frozen, get_all, module = "flask_larder._native")]
pub(crate) struct Answer {
    kind: &'static str,
    value: Option<Py<PyAny>>,
    permit: Option<Py<Permit>>,
    reason: Option<String>,
    error: Option<Py<PyAny>>,
    /// How the value is served: "fresh", "collapsed", "stale", "stale-error".
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
            Lookup::Failed(failure) => Self {
                error: Some(raised(py, &failure)),
                ..Self::plain("failed")
            },
        })
    }

    fn plain(kind: &'static str) -> Self {
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

    fn hit(py: Python<'_>, kind: &'static str, hit: &Hit<PyValue>) -> PyResult<Self> {
        Ok(Self {
            value: Some(hit.value().give(py)?.unbind()),
            served: Some(name_of(hit.served)),
            age: hit.age().as_secs_f64(),
            ttl: hit.seconds_left(),
            cost: hit.entry.meta.cost.as_secs_f64(),
            ..Self::plain(kind)
        })
    }
}

pub(crate) fn name_of(served: Served) -> &'static str {
    match served {
        Served::Fresh => "fresh",
        Served::Collapsed => "collapsed",
        Served::Stale => "stale",
        Served::StaleError => "stale-error",
    }
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
    blocks: bool,
    number: u64,
}

impl Permit {
    fn new(permit: CorePermit, blocks: bool) -> Self {
        let number = permit.load().number();
        Self {
            permit: Mutex::new(Some(permit)),
            blocks,
            number,
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

    /// Whether something out of date is stored, which `fail` may serve.
    #[getter]
    fn has_previous(&self) -> bool {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit
            .as_ref()
            .is_some_and(|permit| permit.previous().is_some())
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
        drop(permit);
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

pub(crate) fn outcome(stored: Stored, weight: usize) -> Outcome {
    match stored {
        Stored::Stored => ("stored", None, weight),
        Stored::Fenced => ("fenced", None, weight),
        Stored::Refused(reason) => ("refused", Some(reason.to_string()), weight),
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
