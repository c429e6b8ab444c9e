//! The names of the types of objects.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyType, PyWeakrefMethods, PyWeakrefReference};

use super::named::{is_found, names};

/// The flag of a type that is not part of the interpreter or of a library in C.
const HEAP: u64 = 1 << 9;
/// Labels that are kept before those of classes that are gone are looked for.
const FEW: usize = 64;

/// The name of a type, with its module in front. A class that is not found under its name gets a
/// number as well, for there may be others of that name, and what they do with equal content differs.
pub(super) fn label(kind: &Bound<'_, PyType>) -> PyResult<Arc<str>> {
    let py = kind.py();
    let known = Labels::lock().get(kind);
    if let Some((label, true)) = known {
        return Ok(label);
    }
    let (module, name) = names(kind);
    let full = format!("{module}.{name}");
    let flags: u64 = kind.getattr(intern!(py, "__flags__"))?.extract()?;
    let found = flags & HEAP == 0 || is_found(kind, &module, &name);
    if let Some((label, false)) = known
        && !found
    {
        return Ok(label);
    }
    // Made before the lock is taken: it may run the garbage collector, and with it anything.
    let class = PyWeakrefReference::new(kind)?.unbind();
    let mut labels = Labels::lock();
    let label = if found {
        full.into()
    } else {
        labels.numbered(&full)
    };
    let known = Known {
        class,
        label: Arc::clone(&label),
        found,
    };
    let replaced = labels.put(kind, known);
    drop(labels);
    drop(replaced);
    Ok(label)
}

/// Tells one start of a process from another one with the same number.
static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));

static LABELS: LazyLock<Mutex<Labels>> = LazyLock::new(Mutex::default);

/// Labels of classes, by the addresses of these.
#[derive(Default)]
struct Labels {
    numbers: u64,
    sweep_at: usize,
    known: HashMap<usize, Known>,
}

struct Known {
    class: Py<PyWeakrefReference>,
    label: Arc<str>,
    /// Whether the class was found under its name.
    found: bool,
}

impl Labels {
    fn lock() -> MutexGuard<'static, Self> {
        LABELS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label of this very class, not of an older one at its address.
    fn get(&self, kind: &Bound<'_, PyType>) -> Option<(Arc<str>, bool)> {
        let known = self.known.get(&(kind.as_ptr() as usize))?;
        let alive = known.class.bind(kind.py()).upgrade()?;
        alive
            .is(kind)
            .then(|| (Arc::clone(&known.label), known.found))
    }

    /// A label that no other class ever gets, in this process or in another one.
    fn numbered(&mut self, name: &str) -> Arc<str> {
        self.numbers += 1;
        let (process, start, number) = (std::process::id(), *START, self.numbers);
        format!("{name}#{process:x}.{start:x}.{number:x}").into()
    }

    fn put(&mut self, kind: &Bound<'_, PyType>, known: Known) -> Vec<Known> {
        let mut gone = Vec::new();
        if self.known.len() >= self.sweep_at {
            let dead = |known: &mut Known| known.class.bind(kind.py()).upgrade().is_none();
            gone.extend(
                self.known
                    .extract_if(|_, known| dead(known))
                    .map(|(_, known)| known),
            );
            self.sweep_at = FEW.max(2 * self.known.len());
        }
        gone.extend(self.known.insert(kind.as_ptr() as usize, known));
        gone
    }
}
